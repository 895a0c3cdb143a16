from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.memory import KEY, Memory, Notebook
from airflow_provider_scnet.jobs.naming import JobTag

TAG = JobTag.of(dag_id="flow", run_id="manual", task_id="submit", map_index=3, generation=1)
REF = JobRef("1638523853", "test", "197")


class Store(dict[str, Any]):
    """Airflow's state store of a task."""

    set = dict.__setitem__


def notebook(store: Any, tag: JobTag = TAG, own: str = "flow") -> Notebook:
    return Notebook(store, tag.name(own), logger=logging.getLogger())


def test_what_is_written_is_read() -> None:
    notes = notebook(store := Store())
    assert notes.read() is None
    notes.note_begun()
    assert notes.read() == Memory(None, None)
    notes.note_sent(5.5)
    assert notes.read() == Memory(5.5, None)
    notes.note_submitted(5.5, REF)
    assert notes.read() == Memory(5.5, REF)
    assert type(store[KEY]["ref"]) is str


def test_name_of_the_users_may_change_meanwhile() -> None:
    notebook(store := Store()).note_sent(1)
    assert notebook(store, own="other").read() == Memory(1.0, None)


@pytest.mark.parametrize("other", [JobTag(TAG.task, 3, 2), JobTag(TAG.task, 4, 1), JobTag("a" * 12, 3, 1)])
def test_notes_of_another_generation_or_item(other: JobTag) -> None:
    notebook(store := Store()).note_submitted(1, REF)
    assert notebook(store, other).read() is None


@pytest.mark.parametrize(
    "noted", [None, 5, "text", [], {}, {"name": None}, {"name": "flow"}, {"ref": str(REF)}, {"name": 5, "sent_at": 1}]
)
def test_what_is_no_note(noted: Any) -> None:
    assert notebook(Store({KEY: noted})).read() is None


@pytest.mark.parametrize("ref", [None, "", "strange", "197", 5, "1638523853,a:1:;1638523853,a:2:"])
def test_note_without_a_reference(ref: Any) -> None:
    assert notebook(Store({KEY: {"name": TAG.name("x"), "sent_at": 2, "ref": ref}})).read() == Memory(2.0, None)


def test_without_a_store_nothing_is_remembered() -> None:
    notes = notebook(None)
    notes.note_sent(1)
    notes.note_submitted(1, REF)
    assert notes.read() is None
