from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.logs import LONGEST_LINE, MOST_BYTES, read_log, show_logs
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.conftest import SCHEDULER, client_of


def job_with(scnet: ScnetEmulator, text: str, state: str = "FAILED", **parts: Any) -> Job:
    job = scnet.add_job(state, **parts)
    job.logs = {"stdout": text, "stderr": "Segmentation fault\n"}
    return job


def read(scnet: ScnetEmulator, job: Job, stream: str = "stdout", lines: int = 50) -> list[str]:
    return read_log(client_of(scnet), JobRef(SCHEDULER, scnet.user, job.job_id), stream, lines)


@pytest.mark.parametrize("ago", [10, 3600])
@pytest.mark.parametrize("first_page", [0, 1])
def test_last_lines(scnet: ScnetEmulator, ago: float, first_page: Any) -> None:
    """Live or in the history, which does not name the file of stderr."""
    scnet.first_page = first_page
    job = job_with(scnet, "".join(f"step {number}\n" for number in range(2500)), ended_ago=ago)
    assert read(scnet, job, lines=3) == ["step 2497", "step 2498", "step 2499"]
    assert len(read(scnet, job, lines=5000)) == 1000
    assert read(scnet, job, "stderr") == ["Segmentation fault"]


def test_file_that_is_missing_has_no_lines(scnet: ScnetEmulator) -> None:
    assert read(scnet, scnet.add_job()) == []
    assert scnet.calls["content"] == 2


def test_job_that_nobody_knows_has_no_lines(scnet: ScnetEmulator) -> None:
    assert read_log(client_of(scnet), JobRef(SCHEDULER, scnet.user, "4711"), "stdout", 5) == []


@pytest.mark.parametrize("other", [{"user": "colleague"}, {"user": "colleague", "ended_ago": 10, "state": "FAILED"}])
def test_log_of_somebody_elses_job_is_not_shown(scnet: ScnetEmulator, other: dict[str, Any]) -> None:
    job = scnet.add_job(**other)
    job.logs = {"stdout": "theirs"}
    assert read(scnet, job) == []


def test_lines_are_fit_to_be_shown(scnet: ScnetEmulator) -> None:
    job = job_with(scnet, "    step  \x1b[31mred\n" + "x" * 5000 + "\n\n" + "y\n" * 3)
    first, long, *rest = read(scnet, job)
    assert first == "    step [31mred"
    assert len(long) == LONGEST_LINE + 1
    assert rest == ["", "y", "y", "y"]


def test_bytes_are_bounded_too(scnet: ScnetEmulator) -> None:
    shown = read(scnet, job_with(scnet, ("流" * 300 + "\n") * 100 + "the end\n"), lines=101)
    assert sum(len(line.encode()) for line in shown) <= MOST_BYTES
    assert shown[-1] == "the end"


def test_stream_that_does_not_exist(scnet: ScnetEmulator) -> None:
    with pytest.raises(ValueError, match="must be one of stderr, stdout"):
        read(scnet, scnet.add_job(), "stdlog")


def test_logs_are_shown_with_what_they_are(scnet: ScnetEmulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    job = job_with(scnet, "residual 1e-3\nresidual nan\n")
    show_logs(client_of(scnet), JobRef(SCHEDULER, scnet.user, job.job_id), 1, logger=logging.getLogger())
    assert f"The last line of stdout of job {job.ref}\nresidual nan" in caplog.text
    assert "Segmentation fault" in caplog.text
    assert "1e-3" not in caplog.text


@pytest.mark.parametrize("fault", [{"code": "10009"}, {"status": 503}, {"body": "<html>"}], ids=str)
def test_log_that_cannot_be_read_is_one_line(
    scnet: ScnetEmulator, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    scnet.fail("content", times=None, **fault)
    job = job_with(scnet, "text")
    show_logs(client_of(scnet), JobRef(SCHEDULER, scnet.user, job.job_id), 5, logger=logging.getLogger())
    assert f"The stdout of job {job.ref} cannot be read" in caplog.text


def test_no_lines_cost_no_request(scnet: ScnetEmulator) -> None:
    show_logs(client_of(scnet), JobRef(SCHEDULER, scnet.user, "197"), 0, logger=logging.getLogger())
    assert not scnet.requests
