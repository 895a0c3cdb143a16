"""Airflow ends a running deletion by SIGTERM: its handler calls `on_kill`, and that has to do."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_scnet.testing import Job, ScnetEmulator
from tests.integration.conftest import PATIENCE, RunningDag

pytestmark = pytest.mark.integration

HANGS = 60
"""Seconds for which an answer does not come."""
SOON = 20
"""Seconds for a deletion to tell how far it got: it waits neither for that answer nor for a next look."""


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScnetEmulator]:
    """Four jobs, three of which do not care for deletes."""
    with ScnetEmulator() as scnet:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        for job_id in ("101", "102", "103", "104"):
            scnet.add_job(job_id=job_id).ignores_delete = job_id != "104"
        yield scnet


def wait_until(condition: Callable[[], object], run: RunningDag, timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert run.process.poll() is None, run.output
        assert time.monotonic() < deadline, run.output
        time.sleep(0.02)


def stop(run: RunningDag, region: ScnetEmulator) -> None:
    """Send SIGTERM, and check what holds wherever it arrives."""
    sent_before = len(region.requests)
    run.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Stopped in the middle" in run.output, run, timeout=SOON)
    assert run.finish().tasks == {"delete_jobs": "failed"}
    assert len(region.requests) == sent_before


def assert_names(run: RunningDag, job: Job, seen_as: str) -> None:
    assert re.search(rf"{re.escape(job.ref)}.*{seen_as}", run.output), run.output


def test_on_kill_while_it_waits(region: ScnetEmulator, start_dag: Callable[[str], RunningDag]) -> None:
    run = start_dag("stopped_waiting")
    wait_until(lambda: re.search("not settled: .*running", run.output), run)  # said before each pause
    stop(run, region)
    assert "Of 4 jobs, 4 were named in a delete" in run.output
    for job in region.active_jobs:
        assert_names(run, job, "running")
    assert [job.job_id for job in region.active_jobs] == ["101", "102", "103"]


def test_on_kill_while_a_look_hangs(region: ScnetEmulator, start_dag: Callable[[str], RunningDag]) -> None:
    hanging = region.fail("list", latency=HANGS, after=6)
    run = start_dag("stopped_looking")
    wait_until(lambda: hanging.hits > 0, run)
    stop(run, region)
    assert "Of 4 jobs, 4 were named in a delete" in run.output
    for job in region.active_jobs:
        assert_names(run, job, "running")


def test_on_kill_while_a_delete_hangs(region: ScnetEmulator, start_dag: Callable[[str], RunningDag]) -> None:
    """The third of four deletes: whether that one counts is not known, but the fourth was surely not sent."""
    hanging = region.fail("delete", latency=HANGS, after=2)
    run = start_dag("stopped_sending")
    wait_until(lambda: hanging.hits > 0, run)
    stop(run, region)
    assert "Of 4 jobs, 3 were named in a delete" in run.output
    assert_names(run, region.job("104"), "not known to be finished")
