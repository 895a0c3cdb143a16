from __future__ import annotations

import json
import re
import time
from collections import UserList
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobReferenceError,
    ScnetJobsNotDeletedError,
    ScnetRequestError,
)
from airflow_provider_scnet.jobs.namespace import namespace
from airflow_provider_scnet.jobs.naming import task_tag
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import TaskInstance
from tests.tags import tag_of

JOB: dict[str, Any] = {"command": "true", "job_queue": "debug", "work_dir": "/public/home/me", "walltime": "01:00:00"}


def test_execute_returns_what_became_of_the_jobs(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    result = ScnetDeleteJobsOperator(task_id="delete", jobs=[job.ref]).execute({})
    assert json.loads(json.dumps(result)) == {"deleted": [job.ref], "gone": [], "accepted": []}


@pytest.mark.parametrize("nothing", [None, "", [], ()])
def test_nothing_is_a_success(nothing: Any) -> None:
    assert not any(ScnetDeleteJobsOperator(task_id="delete", jobs=nothing).execute({}).values())


@pytest.mark.parametrize("deferrable", [True, False])
def test_doubt_whether_all_is_deleted(scnet_default: ScnetEmulator, deferrable: bool) -> None:
    """What is known is deleted all the same."""
    with DAG("flow", schedule=None):
        ScnetSubmitJobOperator.partial(task_id="submit", **JOB).expand(scnet_conn_id=["scnet_default"])
        operator = ScnetDeleteJobsOperator(
            task_id="delete", submitted_by="submit", absent_for=0.2, poll_interval=0.1, deferrable=deferrable
        )
    key = {"dag_id": "flow", "run_id": "manual", "task_id": "submit", "map_index": 0, "generation": 0}
    job = scnet_default.add_job(name=tag_of(**key).name("flow"))
    ti = TaskInstance(
        xcom_pull=lambda **_: [],
        get_ti_count=lambda **_: 1,
        get_task_states=lambda **_: {"manual": {"submit_0": "failed"}},
    )

    def run() -> None:
        try:
            operator.execute({"ti": ti})  # type: ignore[typeddict-item]
        except TaskDeferred as deferred:
            event = {"status": "deleted", "report": {"deleted": [job.ref]}, "try_number": 1}
            operator.execute_complete({"ti": ti}, event, **deferred.kwargs or {})  # type: ignore[typeddict-item]

    with pytest.raises(ScnetJobsNotDeletedError, match="others may: Task 'submit' gets its scnet_conn_id at run time"):
        run()
    assert deferrable or not job.active


@pytest.mark.parametrize("told", [True, False])
def test_namespace_that_cannot_be_read_keeps_no_job_that_is_told(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SCNET_NAMESPACE", "x" * 120)
    namespace.cache_clear()
    with DAG("flow", schedule=None):
        ScnetSubmitJobOperator(task_id="submit", **JOB)
        operator = ScnetDeleteJobsOperator(task_id="delete", submitted_by="submit", poll_interval=0.1)
    job = scnet_default.add_job()
    ti = TaskInstance(
        xcom_pull=lambda key, **_: [job.ref] if told and key == "job" else [],
        get_ti_count=lambda **_: 1,
        get_task_states=lambda **_: {"manual": {"submit": "success"}},
    )
    with pytest.raises(ScnetJobsNotDeletedError, match="others may: Airflow Variable scnet_namespace="):
        operator.execute({"ti": ti})  # type: ignore[typeddict-item]
    assert job.active is not told
    namespace.cache_clear()


def test_options_reach_the_deletion(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    job.ignores_delete = True
    operator = ScnetDeleteJobsOperator(
        task_id="delete", jobs=job.job_id, scheduler_id=job.scheduler_id, user=job.user, verify=False, batch_size=1
    )
    assert operator.execute({}) == {"deleted": [], "gone": [], "accepted": [job.ref]}


@pytest.mark.parametrize("nothing", [None, "", " ", "None", "null", " null\n"])
def test_what_is_not_given_comes_from_the_connection(scnet_default: ScnetEmulator, nothing: Any) -> None:
    """A template that finds nothing renders one of these."""
    job = scnet_default.add_job()
    operator = ScnetDeleteJobsOperator(task_id="delete", jobs=job.job_id, scheduler_id=job.scheduler_id, user=nothing)
    assert operator.execute({})["deleted"] == [job.ref]


def test_jobs_are_read_once_on_their_way_to_the_wire(scnet_default: ScnetEmulator) -> None:
    """A lazy sequence of a mapped task asks the API server for each of its elements each time it is read."""

    class Counted(UserList[str]):
        reads = 0

        def __iter__(self) -> Iterator[str]:
            self.reads += 1
            return iter(self.data)

    jobs = Counted([scnet_default.add_job().ref, scnet_default.add_job().ref])
    assert len(ScnetDeleteJobsOperator(task_id="delete", jobs=jobs).execute({})["deleted"]) == 2
    assert jobs.reads == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", -1), ("poll_interval", timedelta(0)), ("batch_size", 0), ("timeout", "{{ soon }}")],
)
def test_bad_option_is_an_error_of_the_dag(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{option}={re.escape(repr(value))}"):
        ScnetDeleteJobsOperator(task_id="delete", jobs=[], **{option: value})


def test_broken_reference_stops_before_any_request(scnet_default: ScnetEmulator) -> None:
    with pytest.raises(ScnetJobReferenceError, match="10 2"):
        ScnetDeleteJobsOperator(task_id="delete", jobs=["101", "10 2"]).execute({})
    assert not scnet_default.requests


def test_jobs_of_another_run_by_their_tag(scnet_default: ScnetEmulator) -> None:
    tag = task_tag("flow", "manual__1", "submit")
    theirs = [scnet_default.add_job(name=f"flow_{tag}_m{index}_g{index}") for index in range(2)]
    other = scnet_default.add_job(name=f"flow_{task_tag('flow', 'manual__2', 'submit')}_m0_g0")
    operator = ScnetDeleteJobsOperator(task_id="delete", job_tags=tag, absent_for=0.2, poll_interval=0.1)
    assert operator.execute({})["deleted"] == [job.ref for job in theirs]
    assert other.active


def test_tag_that_no_job_has_had(scnet_default: ScnetEmulator) -> None:
    tags = [task_tag("flow", run_id, "submit") for run_id in ("manual__1", "manual__2")]
    job = scnet_default.add_job(name=f"flow_{tags[0]}_g0")
    operator = ScnetDeleteJobsOperator(task_id="delete", job_tags=tags, absent_for=0.2, poll_interval=0.1)
    with pytest.raises(ScnetJobsNotDeletedError, match=f"has {tags[1]} in its name"):
        operator.execute({})
    assert not job.active


def test_tag_whose_job_was_found_need_not_be_found_again(scnet_default: ScnetEmulator) -> None:
    scnet_default.cancel_delay = 30
    tags = sorted(task_tag("flow", run_id, "submit") for run_id in ("manual__1", "manual__2"))
    scnet_default.add_job(name=f"flow_{tags[0]}_g0")
    operator = ScnetDeleteJobsOperator(task_id="delete", job_tags=tags, deferrable=True)
    with pytest.raises(TaskDeferred) as pause:
        operator.execute({"ti": TaskInstance()})
    _, arguments = pause.value.trigger.serialize()
    assert arguments["sought"]["tasks"] == tags
    assert arguments["sought"]["to_be_found"] == tags[1:]


def test_broken_tag_stops_before_any_request(scnet_default: ScnetEmulator) -> None:
    with pytest.raises(ScnetRequestError, match="'flow' is no tag"):
        ScnetDeleteJobsOperator(task_id="delete", job_tags="flow").execute({})
    assert not scnet_default.requests


def test_tags_and_tasks_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="submitted_by, job_tags: give one"):
        ScnetDeleteJobsOperator(task_id="delete", submitted_by="submit", job_tags="{{ params.tags }}")


@pytest.mark.parametrize("nothing", [None, "", (), []])
def test_no_tags(scnet_default: ScnetEmulator, nothing: Any) -> None:
    assert ScnetDeleteJobsOperator(task_id="delete", submitted_by="submit", job_tags=nothing).submitted_by == ["submit"]
    assert not any(ScnetDeleteJobsOperator(task_id="delete", jobs=[], job_tags=nothing).execute({}).values())
    with pytest.raises(ValueError, match="give at least one"):
        ScnetDeleteJobsOperator(task_id="delete", job_tags=nothing)


def test_template_fields() -> None:
    assert ScnetDeleteJobsOperator.template_fields == ("jobs", "job_tags", "scnet_conn_id", "scheduler_id", "user")


def test_deletion_that_takes_no_time_is_not_deferred(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    operator = ScnetDeleteJobsOperator(task_id="delete", jobs=job.ref, deferrable=True)
    assert operator.execute({})["deleted"] == [job.ref]


def test_deferral(scnet_default: ScnetEmulator) -> None:
    scnet_default.cancel_delay = 30
    job = scnet_default.add_job()
    operator = ScnetDeleteJobsOperator(task_id="delete", jobs=job.ref, deferrable=True, timeout=timedelta(minutes=2))
    with pytest.raises(TaskDeferred) as pause:
        operator.execute({"ti": TaskInstance()})
    _, arguments = pause.value.trigger.serialize()
    assert (arguments["jobs"], arguments["sought"]) == ([job.ref], None)
    assert arguments["options"]["poll_interval"] == 5.0
    assert 0 < arguments["deadline"] - time.time() <= 120
    assert json.loads(json.dumps(arguments)) == arguments


def test_event(scnet_default: ScnetEmulator) -> None:
    operator = ScnetDeleteJobsOperator(task_id="delete", jobs="1", deferrable=True)
    report = {"deleted": ["a"], "gone": [], "accepted": []}
    assert operator.execute_complete({"ti": TaskInstance()}, {"status": "deleted", "report": report}) == report
    for event in (None, {}, {"status": "ended"}, {"status": "gone", "report": report}):
        with pytest.raises(ScnetError, match="does not know"):
            operator.execute_complete({"ti": TaskInstance()}, event)
