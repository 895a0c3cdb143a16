"""Arrays: what some members say proves nothing of those that are hidden."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.jobs.members import Members
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.sighting import Read, Sighting
from airflow_provider_scnet.jobs.stages import UNSEEN, Stage

RUNNING = JobState(Phase.ACTIVE, "statR", "RUNNING")
CODE = JobState(Phase.CLAIMED, "statC")
CANCELLED = JobState(Phase.ENDED, "statC", "CANCELLED")


NOW = 1_800_000_000.0


def seen(state: JobState, **ids: set[str]) -> Sighting:
    ended_at = datetime.fromtimestamp(NOW, UTC)
    return Sighting(state, ended_at, has_members=True, **{name: frozenset(value) for name, value in ids.items()})


def read(*, complete: bool = True, alone: bool = True) -> Read:
    return Read(1.0, 1.0, complete, "https://a.example/hpc", NOW, alone)


@pytest.fixture
def job() -> Progress:
    job = Progress(JobRef("1", "u", "5"), 50)
    job.note_sent(0.0)
    job.note_confirmed("https://a.example/hpc")
    return job


def test_array_has_not_ended_while_a_member_that_was_seen_has_not(job: Progress) -> None:
    job.note_listed(seen(RUNNING, going_on={"5_1"}), read())
    job.note_listed(seen(CANCELLED, ended={"5_2"}), read())
    assert job.stage is Stage.CONFIRMED
    job.note_listed(seen(CANCELLED, ended={"5_1"}), read(complete=False))
    assert job.stage is Stage.CONFIRMED
    job.note_listed(seen(CANCELLED, ended={"5_1"}), read(alone=False))
    assert job.stage is Stage.CONFIRMED  # a list may be limited, and say that it is complete
    job.note_listed(seen(CANCELLED, ended={"5_1"}), read())
    assert job.stage is Stage.DELETED


def test_history_confirms_the_codes_of_all_members(job: Progress) -> None:
    job.note_listed(seen(CODE, claimed={"5_1", "5_2"}), read())
    job.note_past(seen(CANCELLED, ended={"5_1"}), read())
    assert job.stage is Stage.CONFIRMED
    job.note_past(seen(CANCELLED, ended={"5_1", "5_2", "5_3"}), read())
    assert job.stage is Stage.DELETED


def test_history_of_some_members_is_no_end_of_all(job: Progress) -> None:
    job.note_listed(Sighting(NOT_LISTED), read())
    job.note_past(seen(CANCELLED, ended={"5_1"}), read())
    assert job.past
    assert (job.stage, job.past.state, job.members.is_array) == (Stage.CONFIRMED, CANCELLED, True)


def test_details_confirm_the_codes_of_all_members(job: Progress) -> None:
    job.note_listed(seen(CODE, claimed={"5_1", "5_2"}), read())
    job.note_members_detail("5_1", CANCELLED, read())
    job.note_members_detail("5_2", UNSEEN, read())
    assert job.stage is Stage.CONFIRMED
    assert job.members.asked == {"5_1", "5_2"}
    job.note_members_detail("5_2", CANCELLED, read())
    assert job.stage is Stage.DELETED


def test_detail_that_says_running_takes_back_what_codes_say() -> None:
    members = Members()
    members.note_listed(seen(CODE, claimed={"5_1", "5_2"}), read(), are_sought=True)
    members.note_detail("5_1", RUNNING)
    assert (members.going_on, members.claimed, members.have_ended) == ({"5_1"}, frozenset(), False)


def test_member_that_runs_again_has_to_be_asked_again() -> None:
    members = Members()
    members.note_listed(seen(CODE, claimed={"5_1"}), read(), are_sought=True)
    members.note_detail("5_1", CANCELLED)
    assert members.have_ended
    members.note_listed(seen(RUNNING, going_on={"5_1"}), read(), are_sought=True)
    members.note_listed(seen(CODE, claimed={"5_1"}), read(), are_sought=True)
    assert (members.asked, members.have_ended) == (frozenset(), False)


@pytest.mark.parametrize(
    ("complete", "alone", "whole"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_only_a_look_at_the_array_alone_can_miss_no_member(complete: bool, alone: bool, whole: bool) -> None:
    members = Members(is_array=True)
    assert members.are_whole(read(complete=complete, alone=alone)) is whole
    assert Members().are_whole(read(complete=complete, alone=alone)) is complete


def test_member_with_a_word_that_nobody_knows_has_not_told_all(job: Progress) -> None:
    job.note_listed(seen(CODE, claimed={"5_1"}), read())
    job.note_members_detail("5_1", JobState(Phase.CLAIMED, "statC", "VANISHING"), read())
    assert (job.members.asked, job.members.going_on) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("job_id", "complete", "alone", "sought", "hidden"),
    [
        ("5", False, False, True, True),
        ("5", True, False, True, False),
        ("5", False, True, True, False),
        ("5", False, False, False, False),
        ("5_1", False, False, True, False),
    ],
)
def test_list_that_is_cut_may_hide_members(
    job_id: str, complete: bool, alone: bool, sought: bool, hidden: bool
) -> None:
    job = Progress(JobRef("1", "u", job_id), 50)
    job.note_sent(0.0)
    one = Sighting(CANCELLED, ended=frozenset({job_id}))
    job.note_listed(one, read(complete=complete, alone=alone), members_are_sought=sought)
    assert job.stage is (Stage.DUE if hidden else Stage.DELETED)


def test_reference_to_several_members_is_an_array() -> None:
    assert Progress(JobRef("1", "u", "5_[2-9]"), 50).members.is_array
    assert not Progress(JobRef("1", "u", "5_2"), 50).members.is_array
