from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskGroup, task_group

from airflow_provider_scnet.operators.origin import AT_RUN_TIME, KEY, Origin, declared, tell, told_by
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from tests.conftest import TaskInstance

PLACE: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/me", "walltime": "01:00:00"}
JOB: dict[str, Any] = {**PLACE, "command": "true"}


class Elsewhere(ScnetSubmitJobOperator):
    def __init__(self, *, scnet_conn_id: str = "b", **kwargs: Any) -> None:
        super().__init__(scnet_conn_id=scnet_conn_id, **kwargs)


class Mine(ScnetSubmitJobOperator):
    def __init__(self, *, case: str, **kwargs: Any) -> None:
        super().__init__(command=case, **kwargs)


def test_what_the_dag_file_says() -> None:
    with DAG("flow", schedule=None):
        plain = ScnetSubmitJobOperator(task_id="plain", scnet_conn_id="b", **JOB)
        said = {
            "plain": plain,
            "usual": ScnetSubmitJobOperator(task_id="usual", **JOB),
            "rendered": ScnetSubmitJobOperator(task_id="rendered", scnet_conn_id="{{ params.conn }}", **JOB),
            "mapped": ScnetSubmitJobOperator.partial(task_id="mapped", **JOB).expand(nodes=[1, 2]),
            "partial": ScnetSubmitJobOperator.partial(task_id="p", scnet_conn_id="b", **JOB).expand(nodes=[1]),
            "expanded": ScnetSubmitJobOperator.partial(task_id="e", **JOB).expand(scnet_conn_id=["b"]),
            "kwargs": ScnetSubmitJobOperator.partial(task_id="k", **PLACE).expand_kwargs([{"command": "true"}]),
            "other kwargs": ScnetSubmitJobOperator.partial(task_id="o", **PLACE).expand_kwargs(
                [{"command": "true"}, {"command": "true", "scnet_conn_id": "b"}]
            ),
            "late kwargs": ScnetSubmitJobOperator.partial(task_id="l", **JOB).expand_kwargs(plain.output),
            "class": Elsewhere.partial(task_id="c", **JOB).expand(nodes=[1]),
            "handed on": Mine.partial(task_id="h", **PLACE).expand(case=["true"]),
        }
    with DAG("defaults", schedule=None, default_args={"scnet_conn_id": "b"}):
        said["default_args"] = ScnetSubmitJobOperator.partial(task_id="d", **JOB).expand(nodes=[1])
        with TaskGroup("group", default_args={"scnet_conn_id": "scnet_default"}), TaskGroup("inner"):
            said["group's"] = ScnetSubmitJobOperator.partial(task_id="d", **JOB).expand(nodes=[1])
    at_run_time = dict.fromkeys(["rendered", "expanded", "other kwargs", "late kwargs"], AT_RUN_TIME)
    usual = dict.fromkeys(["usual", "mapped", "kwargs", "handed on", "group's"], "scnet_default")
    other = dict.fromkeys(["plain", "partial", "class", "default_args"], "b")
    assert {name: declared(task, "scnet_conn_id") for name, task in said.items()} == at_run_time | usual | other
    assert declared(plain, "scheduler_id") is None


def test_argument_of_a_mapped_task_group() -> None:
    with DAG("flow", schedule=None) as dag:

        @task_group
        def case(conn: str) -> None:
            ScnetSubmitJobOperator(task_id="submit", scnet_conn_id=conn, **JOB)

        case.expand(conn=["a", "b"])
    assert declared(dag.get_task("case.submit"), "scnet_conn_id") is AT_RUN_TIME


def test_what_a_task_tells() -> None:
    with DAG("flow", schedule=None):
        submit = ScnetSubmitJobOperator(task_id="submit", scheduler_id="7", **JOB)
        ScnetDeleteJobsOperator(task_id="one", submitted_by=submit)
        ScnetDeleteJobsOperator(task_id="other", submitted_by="else")
        ScnetDeleteJobsOperator.partial(task_id="many", submitted_by=[submit.output]).expand(jobs=["1"])
        ScnetDeleteJobsOperator(task_id="by_jobs", jobs=submit.output)
    ti = TaskInstance(map_index=2)
    tell(submit, {"ti": ti})  # type: ignore[typeddict-item]
    assert ti.pushed == {KEY: asdict(Origin("scnet_default", "7", 2, ["one", "many"]))}
    assert json.loads(json.dumps(ti.pushed)) == ti.pushed


def test_what_is_read() -> None:
    told = [{"scnet_conn_id": "a", "later": 1}, None, "strange", {"scheduler_id": "1"}, {"scnet_conn_id": None}]
    ti = SimpleNamespace(xcom_pull=lambda task_ids, key: told if (task_ids, key) == (["submit"], KEY) else None)
    assert told_by(ti, "submit") == [Origin("a")]
    assert not told_by(ti, "other")


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_scheduler_that_is_not_given(nothing: Any) -> None:
    submit = ScnetSubmitJobOperator(task_id="submit", scheduler_id=nothing, **JOB)
    assert Origin.of(submit, {"ti": TaskInstance(map_index=None)}) == Origin("scnet_default", deleted_by=[])  # type: ignore[typeddict-item]
