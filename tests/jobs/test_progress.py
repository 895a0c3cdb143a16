"""Which answer leads from which stage of a deletion to which, and what is proof enough."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError, ScnetPermanentError, ScnetRequestError, ScnetTransientError
from airflow_provider_scnet.jobs.progress import TRIES, Progress
from airflow_provider_scnet.jobs.sighting import Read, Sighting
from airflow_provider_scnet.jobs.stages import Stage

REF = JobRef("1638523853", "test", "197")
HERE = "https://a.example/hpc"
NOW = 1_800_000_000.0
OPEN = [stage for stage in Stage if not stage.is_settled]
RUNNING = JobState(Phase.ACTIVE, "statR", "RUNNING")
COMPLETING = JobState(Phase.ACTIVE, "statE", "COMPLETING")
EXITING = JobState(Phase.DOUBTFUL, "statE")
CODE = JobState(Phase.CLAIMED, "statC")
PREEMPTED = JobState(Phase.INTERRUPTED, "statC", "PREEMPTED")
CANCELLED = JobState(Phase.ENDED, "statC", "CANCELLED")
REFUSAL = ScnetRequestError("[10004]", code="10004", answered=True)
FORBIDDEN = ScnetRequestError("[10009]", code="10009", answered=True)
UNKNOWN = ScnetError("[77777]", code="77777", answered=True)
BROKEN = ScnetTransientError("the connection broke")


def at(stage: Stage, *, sent: float = 0.0) -> Progress:
    job = Progress(REF, 50)
    job.note_sent(sent)
    job.stage = stage
    return job


def read(moment: float, *, complete: bool = True, gateway: str = HERE, alone: bool = False) -> Read:
    return Read(moment, moment, complete, gateway, NOW + moment, alone)


def see(job: Progress, state: JobState, *moments: float, complete: bool = True, ended: float | None = None) -> None:
    ended_at = None if ended is None else datetime.fromtimestamp(NOW + ended, UTC)
    for moment in moments:
        job.note_listed(Sighting(state, ended_at), read(moment, complete=complete))


def fail(job: Progress, error: ScnetError, batch: int = 1) -> None:
    job.note_failure(error, HERE, batch=batch, is_refusal=isinstance(error, ScnetPermanentError))


# --- answers to deletes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.DUE, Stage.CONFIRMED, Stage.REFUSED])
def test_confirmed(stage: Stage) -> None:
    job = at(stage)
    job.error, job.batch_limit, job.refusals[HERE] = BROKEN, 1, 2
    job.note_confirmed(HERE)
    assert (job.stage, job.error, job.batch_limit, job.refusals[HERE]) == (Stage.CONFIRMED, None, 50, 0)
    assert (job.answered_by, job.is_due(HERE)) == (HERE, False)


def test_not_confirmed_is_no_answer() -> None:
    job = at(Stage.DUE)
    job.note_not_confirmed("the jobs [test:19:] successfully!")
    assert (job.stage, job.answered_by) == (Stage.DUE, "")
    assert "did not confirm" in str(job.error)


@pytest.mark.parametrize(
    ("error", "batch", "stage", "answered"),
    [
        (REFUSAL, 1, Stage.REFUSED, True),
        (FORBIDDEN, 1, Stage.REFUSED, False),
        (REFUSAL, 2, Stage.DUE, False),  # it may be about another job of the batch
        (UNKNOWN, 1, Stage.DUE, False),
        (ScnetTransientError("[10013]", code="10013", answered=True), 1, Stage.DUE, False),
        (BROKEN, 1, Stage.DUE, False),
    ],
)
def test_failed(error: ScnetError, batch: int, stage: Stage, answered: bool) -> None:
    job = at(Stage.DUE)
    fail(job, error, batch)
    assert (job.stage, job.error, bool(job.answered_by)) == (stage, error, answered)
    assert job.batch_limit == (max(1, batch // 2) if error.answered else 50)
    assert job.is_due(HERE)


def test_batch_that_is_never_answered_although_looks_are_is_cut() -> None:
    job = at(Stage.DUE)
    fail(job, BROKEN, 50)
    assert job.batch_limit == 50
    job.note_unseen(BROKEN)  # the service is down
    fail(job, BROKEN, 50)
    assert job.batch_limit == 50
    see(job, RUNNING, 1)
    fail(job, BROKEN, 50)
    assert job.batch_limit == 25
    job.note_confirmed(HERE)
    fail(job, BROKEN, 50)
    assert job.batch_limit == 50


def test_refused_again_and_again_is_hopeless_only_if_seen_to_go_on() -> None:
    job = at(Stage.DUE)
    for _ in range(TRIES):
        assert job.is_due(HERE)
        see(job, RUNNING, 1)
        assert job.stage is not Stage.HOPELESS
        fail(job, REFUSAL, 1)
    assert not job.is_due(HERE)
    for state, stage in ((COMPLETING, Stage.REFUSED), (EXITING, Stage.REFUSED), (RUNNING, Stage.HOPELESS)):
        see(job, state, 2)
        assert job.stage is stage
    see(job, CODE, 3)
    assert job.stage is Stage.REFUSED


def test_refusals_of_another_gateway_do_not_count() -> None:
    """It may know nothing of the job."""
    job = at(Stage.DUE)
    for _ in range(TRIES):
        job.note_failure(REFUSAL, "https://b.example/hpc", batch=1, is_refusal=True)
    see(job, RUNNING, 1)
    assert job.stage is Stage.REFUSED
    for refusals in range(1, TRIES + 1):
        assert job.is_due(HERE)
        fail(job, REFUSAL, 1)
        assert job.refusals[HERE] == refusals
    see(job, RUNNING, 2)
    assert job.stage is Stage.HOPELESS


def test_no_refusal_takes_back_a_confirmation() -> None:
    job = at(Stage.DUE)
    job.note_confirmed(HERE)
    for _ in range(2 * TRIES):
        fail(job, REFUSAL, 1)
        see(job, RUNNING, 1)
    assert job.stage is Stage.CONFIRMED


def test_another_gateways_answer_does_not_count() -> None:
    job = at(Stage.DUE)
    job.note_confirmed(HERE)
    see(job, NOT_LISTED, 0, 100)
    assert job.has_stood(90)
    job.note_listed(Sighting(CANCELLED), read(101, gateway="https://b.example/hpc"))
    assert job.stage is Stage.CONFIRMED
    assert job.is_due("https://b.example/hpc")
    job.note_confirmed("https://b.example/hpc")
    assert not job.has_stood(1)


@pytest.mark.parametrize("stage", [Stage.DUE, Stage.CONFIRMED, Stage.REFUSED])
def test_belief(stage: Stage) -> None:
    job = at(stage)
    job.believe()
    assert job.stage is (Stage.ACCEPTED if stage is Stage.CONFIRMED else stage)
    job.refusals[HERE] = TRIES
    job.believe()
    assert job.stage is {Stage.CONFIRMED: Stage.ACCEPTED, Stage.REFUSED: Stage.HOPELESS}.get(stage, stage)


# --- what looks say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", OPEN)
@pytest.mark.parametrize("complete", [True, False])
def test_final_word_is_the_end(stage: Stage, complete: bool) -> None:
    job = at(stage)
    see(job, CANCELLED, 1, complete=complete)
    assert (job.stage, job.state) == (Stage.DELETED, CANCELLED)


def test_job_that_was_not_sent_is_not_settled() -> None:
    job = Progress(REF, 50)
    see(job, CANCELLED, 1)
    assert job.stage is Stage.DUE


@pytest.mark.parametrize("stage", [Stage.DELETED, Stage.GONE])
def test_settled_job_that_shows_up_active_is_open_again(stage: Stage) -> None:
    job = at(stage)
    for state in (NOT_LISTED, CODE, EXITING, CANCELLED):
        see(job, state, 1)
        assert job.stage is stage
    see(job, RUNNING, 2)
    assert (job.stage, job.state, job.was_active) == (Stage.DUE, RUNNING, True)


def test_settled_job_that_turns_out_interrupted_is_open_again() -> None:
    job = at(Stage.DELETED)
    see(job, PREEMPTED, 1)
    assert job.stage is Stage.DUE


@pytest.mark.parametrize("state", [NOT_LISTED, CODE, PREEMPTED])
def test_time_is_proof_only_without_a_break(state: JobState) -> None:
    job = at(Stage.CONFIRMED)
    see(job, state, 0, 50)
    assert not job.has_stood(90)
    see(job, state, 90)
    assert job.has_stood(90)
    see(job, RUNNING, 95)
    see(job, state, 100, 180)
    assert not job.has_stood(90)
    see(job, state, 190)
    assert job.has_stood(90)


@pytest.mark.parametrize("state", [NOT_LISTED, CODE])
def test_cut_list_is_no_proof(state: JobState) -> None:
    job = at(Stage.CONFIRMED)
    see(job, state, 0, 100, complete=False)
    assert not job.has_stood(1)


def test_cut_list_that_shows_a_missing_job_ends_its_absence() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    see(job, CODE, 50, complete=False)
    see(job, NOT_LISTED, 100)
    assert not job.has_stood(1)


def test_another_code_is_another_claim() -> None:
    job = at(Stage.CONFIRMED)
    see(job, CODE, 0)
    see(job, JobState(Phase.CLAIMED, "statDE"), 100)
    assert not job.has_stood(1)


def test_interrupted_by_its_own_clock() -> None:
    job = at(Stage.CONFIRMED)
    see(job, PREEMPTED, 0, ended=-200)
    assert job.has_stood(90)
    see(job, PREEMPTED, 10, ended=5)  # it ran again meanwhile
    assert not job.has_stood(90)
    assert job.is_due(HERE)  # and no delete was sent since


def test_job_that_was_deleted_before_scnet_knew_it_is_sent_again_at_once() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    see(job, RUNNING, 5)
    assert job.is_due(HERE)


def test_detail_outranks_the_code_until_that_changes() -> None:
    job = at(Stage.CONFIRMED)
    see(job, CODE, 0)
    job.note_detail(PREEMPTED, read(1), None)
    see(job, CODE, 100)
    assert job.claim is not None
    assert (job.claim.phase, job.has_stood(90)) == (Phase.INTERRUPTED, True)
    see(job, JobState(Phase.CLAIMED, "statDE"), 101)
    assert job.claim.phase is Phase.CLAIMED


def test_detail_that_says_running_contradicts_the_code() -> None:
    job = at(Stage.CONFIRMED)
    see(job, CODE, 0)
    job.note_detail(RUNNING, read(1), None)
    assert (job.state, job.claim) == (RUNNING, None)
    job.note_detail(CANCELLED, read(2), None)
    assert job.stage is Stage.DELETED


# --- the history -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "past", "ended", "stage"),
    [
        (NOT_LISTED, CANCELLED, 3, Stage.GONE),
        (CODE, CANCELLED, 3, Stage.DELETED),
        (NOT_LISTED, CANCELLED, -200, Stage.CONFIRMED),  # an earlier job may have had its number
        (CODE, CANCELLED, -200, Stage.CONFIRMED),
        (NOT_LISTED, CANCELLED, None, Stage.CONFIRMED),
        (CODE, CANCELLED, None, Stage.CONFIRMED),
        (NOT_LISTED, PREEMPTED, -200, Stage.CONFIRMED),  # it may run again
        (NOT_LISTED, PREEMPTED, -50, Stage.CONFIRMED),
        (NOT_LISTED, PREEMPTED, None, Stage.CONFIRMED),
        (NOT_LISTED, RUNNING, None, Stage.CONFIRMED),
    ],
)
def test_history(listed: JobState, past: JobState, ended: float | None, stage: Stage) -> None:
    job = at(Stage.CONFIRMED)
    see(job, listed, 0)
    ended_at = None if ended is None else datetime.fromtimestamp(NOW + ended, UTC)
    job.note_past(Sighting(past, ended_at), read(0))
    assert job.stage is stage


@pytest.mark.parametrize(("began", "stage"), [(-300, Stage.DELETED), (100, Stage.CONFIRMED), (None, Stage.CONFIRMED)])
def test_end_before_the_delete_counts_at_once_if_the_job_was_there_before(began: float | None, stage: Stage) -> None:
    """A start to come is a forecast, and tells nothing."""
    job = at(Stage.CONFIRMED)
    told = {} if began is None else {"197": datetime.fromtimestamp(NOW + began, UTC)}
    job.note_listed(Sighting(CODE, began=told), read(0))
    job.note_past(Sighting(CANCELLED, datetime.fromtimestamp(NOW - 200, UTC), ended=frozenset({"197"})), read(0))
    assert job.stage is stage


def test_end_of_a_job_that_its_name_tells_counts_at_once() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    job.note_past(Sighting(CANCELLED), read(0), is_ours_by_name=True)
    assert job.stage is Stage.GONE


def test_list_need_not_be_whole_to_agree_with_an_end_that_is_known() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0, complete=False)
    assert job.claim is None
    job.note_past(Sighting(CANCELLED), read(0))
    see(job, NOT_LISTED, 0, 90, complete=False)
    assert job.has_stood(90)


# --- a number that somebody else has ----------------------------------------------------------------------------------


def test_job_of_another_owner_is_none_of_ours_but_may_be_the_one_that_is_meant() -> None:
    job = at(Stage.REFUSED)
    job.note_stranger(RUNNING, read(0))
    see(job, NOT_LISTED, 1, 91)
    assert (job.stage, job.must_have_past, job.last_seen) == (Stage.REFUSED, True, RUNNING)
    fail(job, REFUSAL)
    fail(job, REFUSAL)
    fail(job, REFUSAL)
    job.note_stranger(RUNNING, read(92))
    assert job.stage is Stage.HOPELESS


def test_job_of_another_owner_is_no_evidence_where_the_history_knows_ours() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    job.note_past(Sighting(CANCELLED, datetime.fromtimestamp(NOW - 200, UTC)), read(0))
    job.note_stranger(RUNNING, read(1))
    assert not job.must_have_past


def test_job_of_another_owner_opens_what_only_time_has_settled() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    job.settle(Stage.GONE, NOT_LISTED, by_time=True)
    job.note_stranger(RUNNING, read(1))
    assert job.stage is Stage.DUE


# --- failed looks and what is shown ---------------------------------------------------------------------------------


def test_failed_look_is_no_verdict_and_is_forgotten() -> None:
    job = at(Stage.CONFIRMED)
    job.note_unseen(REFUSAL)
    assert (job.stage, job.last_error) == (Stage.CONFIRMED, REFUSAL)
    see(job, RUNNING, 1)
    assert job.last_error is None


def test_scheduler_that_the_gateway_does_not_name() -> None:
    job = at(Stage.CONFIRMED)
    for for_good, stage in ((False, Stage.CONFIRMED), (True, Stage.HOPELESS)):
        job.note_elsewhere(REFUSAL, for_good=for_good)
        assert (job.stage, job.error) == (stage, REFUSAL)


def test_confirmed_delete_is_not_given_up_for_what_the_gateway_names() -> None:
    job = at(Stage.DUE)
    job.note_confirmed(HERE)
    job.note_elsewhere(REFUSAL, for_good=True)
    assert job.stage is Stage.CONFIRMED


def test_what_is_shown_of_a_job_that_vanished() -> None:
    job = at(Stage.CONFIRMED)
    see(job, RUNNING, 0)
    see(job, NOT_LISTED, 1)
    assert "its end was not seen" in str(job.last_seen)


def test_refused_by_the_gateway_that_has_taken_over_is_tried_as_often() -> None:
    job = at(Stage.DUE)
    job.note_confirmed("https://b.example/hpc")
    for _ in range(TRIES):
        assert job.is_due(HERE)
        fail(job, ScnetPermanentError("no"), 1)
    assert not job.is_due(HERE)


@pytest.mark.parametrize(("ended", "stage"), [(-200, Stage.CONFIRMED), (None, Stage.CONFIRMED), (3, Stage.GONE)])
def test_history_alone_may_tell_of_an_earlier_run(ended: float | None, stage: Stage) -> None:
    job = at(Stage.DUE)
    job.note_confirmed(HERE)
    ended_at = None if ended is None else datetime.fromtimestamp(NOW + ended, UTC)
    job.note_past(Sighting(CANCELLED, ended_at), read(4), was_listed=False)
    assert job.stage is stage


# --- a history that lists what goes on --------------------------------------------------------------------------------


def test_history_that_calls_a_job_active_begins_the_wait_anew() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0, 50)
    job.note_past(Sighting(PREEMPTED), read(50))
    assert job.past
    job.note_past(Sighting(RUNNING), read(60))
    assert (job.past, job.claim, job.was_active) == (None, None, True)
    assert job.last_seen is RUNNING


def test_history_that_is_late_says_nothing_against_a_list() -> None:
    job = at(Stage.CONFIRMED)
    see(job, CODE, 0)
    job.note_past(Sighting(RUNNING), read(1))
    assert (job.was_active, job.state) == (False, CODE)
    see(job, JobState(Phase.ENDED, "statC", "COMPLETED"), 2)
    job.note_past(Sighting(RUNNING), read(3))
    assert job.stage is Stage.DELETED


def test_job_that_is_gone_and_that_the_history_calls_active_is_open_again() -> None:
    job = at(Stage.CONFIRMED)
    see(job, NOT_LISTED, 0)
    job.note_past(Sighting(JobState(Phase.ENDED, "statC"), datetime.fromtimestamp(NOW + 1, UTC)), read(1))
    assert job.stage is Stage.GONE
    job.note_past(Sighting(RUNNING), read(2))
    assert job.stage is Stage.DUE
