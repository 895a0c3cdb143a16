from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import EXAMPLE_DAGS
from tests.integration.conftest import Run, RunningDag

FAST = {"poll_interval": 0.05, "absent_for": 0.2}
AT_ONCE = {"retry_delay": timedelta(0)}
EXAMPLES = sorted(path.stem for path in EXAMPLE_DAGS.glob("scnet_*.py"))


def test_simulation_that_fails_turns_the_run_red(
    region: ScnetEmulator, run_dag: Callable[..., Run], capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_dag("scnet_simulation", delete_jobs=FAST, wait={"poke_interval": 0.5})
    assert run.tasks == {
        "submit": "success",
        "wait": "failed",
        "evaluate": "upstream_failed",
        "publish": "upstream_failed",
        "delete_jobs": "success",
    }
    assert run.state == "failed"  # the teardown does not hide that the work failed
    assert [job.state for job in region.jobs] == ["FAILED"]
    assert "residual nan, giving up" in capfd.readouterr().out


def test_simulation_in_a_single_task(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("scnet_single_task", delete_jobs=FAST, flow={"poll_interval": 0.5})
    assert set(run.tasks.values()) == {"success"}
    assert [job.state for job in region.jobs] == ["COMPLETED"]


def test_teardown_that_cannot_stop_the_job_turns_the_run_red(
    region: ScnetEmulator, run_dag: Callable[..., Run]
) -> None:
    region.fail("delete", code="10013", times=None)
    run = run_dag("torn_down", delete_jobs={**FAST, **AT_ONCE, "timeout": 0.3})
    assert (run.tasks["publish"], run.tasks["delete_jobs"], run.state) == ("success", "failed", "failed")
    assert run.tries["delete_jobs"] == 3
    assert len(region.active_jobs) == 6


def test_many_jobs_are_torn_down_as_one(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("torn_down", delete_jobs=FAST)
    assert set(run.tasks.values()) == {"success"}
    assert run.state == "success"
    assert (len(region.jobs), region.active_jobs, region.calls["delete"]) == (6, [], 1)


def test_parameter_sweep(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    run = run_dag("scnet_parameter_sweep", {"cases": 5}, delete_jobs=FAST, wait={"poke_interval": 0.5})
    assert set(run.tasks.values()) == {"success"}
    assert [job.state for job in region.jobs] == ["COMPLETED"] * 5


def test_dag_of_the_readme(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    assert run_dag("simulation", delete_jobs=FAST, wait={"poke_interval": 0.5}).state == "success"
    assert [(job.name.partition("_")[0], job.state) for job in region.jobs] == [("flow", "COMPLETED")]


def test_dag_of_the_readme_turns_red_if_its_simulation_fails(
    region: ScnetEmulator, run_dag: Callable[..., Run]
) -> None:
    run = run_dag("simulation", submit={"command": "exit 3"}, delete_jobs=FAST, wait={"poke_interval": 0.5})
    assert (run.state, run.tasks["wait"], run.tasks["delete_jobs"]) == ("failed", "failed", "success")
    assert [job.state for job in region.jobs] == ["FAILED"]


def test_delete_jobs_of_params(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    job = region.add_job()
    run = run_dag("scnet_delete_jobs", delete_jobs={**FAST, "jobs": f"{job.job_id}, 4711"})
    assert (run.state, job.active) == ("success", False)
    assert run.returned["delete_jobs"]["gone"] == ["1638523853,acexample01:4711:"]
    assert run_dag("scnet_delete_jobs").state == "success"  # nothing given, nothing to do
    assert run_dag("scnet_delete_jobs", delete_jobs={**FAST, **AT_ONCE, "job_tags": "misspelttagg"}).state == "failed"


def test_only_what_a_retry_can_help_is_retried(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    frozen, later, stubborn = (region.add_job(job_id=job_id) for job_id in ("101", "102", "103"))
    frozen.refused = ("10007", "user_frozen")
    later.ignores_delete = 5
    stubborn.ignores_delete = True
    run = run_dag("outcomes")
    assert run.tasks == {"frozen": "failed", "gives_in_later": "success", "never_ends": "failed"}
    assert run.tries["frozen"] == 1  # failed at once in spite of its retries
    assert run.tries["gives_in_later"] > 1
    assert run.tries["never_ends"] == 2


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_example_explains_itself(find_dag: Callable[[str], Any], dag_id: str) -> None:
    text = find_dag(dag_id).doc_md
    for headline in ("What it shows", "What to change", "What it costs"):
        assert f"**{headline}.**" in text
    assert "``" not in text  # Markdown, not reStructuredText


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_example_tries_its_deletion_again(find_dag: Callable[[str], Any], dag_id: str) -> None:
    delete_jobs = find_dag(dag_id).get_task("delete_jobs")
    assert delete_jobs.retries == 2
    assert delete_jobs.retry_delay <= timedelta(minutes=2)  # Airflow's five minutes of a job that runs on are too long


def test_retry_of_a_teardown_saves_the_run(region: ScnetEmulator, run_dag: Callable[..., Run]) -> None:
    region.fail("delete", code="10013", times=None)
    recovery = {"on_retry_callback": [lambda context: region.clear_faults()]}
    run = run_dag("torn_down", delete_jobs={**FAST, **AT_ONCE, **recovery, "timeout": 0.3})
    assert (run.tries["delete_jobs"], run.tasks["delete_jobs"], run.state) == (2, "success", "success")
    assert not region.active_jobs


def test_nothing_to_delete_is_strange_for_a_teardown(
    region: ScnetEmulator, start_dag: Callable[[str], RunningDag]
) -> None:
    run = start_dag("nothing")
    assert set(run.finish().tasks.values()) == {"success"}
    said = [line for line in run.output.splitlines() if "No jobs to delete." in line]
    levels = [re.search(r"info|warning", line, flags=re.IGNORECASE)[0].lower() for line in said]
    # The plain task, then the teardown; Airflow 2 prints what an operator logs more than once.
    assert list(dict.fromkeys(levels)) == ["info", "warning"]
    assert not region.requests
