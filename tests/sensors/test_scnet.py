from __future__ import annotations

import json
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import (
    ScnetJobCancelledError,
    ScnetJobFailedError,
    ScnetJobReferenceError,
    ScnetJobTimeLimitError,
    ScnetPermissionError,
)
from airflow_provider_scnet.jobs import known, waiting
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending, Outcome
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.triggers import events
from tests.conftest import TaskInstance


def context() -> Any:
    return {"ti": TaskInstance()}


def sensor(jobs: Any, **options: Any) -> ScnetJobSensor:
    return ScnetJobSensor(task_id="wait", jobs=getattr(jobs, "ref", jobs), **options)


def poke_until_it_ends(waits: ScnetJobSensor) -> None:
    while not waits.poke(context()):
        time.sleep(0.1)


def test_success_is_waited_for(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    waiting = sensor(job)
    assert not waiting.poke(context())
    job.become("COMPLETED")
    assert waiting.poke(context())


@pytest.mark.parametrize("soft_fail", [False, True])
def test_bad_end_is_final(scnet_default: ScnetEmulator, soft_fail: bool) -> None:
    job = scnet_default.add_job("TIMEOUT", ended_ago=10)
    with pytest.raises(ScnetJobTimeLimitError if not soft_fail else AirflowSkipException) as failure:
        sensor(job, soft_fail=soft_fail).execute(context())
    assert soft_fail or isinstance(failure.value, AirflowFailException)


def test_one_fails_fast(scnet_default: ScnetEmulator) -> None:
    jobs = [scnet_default.add_job("FAILED", ended_ago=10), scnet_default.add_job()]
    with pytest.raises(ScnetJobFailedError, match=jobs[0].ref):
        sensor([job.ref for job in jobs]).poke(context())


def test_all_are_waited_for_and_named(scnet_default: ScnetEmulator) -> None:
    jobs = [scnet_default.add_job("FAILED", ended_ago=10), scnet_default.add_job(), scnet_default.add_job()]
    waiting = sensor([job.ref for job in jobs], fail_fast=False)
    assert not waiting.poke(context())
    jobs[1].become("TIMEOUT")
    jobs[2].become("COMPLETED")
    with pytest.raises(ScnetJobFailedError, match="2 jobs ended badly") as failure:
        waiting.poke(context())
    assert jobs[1].ref in str(failure.value)
    assert jobs[2].ref not in str(failure.value)


def test_plain_ids(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job("COMPLETED", ended_ago=10)
    assert sensor(job.job_id, scheduler_id=job.scheduler_id, user=job.user).poke(context())


def test_look_that_fails_for_now_is_no_verdict(scnet_default: ScnetEmulator) -> None:
    scnet_default.fail("list", code="10012")
    waiting = sensor(scnet_default.add_job("COMPLETED", ended_ago=10), scnet_conn_id="scnet_default")
    assert waiting.poke(context())  # a read is tried more than once


def test_look_that_is_refused(scnet_default: ScnetEmulator) -> None:
    scnet_default.fail("list", code="10009", times=None)
    with pytest.raises(ScnetPermissionError):
        sensor(scnet_default.add_job()).poke(context())


@pytest.mark.parametrize("nothing", [None, "", "None", []])
def test_nothing_to_wait_for_is_no_success(scnet_default: ScnetEmulator, nothing: Any) -> None:
    with pytest.raises(ScnetJobReferenceError, match="no job to wait for"):
        sensor(nothing).poke(context())


@pytest.mark.parametrize("log_lines", [50, 0])
def test_log_of_a_job_that_failed_is_shown(
    scnet_default: ScnetEmulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, log_lines: int
) -> None:
    caplog.set_level("INFO")
    job = scnet_default.add_job("FAILED", ended_ago=10)
    job.logs = {"stdout": "residual nan\n", "stderr": ""}
    with pytest.raises(ScnetJobFailedError):
        sensor(job, log_lines=log_lines).poke(context())
    said = caplog.text + capsys.readouterr().out
    assert ("residual nan" in said) is bool(log_lines)


def test_log_that_cannot_be_read_changes_nothing(scnet_default: ScnetEmulator) -> None:
    scnet_default.fail("content", code="10009", times=None)
    with pytest.raises(ScnetJobTimeLimitError):
        sensor(scnet_default.add_job("TIMEOUT", ended_ago=10)).poke(context())


def test_log_of_the_member_that_failed(scnet_default: ScnetEmulator, caplog: pytest.LogCaptureFixture) -> None:
    for member, word in ((1, "COMPLETED"), (2, "FAILED")):
        job = scnet_default.add_job(word, job_id=f"500_{member}", ended_ago=10)
        job.logs = {"stdout": f"member {member}\n"}
    with pytest.raises(ScnetJobFailedError, match="member 500_2"):
        sensor(job.ref.replace("500_2", "500")).poke(context())
    assert scnet_default.requests[-1].form["dirPath"].endswith("std.out.500_2")


def test_outage_that_looks_empty_is_waited_for_where_the_next_poke_remembers_nothing(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BLANK_FOR", 0.2)
    scnet_default.add_job("COMPLETED", job_id="500_1", ended_ago=3600)
    job = scnet_default.add_job(job_id="500_2")
    scnet_default.fail("list", code="0", data={"total": 0, "list": []})
    assert not sensor(job.ref.replace("500_2", "500"), mode="reschedule").poke(context())
    job.become("COMPLETED")
    assert sensor(job.ref.replace("500_2", "500"), mode="reschedule").poke(context())


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_members_of_a_submitted_array_are_counted_whoever_waits(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The last one was cancelled while it waited, before anybody looked, and left no record; the name tells of it."""
    for module, constant in ((waiting, "BLANK_FOR"), (known, "PROVEN_AFTER")):
        monkeypatch.setattr(module, constant, 0.2)
    name = JobTag("k3m2x4a7pq5t", -1, 0, specification="abcdefgh", array_size=3).name("flow")
    for member in (1, 2):
        job = scnet_default.add_job("COMPLETED", job_id=f"500_{member}", name=name, ended_ago=5)
    waits = sensor(job.ref.replace("500_2", "500"), mode=mode)
    with pytest.raises(ScnetJobCancelledError, match="1 of 3 members cancelled while waiting"):
        poke_until_it_ends(waits)


# --- deferred -------------------------------------------------------------------------------------------------------


def test_what_has_ended_at_the_first_look_is_not_deferred(scnet_default: ScnetEmulator) -> None:
    told = context()
    sensor(scnet_default.add_job("COMPLETED", ended_ago=5), deferrable=True).execute(told)
    assert told["ti"].pushed["job_record"]["ending"] == "completed"


@pytest.mark.parametrize("soft_fail", [True, False])
def test_bad_end_at_the_first_look(scnet_default: ScnetEmulator, soft_fail: bool) -> None:
    job = scnet_default.add_job("TIMEOUT", ended_ago=5)
    with pytest.raises(AirflowSkipException if soft_fail else ScnetJobTimeLimitError):
        sensor(job, deferrable=True, soft_fail=soft_fail).execute(context())


def test_deferral(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    waiting = sensor(job.job_id, scheduler_id=job.scheduler_id, user=job.user, deferrable=True, poke_interval=7)
    with pytest.raises(TaskDeferred) as pause:
        waiting.execute(context())
    _, arguments = pause.value.trigger.serialize()
    assert (arguments["jobs"], arguments["poll_interval"], arguments["cancel_on_kill"]) == ([job.ref], 7.0, False)
    assert arguments["deadline"] > time.time()


def event_of(*jobs: tuple[str, Ending]) -> dict[str, Any]:
    outcomes = [Outcome.of(JobRef("1", "u", job_id), {JobRecord(job_id): ending}) for job_id, ending in jobs]
    return json.loads(json.dumps(events.ended([str(outcome.ref) for outcome in outcomes], outcomes)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("soft_fail", [True, False])
@pytest.mark.parametrize(
    ("event", "error"),
    [
        (event_of(("1", Ending.COMPLETED), ("2", Ending.FAILED)), ScnetJobFailedError),
        (events.timeout(["1,u:1:"]), AirflowSensorTimeout),
        (events.failed(ScnetPermissionError("no")), ScnetPermissionError),
    ],
    ids=["failed", "timeout", "refused"],
)
def test_event(scnet_default: ScnetEmulator, event: Any, error: type[Exception], soft_fail: bool) -> None:
    scnet_default.fail("content", code="10009", times=None)
    waiting = sensor("1,u:1:", soft_fail=soft_fail)
    with pytest.raises(AirflowSkipException if soft_fail else error):
        waiting.resume_execution("execute_complete", {"event": event}, context())


def test_costs_are_told(scnet_default: ScnetEmulator) -> None:
    told = context()
    sensor("1,u:1:").execute_complete(told, event_of(("1", Ending.COMPLETED)))
    assert told["ti"].pushed["job_records"] == [told["ti"].pushed["job_record"]]
    told = context()
    sensor("1,u:1:").execute_complete(told, event_of(("1", Ending.COMPLETED), ("2", Ending.COMPLETED)))
    assert [record["ref"] for record in told["ti"].pushed["job_records"]] == ["1,u:1:", "1,u:2:"]
    assert "job_record" not in told["ti"].pushed
