"""A clear is a new life: no task that was cleared ends with a job of before."""

from __future__ import annotations

import json

import airflow
import pytest

from tests.deployment.components import IS_AIRFLOW_2
from tests.deployment.local.conftest import LocalDeployment

pytestmark = pytest.mark.integration
AIRFLOW_VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))


def edit(deployment: LocalDeployment, dag_id: str, retries: int, command: str) -> None:
    """Edit the DAG file, and wait until Airflow has read it."""
    edits = deployment.home / "dags" / "cleared.json"
    edits.write_text(json.dumps({dag_id: {"retries": retries, "command": command}}))
    edits.with_suffix(".py").touch()  # a file that has changed is read again at once
    if IS_AIRFLOW_2:
        deployment.run("dags", "reserialize")
    deployment.wait_for(lambda: deployment.do("retries_of", dag_id=dag_id, task_id="submit") == retries)


def test_clear_after_retries_were_lowered_is_no_retry(deployment: LocalDeployment) -> None:
    """One try of two has succeeded: with ``retries=0``, Airflow makes 1 + 0 of the ``max_tries`` that were 1 before."""
    dag_id = "cleared_after_an_edit"
    deployment.trigger(dag_id)
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=dag_id) == "success")
    (old,) = deployment.active(dag_id)
    edit(deployment, dag_id, retries=0, command="sleep 7200")
    on_latest = {"run_on_latest_version": True} if AIRFLOW_VERSION >= (3, 1) else {}
    deployment.do("clear", dag_id=dag_id, task_ids=["submit"], **on_latest)
    deployment.wait_for(lambda: len(deployment.jobs(dag_id)) == 2)
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=dag_id) == "success")
    assert deployment.do("instances", dag_id=dag_id)["submit"]["max_tries"] == 1
    assert [(job.active, job.command) for job in deployment.jobs(dag_id)] == [
        (False, "sleep 3600"),
        (True, "sleep 7200"),
    ]
    assert old.state == "CANCELLED"


def test_clear_that_leaves_all_numbers_is_no_retry(deployment: LocalDeployment) -> None:
    """Airflow keeps ``max_tries`` where the DAG is without the task just then; its command is the same as before."""
    dag_id = "cleared_without_the_task"
    deployment.trigger(dag_id)
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=dag_id) == "success")
    (old,) = deployment.active(dag_id)
    old.become("COMPLETED")
    deployment.do("pause", dag_id=dag_id, is_paused=True)
    deployment.do("clear", dag_id=dag_id, task_ids=["submit"])
    deployment.do("set_max_tries", dag_id=dag_id, task_id="submit", number=1)
    deployment.do("pause", dag_id=dag_id, is_paused=False)
    deployment.wait_for(lambda: len(deployment.jobs(dag_id)) == 2)
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=dag_id) == "success")
    assert deployment.do("instances", dag_id=dag_id)["submit"]["max_tries"] == 1
    assert [job.active for job in deployment.jobs(dag_id)] == [False, True]


def test_healthy_siblings_of_a_cleared_wait_go_on(deployment: LocalDeployment) -> None:
    """Airflow clears setup and teardown of all map indexes with it; on 3.2, a person has to clear the setup."""
    dag_id = "one_wait_cleared"
    deployment.trigger(dag_id)
    for index in (0, 1):
        deployment.wait_for(lambda index=index: deployment.is_triggered(dag_id, f"wait[{index}]"))
    failing, healthy = sorted(deployment.jobs(dag_id), key=lambda job: job.command)
    failing.become("FAILED")
    deployment.wait_for(lambda: deployment.state(dag_id, "wait[0]") == "failed")
    deployment.do("clear", dag_id=dag_id, task_ids=["submit"] if AIRFLOW_VERSION == (3, 2) else [["wait", 0]])
    deployment.wait_for(lambda: len(deployment.jobs(dag_id)) == 3)
    deployment.wait_for(lambda: deployment.is_triggered(dag_id, "wait[0]"))
    assert {
        state["tries"] for name, state in deployment.do("instances", dag_id=dag_id).items() if "submit" in name
    } == ({2})
    assert healthy.active
    assert (healthy.deletes, len(deployment.active(dag_id))) == (0, 2)
    for job in deployment.active(dag_id):
        job.become("COMPLETED")
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=dag_id) == "success")
    assert len(deployment.jobs(dag_id)) == 3
