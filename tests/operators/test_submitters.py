from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator, TaskGroup, task_group

from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.operators.submitters import NEVER_RAN, ask, shared_map_index

JOB: dict[str, Any] = {"command": "true", "job_queue": "debug", "work_dir": "/public/home/me", "walltime": "01:00:00"}


def submit(task_id: str = "submit", **other: Any) -> ScnetSubmitJobOperator:
    return ScnetSubmitJobOperator(task_id=task_id, **JOB, **other)


def delete(submitted_by: Any, **other: Any) -> ScnetDeleteJobsOperator:
    return ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submitted_by, **other)


def test_tasks_in_every_form() -> None:
    class Mine(ScnetSubmitJobOperator):
        pass

    with DAG("flow", schedule=None):
        plain, mine = submit("a"), Mine(task_id="d", **JOB)
        mapped = ScnetSubmitJobOperator.partial(task_id="b", **JOB).expand(nodes=[1, 2])
        forms = [plain, plain.output, mapped, mapped.output, "group.c", mine, "a"]
        assert delete(forms).submitted_by == ["a", "b", "group.c", "d"]
    assert delete(plain).submitted_by == ["a"]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_neither_jobs_nor_tasks(nothing: Any) -> None:
    with pytest.raises(ValueError, match="jobs, submitted_by, job_tags: give at least one"):
        delete(nothing)


@pytest.mark.parametrize("strange", [5, {"a": 1}, [None], object()])
def test_what_is_no_task(strange: Any) -> None:
    with pytest.raises(ValueError, match=r"submitted_by=.*must be a task"):
        delete(strange)


def test_task_whose_jobs_carry_no_name() -> None:
    class Other(BaseOperator):
        def __init__(self, *, case: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)

    with DAG("flow", schedule=None):
        mapped = Other.partial(task_id="other").expand(case=["a", "b"])
    for task in (Other(task_id="other"), mapped):
        with pytest.raises(ValueError, match=r"'other' is a Other.*hand over what 'other' returns as jobs"):
            delete(task)


def test_tasks_of_another_connection() -> None:
    with DAG("flow", schedule=None):
        mapped = ScnetSubmitJobOperator.partial(task_id="b", scnet_conn_id="b", **JOB).expand(nodes=[1, 2])
    for task in (submit(scnet_conn_id="b"), mapped):
        with pytest.raises(ValueError, match="scnet_conn_id='b', this task looks with 'scnet_default'"):
            delete(task)
        assert delete(task, scnet_conn_id="b").submitted_by


def instance(pushed: Any, states: list[str]) -> Any:
    def count(states_wanted: list[str] | None) -> int:
        return len([state for state in states if states_wanted is None or state in states_wanted])

    return SimpleNamespace(
        dag_id="flow",
        run_id="manual",
        xcom_pull=lambda task_ids, key: pushed,
        get_ti_count=lambda dag_id, task_ids, run_ids, states=None: count(states),
    )


@pytest.mark.parametrize(
    ("pushed", "states", "is_all"),
    [
        (["r1"], ["success"], True),
        (["r1", "r2"], ["success", "failed"], True),
        (["r1", None], ["success", "failed"], False),
        ([], ["failed"], False),
        (None, ["failed"], False),
        ([], ["upstream_failed"], True),
        (["r1"], ["success", *NEVER_RAN], True),
        ([], [], False),  # no such task
    ],
)
def test_what_tasks_have_told(pushed: Any, states: list[str], is_all: bool) -> None:
    told = ask({"ti": instance(pushed, states)}, ["submit"], None)
    assert (told.refs, told.is_all) == ([ref for ref in pushed or [] if ref], is_all)


@pytest.mark.parametrize(("pushed", "states"), [(["r1"], ["failed", "removed"]), ([], ["upstream_failed"])])
def test_instance_that_may_have_run_before_a_clear(pushed: list[str], states: list[str]) -> None:
    """What one has told before the clear must not make up for another one that told nothing since."""
    context: Any = {"ti": instance(pushed, states), "dag_run": SimpleNamespace(clear_number=1)}
    assert not ask(context, ["submit"], None).is_all
    assert ask({**context, "ti": instance(["r1", "r2"], ["success", "failed"])}, ["submit"], None).is_all


def test_airflow_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    assert not ask({"ti": None}, ["submit"], None).is_all
    assert "Airflow does not say what submit told" in caplog.text


def test_task_that_the_dag_does_not_have() -> None:
    with DAG("flow", schedule=None):
        with TaskGroup("one"):
            submit()
        deleting = delete("submit")
    with pytest.raises(ScnetRequestError, match=r"DAG 'flow' has no such task. Do you mean 'one.submit'\?"):
        shared_map_index(deleting, deleting.submitted_by, -1)
    with pytest.raises(ScnetRequestError, match=r"no such task.$"):
        shared_map_index(deleting, ["sumbit"], -1)
    assert shared_map_index(deleting, ["one.submit"], -1) is None
    assert shared_map_index(submit(), ["any"], 3) is None  # in no DAG


def test_siblings_in_a_mapped_task_group_are_left_alone() -> None:
    with DAG("flow", schedule=None):
        before = submit("before")

        @task_group
        def case(command: str) -> None:
            inside = ScnetSubmitJobOperator(task_id="submit", **{**JOB, "command": command})
            delete([inside])

        case.expand(command=["true", "false"])
        deleting = before.dag.get_task("case.delete_jobs")
    assert shared_map_index(deleting, ["case.submit"], 2) == 2
    assert shared_map_index(deleting, ["before"], 2) is None
    assert shared_map_index(before, ["case.submit"], -1) is None
