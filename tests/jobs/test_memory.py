from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.memory import KEY, Memory, Notebook, read_since
from airflow_provider_scnet.jobs.naming import JobTag
from tests.tags import life_of, tag_of

TAG = tag_of(dag_id="flow", run_id="manual", task_id="submit", map_index=3, generation=1)
REF = JobRef("1638523853", "test", "197")


class Store(dict[str, Any]):
    """Airflow's state store of a task."""

    set = dict.__setitem__


def notebook(store: Any, tag: JobTag = TAG, **life: Any) -> Notebook:
    return Notebook(store, life_of(tag, **life), logger=logging.getLogger())


def test_what_is_written_is_read() -> None:
    notes = notebook(store := Store())
    assert notes.read() is None
    for memory in (Memory(None), Memory(5.5), Memory(5.5, REF), Memory(5.5, REF, frozenset({REF}))):
        notes.note_before(memory)
        assert notes.read() == memory
        notes.note_after(memory)
        assert notes.read() == memory
    assert type(store[KEY]["ref"]) is str


def test_all_that_was_killed_is_remembered() -> None:
    notes, other = notebook(Store()), JobRef("1638523853", "test", "198")
    for ref in (REF, other):
        notes.note_killed(ref)
    known = notes.read()
    assert known
    assert (known.ref, known.killed) == (other, {REF, other})


def test_only_what_is_known_before_has_to_be_written(caplog: pytest.LogCaptureFixture) -> None:
    notes = notebook(SimpleNamespace(set=None))
    with pytest.raises(TypeError):
        notes.note_before(Memory(1.0))
    notes.note_after(Memory(1.0, REF))
    notes.note_after(Memory(1.0))
    assert f"Could not note job {REF}" in caplog.text
    assert "Could not note what came of the submission" in caplog.text


@pytest.mark.parametrize("other", [JobTag(TAG.task, 3, 2), JobTag(TAG.task, 4, 1), JobTag("a" * 12, 3, 1)])
def test_notes_of_another_generation_or_item(other: JobTag) -> None:
    notebook(store := Store()).note_before(Memory(1.0, REF))
    assert notebook(store, other).read() is None


@pytest.mark.parametrize(
    "noted", [None, 5, "text", [], {}, {"name": None}, {"name": "flow"}, {"ref": str(REF)}, {"name": 5, "sent_at": 1}]
)
def test_what_is_no_note(noted: Any) -> None:
    assert notebook(Store({KEY: noted})).read() is None


@pytest.mark.parametrize("ref", [None, "", "strange", "197", 5, "1638523853,a:1:;1638523853,a:2:"])
def test_note_without_a_reference(ref: Any) -> None:
    assert notebook(Store({KEY: {"name": TAG.name("x"), "sent_at": 2, "ref": ref}})).read() == Memory(2.0)


CLEARED = replace(TAG, try_number=2, clears=1)


@pytest.mark.parametrize(
    ("noted", "now", "since"),
    [
        (Memory(1.0, REF, is_done=True), CLEARED, 2),
        (Memory(1.0, REF, is_done=True), replace(TAG, try_number=2), 0),  # only its success could not be told
        (Memory(1.0, REF), CLEARED, 0),  # another task was cleared
        (None, CLEARED, 2),  # Airflow 3.4 drops what a task that is cleared has noted
        (None, replace(TAG, try_number=2), 0),  # it came to nothing
        (Memory(1.0, REF, is_done=True), replace(CLEARED, generation=5), 0),  # max_tries tell already
    ],
)
def test_clear_is_seen_in_what_is_noted(noted: Memory | None, now: JobTag, since: int) -> None:
    store = Store()
    if noted:
        notebook(store).note_after(noted)
    assert read_since(store, now) == since
    assert read_since(None, now) == 0


def test_done_forgets_nothing_that_was_killed() -> None:
    notes = notebook(Store())
    notes.note_killed(REF)
    notes.note_done(other := JobRef("1638523853", "test", "198"))
    known = notes.read()
    assert known
    assert (known.ref, known.killed, known.is_done) == (other, {REF}, True)
    notebook(None).note_done(REF)


def test_without_a_store_nothing_is_remembered() -> None:
    notes = notebook(None)
    notes.note_before(Memory(1.0))
    notes.note_before(Memory(1.0, REF))
    assert notes.read() is None
