"""A teardown finds what no XCom tells of, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_scnet.exceptions import (
    ScnetJobsNotDeletedError,
    ScnetPermissionError,
    ScnetTransientError,
    ScnetUnknownTagError,
)
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.report import DeletionReport
from airflow_provider_scnet.jobs.sweep import Sought, Sweep
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of
from tests.tags import tag_of

TASK = tag_of(dag_id="flow", run_id="manual", task_id="submit", map_index=-1, generation=0)
TOLD, NOT_TOLD = True, False


@pytest.fixture
def sweep(scnet: ScnetEmulator) -> Callable[..., DeletionReport]:
    def run(
        *known: Any,
        all_told: bool = TOLD,
        map_index: int | None = None,
        to_be_found: bool = False,
        client: Any = None,
        **options: Any,
    ) -> DeletionReport:
        refs = parse_jobs([getattr(job, "ref", job) for job in known])
        sought = Sought({TASK.task}, scnet.user, all_told, map_index, {TASK.task} if to_be_found else ())
        return Sweep(client or client_of(scnet), refs, sought, DeleteOptions(**options)).run()

    return run


SweepIt = Callable[..., DeletionReport]


@pytest.fixture
def elapsed(scnet: ScnetEmulator) -> Callable[[], float]:
    started = scnet.clock.now()
    return lambda: scnet.clock.now() - started


def tagged(scnet: ScnetEmulator, map_index: int = -1, generation: int = 0, **parts: Any) -> Job:
    return scnet.add_job(name=JobTag(TASK.task, map_index, generation).name("flow"), **parts)


def test_job_that_no_xcom_tells_of(scnet: ScnetEmulator, sweep: SweepIt, elapsed: Callable[[], float]) -> None:
    job = tagged(scnet)
    assert sweep().deleted == [job.ref]
    assert elapsed() < 5


def test_job_that_is_known_costs_one_search_more(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    job = tagged(scnet)
    assert sweep(job).deleted == [job.ref]
    assert sum(scnet.calls.values()) <= 6


def test_nothing_was_submitted(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    assert sweep() == DeletionReport()
    assert scnet.calls == {"clusters": 1, "list": 4}  # two lists for each scheduler, for one may be empty by accident


def test_all_map_indexes_and_generations(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    jobs = [tagged(scnet, map_index, generation) for map_index in (-1, 0, 7) for generation in (0, 3)]
    jobs.append(tagged(scnet, scheduler_id=SECOND_SCHEDULER))
    assert sorted(sweep().deleted) == sorted(job.ref for job in jobs)
    assert not scnet.active_jobs


def test_items_that_exist_no_more(scnet: ScnetEmulator) -> None:
    """An item answers for itself and for those beyond the last one, but not for its siblings."""
    jobs = {map_index: tagged(scnet, map_index) for map_index in (-1, 0, 1, 2, 7)}
    sought = Sought([TASK.task], scnet.user, TOLD, map_index=0, items=2)
    Sweep(client_of(scnet), [], sought, DeleteOptions()).run()
    assert scnet.active_jobs == [jobs[1]]


def test_tasks_that_exist_no_more(scnet: ScnetEmulator) -> None:
    """All of their jobs are meant, whatever item the deletion is of."""
    gone = tag_of(dag_id="flow", run_id="manual", task_id="old").task
    jobs = [scnet.add_job(name=JobTag(gone, map_index, 1).name("flow")) for map_index in (-1, 0, 5)]
    sibling = tagged(scnet, map_index=1)
    sought = Sought([TASK.task], scnet.user, TOLD, map_index=0, items=2, gone=[gone])
    report = Sweep(client_of(scnet), [], Sought(**asdict(sought)), DeleteOptions()).run()
    assert sorted(report.deleted) == sorted(job.ref for job in jobs)
    assert scnet.active_jobs == [sibling]


def test_array(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    for member in (1, 2, 3):
        tagged(scnet, job_id=f"500_{member}")
    assert [ref.job_id for ref in sweep().deleted] == ["500"]
    assert not scnet.active_jobs


def test_nothing_else_is_touched(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    others = [
        scnet.add_job(name=tag_of(**{**parts, "map_index": -1, "generation": 0}).name("flow"))
        for parts in (
            {"dag_id": "flow", "run_id": "other", "task_id": "submit"},
            {"dag_id": "flow", "run_id": "manual", "task_id": "other"},
            {"dag_id": "other", "run_id": "manual", "task_id": "submit"},
        )
    ]
    others += [scnet.add_job(name="flow"), scnet.add_job(name=f"flow_{TASK.task}"), tagged(scnet, user="colleague")]
    sweep(all_told=NOT_TOLD)
    assert scnet.active_jobs == others
    assert not scnet.calls["delete"]


def test_task_that_did_not_tell_is_waited_for(
    scnet: ScnetEmulator, sweep: SweepIt, elapsed: Callable[[], float]
) -> None:
    scnet.submit_lag = 60
    late = tagged(scnet)
    assert sweep(all_told=NOT_TOLD).deleted == [late.ref]
    assert 90 <= elapsed() < 100


def test_job_that_shows_up_beside_one_that_does_not_end(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    stubborn = tagged(scnet, 0)
    scnet.submit_lag, stubborn.ignores_delete = 40, True
    scnet.clock.advance(41)
    late = tagged(scnet, 1)
    with pytest.raises(ScnetJobsNotDeletedError, match=stubborn.ref) as failure:
        sweep(stubborn, all_told=NOT_TOLD, timeout=120)
    assert not late.active
    assert late.ref not in str(failure.value)


def test_all_that_is_left_is_named_at_once(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    first, second = tagged(scnet, 0), tagged(scnet, 1)
    first.ignores_delete = second.ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError, match="2 of 2 jobs"):
        sweep(first, timeout=20)


def test_timeout_below_absent_for(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    with pytest.raises(ScnetJobsNotDeletedError, match="timeout=30 is less than absent_for=90"):
        sweep(all_told=NOT_TOLD, timeout=30)


def test_list_that_cannot_be_read_is_no_proof(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.fail("list", status=503, times=None)
    with pytest.raises(ScnetTransientError, match="503"):
        sweep(timeout=20)


def test_cut_list_is_no_proof(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    for _ in range(20):
        scnet.add_job()
    tagged(scnet)
    scnet.list_cap = 10
    with pytest.raises(ScnetJobsNotDeletedError, match="lists were not complete"):
        sweep(timeout=20)


def test_list_that_fails_for_a_while(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.fail("list", status=503, times=9)
    job = tagged(scnet)
    assert sweep().deleted == [job.ref]


def test_list_that_is_refused(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.fail("list", code="10009", times=None)
    with pytest.raises(ScnetPermissionError):
        sweep()


def test_job_that_goes_on_after_all_is_deleted_again(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    """As after a requeue by hand."""
    job = tagged(scnet)
    lists = itertools.count()

    def goes_on(request: Any) -> bool:
        if next(lists) == 8:
            job.become("RUNNING")
        return False

    scnet.fail("list", code="10001", when=goes_on)
    assert sweep(job, all_told=NOT_TOLD).deleted == [job.ref]
    assert not job.active


@pytest.mark.parametrize("data", [None, {"total": 0, "list": []}])
def test_list_that_is_empty_by_accident_is_no_proof(scnet: ScnetEmulator, sweep: SweepIt, data: Any) -> None:
    job = tagged(scnet)
    scnet.fail("list", code="0", data=data, times=2)  # of each scheduler one
    assert sweep().deleted == [job.ref]


def test_jobs_of_one_map_index(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    mine, sibling = tagged(scnet, 3), tagged(scnet, 4)
    assert sweep(map_index=3).deleted == [mine.ref]
    assert sibling.active


def test_scheduler_that_only_another_gateway_names(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    job = tagged(scnet, scheduler_id=SECOND_SCHEDULER)
    with ScnetEmulator() as other:
        other.fail("clusters", code="0", data=[{"id": int(SCHEDULER), "text": "Cluster"}], times=None)
        for call in ("list", "delete", "detail", "history"):
            other.fail(call, code="10004", times=None)
        client = client_of(scnet, gateways=[f"{other.url}/hpc", f"{scnet.url}/hpc"])
        assert sweep(client=client).deleted == [job.ref]
    assert not job.active


# --- a job has to be found -------------------------------------------------------------------------------------------


def test_nothing_to_be_found(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.add_job(name="flow_aaaaaaaaaaaa_g0")
    with pytest.raises(ScnetUnknownTagError, match=f"No job of user {scnet.user} has {TASK.task} in its name") as error:
        sweep(to_be_found=True)
    assert isinstance(error.value, AirflowFailException)  # no retry
    assert isinstance(error.value, ScnetJobsNotDeletedError)


def test_history_that_was_not_read_in_full_is_no_final_word(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    """It ends before what it says is its total."""
    for _ in range(20):
        scnet.add_job(name="other", state="COMPLETED", ended_ago=86_400)
    scnet.fail("history", code="0", data={"total": 100, "list": []}, times=None)
    with pytest.raises(ScnetJobsNotDeletedError, match=r"could not be read in full. Run this task again") as error:
        sweep(to_be_found=True)
    assert not isinstance(error.value, AirflowFailException)


def test_gateway_that_does_not_answer_may_know_the_job(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    gateways = [f"{scnet.url}/hpc", f"{scnet.dead_url()}/hpc"]
    with pytest.raises(ScnetJobsNotDeletedError) as error:
        sweep(to_be_found=True, client=client_of(scnet, gateways=gateways))
    assert not isinstance(error.value, AirflowFailException)


def test_history_that_is_empty_by_accident_is_read_again(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    job = tagged(scnet, state="COMPLETED", ended_ago=86_400)
    scnet.fail("history", code="0", data={"total": 0, "list": []}, times=2)  # of each scheduler one
    assert sweep(to_be_found=True).gone == [job.ref]


def test_job_of_a_known_tag_is_deleted_beside_an_unknown_one(scnet: ScnetEmulator) -> None:
    scnet.submit_lag = 3600
    job = tagged(scnet)
    record = {"jobId": job.job_id, "jobName": job.name, "user": job.user, "jobState": "statR"}
    where = f"strClusterNameList={SCHEDULER}"
    scnet.fail("history", code="0", data={"total": 1, "list": [record]}, when=where, times=2)
    sought = Sought({TASK.task, "aaaaaaaaaaaa"}, scnet.user, all_told=True, to_be_found={TASK.task, "aaaaaaaaaaaa"})
    with pytest.raises(ScnetUnknownTagError, match="has aaaaaaaaaaaa in its name"):
        Sweep(client_of(scnet), [], sought, DeleteOptions()).run()
    assert not job.active


def test_job_that_was_found_is_not_sought_in_history(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.has_history = False
    job = tagged(scnet)
    assert sweep(to_be_found=True).deleted == [job.ref]


def test_job_that_has_just_ended_is_found(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.has_history, scnet.raw_state_in_lists = False, True
    tagged(scnet, state="COMPLETED")
    assert sweep(to_be_found=True) == DeletionReport()


def test_job_that_ended_long_ago_is_found(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    job = tagged(scnet, state="COMPLETED", ended_ago=86_400)
    assert sweep(to_be_found=True).gone == [job.ref]
    assert not scnet.calls["delete"]


def test_history_that_cannot_be_read_finds_nothing(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.fail("history", status=503, times=None)
    with pytest.raises(ScnetTransientError, match="503"):
        sweep(to_be_found=True)


def test_job_that_only_history_lists_and_that_goes_on(scnet: ScnetEmulator, sweep: SweepIt) -> None:
    scnet.submit_lag = 3600
    job = tagged(scnet)
    record = {"jobId": job.job_id, "jobName": job.name, "user": job.user, "jobState": "statR"}
    scnet.fail("history", code="0", data={"total": 1, "list": [record]}, when=f"strClusterNameList={SCHEDULER}")
    assert sweep(to_be_found=True).gone == [job.ref]
    assert not job.active
