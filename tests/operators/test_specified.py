"""What is checked where a DAG is parsed, and what where its tasks are rendered; all on a real Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.exceptions import ScnetJobSpecificationError
from airflow_provider_scnet.operators.scnet import ScnetSubmitJobOperator

JOB: dict[str, Any] = {
    "task_id": "submit",
    "command": "sleep 3600",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01",
    "walltime": "02:00:00",
}
CUT = "n=${#files[@]}\necho ${x%#}"


def dag(folder: Path | None = None, **options: Any) -> DAG:
    where = {"template_searchpath": str(folder)} if folder else {}
    return DAG("flow", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), **where, **options)


def rendered(task: ScnetSubmitJobOperator, **context: Any) -> ScnetSubmitJobOperator:
    task.render_template_fields(context)  # type: ignore[arg-type]
    return task


# --- scripts that Jinja would cut ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("command", CUT),
        ("command", ["set -e", CUT]),
        ("command", f"echo {{{{ ds }}}}\n{CUT}"),
        ("scheduler_options", "--comment=${#x}"),
        ("scheduler_options", ["--nice", "--comment=${#x}"]),
    ],
)
def test_script_that_would_be_cut_is_an_error_of_the_dag(argument: str, value: Any) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=rf"^{argument}, line \d: Jinja.*\{{% raw %\}}"):
        ScnetSubmitJobOperator(**{**JOB, argument: value})
    with dag(), pytest.raises(ScnetJobSpecificationError, match=f"^{argument}, line"):
        ScnetSubmitJobOperator.partial(**{**JOB, argument: value})


@pytest.mark.parametrize("command", ["n=${{ '{#' }}files[@]}", "{% raw %}n=${#files[@]}{% endraw %}"])
def test_remedy_gives_what_was_meant(command: str) -> None:
    assert rendered(ScnetSubmitJobOperator(**{**JOB, "command": command})).command == "n=${#files[@]}"


def test_comment_that_is_meant_is_left_out() -> None:
    assert rendered(ScnetSubmitJobOperator(**{**JOB, "command": "{# note #}sleep 5"})).command == "sleep 5"


def test_dag_whose_comments_have_other_signs() -> None:
    with dag(jinja_environment_kwargs={"comment_start_string": "<#", "comment_end_string": "#>"}):
        task = ScnetSubmitJobOperator(**{**JOB, "command": CUT})
        ScnetSubmitJobOperator.partial(**{**JOB, "task_id": "mapped", "command": CUT}).expand(nodes=[1, 2])
    assert rendered(task).command == CUT


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    "command", ["{% include 'run.sh' %}", "{% include params.name %}", ["set -e", "{% include 'run.sh' %}"]]
)
def test_included_script_that_would_be_cut(tmp_path: Path, command: Any, native: bool) -> None:
    (tmp_path / "run.sh").write_text(f"set -e\n{CUT}\n")
    with dag(tmp_path, render_template_as_native_obj=native):
        task = ScnetSubmitJobOperator(**{**JOB, "command": command})
    with pytest.raises(ScnetJobSpecificationError, match=r"^command, line 2 of 'run.sh': Jinja.*\{% raw %\}"):
        rendered(task, params={"name": "run.sh"})


def test_included_script_that_is_raw(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(f"# {{% raw %}}\n{CUT}\n# {{% endraw %}}\n")
    with dag(tmp_path):
        task = ScnetSubmitJobOperator(**{**JOB, "command": "{% include 'run.sh' %}"})
    assert CUT in rendered(task).command


def test_script_of_a_mapped_task(tmp_path: Path) -> None:
    """What XCom brings is not rendered, and so not cut; what the DAG file says is."""
    with dag(tmp_path):
        mapped: Any = ScnetSubmitJobOperator.partial(**{name: JOB[name] for name in JOB if name != "command"})
        mapped = mapped.expand(command=[CUT])
    unmapped = mapped.unmap({"command": CUT})
    assert unmapped.render_template(unmapped.command, {}, seen_oids={id(unmapped.command)}) == CUT
    with pytest.raises(ScnetJobSpecificationError, match=r"^command, line 1: Jinja"):
        rendered(unmapped)


# --- the queue -------------------------------------------------------------------------------------------------------

WITHOUT_QUEUE = {name: value for name, value in JOB.items() if name != "job_queue"}


@pytest.mark.parametrize("job_queue", [{}, {"job_queue": ""}, {"job_queue": None}])
def test_queue_is_not_the_queue_of_the_cluster(job_queue: dict[str, Any]) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=r"^job_queue: missing.* queue='debug' is an argument of Air"):
        ScnetSubmitJobOperator(**WITHOUT_QUEUE, **job_queue, queue="debug")


def test_queue_of_a_mapped_task_is_not_the_queue_of_the_cluster() -> None:
    with dag():
        mapped: Any = ScnetSubmitJobOperator.partial(**WITHOUT_QUEUE, queue="debug").expand(nodes=[1, 2])
    with pytest.raises(ScnetJobSpecificationError, match=r"^job_queue: missing.* queue='debug'"):
        mapped.unmap({"nodes": 1})


def test_queues_of_a_mapped_task() -> None:
    with dag():
        mapped: Any = ScnetSubmitJobOperator.partial(**WITHOUT_QUEUE).expand(job_queue=["debug", "normal"])
    assert mapped.unmap({"job_queue": "normal"}).job_queue == "normal"


def test_queue_of_all_tasks_of_a_dag() -> None:
    with dag(default_args={"job_queue": "debug", "queue": "workers"}):
        task = ScnetSubmitJobOperator(**WITHOUT_QUEUE)
    assert (task.job_queue, task.queue) == ("debug", "workers")


# --- mapped tasks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [{"nodes": 0}, {"nodes": 1, "node_list": "n1"}, {"command": "#!/bin/sh\ntrue"}], ids=str
)
def test_bad_argument_of_a_mapped_task_is_an_error_of_the_dag(bad: dict[str, Any]) -> None:
    with dag(), pytest.raises(ScnetJobSpecificationError, match=next(reversed(bad))):
        ScnetSubmitJobOperator.partial(**{**JOB, **bad})


def test_mapped_task_has_the_defaults_of_airflow() -> None:
    """Not those of what stands between the operator and Airflow's class: a task without lists of inlets fails."""
    with dag():
        mapped: Any = ScnetSubmitJobOperator.partial(**JOB).expand(nodes=[1, 2])
    assert (mapped.unmap({"nodes": 1}).inlets or [], mapped.partial_kwargs["inlets"]) == ([], [])
