from __future__ import annotations

import pytest

from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.records import UNRECORDED, Look, detail_record, history_record, listed_record

START = 1_704_135_845.0  # 2024-01-01 19:04:05 UTC


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Clock(START), {"1": "One"})


@pytest.fixture
def look(cluster: Cluster) -> Look:
    return Look(cluster.clock.now())


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
def test_live_states(cluster, look, state, code, reason):
    record = detail_record(cluster.add_job("u", state=state), look, "One")
    assert (record["jobStatus"], record["reason"]) == (code, reason)
    assert (record["jobInitAttr"]["JobState"], record["jobInitAttr"]["Reason"]) == (state, reason)
    assert record["exitCode"] == ""


@pytest.mark.parametrize(
    ("state", "code", "exits"),
    [
        ("COMPLETED", "statC", ("0:0", 0)),
        ("CANCELLED", "statDE", ("0:15", 10005)),
        ("CANCELLED by 1000", "statDE", ("0:15", 10005)),
        ("FAILED", "statD", ("1:0", 10005)),
        ("TIMEOUT", "statT", ("0:15", 10006)),
        ("NODE_FAIL", "statN", ("1:0", 10005)),
        ("PREEMPTED", "statEX", ("1:0", 10005)),
        ("BOOT_FAIL", "statEX", ("1:0", 10005)),
        ("OUT_OF_MEMORY", "statD", ("0:125", 10005)),
    ],
)
def test_history_states(cluster, look, state, code, exits):
    job = cluster.add_job("u", state=state)
    record = history_record(job, "One")
    raw = detail_record(job, look, "One")["jobInitAttr"]
    assert (record["jobState"], (raw["ExitCode"], record["jobExitStatus"])) == (code, exits)


def test_times_are_beijing_times(cluster):
    job = cluster.add_job("u", runtime=3725)
    cluster.clock.advance(3725)
    live, past = detail_record(job, Look(cluster.clock.now()), "One"), history_record(job, "One")
    assert (live["jobStartTime"], live["jobEndTime"]) == ("2024-01-02T03:04:05", "2024-01-02T04:06:10")
    assert (past["jobQueueTime"], past["jobEndTime"]) == ("2024-01-02 03:04:05", "2024-01-02 04:06:10")
    assert past["acctTime"] == "2024-01-02 04:06:50"
    assert (live["jobRunTime"], past["jobWalltimeUsed"]) == ("01:02:05", "3725.0000")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00"), (86399, "23:59:59"), (86400, "1-00:00:00"), (273_906, "3-04:05:06")]
)
def test_run_times_of_days(cluster, seconds, text):
    job = cluster.add_job("u")
    cluster.clock.advance(seconds)
    assert listed_record(job, Look(cluster.clock.now()))["jobRunTime"] == text


def test_types_of_the_live_calls(cluster, look):
    job, waiting = cluster.add_job("u"), cluster.add_job("u", state="PENDING")
    job.nodes, job.procs = 2, 64
    record = detail_record(job, look, "One")
    assert (record["nodeUsed"], record["nodeNumReq"], record["procNumUsed"]) == ("node01,node02", 2, 64)
    assert (record["jobInitAttr"]["NumNodes"], record["jobInitAttr"]["NumCPUs"]) == (2, 64)
    assert listed_record(waiting, look)["nodeUsed"] == ""
    waiting.gpus = 2
    record = detail_record(waiting, look, "One")
    assert (record["gpuNumReq"], record["gpuNumUsed"]) == (2, 0)
    job.node_string = "b08r1n[14-15]"
    assert listed_record(job, look)["nodeUsed"] == "b08r1n[14-15]"


def test_types_of_the_history(cluster):
    job = cluster.add_job("u", state="FAILED", runtime=500)
    job.wall_time, job.command = 300.0, "sleep 500"
    record = history_record(job, "One")
    assert {name: record[name] for name in ("jobmanagerId", "walltime", "jobWalltimeUsed", "jobExecHost")} == {
        "jobmanagerId": 1,
        "walltime": 300,
        "jobWalltimeUsed": "500.0000",
        "jobExecHost": "node01",
    }
    assert record["command"] == "/public/home/u/job_BASE.slurm"
    job.script = "/public/home/u/run.slurm"
    assert history_record(job, "One")["command"] == job.script


def test_members_of_the_history_without_a_record_are_there(cluster):
    record = history_record(cluster.add_job("u", state="COMPLETED"), "One")
    assert {name for name, value in record.items() if value is None} == {"stderr", *UNRECORDED}


def test_the_list_shows_less_than_the_detail(cluster, look):
    job = cluster.add_job("u", state="PENDING")
    listed, detail = listed_record(job, look), detail_record(job, look, "One")
    assert listed.items() <= detail.items()
    assert "jobInitAttr" not in listed
    assert (detail["jobStartTime"], detail["jobEndTime"], detail["jobRunTime"]) == ("", "", "00:00:00")


def test_the_past_is_shown_as_it_was(cluster, look):
    job = cluster.add_job("u", state="PENDING")
    cluster.clock.advance(10)
    job.become("RUNNING")
    cluster.clock.advance(10)
    job.become("FAILED")
    before = detail_record(job, look, "One")
    assert (before["jobStatus"], before["jobInitAttr"]["JobState"], before["reason"]) == (
        "statQ",
        "PENDING",
        "Priority",
    )
    assert (before["jobStartTime"], before["jobEndTime"], before["jobInitAttr"]["ExitCode"]) == ("", "", "0:0")
    during = detail_record(job, Look(START + 15), "One")
    assert (during["jobStatus"], during["jobRunTime"], during["jobEndTime"]) == ("statR", "00:00:05", "")


def test_a_member_of_the_history(cluster):
    job = cluster.add_job("u", state="CANCELLED", job_id="5_[2-3]")
    record = history_record(job, "One", "5_3")
    assert (record["jobId"], record["stdout"]) == ("5_3", "/public/home/u/std.out.5_3")
