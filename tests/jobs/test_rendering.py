"""Template fields keep the spelling of the DAG file, on this Airflow, in all operators and the sensor."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.jobs.rendering import plain
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

REF = JobRef("1638523853", "test", "5_1")
TEXT = "1638523853,test:5_1:"
SPECIFICATION = {"command": "true", "job_queue": "debug", "work_dir": "/public/home/me", "walltime": "02:00:00"}
CONTEXT = {"told": "5_1", "several": ["5_1", 51], "nothing": None, "hours": timedelta(hours=2), "number": 4}
native = pytest.mark.parametrize("is_native", [True, False], ids=["native", "text"])


class Queue(StrEnum):
    SHORT = "1_0"


def rendered(operator: type, is_native: bool, context: dict[str, Any] | None = None, **fields: Any) -> Any:
    with DAG("dag", schedule=None, render_template_as_native_obj=is_native):
        task = operator(task_id="task", **fields)
    task.render_template_fields({**CONTEXT, **(context or {})})
    return task


@native
@pytest.mark.parametrize("operator", [ScnetDeleteJobsOperator, ScnetJobSensor])
@pytest.mark.parametrize(
    "jobs",
    ["5_1", "0x33", "1_000", "[5_1, 5_2]", ["5_1", ("5_2", {"job_id": "5_3"})], {"5_1"}, "5_1\n", "197", 197],
    ids=str,
)
def test_what_is_no_template_is_taken_as_written(operator: type, is_native: bool, jobs: Any) -> None:
    assert rendered(operator, is_native, jobs=jobs).jobs == jobs


@native
@pytest.mark.parametrize("operator", [ScnetDeleteJobsOperator, ScnetJobSensor])
def test_other_fields_of_a_reference(operator: type, is_native: bool) -> None:
    given = {"scheduler_id": "1_638", "user": "1_0", "scnet_conn_id": "0x1"}
    task = rendered(operator, is_native, jobs="5_1", **given)
    assert {name: getattr(task, name) for name in given} == given


@native
def test_what_is_submitted_is_taken_as_written(is_native: bool) -> None:
    given = {
        "command": "[5_1]",
        "job_queue": "1_0",
        "work_dir": "/1_0",
        "walltime": "02:00:00",
        "job_name": "0x33",
        "node_list": "5_1",
        "cores_per_node": "10",
        "memory_per_node": "4GB",
        "array_size": "50",
        "app_name": "007",
        "scheduler_options": ["1_0", "2_0"],
        "scheduler_id": "1_638",
    }
    task = rendered(ScnetSubmitJobOperator, is_native, **given)
    assert {name: getattr(task, name) for name in given} == given


@native
def test_tags_are_taken_as_written(is_native: bool) -> None:
    assert rendered(ScnetDeleteJobsOperator, is_native, job_tags="777777777777").job_tags == "777777777777"


@native
@pytest.mark.parametrize(
    ("template", "text"),
    [("{{ told }}", "5_1"), ("{{ told }},5_2", "5_1,5_2"), ("[5_2, {{ told }}]", "[5_2, 5_1]"), ("5_{{ 1 }}", "5_1")],
)
def test_what_a_template_makes_of_text_is_text(is_native: bool, template: str, text: str) -> None:
    assert rendered(ScnetDeleteJobsOperator, is_native, jobs=template).jobs == text
    assert rendered(ScnetDeleteJobsOperator, is_native, jobs=[template]).jobs == [text]


@pytest.mark.parametrize(
    ("template", "value"),
    [("{{ several }}", ["5_1", 51]), ("{{ number }}", 4), ("{{ nothing }}", None), ("{{ hours }}", timedelta(hours=2))],
)
def test_values_that_are_no_text_stay_what_they_are(template: str, value: Any) -> None:
    assert rendered(ScnetDeleteJobsOperator, True, jobs=template).jobs == value


@native
@pytest.mark.parametrize(
    ("template", "number"),
    [("{{ 5_1 }}", "51"), ("{{ [5_1, 5_2] }}", "51"), ("{{ 0x33 }}", "51"), ("{{ 1_000 }}", "1000")],
)
def test_number_that_is_another_one_to_jinja_is_refused(is_native: bool, template: str, number: str) -> None:
    with pytest.raises(ScnetRequestError, match=rf"is the number {number} to Jinja\. Put quotation marks"):
        rendered(ScnetDeleteJobsOperator, is_native, jobs=template)


@native
def test_missing_name_is_an_error(is_native: bool) -> None:
    with pytest.raises(Exception, match="'missing' is undefined"):
        rendered(ScnetDeleteJobsOperator, is_native, jobs="{{ missing }}")


def test_a_dag_may_choose_marks_of_its_own() -> None:
    with DAG(
        "dag",
        schedule=None,
        render_template_as_native_obj=True,
        jinja_environment_kwargs={"variable_start_string": "<<", "variable_end_string": ">>"},
    ):
        task = ScnetDeleteJobsOperator(task_id="task", jobs=["<< told >>", "{{ told }}"])
    task.render_template_fields(CONTEXT)
    assert task.jobs == ["5_1", "{{ told }}"]


def test_macros_of_the_dag_are_there() -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=True, user_defined_macros={"ref": lambda: REF}):
        task = ScnetDeleteJobsOperator(task_id="task", jobs=["{{ ref() }}", "{% if told %}5_2{% endif %}"])
    task.render_template_fields(CONTEXT)
    assert task.jobs == [TEXT, "5_2"]
    assert type(task.jobs[0]) is str


# --- plain text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (REF, TEXT),
        ([REF, ("x", REF)], [TEXT, ("x", TEXT)]),
        ({"jobs": {REF}, REF: frozenset({REF})}, {"jobs": {TEXT}, TEXT: frozenset({TEXT})}),
        (Queue.SHORT, "1_0"),
        (197, 197),
        (None, None),
    ],
)
def test_plain(value: Any, kept: Any) -> None:
    told = plain(value)
    assert told == kept
    assert repr(told) == repr(kept)


def test_tasks_keep_plain_text() -> None:
    delete = ScnetDeleteJobsOperator(task_id="delete", jobs=[REF, {"of": (REF,)}], user=Queue.SHORT)
    wait = ScnetJobSensor(task_id="wait", jobs=REF)
    submit = ScnetSubmitJobOperator(task_id="submit", **SPECIFICATION | {"job_queue": Queue.SHORT})
    assert repr([delete.jobs, delete.user, wait.jobs, submit.job_queue]) == repr(
        [[TEXT, {"of": (TEXT,)}], "1_0", TEXT, "1_0"]
    )


def test_mapped_tasks_keep_plain_text() -> None:
    with DAG("dag", schedule=None):
        delete = ScnetDeleteJobsOperator.partial(task_id="delete", user=Queue.SHORT).expand(jobs=[REF, [REF]])
        wait = ScnetJobSensor.partial(task_id="wait").expand_kwargs([{"jobs": REF}])
    kept = [delete.partial_kwargs["user"], delete.expand_input.value, wait.expand_input.value]
    assert repr(kept) == repr(["1_0", {"jobs": [TEXT, [TEXT]]}, [{"jobs": TEXT}]])


def test_partial_tasks_are_begun_on_classes() -> None:
    partial = ScnetDeleteJobsOperator.partial(task_id="delete", jobs=REF)
    assert repr(partial).startswith("ScnetDeleteJobsOperator.partial(")
    with DAG("dag", schedule=None):
        assert partial.expand(user=["a", "b"]).operator_class is ScnetDeleteJobsOperator
