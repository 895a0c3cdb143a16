from __future__ import annotations

import pytest

from airflow_provider_scnet.testing.cluster import Clock, Cluster
from airflow_provider_scnet.testing.records import detail_record, history_record, listed_record


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Clock(), {"1": "One"})


@pytest.mark.parametrize(
    ("state", "code", "reason"),
    [
        ("RUNNING", "statR", "None"),
        ("PENDING", "statQ", "Priority"),
        ("COMPLETING", "statE", "None"),
        ("SUSPENDED", "statS", "None"),
        ("STAGE_OUT", "statX", "None"),
        ("COMPLETED", "statC", "None"),
        ("FAILED", "statC", "NonZeroExitCode"),
        ("CANCELLED by 1000", "statC", "None"),
    ],
)
def test_live_states(cluster, state, code, reason):
    record = detail_record(cluster.add_job("u", state=state), "One")
    assert (record["jobStatus"], record["reason"]) == (code, reason)
    assert (record["jobInitAttr"]["JobState"], record["jobInitAttr"]["Reason"]) == (state, reason)
    assert record["exitCode"] == ""


@pytest.mark.parametrize(
    ("state", "code", "exit_code", "exit_status"),
    [
        ("COMPLETED", "statC", "0:0", 0),
        ("CANCELLED", "statDE", "0:15", 15),
        ("CANCELLED by 1000", "statDE", "0:15", 15),
        ("FAILED", "statD", "1:0", 1),
        ("TIMEOUT", "statT", "0:15", 15),
        ("NODE_FAIL", "statN", "1:0", 1),
        ("OUT_OF_MEMORY", "statD", "0:125", 125),
    ],
)
def test_history_states(cluster, state, code, exit_code, exit_status):
    job = cluster.add_job("u", state=state)
    record = history_record(job, "One")
    assert (record["jobState"], record["jobExitStatus"]) == (code, exit_status)
    assert detail_record(job, "One")["jobInitAttr"]["ExitCode"] == exit_code


def test_times_are_beijing_times(cluster):
    job = cluster.add_job("u", state="COMPLETED", runtime=3725)
    job.submitted_at = job.started_at = 1_704_135_845.0  # 2024-01-01 19:04:05 UTC
    job.ends_at = job.started_at + 3725
    live, past = detail_record(job, "One"), history_record(job, "One")
    assert (live["jobStartTime"], live["jobEndTime"]) == ("2024-01-02T03:04:05", "2024-01-02T04:06:10")
    assert (past["jobQueueTime"], past["acctTime"]) == ("2024-01-02 03:04:05", "2024-01-02 04:06:10")
    assert (live["jobRunTime"], past["jobWalltimeUsed"]) == ("01:02:05", 3725)


def test_the_list_shows_less_than_the_detail(cluster):
    job = cluster.add_job("u", state="PENDING")
    listed, detail = listed_record(job), detail_record(job, "One")
    assert listed.items() <= detail.items()
    assert "jobInitAttr" not in listed
    assert (detail["jobStartTime"], detail["jobEndTime"], detail["jobRunTime"]) == ("", "", "00:00:00")
