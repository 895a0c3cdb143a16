from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_scnet.exceptions import (
    ScnetJobFailedError,
    ScnetJobReferenceError,
    ScnetJobTimeLimitError,
    ScnetPermissionError,
)
from airflow_provider_scnet.jobs import waiting
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import TaskInstance


def context() -> Any:
    return {"ti": TaskInstance()}


def sensor(jobs: Any, **options: Any) -> ScnetJobSensor:
    return ScnetJobSensor(task_id="wait", jobs=getattr(jobs, "ref", jobs), **options)


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
