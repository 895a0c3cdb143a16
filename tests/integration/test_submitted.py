"""A task instance submits one job, whatever happens between the submission and its XCom."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.integration.conftest import Run

pytestmark = pytest.mark.integration


def test_job_is_submitted_and_deleted(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted")
    (job,) = region.jobs
    assert set(run.tasks.values()) == {"success"}
    assert run.returned["submit"] == job.ref
    assert (job.command, job.state) == ("sleep 3600", "CANCELLED")
    assert re.fullmatch(r"submitted_[\w-]+_[a-z2-7]{12}_g2_t1c0_s[a-z2-7]{8}", job.name)
    assert region.calls["submit"] == 1
    assert region.calls["list"] <= 4  # the task has told its job, so that none is waited for


def test_job_of_a_lost_worker_is_adopted(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted_and_lost")
    (job,) = region.jobs
    assert (run.tasks["submit"], run.tries["submit"], run.returned["submit"]) == ("success", 2, job.ref)
    assert not job.active


@pytest.mark.parametrize("effect", [True, False], ids=["submitted", "not submitted"])
def test_lost_answer(region: ScnetEmulator, run_dag: Callable[..., Run], effect: bool) -> None:
    region.fail("submit", drop=True, effect=effect)
    run = run_dag("submitted")
    (job,) = region.jobs
    assert (run.tasks["submit"], run.tries["submit"], run.returned["submit"]) == ("success", 1 + (not effect), job.ref)
    assert not job.active


def test_rejected_job_is_not_tried_again(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted", submit={"job_queue": "nowhere"})
    assert (run.tasks["submit"], run.tries["submit"]) == ("failed", 1)
    assert not region.jobs


def test_full_queue_is_tried_again(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    region.fail("submit", code="815007", msg="sbatch: error: AssocMaxSubmitJobLimit")
    run = run_dag("submitted")
    assert (run.tasks["submit"], run.tries["submit"], len(region.jobs)) == ("success", 2, 1)


def test_mapped_tasks_submit_one_job_each(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted_mapped")
    assert run.state == "success"
    assert sorted(job.command for job in region.jobs) == ["sleep 3600", "sleep 3601", "sleep 3602"]
    assert len({job.name for job in region.jobs}) == 3
    assert not region.active_jobs
    assert region.calls["list"] <= 4


def test_script_of_which_jinja_would_cut_a_part(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted_scripts")
    states = {"scripts": "success", "from_xcom": "success", "mapped": "failed", "included": "failed"}
    assert run.tasks == states
    assert (run.tries["mapped"], run.tries["included"]) == (1, 1)  # a retry would be of no use
    assert sorted(job.command for job in region.jobs) == ["echo ${#a[@]} ${b%#}", "echo 1"]


def test_jobs_that_no_xcom_tells_of_are_deleted(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    """A submission that failed after its job exists, plain and mapped, in a task group; and one that went well."""
    other = region.add_job(name="flow")
    run = run_dag("submitted_untold")
    assert run.tasks == {
        "cases.submit": "failed",
        "cases.one": "failed",
        "told": "success",
        "delete_jobs": "success",
    }
    assert len(region.jobs) == 5
    assert region.active_jobs == [other]
    assert len(run.returned["delete_jobs"]["deleted"]) == 4


def test_items_of_a_mapped_task_group_delete_their_own_jobs_only(
    region: ScnetEmulator, run_dag: Callable[..., Run]
) -> None:
    assert run_dag("submitted_by_items").state == "success"
    deletes = [request.form["strJobInfoMap"] for request in region.requests if request.call == "delete"]
    assert sorted(deletes) == sorted(job.ref for job in region.jobs)
    assert (len(region.jobs), region.active_jobs) == (2, [])
    assert region.calls["list"] <= 8  # each has told its job


def test_task_that_does_not_exist_is_no_success(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("submitted_by_nobody")
    assert (run.tasks["delete_jobs"], run.tries["delete_jobs"]) == ("failed", 1)
    assert len(region.active_jobs) == 1


@pytest.mark.parametrize("how", ["text", "template", "expand", "expand_kwargs", "scheduler"])
def test_jobs_that_were_submitted_elsewhere(
    region: ScnetEmulator, run_dag: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What is looked for in the wrong place is not there: green would mean that it runs on."""
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_B", region.connection())
    run = run_dag(f"elsewhere_{how}")
    assert (run.tasks["submit"], run.tasks["delete_jobs"]) == ("success", "failed")
    assert region.jobs == region.active_jobs
    assert not region.calls["delete"]


def test_connection_that_nobody_has_told(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("elsewhere_untold")
    assert (run.tasks["submit"], run.tasks["delete_jobs"]) == ("failed", "failed")


def test_connection_that_is_known_at_run_time_only(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("same_place")
    assert (run.tasks["delete_jobs"], len(region.jobs), region.active_jobs) == ("success", 2, [])
