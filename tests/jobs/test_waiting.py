"""A job is over when its end is known, and has succeeded when the scheduler says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_scnet import exceptions
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetJobFailedError, ScnetTransientError
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.waiting import BLANK_FOR, NAMED_JOBS, Outcome, Watch, error_of
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of

REF = JobRef(SCHEDULER, "acexample01", "197")
See = Callable[..., dict[str, Ending]]


@pytest.fixture
def see(scnet: ScnetEmulator) -> See:
    """What one look tells of jobs."""

    def look(*jobs: Any) -> dict[str, Ending]:
        refs = parse_jobs([getattr(job, "ref", job) for job in jobs], scheduler_id=SCHEDULER, user=scnet.user)
        watch = Watch(client_of(scnet), refs)
        watch.look()
        assert {*watch.open, *(outcome.ref for outcome in watch.outcomes)} == set(refs)
        return {outcome.ref.job_id: outcome.ending for outcome in watch.outcomes}

    return look


@pytest.mark.parametrize("ago", [1, 200, 3600])
@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("COMPLETED", Ending.COMPLETED),
        ("FAILED", Ending.FAILED),
        ("CANCELLED", Ending.CANCELLED),
        ("TIMEOUT", Ending.TIME_LIMIT),
    ],
)
def test_end_in_every_place(scnet: ScnetEmulator, see: See, word: str, ending: Ending, ago: float) -> None:
    job = scnet.add_job(word, ended_ago=ago)
    assert see(job) == {job.job_id: ending}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"])
def test_job_that_goes_on(scnet: ScnetEmulator, see: See, state: str) -> None:
    assert see(scnet.add_job(state)) == {}
    assert not scnet.calls["history"]


def test_code_alone_is_no_success(scnet: ScnetEmulator, see: See) -> None:
    scnet.words_in_details, scnet.has_history = False, False
    assert see(scnet.add_job("COMPLETED", ended_ago=60)) == {}


def test_code_that_runs_ahead(scnet: ScnetEmulator, see: See) -> None:
    scnet.code_lead = 60
    job = scnet.add_job()
    job.ignores_delete = True
    job.cancel(0)
    assert see(job) == {}


def test_history_tells_where_no_detail_does(scnet: ScnetEmulator, see: See) -> None:
    scnet.words_in_details = False
    job = scnet.add_job("COMPLETED", ended_ago=60)
    assert see(job) == {job.job_id: Ending.COMPLETED}


def test_job_that_nobody_knows_is_waited_for(scnet: ScnetEmulator, see: See) -> None:
    assert see("4711") == {}


def test_job_between_live_list_and_history(scnet: ScnetEmulator, see: See) -> None:
    scnet.history_lag = 600
    job = scnet.add_job("COMPLETED", ended_ago=400)
    assert see(job) == {}
    scnet.clock.advance(300)
    assert see(job) == {job.job_id: Ending.COMPLETED}


@pytest.mark.parametrize(("word", "ending"), [("NODE_FAIL", Ending.NODE_FAILURE), ("PREEMPTED", Ending.PREEMPTED)])
def test_interrupted_job_may_be_started_again(scnet: ScnetEmulator, see: See, word: str, ending: Ending) -> None:
    job = scnet.add_job(word, ended_ago=10)
    assert see(job) == {}
    scnet.clock.advance(100)
    assert see(job) == {job.job_id: ending}
    again = scnet.add_job(word, ended_ago=200)
    scnet.requeue_after = 100
    assert see(again) == {}


@pytest.mark.parametrize("ago", [10, 3600])
def test_array(scnet: ScnetEmulator, see: See, ago: float) -> None:
    scnet.add_job()  # so that no list is empty
    for member in (1, 2):
        scnet.add_job("COMPLETED", job_id=f"500_{member}", ended_ago=ago)
    assert see("500") == {"500": Ending.COMPLETED}
    scnet.add_job("TIMEOUT", job_id="500_3", ended_ago=ago)
    assert see("500") == {"500": Ending.TIME_LIMIT}
    assert see("500_1") == {"500_1": Ending.COMPLETED}
    scnet.add_job("PENDING", job_id="500_4")
    assert see("500") == {}


def test_array_of_which_a_part_has_left_the_live_list(scnet: ScnetEmulator, see: See) -> None:
    scnet.add_job("FAILED", job_id="500_1", ended_ago=3600)
    scnet.add_job("COMPLETED", job_id="500_2", ended_ago=10)
    assert see("500") == {"500": Ending.FAILED}


def test_array_whose_members_a_cut_list_may_hide(scnet: ScnetEmulator, see: See) -> None:
    scnet.add_job("COMPLETED", job_id="500_1", ended_ago=10)
    for _ in range(5):
        scnet.add_job()
    scnet.list_cap = 3
    assert see("500") == {}


@pytest.mark.parametrize("blank", ["empty", "null"])
def test_outage_that_looks_empty_hides_members_that_go_on(scnet: ScnetEmulator, blank: Any) -> None:
    scnet.add_job("COMPLETED", job_id="500_1", ended_ago=3600)
    hidden = scnet.add_job(job_id="500_2")
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    scnet.blank_lists = blank
    for _ in range(2):
        watch.look()
        assert watch.open
        assert watch.is_unsure
        scnet.clock.advance(40)
    scnet.blank_lists = None
    watch.look()
    assert (bool(watch.open), watch.is_unsure) == (True, False)
    hidden.become("COMPLETED")
    watch.look()
    assert not watch.open


def test_outage_that_looks_empty_hides_a_restarted_job(scnet: ScnetEmulator, see: See) -> None:
    job = scnet.add_job("NODE_FAIL", ended_ago=3600)
    scnet.blank_lists = "empty"
    assert see(job) == {}


def test_list_that_stays_empty_is_believed(scnet: ScnetEmulator) -> None:
    scnet.add_job("FAILED", job_id="500_1", ended_ago=3600)
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    watch.look()
    assert watch.is_unsure
    scnet.clock.advance(BLANK_FOR)
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.FAILED]


@pytest.mark.parametrize("call", ["detail", "history"])
def test_read_that_is_refused_is_no_verdict(scnet: ScnetEmulator, see: See, call: str) -> None:
    scnet.fail(call, code="10009", times=None)
    job = scnet.add_job("COMPLETED", ended_ago=60)
    assert see(job) == {job.job_id: Ending.COMPLETED}  # for the other one tells
    assert see(scnet.add_job("COMPLETED", ended_ago=3600)) == {} if call == "history" else True


def test_trouble_with_one_scheduler_spares_the_other(scnet: ScnetEmulator) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=10, scheduler_id=one) for one in (SCHEDULER, SECOND_SCHEDULER)]
    scnet.fail("list", status=503, times=None, when=lambda r: r.query["strClusterIDList"] == SCHEDULER)
    watch = Watch(client_of(scnet), parse_jobs([job.ref for job in jobs]))
    with pytest.raises(ScnetTransientError):
        watch.look()
    assert [outcome.ref for outcome in watch.outcomes] == [jobs[1].ref]


def test_many_jobs_cost_few_requests(scnet: ScnetEmulator, see: See) -> None:
    jobs = [scnet.add_job() for _ in range(200)]
    assert see(*jobs) == {}
    assert sum(scnet.calls.values()) <= 4
    for job in jobs:
        job.become("COMPLETED")
    scnet.clock.advance(400)
    scnet.requests.clear()
    assert len(see(*jobs)) == 200
    assert sum(scnet.calls.values()) <= 6


def test_what_has_ended_is_not_looked_for_again(scnet: ScnetEmulator) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=10), scnet.add_job()]
    watch = Watch(client_of(scnet), parse_jobs([job.ref for job in jobs]))
    watch.look()
    scnet.requests.clear()
    watch.look()
    assert scnet.calls == {"list": 1}
    assert watch.open == [jobs[1].ref]


def test_look_that_fails(scnet: ScnetEmulator, see: See) -> None:
    scnet.fail("list", status=503, times=None)
    with pytest.raises(ScnetTransientError):
        see(scnet.add_job())


# --- the error ------------------------------------------------------------------------------------------------------


def outcome(ending: Ending, job_id: str = "197", **parts: Any) -> Outcome:
    record = JobRecord(parts.pop("member", job_id), status="statC", **parts)
    return Outcome(JobRef(SCHEDULER, "acexample01", job_id), ending, record)


@pytest.mark.parametrize("is_final", [True, False])
@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (Ending.FAILED, "ScnetJobFailedError"),
        (Ending.TIME_LIMIT, "ScnetJobTimeLimitError"),
        (Ending.OUT_OF_MEMORY, "ScnetJobOutOfMemoryError"),
        (Ending.NODE_FAILURE, "ScnetJobNodeFailureError"),
        (Ending.CANCELLED, "ScnetJobCancelledError"),
        (Ending.PREEMPTED, "ScnetJobPreemptedError"),
    ],
)
def test_class_says_why(ending: Ending, name: str, is_final: bool) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    error = error_of([outcome(ending, word="X", reason="Why", exit_code="1:0")], is_final=is_final)
    assert isinstance(error, getattr(exceptions, name))
    assert type(error).__name__ == name
    assert isinstance(error, AirflowFailException) is is_final
    assert (error.ref, error.reason, error.exit_code) == (REF, "Why", "1:0")
    assert f"{ending.value} (statC 完成 completed, failed or cancelled X, reason Why, exit code 1:0)" in str(error)


def test_output_that_could_not_be_opened() -> None:
    assert "Does work_dir exist?" in str(error_of([outcome(Ending.FAILED, exit_code="0:53")], is_final=True))


def test_several_are_named() -> None:
    outcomes = [outcome(Ending.FAILED, str(number)) for number in range(1, NAMED_JOBS + 3)]
    error = error_of([*outcomes, outcome(Ending.TIME_LIMIT, "99")], is_final=True)
    assert isinstance(error, ScnetJobFailedError)
    assert error.ref == outcomes[0].ref
    assert f"{NAMED_JOBS + 3} jobs ended badly" in str(error)
    assert "and 3 more" in str(error)


def test_member_of_an_array_is_named() -> None:
    assert "member 500_3" in str(error_of([outcome(Ending.FAILED, "500", member="500_3")], is_final=True))
