"""What Airflow 3.4 brings for tasks that submit: a reschedule instead of a retry, and loops."""

from __future__ import annotations

from collections.abc import Callable

import airflow
import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.integration.conftest import Run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 4),
        reason="Airflow has RetryAction.RESCHEDULE and loops from 3.4 on",
    ),
]
LAG = 1.5
"""Seconds until a job is listed: longer than the try that lost its answer looks."""


def test_full_queue_uses_up_no_retry(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    region.fail("submit", code="815007", msg="sbatch: error: QOSMaxSubmitJobPerUserLimit", times=2)
    run = run_dag("rescheduled_full")
    assert (run.tasks["submit"], run.tries["submit"]) == ("success", 1)
    assert (region.calls["submit"], len(region.jobs), region.active_jobs) == (3, 1, [])


def test_queue_that_stays_full_fails_the_task(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    region.fail("submit", code="815007", msg="sbatch: error: QOSMaxSubmitJobPerUserLimit", times=None)
    run = run_dag("rescheduled_full")
    assert (run.tasks["submit"], run.tries["submit"], region.calls["submit"]) == ("failed", 1, 4)


def test_lost_answer_is_looked_for_after_a_reschedule(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    """The job is not listed while the try looks that has submitted it: the next one, which is no retry, finds it."""
    region.submit_lag = LAG
    region.fail("submit", drop=True, effect=True)
    run = run_dag("rescheduled_lost")
    (job,) = region.jobs
    assert (run.tasks["submit"], run.tries["submit"], run.returned["submit"]) == ("success", 1, job.ref)
    assert (region.calls["submit"], job.active) == (1, False)


def test_each_pass_of_a_loop_has_a_job_of_its_own(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    """Task, map index and try are the same: the retry of the second pass must not take the first one's job for its."""
    region.fail("submit", drop=True, effect=False, after=1)
    run = run_dag("looped")
    assert run.state == "success"
    assert [job.state for job in region.jobs] == ["COMPLETED", "COMPLETED"]
    assert region.calls["submit"] == 3
