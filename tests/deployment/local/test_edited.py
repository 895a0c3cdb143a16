"""A DAG that changes while its jobs run: what exists no more leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.deployment.local.conftest import LocalDeployment

pytestmark = pytest.mark.integration


def test_mapped_task_group_shrinks_over_a_clear(deployment: LocalDeployment) -> None:
    deployment.trigger("shrinking")
    deployment.wait_for(lambda: len(deployment.active("shrinking")) == 3)
    deployment.wait_for(lambda: deployment.state("shrinking", "case.work[2]") == "up_for_reschedule")
    deployment.do("clear_run", dag_id="shrinking")
    deployment.wait_for(lambda: len(deployment.jobs("shrinking")) == 5)
    lost, first, second = (
        next(job for job in deployment.active("shrinking") if job.command == f"sleep {seconds}")
        for seconds in (3602, 3600, 3601)
    )
    first.become("COMPLETED")
    deployment.wait_for(lambda: deployment.state("shrinking", "case.delete[0]") == "success")
    assert (lost.state, second.active) == ("CANCELLED", True)  # an item answers for what is gone, not for its siblings
    second.become("COMPLETED")
    deployment.wait_for(lambda: deployment.do("run_state", dag_id="shrinking") in ("success", "failed"))
    assert deployment.do("run_state", dag_id="shrinking") == "success"
    assert deployment.state("shrinking", "case.delete[2]") == "removed"


def test_submit_is_renamed_while_its_job_runs(deployment: LocalDeployment) -> None:
    """It runs again under its new name, in the same run, and its teardown knows only that one."""
    deployment.trigger("edited")
    deployment.wait_for(lambda: deployment.state("edited", "work") == "deferred")
    (old,) = deployment.active("edited")
    deployment.edit("edited", 'SUBMIT_ID = "submit"', 'SUBMIT_ID = "submit_all"')
    deployment.wait_for(lambda: len(deployment.jobs("edited")) == 2)
    deployment.wait_for(lambda: deployment.state("edited", "submit") == "removed")
    (new,) = [job for job in deployment.jobs("edited") if job is not old]
    for job in (new, old):
        assert job.active
    # Its sensor goes on with the old one.
    deployment.do("mark", dag_id="edited", task_id="work", state="success")
    deployment.wait_for(lambda: deployment.do("run_state", dag_id="edited") in ("success", "failed"))
    assert deployment.do("run_state", dag_id="edited") == "success"
    assert [job.state for job in (old, new)] == ["CANCELLED", "CANCELLED"]
    assert deployment.active("left")
