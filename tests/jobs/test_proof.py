"""What is enough where there is no final word, one condition after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.jobs.claim import Past
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.proof import HISTORY_TRIES, Experience, Inquiry, Standard
from airflow_provider_scnet.jobs.sighting import Read, Sighting
from airflow_provider_scnet.jobs.stages import Stage

HERE = "https://a.example/hpc"
STANDARD = Standard(absent_for=90.0, missing_ok=True)
RUNNING = JobState(Phase.ACTIVE, "statR")
CODE = JobState(Phase.CLAIMED, "statC")
PREEMPTED = JobState(Phase.INTERRUPTED, "statC", "PREEMPTED")
ASKED = Inquiry(looked_up_at=95.0, not_past_at=95.0, past_asked_at=95.0)


def seen_as(state: JobState, *moments: float, answered: bool = True) -> Progress:
    job = Progress(JobRef("1", "u", "7"), 50)
    job.note_sent(0.0)
    if answered:
        job.note_confirmed(HERE)
    for moment in moments:
        job.note_listed(Sighting(state), Read(moment, moment, True, HERE, moment))
    return job


def judged(
    job: Progress,
    inquiry: Inquiry = ASKED,
    experience: Experience | None = None,
    *,
    standard: Standard = STANDARD,
    hidden: bool = False,
) -> Stage:
    sighting = Sighting(job.state)
    standard.judge(job, inquiry, experience or Experience(), sighting, may_be_hidden=hidden)
    return job.stage


# --- absent jobs ----------------------------------------------------------------------------------------------------


def test_absent_for_long_enough_looked_up_and_without_a_past() -> None:
    assert judged(seen_as(NOT_LISTED, 0, 90)) is Stage.GONE


@pytest.mark.parametrize(
    "inquiry",
    [
        replace(ASKED, looked_up_at=89.0),
        replace(ASKED, not_past_at=89.0),
        replace(ASKED, not_past_at=0.0, past_failures=HISTORY_TRIES - 1),
    ],
)
def test_everything_has_to_be_asked_at_the_end(inquiry: Inquiry) -> None:
    assert judged(seen_as(NOT_LISTED, 0, 90), inquiry) is Stage.CONFIRMED


def test_history_that_cannot_be_read_blocks_nothing() -> None:
    inquiry = replace(ASKED, not_past_at=0.0, past_failures=HISTORY_TRIES)
    assert judged(seen_as(NOT_LISTED, 0, 90), inquiry) is Stage.GONE


def test_not_long_enough() -> None:
    assert judged(seen_as(NOT_LISTED, 0, 89)) is Stage.CONFIRMED


def test_no_delete_was_answered() -> None:
    assert judged(seen_as(NOT_LISTED, 0, 90, answered=False)) is Stage.DUE


def test_its_user_may_be_hidden() -> None:
    assert judged(seen_as(NOT_LISTED, 0, 90), hidden=True) is Stage.CONFIRMED


@pytest.mark.parametrize("has_a_past", [False, True])
def test_job_that_was_seen_needs_an_end_that_is_known(has_a_past: bool) -> None:
    job = seen_as(RUNNING, 0)
    for moment in (1, 91):
        job.note_listed(Sighting(), Read(moment, moment, True, HERE, moment))
    job.past = Past(CODE, float("-inf")) if has_a_past else None
    assert judged(job) is (Stage.GONE if has_a_past else Stage.CONFIRMED)


@pytest.mark.parametrize(("since", "stage"), [(-50.0, Stage.GONE), (5.0, Stage.CONFIRMED), (-5.0, Stage.GONE)])
def test_interruption_of_the_past_has_to_stand_and_needs_a_delete_after_it(since: float, stage: Stage) -> None:
    job = seen_as(NOT_LISTED, 0, 90)  # deleted at 0
    job.past = Past(PREEMPTED, since)
    assert judged(job) is stage


def test_interruption_of_a_moment_ago_has_not_stood() -> None:
    job = seen_as(NOT_LISTED, 0, 90)
    job.sent_at, job.past = 70.0, Past(PREEMPTED, 60.0)
    assert judged(job) is Stage.CONFIRMED
    job.note_listed(Sighting(), Read(150, 150, True, HERE, 150))
    assert judged(job) is Stage.GONE


@pytest.mark.parametrize(("failures", "why"), [(0, "neither listed nor"), (3, "cannot be read")])
def test_missing_is_not_ok(failures: int, why: str) -> None:
    job = seen_as(NOT_LISTED, 0, 90)
    standard = replace(STANDARD, missing_ok=False)
    assert judged(job, replace(ASKED, past_failures=failures), standard=standard) is Stage.MISSING
    assert why in str(job.error)


# --- codes, and jobs that may run again -------------------------------------------------------------------------------


def test_code_counts_alone_only_if_its_detail_was_asked_for() -> None:
    job = seen_as(CODE, 1, 91)
    assert judged(job) is Stage.CONFIRMED
    job.details_asked = 1
    assert judged(job, experience=Experience(codes_run_ahead=True)) is Stage.CONFIRMED
    assert judged(job) is Stage.DELETED


def test_code_counts_from_the_last_delete_on() -> None:
    job = seen_as(CODE, 1)
    job.details_asked = 1
    job.note_sent(50.0)
    job.note_listed(Sighting(CODE), Read(100, 100, True, HERE, 100))
    assert judged(job) is Stage.CONFIRMED
    job.note_listed(Sighting(CODE), Read(141, 141, True, HERE, 141))
    assert judged(job) is Stage.DELETED


def test_interrupted_job_needs_a_delete_that_came_after() -> None:
    job = seen_as(PREEMPTED, 1, 91)
    assert judged(job) is Stage.CONFIRMED
    job.note_sent(50.0)
    assert judged(job) is Stage.DELETED


# --- what has to be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_at", "now", "wanted"),
    [(float("-inf"), 0, True), (0, 29, False), (0, 30, True), (80, 95, True), (92, 95, False)],
)
def test_history_of_an_absent_job(asked_at: float, now: float, wanted: bool) -> None:
    job = seen_as(NOT_LISTED, 0, *([now] if now > 30 else []))
    assert STANDARD.wants_history(job, Inquiry(past_asked_at=asked_at), now, is_seen=True) is wanted


def test_history_of_a_job_whose_code_has_just_changed() -> None:
    job = seen_as(CODE, 10)
    assert STANDARD.wants_history(job, Inquiry(past_asked_at=5.0), 10, is_seen=True)
    assert not STANDARD.wants_history(job, Inquiry(past_asked_at=11.0), 12, is_seen=True)


def test_history_waits_for_a_job_that_is_about_to_end() -> None:
    job = seen_as(JobState(Phase.DOUBTFUL, "statE"), 10)
    assert not STANDARD.wants_history(job, Inquiry(), 10, is_seen=True)
    assert STANDARD.wants_history(job, Inquiry(), 40, is_seen=True)


def test_lookup_comes_again_at_the_end() -> None:
    job = seen_as(NOT_LISTED, 0, 90)
    assert STANDARD.wants_lookup(job, Inquiry(looked_up_at=0.0))
    assert not STANDARD.wants_lookup(job, Inquiry(looked_up_at=90.0))
    assert not STANDARD.wants_lookup(seen_as(NOT_LISTED, 0), Inquiry())
