from __future__ import annotations

import pickle

import pytest

from airflow_provider_scnet.api.reference import JobRef, confirmed, to_wire
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


def test_members_are_written_as_a_delete_takes_them() -> None:
    ref = JobRef(SCHEDULER, "test", "5_[1-5:2,9%4]")
    assert (str(ref), ref.job_id) == ("1638523853,test:5_[1,3,5,9]:", "5_[1,3,5,9]")
    assert ref == pickle.loads(pickle.dumps(ref)) == JobRef(SCHEDULER, "test", "5_[1,3,5,9]")
    assert (ref.user, ref.scheduler_id, ref.id.array, ref.id.is_bracket) == ("test", SCHEDULER, "5", True)


def test_to_wire() -> None:
    assert to_wire([]) == ""
    assert to_wire(parse_jobs(f"{WIRE_197};")) == WIRE_197
    assert to_wire(parse_jobs([WIRE_197, WIRE_196])) == f"{WIRE_197};{WIRE_196}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("jobManagerId : 1638523853, delete the jobs [test:197:] successfully!", {"197"}),
        ("delete the jobs [test:197:,test:196:] successfully!", {"196", "197"}),
        ("delete the jobs [test:197:test:196:] successfully!", {"196", "197"}),
        ("[test:197:] failed! [test:196:]successfully!", {"196"}),
        ("[test:197:] successfully! [test:196:] successfully!", {"196", "197"}),
        ("[test:197:] \n successfully", {"197"}),
        ("[test:1970:,other-test:197:,a.test:197:,test:97:] successfully!", set()),
        ("[test:197:] not successfully!", set()),
        ("test:197: successfully!", set()),
        ("successfully! [test:197:]", set()),
        ("", set()),
    ],
)
def test_confirmed(text: str, names: set[str]) -> None:
    refs = [JobRef(SCHEDULER, "test", name) for name in ("197", "196")]
    assert {ref.job_id for ref in confirmed(refs, text)} == names


@pytest.mark.parametrize("job_id", ["5_[2-9]", "5_[2,9-11]", "5_[2-9%4]", "5_7"])
def test_confirmed_members(job_id: str) -> None:
    ref = JobRef(SCHEDULER, "test", job_id)
    text = f"jobManagerId : 1638523853, delete the jobs [test:{ref.job_id}:] successfully!"
    assert confirmed([ref, JobRef(SCHEDULER, "test", "5")], text) == {ref}


@pytest.mark.parametrize("text", ["[" * 400_000, "[test:197:] " * 40_000, "] successfully" * 40_000])
def test_sentence_is_read_in_linear_time(text: str) -> None:
    """A regular expression over the whole took minutes for these; no test here runs that long."""
    assert confirmed([JobRef(SCHEDULER, "test", "197")], text) == set()
