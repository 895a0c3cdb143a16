from __future__ import annotations

import pickle

import pytest

from airflow_provider_scnet.api.reference import JobRef, to_wire
from airflow_provider_scnet.jobs.parsing import parse_jobs

SCHEDULER = "1638523853"
WIRE_197 = "1638523853,test:197:"
WIRE_196 = "1638523853,test:196:"


def test_reference() -> None:
    ref = JobRef(1638523853, "test", 197)
    assert ref == JobRef(SCHEDULER, "test", "197")
    assert len({ref, JobRef(SCHEDULER, "test", "197")}) == 1
    assert str(ref) == WIRE_197
    assert pickle.loads(pickle.dumps(ref)) == ref
    with pytest.raises(AttributeError):
        ref.user = "x"  # type: ignore[misc]


def test_to_wire() -> None:
    assert to_wire([]) == ""
    assert to_wire(parse_jobs(f"{WIRE_197};")) == WIRE_197
    assert to_wire(parse_jobs([WIRE_197, WIRE_196])) == f"{WIRE_197};{WIRE_196}"
