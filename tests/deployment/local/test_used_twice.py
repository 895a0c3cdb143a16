"""The number of a job was that of another one once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_scnet.testing.faults import Fault
from airflow_provider_scnet.testing.records import history_record
from tests.deployment.local.conftest import LocalDeployment

pytestmark = pytest.mark.integration
DAG_ID = "used_twice"
LAG = 3600.0
"""Seconds until a new job is listed: until the test lets it be."""


@pytest.fixture
def earlier(deployment: LocalDeployment) -> Iterator[Fault]:
    """The history still tells how the job ended that had the number which the next one gets; no list shows that yet."""
    scnet = deployment.scnet
    bystander = scnet.add_job(name="bystander")
    number = str(int(bystander.job_id) + 1)
    old = history_record(bystander, "", number)
    old |= {"jobName": "", "jobState": "statC", "jobEndTime": "2024-01-02 03:04:05", "jobExitStatus": 0}
    scnet.submit_lag = LAG
    rows = scnet.fail("history", code="0", data={"total": 1, "list": [old]}, times=None)
    yield rows
    rows.release()
    scnet.submit_lag = 0
    bystander.become("COMPLETED")


def test_end_of_the_earlier_job_is_not_taken_for_that_of_the_new_one(
    deployment: LocalDeployment, earlier: Fault
) -> None:
    deployment.trigger(DAG_ID)
    deployment.wait_for(lambda: deployment.is_triggered(DAG_ID, "wait"))
    (job,) = deployment.jobs(DAG_ID)
    deployment.wait_for(lambda: earlier.hits >= 3)
    deployment.scnet.submit_lag = 0
    looks = deployment.scnet.calls["list"]
    deployment.wait_for(lambda: deployment.scnet.calls["list"] >= looks + 3)
    assert (job.active, deployment.state(DAG_ID, "wait")) == (True, "deferred")
    job.become("FAILED")
    deployment.wait_for(lambda: deployment.do("run_state", dag_id=DAG_ID) in ("success", "failed"))
    assert (deployment.state(DAG_ID, "wait"), deployment.state(DAG_ID, "delete")) == ("failed", "success")
