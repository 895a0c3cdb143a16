"""Which answer leads from which stage of a deletion to which."""

from __future__ import annotations

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError, ScnetRequestError, ScnetTransientError
from airflow_provider_scnet.jobs.observation import UNCONFIRMED
from airflow_provider_scnet.jobs.progress import Progress, Stage

REF = JobRef("1638523853", "test", "197")
OPEN = [stage for stage in Stage if not stage.is_settled]
SENT = [Stage.DUE, Stage.DOUBTED, Stage.CONFIRMED, Stage.CONFIRMED_ONCE, Stage.REFUSED]
RUNNING = JobState(Phase.ACTIVE, "statR", "RUNNING")
COMPLETING = JobState(Phase.ACTIVE, "statE", "COMPLETING")
EXITING = JobState(Phase.DOUBTFUL, "statE")
CANCELLED = JobState(Phase.ENDED, "statC", "CANCELLED")
REFUSAL = ScnetRequestError("[10004]", code="10004", answered=True)
UNKNOWN = ScnetError("[77777]", code="77777", answered=True)
LOST = ScnetTransientError("[10013]", code="10013", answered=True)
BROKEN = ScnetTransientError("the connection broke")


def at(stage: Stage) -> Progress:
    return Progress(REF, 50, stage=stage)


@pytest.mark.parametrize("stage", OPEN)
def test_stages_are_told_apart_by_what_is_to_be_done(stage: Stage) -> None:
    assert not (at(stage).is_hopeless and stage.is_to_be_sent)
    assert stage.value


@pytest.mark.parametrize("stage", SENT)
def test_confirmed(stage: Stage) -> None:
    job = at(stage)
    job.error, job.batch_limit = BROKEN, 1
    job.note_answer("delete the jobs [test:197:] successfully!")
    assert (job.stage, job.error, job.batch_limit) == (Stage.CONFIRMED, None, 50)


@pytest.mark.parametrize("stage", SENT)
@pytest.mark.parametrize("text", ["", "the jobs [test:19:] successfully!", "the jobs [test:197:] failed!"])
def test_answered_but_not_confirmed(stage: Stage, text: str) -> None:
    job = at(stage)
    job.note_answer(text)
    assert job.stage is (Stage.CONFIRMED_ONCE if stage.was_confirmed else Stage.DOUBTED)
    assert "did not confirm" in str(job.error)


@pytest.mark.parametrize(
    ("error", "batch", "before", "after"),
    [
        (REFUSAL, 1, Stage.DUE, Stage.REFUSED),
        (REFUSAL, 1, Stage.DOUBTED, Stage.REFUSED),
        # No refusal takes back that a delete was confirmed; but it is sent again at once.
        (REFUSAL, 1, Stage.CONFIRMED, Stage.CONFIRMED_ONCE),
        (REFUSAL, 1, Stage.CONFIRMED_ONCE, Stage.CONFIRMED_ONCE),
        (LOST, 1, Stage.CONFIRMED, Stage.CONFIRMED_ONCE),
        # What was said to a batch may be about another job of it.
        (REFUSAL, 2, Stage.DUE, Stage.DUE),
        (REFUSAL, 2, Stage.REFUSED, Stage.DOUBTED),
        (UNKNOWN, 1, Stage.DUE, Stage.DOUBTED),
        (UNKNOWN, 2, Stage.DUE, Stage.DUE),
        # Whether these reached the scheduler is not known, nor whether a job that is not listed yet will be.
        (LOST, 1, Stage.DUE, Stage.DUE),
        (LOST, 1, Stage.DOUBTED, Stage.DOUBTED),
        (BROKEN, 1, Stage.DUE, Stage.DUE),
        (BROKEN, 1, Stage.REFUSED, Stage.DOUBTED),
        (BROKEN, 1, Stage.CONFIRMED, Stage.CONFIRMED_ONCE),
    ],
)
def test_failed(error: ScnetError, batch: int, before: Stage, after: Stage) -> None:
    job = at(before)
    job.note_failure(error, batch=batch)
    assert (job.stage, job.error) == (after, error)
    assert job.batch_limit == (max(1, batch // 2) if error.answered else 50)


@pytest.mark.parametrize("stage", OPEN)
def test_seen_to_end(stage: Stage) -> None:
    job = at(stage)
    job.note_listed(CANCELLED, 0)
    assert job.stage is Stage.DELETED


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        (RUNNING, Stage.REFUSED, Stage.HOPELESS),
        (RUNNING, Stage.HOPELESS, Stage.HOPELESS),
        (RUNNING, Stage.CONFIRMED, Stage.CONFIRMED),
        (RUNNING, Stage.DUE, Stage.DUE),
        (COMPLETING, Stage.REFUSED, Stage.REFUSED),
        (COMPLETING, Stage.HOPELESS, Stage.REFUSED),
        (EXITING, Stage.REFUSED, Stage.REFUSED),
        (NOT_LISTED, Stage.HOPELESS, Stage.REFUSED),
        (RUNNING, Stage.CONFIRMED_ONCE, Stage.CONFIRMED_ONCE),
    ],
)
def test_listed(state: JobState, before: Stage, after: Stage) -> None:
    job = at(before)
    job.note_listed(state, 0)
    assert (job.stage, job.state) == (after, state)


@pytest.mark.parametrize("stage", OPEN)
def test_gone_takes_an_answer_to_a_delete_of_just_this_job(stage: Stage) -> None:
    job = at(stage)
    job.note_absent(NOT_LISTED)
    assert (job.stage is Stage.GONE) is stage.was_answered
    assert not Stage.DUE.was_answered


@pytest.mark.parametrize("stage", SENT)
def test_absence_that_is_refuted_or_not_sure(stage: Stage) -> None:
    for state in (UNCONFIRMED, RUNNING, EXITING):
        job = at(stage)
        job.note_absent(state)
        assert job.stage is stage


def test_absent_again_takes_a_wait() -> None:
    job = at(Stage.CONFIRMED)
    job.note_listed(NOT_LISTED, 1)
    assert [job.is_absent_again(wait) for wait in (1, 2)] == [False, True]
    job.note_listed(RUNNING, 2)
    job.note_listed(NOT_LISTED, 3)
    assert [job.is_absent_again(wait) for wait in (3, 4)] == [False, True]


@pytest.mark.parametrize("error", [REFUSAL, BROKEN])
def test_look_that_fails(error: ScnetError) -> None:
    for stage in (Stage.DUE, Stage.REFUSED):
        job = at(stage)
        job.error = UNKNOWN
        job.note_unseen(error)
        assert (job.stage, job.is_hidden, job.is_hopeless) == (stage, error is REFUSAL, error is REFUSAL)
        assert job.error is (UNKNOWN if stage is Stage.REFUSED else error)
        job.note_listed(EXITING, 1)
        assert (job.stage, job.is_hidden) == (stage, False)


@pytest.mark.parametrize("stage", OPEN)
def test_belief(stage: Stage) -> None:
    job = at(stage)
    job.believe()
    believed = {Stage.CONFIRMED: Stage.ACCEPTED, Stage.REFUSED: Stage.HOPELESS}
    assert job.stage is believed.get(stage, stage)


def test_missing_is_not_gone() -> None:
    job = at(Stage.GONE)
    job.note_missing(UNKNOWN)
    assert (job.stage, job.error) == (Stage.DOUBTED, UNKNOWN)
