"""What a person does to a task while its job runs: nothing is left behind, and nothing runs twice."""

from __future__ import annotations

from typing import Any

import airflow
import pytest

from airflow_provider_scnet.triggers import kills
from tests.deployment.components import IS_AIRFLOW_2
from tests.deployment.local.conftest import LocalDeployment

pytestmark = pytest.mark.integration
LOOKS = 3
"""After which a trigger has surely begun: the first ones may be another's of the same triggerer."""
AIRFLOW_VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))


def start(deployment: LocalDeployment, dag_id: str, state: str = "deferred", task_id: str = "submit") -> None:
    """Begin a run; wait until its job is there and a task is in some state."""
    deployment.trigger(dag_id)
    deployment.wait_for(lambda: deployment.active(dag_id))
    deployment.wait_for(lambda: deployment.state(dag_id, task_id) == state)
    if state == "deferred":  # before its trigger has looked, nobody would learn of what is done to the task
        deployment.wait_for(lambda: deployment.is_triggered(dag_id, task_id))
        looks = deployment.scnet.calls["list"]
        deployment.wait_for(lambda: deployment.scnet.calls["list"] >= looks + LOOKS)


def clear(deployment: LocalDeployment, dag_id: str, command: str, **what: Any) -> None:
    """Clear as a person does; look what the state store still holds before the next try begins."""
    if AIRFLOW_VERSION < (3, 3):
        deployment.do(command, dag_id=dag_id, **what)
        return
    deployment.do("pause", dag_id=dag_id, is_paused=True)
    deployment.do(command, dag_id=dag_id, **what)
    is_kept = command == "clear_run" or AIRFLOW_VERSION < (3, 4)
    assert bool(deployment.do("remembered", dag_id=dag_id)) == is_kept
    deployment.do("pause", dag_id=dag_id, is_paused=False)


@pytest.mark.parametrize("mark", ["failed", "success"])
def test_deferred_task_is_marked(deployment: LocalDeployment, mark: str) -> None:
    dag_id = f"deferred_{mark}"
    start(deployment, dag_id)
    deployment.do("mark", dag_id=dag_id, task_id="submit", state=mark)
    deployment.wait_for(lambda: not deployment.active(dag_id))
    assert [job.state for job in deployment.jobs(dag_id)] == ["CANCELLED"]


def test_deferred_task_is_cleared(deployment: LocalDeployment) -> None:
    start(deployment, "deferred_cleared")
    (old,) = deployment.jobs("deferred_cleared")
    clear(deployment, "deferred_cleared", "clear", task_ids=["submit"])
    deployment.wait_for(lambda: len(deployment.jobs("deferred_cleared")) == 2)
    assert not old.active  # before the new one was submitted
    deployment.wait_for(lambda: deployment.state("deferred_cleared", "submit") == "deferred")
    (new,) = deployment.active("deferred_cleared")
    new.become("COMPLETED")
    deployment.wait_for(lambda: deployment.state("deferred_cleared", "submit") == "success")
    assert len(deployment.jobs("deferred_cleared")) == 2


def test_job_is_left_where_the_user_wants_that(deployment: LocalDeployment) -> None:
    start(deployment, "deferred_left")
    deployment.do("mark", dag_id="deferred_left", task_id="submit", state="failed")
    deployment.wait_for(lambda: deployment.state("deferred_left", "submit") == "failed")
    assert deployment.active("deferred_left")


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_restart_of_the_triggerer_is_no_kill(deployment: LocalDeployment, how: str) -> None:
    dag_id = f"triggerer_{how}"
    start(deployment, dag_id)
    (deployment.kill if how == "killed" else deployment.stop)("triggerer")
    deployment.start("triggerer")
    (job,) = deployment.active(dag_id)
    job.become("COMPLETED")
    deployment.wait_for(lambda: deployment.state(dag_id, "submit") == "success")
    assert [job.state for job in deployment.jobs(dag_id)] == ["COMPLETED"]


def test_waiting_task_is_marked(deployment: LocalDeployment) -> None:
    start(deployment, "waiting_failed", "running")
    deployment.do("mark", dag_id="waiting_failed", task_id="submit", state="failed")
    deployment.wait_for(lambda: not deployment.active("waiting_failed"))
    assert [job.state for job in deployment.jobs("waiting_failed")] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("dag_id", "command", "what"), [("run_cleared", "clear_run", {}), ("work_cleared", "clear", {"task_ids": ["work"]})]
)
def test_clear_while_the_job_runs(deployment: LocalDeployment, dag_id: str, command: str, what: dict[str, Any]) -> None:
    """All of the run, or only the work: Airflow adds the setup by itself."""
    start(deployment, dag_id, task_id="work")
    # SQLite would give the id of the last trigger again, and a late event of the old one to the new one.
    start(deployment, f"beside_{dag_id}")
    (old,) = deployment.jobs(dag_id)
    clear(deployment, dag_id, command, **what)
    deployment.wait_for(lambda: len(deployment.jobs(dag_id)) == 2)
    assert not old.active
    (new,) = deployment.active(dag_id)
    deployment.wait_for(lambda: deployment.state(dag_id, "work") == "deferred")
    new.become("COMPLETED")
    deployment.wait_for(lambda: deployment.state(dag_id, "delete") == "success")
    assert (len(deployment.jobs(dag_id)), deployment.active(dag_id)) == (2, [])
    (beside,) = deployment.active(f"beside_{dag_id}")
    beside.become("COMPLETED")


def test_process_is_killed_between_submission_and_xcom(deployment: LocalDeployment) -> None:
    deployment.trigger("killed_hard")
    deployment.wait_for(lambda: deployment.state("killed_hard", "delete") == "success")
    assert deployment.tries("killed_hard", "submit") == (1 if AIRFLOW_VERSION == (3, 0) else 2)
    assert [job.state for job in deployment.jobs("killed_hard")] == ["CANCELLED"]


def test_killed_submission_is_marked_as_a_success(deployment: LocalDeployment) -> None:
    start(deployment, "submit_marked", "running")
    deployment.do("mark", dag_id="submit_marked", task_id="submit", state="success")
    deployment.wait_for(lambda: deployment.state("submit_marked", "delete") == "success")
    assert (len(deployment.jobs("submit_marked")), deployment.active("submit_marked")) == (1, [])


@pytest.mark.skipif(not IS_AIRFLOW_2, reason="deferred time counts on Airflow 2 only")
def test_execution_timeout_of_a_deferred_task(deployment: LocalDeployment) -> None:
    start(deployment, "timed_out")
    deployment.wait_for(lambda: deployment.state("timed_out", "submit") == "failed")
    assert [job.state for job in deployment.jobs("timed_out")] == ["CANCELLED"]


def test_airflow_says_what_was_ended() -> None:
    """Where Airflow calls the trigger itself, nobody asks it."""
    assert (AIRFLOW_VERSION >= (3, 3)) == kills.AIRFLOW_SAYS_SO
