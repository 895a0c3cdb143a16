from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.integration.conftest import Run

FAST = {"poll_interval": 0.05}


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> ScnetEmulator:
    with ScnetEmulator() as scnet:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        yield scnet


def test_simulation_whose_work_fails_is_torn_down(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("scnet_simulation", delete_jobs=FAST)
    assert run.tasks == {
        "submit": "success",
        "check_residuals": "failed",
        "publish": "upstream_failed",
        "delete_jobs": "success",
    }
    assert run.state == "failed"  # the teardown does not hide that the work failed
    assert [job.state for job in region.jobs] == ["CANCELLED"]
    assert run.returned["delete_jobs"]["deleted"] == [job.ref for job in region.jobs]


def test_teardown_that_cannot_stop_the_job_turns_the_run_red(
    region: ScnetEmulator, run_dag: Callable[..., Run]
) -> None:
    region.fail("delete", code="10013", times=None)
    run = run_dag("scnet_parameter_sweep", delete_jobs={**FAST, "timeout": 0.3})
    assert (run.tasks["publish"], run.tasks["delete_jobs"], run.state) == ("success", "failed", "failed")
    assert len(region.active_jobs) == 6


def test_parameter_sweep_is_torn_down_as_one(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("scnet_parameter_sweep", delete_jobs=FAST)
    assert set(run.tasks.values()) == {"success"}
    assert run.state == "success"
    assert (len(region.jobs), region.active_jobs, region.calls["delete"]) == (6, [], 1)


def test_dag_of_the_readme(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    assert run_dag("simulation", delete_jobs=FAST).state == "success"
    assert [(job.name, job.state) for job in region.jobs] == [("flow", "CANCELLED")]


def test_delete_jobs_of_params(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    job = region.add_job()
    run = run_dag("scnet_delete_jobs", delete_jobs={**FAST, "jobs": f"{job.job_id}, 4711"})
    assert (run.state, job.active) == ("success", False)
    assert run.returned["delete_jobs"]["gone"] == ["1638523853,acexample01:4711:"]
    assert run_dag("scnet_delete_jobs").state == "success"  # nothing given, nothing to do


def test_only_what_a_retry_can_help_is_retried(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    frozen, later, stubborn = (region.add_job(job_id=job_id) for job_id in ("101", "102", "103"))
    frozen.refused = ("10007", "user_frozen")
    later.ignores_delete = 5
    stubborn.ignores_delete = True
    run = run_dag("outcomes")
    assert run.tasks == {"frozen": "failed", "gives_in_later": "success", "never_ends": "failed"}
    assert frozen.deletes == 1  # failed at once in spite of its retries
    assert run.tries["gives_in_later"] > 1
    assert run.tries["never_ends"] == 2
