from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_scnet.exceptions import (
    ScnetJobSpecificationError,
    ScnetStoppedError,
)
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, TaskInstance

JOB: dict[str, Any] = {
    "task_id": "submit",
    "command": "sleep 3600",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01",
    "walltime": timedelta(hours=2),
    "scheduler_id": SCHEDULER,
}


def test_submission_returns_and_pushes_the_reference(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance()
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": ti})
    (job,) = scnet_default.jobs
    assert ref == ti.pushed["job"] == job.ref
    assert type(ref) is str
    assert job.name.startswith("submit_")


def test_submission_where_it_is_told_to(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**{**JOB, "scheduler_id": "2000000000"}, job_name="channel flow")
    assert operator.execute({"ti": TaskInstance(map_index=4)}).startswith("2000000000,")
    assert re.fullmatch(r"channel_flow_\w{12}_m4_g0", scnet_default.jobs[0].name)
    assert scnet_default.calls == {"submit": 1}  # nothing had to be asked


def test_reference_is_what_the_delete_takes(scnet_default: ScnetEmulator) -> None:
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()})
    assert ScnetDeleteJobsOperator(task_id="delete", jobs=ref).execute({})["deleted"] == [ref]


@pytest.mark.parametrize(
    "bad", [{"nodes": 0}, {"nodes": 1, "node_list": "n1"}, {"job_queue": ""}, {"command": "#!/bin/sh\ntrue"}], ids=str
)
def test_bad_argument_of_a_submission_is_an_error_of_the_dag(bad: dict[str, Any]) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=next(reversed(bad))):
        ScnetSubmitJobOperator(**{**JOB, **bad})


def test_bad_value_of_a_template_stops_before_any_request(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB, nodes="{{ params.nodes }}")
    operator.nodes = "many"  # as it is rendered
    with pytest.raises(ScnetJobSpecificationError, match="nodes='many'"):
        operator.execute({"ti": TaskInstance()})
    assert not scnet_default.requests


def test_job_whose_task_is_killed_is_deleted(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    operator.execute({"ti": TaskInstance()})
    operator.on_kill()
    assert not scnet_default.active_jobs
    assert scnet_default.calls == {"submit": 1, "delete": 1}


def test_kill_while_the_answer_is_under_way(scnet_default: ScnetEmulator) -> None:
    """Airflow 3 calls ``on_kill`` from its signal handler, and the task goes on for some seconds."""
    operator = ScnetSubmitJobOperator(**JOB)
    ti = TaskInstance()
    scnet_default.fail("submit", effect=True, code="0", data="101", when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match=r"told to stop while it submitted, or waited for, job .*101"):
        operator.execute({"ti": ti})
    assert not scnet_default.active_jobs
    assert not ti.pushed


def test_kill_whose_delete_fails_strikes_nobody(
    scnet_default: ScnetEmulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    operator.execute({"ti": TaskInstance()})
    scnet_default.fail("delete", code="10012")
    operator.on_kill()
    assert "may go on, for it could not be deleted" in caplog.text + capsys.readouterr().out


def test_kill_while_the_task_prepares(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = ScnetSubmitJobOperator(**{**JOB, "scheduler_id": None})
    answer = [{"id": int(SCHEDULER), "text": "Cluster"}]
    scnet_default.fail("clusters", code="0", data=answer, when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match="told to stop"):
        operator.execute({"ti": TaskInstance()})
    assert not scnet_default.jobs


def test_user_is_the_tokens(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some store their login name of the portal as the cluster user."""
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet_default.connection(user="alice"))
    assert ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()}) == scnet_default.jobs[0].ref


def test_kill_before_anything_is_submitted(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    scnet_default.fail("list", latency=0.01, when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match="told to stop"):
        operator.execute({"ti": TaskInstance(try_number=2)})
    assert not scnet_default.jobs


def test_template_fields_of_a_submission() -> None:
    assert {"command", "walltime", "nodes", "job_name", "scnet_conn_id"} < set(ScnetSubmitJobOperator.template_fields)
    assert "exclusive" not in ScnetSubmitJobOperator.template_fields
