"""Which entries of a list speak of a job, and what they say together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, Phase
from airflow_provider_scnet.jobs.sighting import Sighting, Sightings, began_of, concerns


def ref(job_id: str) -> JobRef:
    return JobRef("1638523853", "test", job_id)


def sighting(job_id: str, **entries: str) -> Sighting:
    """What a list says of a job; entries are ids (``j`` for nothing, ``__`` for a dot) -> words."""
    records = [JobRecord(name.removeprefix("j").replace("__", "."), word=word) for name, word in entries.items()]
    return Sightings(records).of(ref(job_id))


@pytest.mark.parametrize(("owner", "is_ours"), [("test", True), ("", True), ("colleague", False)])
def test_record_of_another_owner_says_nothing(owner: str, is_ours: bool) -> None:
    record = JobRecord("5", user=owner, word="COMPLETED")
    assert concerns(record, ref("5")) is is_ours
    assert bool(Sightings([record]).of(ref("5")).entries) is is_ours


def test_job_of_another_owner_is_told_while_it_goes_on() -> None:
    theirs = JobRecord("5_[1-3]", user="colleague", word="RUNNING")
    assert Sightings([theirs]).of(ref("5")) == Sighting(stranger=theirs.state)
    assert Sightings([replace(theirs, word="FAILED")]).of(ref("5")) == Sighting()
    assert Sightings([theirs, JobRecord("5_4", word="RUNNING")]).of(ref("5")).entries == {"5_4"}


def test_what_had_ended_before_a_job_was_there_was_another_one() -> None:
    moment = datetime(2024, 1, 2, tzinfo=UTC)
    old = JobRecord("5", word="COMPLETED", ended_at=moment)
    assert Sightings([old]).of(ref("5"), began={"5": moment}).entries == {"5"}
    assert not Sightings([old]).of(ref("5"), began={"5": moment + timedelta(seconds=1)}).entries
    assert Sightings([old]).of(ref("5"), began={"5_1": moment + timedelta(seconds=1)}).entries == {"5"}
    assert Sightings([replace(old, ended_at=None)]).of(ref("5"), began={"5": moment}).entries == {"5"}


def test_since_when_a_job_is_there() -> None:
    moment, before = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    started, again = JobRecord("5_1", started_at=before), JobRecord("5_1", started_at=moment)
    rest = JobRecord("5_[2-3]", submitted_at=before, started_at=moment)
    assert began_of([again, started, rest, JobRecord("5_4")]) == {"5_1": moment, "5_2": before, "5_3": before}


@pytest.mark.parametrize(
    ("listed", "job_id", "expected"),
    [
        ("5", "5", True),
        ("5_1", "5_1", True),
        ("5_1", "5", True),
        ("5", "5_1", True),  # the member may be waiting in it
        ("5_[2-9,11%4]", "5", True),
        ("5_[2-9,11%4]", "5_2", True),
        ("5_[2-9,11%4]", "5_9", True),
        ("5_[2-9,11%4]", "5_11", True),
        ("5_[2-9,11%4]", "5_1", False),
        ("5_[2-9,11%4]", "5_10", False),
        ("5_[0-8:4]", "5_4", True),
        ("5_[0-8:4]", "5_5", False),
        ("5_[1-3,...]", "5_77", True),  # cut by who printed it
        ("5_[7,9,...]", "5_8", True),
        ("5_[7,9", "5_9", True),
        ("5_[7,9", "5_8", True),
        ("5_[", "5_8", True),
        ("5_[2-9", "6_3", False),
        # Cut after 31 characters, perhaps, in the middle of a number.
        ("64_[1,7,9,11,13,15,17,19,21,23,", "64_99", True),
        ("64_[1,7,9,11,13,15,17,19,21,31]", "64_3", True),
        ("64_[1,7,9,11,13,15,17,19,21,31]", "64_99", True),
        ("5_[2-9]", "5_[4-9]", True),
        ("5_3", "5_[2-9]", True),
        ("5_1", "5_[2-9]", False),
        ("5_1", "5_11", False),
        ("5_11", "5_1", False),
        ("51", "5", False),
        ("5", "51", False),
        ("51_1", "5", False),
        # Spellings that nobody has announced.
        ("1.batch", "1", True),
        ("1+0", "1", True),
        ("1.server01", "1", True),
        ("5_1.batch", "5_1", True),
        ("5_1.batch", "5_2", False),
        ("5.extern", "5_2", True),
        ("x", "1", False),
        ("", "1", False),
    ],
)
def test_which_entries_concern_a_job(listed: str, job_id: str, expected: bool) -> None:
    assert concerns(JobRecord(listed), ref(job_id)) is expected


@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 30))
def test_members_are_read_as_what_they_are(members: set[int], member: int) -> None:
    rest = f"5_[{','.join(map(str, sorted(members)))}%4]"
    assert concerns(JobRecord(rest), ref(f"5_{member}")) is (member in members)


def test_nothing_is_said() -> None:
    assert sighting("1", j2="RUNNING") == Sighting(NOT_LISTED)


@pytest.mark.parametrize(
    ("job_id", "entries", "phase"),
    [
        ("5", {"j5_1": "COMPLETED", "j5_2": "RUNNING"}, Phase.ACTIVE),
        ("5", {"j5_1": "COMPLETED", "j5_2": "NODE_FAIL"}, Phase.INTERRUPTED),
        ("5", {"j5_1": "COMPLETED", "j5_2": "CANCELLED"}, Phase.ENDED),
        # A member that is listed speaks for itself, not its array.
        ("5_1", {"j5_1": "COMPLETED", "j5": "PENDING"}, Phase.ENDED),
        ("5_2", {"j5_1": "COMPLETED", "j5": "PENDING"}, Phase.ACTIVE),
        # The end of a step, or of what is left of an array, is not the end of the job or of one member.
        ("5_2", {"j5": "CANCELLED"}, Phase.CLAIMED),
        ("1", {"j1__batch": "COMPLETED"}, Phase.CLAIMED),
        ("1", {"j1__batch": "RUNNING"}, Phase.ACTIVE),
        ("1", {"j1__batch": "COMPLETED", "j1": "COMPLETING"}, Phase.ACTIVE),
    ],
)
def test_least_finished_entry_counts(job_id: str, entries: dict[str, str], phase: Phase) -> None:
    assert sighting(job_id, **entries).state.phase is phase


def test_several_records_of_one_id() -> None:
    records = [JobRecord("1", word="COMPLETED"), JobRecord("1", word="RUNNING")]
    assert Sightings(records).of(ref("1")).state.word == "RUNNING"


def test_ids_by_what_became_of_them() -> None:
    records = [
        JobRecord("5_1", word="COMPLETED"),
        JobRecord("5_2", status="statC"),
        JobRecord("5_3", status="statE"),
        JobRecord("5_4", word="COMPLETED"),
        JobRecord("5_4", word="PREEMPTED"),
    ]
    seen = Sightings(records).of(ref("5"))
    assert (seen.ended, seen.claimed, seen.going_on) == ({"5_1"}, {"5_2"}, {"5_3", "5_4"})
    assert seen.has_members
    assert not Sightings(records).of(ref("5_1")).has_members


@pytest.mark.parametrize(
    ("listed", "entries"),
    [
        ("5_[2-4,9%2]", {"5_2", "5_3", "5_4", "5_9"}),
        ("5_[1-5:2]", {"5_1", "5_3", "5_5"}),
        ("5_[7,9,...]", {"5_7", "5_9"}),
        ("5_[7,9", {"5_7"}),
        ("5_[", {"5"}),
        ("5_[x]", {"5"}),
        ("64_[1,7,9,11,13,15,17,19,21,314]", {f"64_{n}" for n in (1, 7, 9, 11, 13, 15, 17, 19, 21)}),
        ("5_1.batch", {"5_1.batch"}),
        ("5", {"5"}),
    ],
)
def test_members_that_an_entry_surely_names(listed: str, entries: set[str]) -> None:
    assert Sightings([JobRecord(listed, word="PENDING")]).of(ref(listed.partition("_")[0])).entries == entries


def test_member_that_has_a_number_of_its_own() -> None:
    """It is the member, part of its array, and the job that somebody calls by that number."""
    seen = Sightings([JobRecord("17_1", own_number="41", word="RUNNING")])
    assert [seen.of(ref(job_id)).state.phase for job_id in ("17", "17_1", "41")] == [Phase.ACTIVE] * 3
    assert [seen.of(ref(job_id)).has_members for job_id in ("17", "17_1", "41")] == [True, False, False]
    assert [seen.of(ref(job_id)).state for job_id in ("17_2", "4")] == [NOT_LISTED] * 2


def test_end_is_known_if_every_entry_tells() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    records = [JobRecord("5_1", word="FAILED", ended_at=early), JobRecord("5_2", word="FAILED", ended_at=late)]
    assert Sightings(records).of(ref("5")).ended_at == late
    records.append(JobRecord("5_3", word="FAILED"))
    assert Sightings(records).of(ref("5")).ended_at is None


def test_owners_are_those_of_all_entries() -> None:
    assert Sightings([JobRecord("1", user="a"), JobRecord("x", user="b")]).owners == {"a", "b"}
