from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import UserList
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_scnet.exceptions import (
    ScnetJobReferenceError,
    ScnetJobSpecificationError,
    ScnetStoppedError,
)
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER


def test_execute_returns_what_became_of_the_jobs(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    result = ScnetDeleteJobsOperator(task_id="delete", jobs=[job.ref]).execute({})
    assert json.loads(json.dumps(result)) == {"deleted": [job.ref], "gone": [], "accepted": []}


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


def test_template_fields() -> None:
    assert ScnetDeleteJobsOperator.template_fields == ("jobs", "scnet_conn_id", "scheduler_id", "user")


JOB: dict[str, Any] = {
    "task_id": "submit",
    "command": "sleep 3600",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01",
    "walltime": timedelta(hours=2),
    "scheduler_id": SCHEDULER,
}


class TaskInstance(SimpleNamespace):
    """What the operator asks of Airflow's task instance."""

    def __init__(self, **parts: Any) -> None:
        usual = {"dag_id": "flow", "run_id": "manual", "task_id": "submit", "map_index": -1}
        super().__init__(**{**usual, "try_number": 1, "max_tries": 0, "pushed": {}, **parts})

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


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
    with pytest.raises(ScnetStoppedError, match=r"told to stop while it submitted.*101"):
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


def test_importing_operators_and_sensor_costs_little() -> None:
    code = (
        "import sys\n"
        "try:\n    import airflow.sdk\nexcept ImportError:\n    import airflow.models.baseoperator\n"
        "import airflow.providers.common.compat.sdk as sdk\n"
        "sdk.BaseOperator, sdk.BaseSensorOperator, sdk.AirflowException\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_scnet.operators.scnet, airflow_provider_scnet.sensors.scnet\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    added = json.loads(out.splitlines()[-1])
    assert "requests" not in added
    assert "airflow_provider_scnet.api.gateway" not in added
    assert len(added) <= 25
