"""A sensor is green only when the job has done what it was to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.integration.conftest import Run

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("dag_id", "state", "job_state"),
    [
        ("waited_poke", "success", "COMPLETED"),
        ("waited_reschedule", "success", "COMPLETED"),
        ("waited_failed", "failed", "FAILED"),
        ("waited_soft", "skipped", "FAILED"),
        ("waited_too_long", "failed", "CANCELLED"),
        ("waited_poke_deferred", "success", "COMPLETED"),
        ("waited_failed_deferred", "failed", "FAILED"),
        ("waited_soft_deferred", "skipped", "FAILED"),
        ("waited_too_long_deferred", "failed", "CANCELLED"),
    ],
)
def test_simulation_is_waited_for(
    region: ScnetEmulator, run_dag: Callable[..., Run], dag_id: str, state: str, job_state: str
) -> None:
    run = run_dag(dag_id)
    assert (run.tasks["submit"], run.tasks["wait"], run.tasks["delete_jobs"]) == ("success", state, "success")
    assert [job.state for job in region.jobs] == [job_state]
    assert run.tries["wait"] == 1  # a job that has failed stays failed


@pytest.mark.parametrize(
    ("dag_id", "state", "job_states"),
    [
        ("together", "success", ["COMPLETED"]),
        ("together_failed", "failed", ["FAILED", "FAILED"]),  # the retry has submitted a new one
        ("together_too_long", "failed", ["CANCELLED"]),
        ("together_deferred", "success", ["COMPLETED"]),
        ("together_failed_deferred", "failed", ["FAILED", "FAILED"]),
        ("together_too_long_deferred", "failed", ["CANCELLED"]),
    ],
)
def test_simulation_in_one_task(
    region: ScnetEmulator, run_dag: Callable[..., Run], dag_id: str, state: str, job_states: list[str]
) -> None:
    run = run_dag(dag_id)
    assert (run.tasks["submit"], run.tasks["delete_jobs"]) == (state, "success")
    assert [job.state for job in region.jobs] == job_states
    assert run.tries["submit"] == len(job_states)
