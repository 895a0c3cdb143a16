from __future__ import annotations

import pytest

from airflow_provider_scnet.testing.cluster import Clock, Cluster, is_terminal


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Clock(), {"1": "One", "2": "Two"})


@pytest.mark.parametrize(
    ("state", "terminal"),
    [("RUNNING", False), ("COMPLETING", False), ("FAILED", True), ("CANCELLED by 1000", True)],
)
def test_terminal_states(state, terminal):
    assert is_terminal(state) is terminal


def test_ids_increase_and_skip_taken_ones(cluster):
    given = [cluster.add_job("u", job_id=job_id).job_id for job_id in (None, 102, "5_1", None)]
    assert given == ["101", "102", "5_1", "103"]
    assert [job.job_id for job in cluster.jobs] == given


@pytest.mark.parametrize(
    "wrong",
    [{"scheduler_id": "3"}, {"outcome": "RUNNING"}, {"job_id": "1:2"}, {"user": "a,b"}, {"job_id": "7"}],
)
def test_impossible_jobs_are_refused(cluster, wrong):
    cluster.add_job("u", job_id="7")
    with pytest.raises(ValueError, match=r".+"):
        cluster.add_job(**{"user": "u", **wrong})


def test_a_job_ends_by_itself(cluster):
    job = cluster.add_job("u", runtime=60, outcome="TIMEOUT")
    assert (job.state, job.active, job.ended_at) == ("RUNNING", True, None)
    cluster.clock.advance(60)
    assert (job.state, job.active, job.listed) == ("TIMEOUT", False, True)
    cluster.clock.advance(300)
    assert not job.listed


def test_a_job_that_has_ended(cluster):
    job = cluster.add_job("u", state="FAILED", runtime=10, ended_ago=299)
    assert job.listed
    assert job.ended_at - job.started_at == pytest.approx(10)
    assert not cluster.add_job("u", state="COMPLETED", ended_ago=301).listed


def test_a_job_without_runtime_never_ends(cluster):
    job = cluster.add_job("u", state="PENDING")
    cluster.clock.advance(10**7)
    assert (job.state, job.started_at) == ("PENDING", None)


def test_a_slow_cancel(cluster):
    job = cluster.add_job("u", runtime=5, outcome="FAILED")
    job.cancel(30)
    assert job.state == "COMPLETING"
    cluster.clock.advance(20)
    job.cancel(30)  # does not start anew
    cluster.clock.advance(10)
    assert job.state == "CANCELLED"
    job.cancel(30)
    assert job.state == "CANCELLED"


@pytest.mark.parametrize(
    ("ignores", "states"),
    [(True, ["RUNNING"] * 3), (2, ["RUNNING", "RUNNING", "CANCELLED"]), (False, ["CANCELLED"] * 3)],
)
def test_ignored_deletes(cluster, ignores, states):
    job = cluster.add_job("u")
    job.ignores_delete = ignores
    seen = []
    for _ in range(3):
        job.cancel(0)
        seen.append(job.state)
    assert seen == states


def test_states_set_by_hand(cluster):
    job = cluster.add_job("u", state="PENDING")
    for state, started in [("PENDING", False), ("RUNNING", True), ("SUSPENDED", True), ("COMPLETED", True)]:
        job.become(state)
        assert (job.state, job.started_at is not None) == (state, started)
    assert job.ended_at is not None
    job.become("RUNNING")
    assert job.active


def test_finding(cluster):
    one, two = (cluster.add_job("u", scheduler_id=scheduler, job_id=9) for scheduler in "12")
    assert (cluster.find("9"), cluster.find("9", "2"), cluster.find("9", "3")) == (one, two, None)
    assert cluster.find("8") is None
    assert (list(cluster.select("2")), list(cluster.select("2", "9")), list(cluster.select("2", "8"))) == (
        [two],
        [two],
        [],
    )
    assert one.ref == "1,u:9:"
