from __future__ import annotations

import pytest

from airflow_provider_scnet.testing import Clock
from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.cluster import Cluster

START = 1_800_000_000.0


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def cluster(behaviour: Behaviour) -> Cluster:
    return Cluster(Clock(START), {"1": "One"}, behaviour)


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


def test_the_timeline(cluster):
    job = cluster.add_job("u", state="PENDING")
    for state in ("RUNNING", "SUSPENDED", "RUNNING"):
        cluster.clock.advance(10)
        job.become(state)
    cluster.clock.advance(10)
    job.cancel(5)
    words = ["PENDING", "RUNNING", "SUSPENDED", "RUNNING", "COMPLETING", "CANCELLED"]
    moments = [START, START + 10, START + 20, START + 30, START + 40, START + 45]
    assert list(job.timeline) == list(zip(moments, words, strict=True))
    assert [job.state_at(moment) for moment in moments] == words
    assert [job.state_at(moment - 1) for moment in moments] == [None, *words[:-1]]
    assert (job.submitted_at, job.started_at, job.ends_at, job.ended_at) == (START, START + 10, START + 45, None)
    assert [job.ended_by(START + seconds) for seconds in (-1, 44, 45, 999)] == [None, None, START + 45, START + 45]
    assert [job.listed_at(START + seconds) for seconds in (-1, 0, 344, 345)] == [False, True, True, False]


def test_what_was_planned_does_not_come_when_something_else_does(cluster):
    ended, running, forever = (cluster.add_job("u", runtime=60) for _ in range(3))
    ended.become("FAILED")
    running.become("SUSPENDED")
    forever.ends_at = None
    cluster.clock.advance(60)
    assert [job.state for job in cluster.jobs] == ["FAILED", "SUSPENDED", "RUNNING"]
    assert [job.ends_at for job in cluster.jobs] == [START, None, None]


def test_an_end_can_be_moved(cluster):
    job = cluster.add_job("u", runtime=60, outcome="TIMEOUT")
    job.ends_at = START + 90
    cluster.clock.advance(60)
    assert job.active
    cluster.clock.advance(30)
    assert (job.state, job.ended_at) == ("TIMEOUT", START + 90)


@pytest.mark.parametrize(
    "state", ["PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "REVOKED", "RECONFIG_FAIL", "NODE_FAIL REQUEUED"]
)
def test_a_job_that_is_started_again(cluster, behaviour, state):
    behaviour.requeue_after = 20.0
    job = cluster.add_job("u")
    job.become(state)
    seen = []
    for _ in range(4):
        seen.append((job.state, job.active, job.will_run))
        cluster.clock.advance(10)
    assert seen == [(state, False, True)] * 2 + [("PENDING", True, True), ("RUNNING", True, True)]
    assert job.state_at(START + 19) == state


def test_a_planned_end_can_be_such_an_end(cluster, behaviour):
    behaviour.requeue_after = 20.0
    job = cluster.add_job("u", runtime=60, outcome="PREEMPTED")
    cluster.clock.advance(1000)  # and nobody looks meanwhile
    assert (job.state, job.ended_at) == ("RUNNING", None)
    assert [job.state_at(START + seconds) for seconds in (59, 60, 80, 85)] == [
        "RUNNING",
        "PREEMPTED",
        "PENDING",
        "RUNNING",
    ]


def test_other_ends_are_ends(cluster, behaviour):
    job = cluster.add_job("u")
    job.become("PREEMPTED")
    assert not job.will_run  # this service starts nothing again
    behaviour.requeue_after = 20.0
    assert job.will_run
    for state in ("COMPLETED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY"):
        job.become(state)
        assert not job.will_run
        cluster.clock.advance(30)
        assert job.state == state


def test_a_delete_while_a_job_waits_to_be_started_again(cluster, behaviour):
    behaviour.requeue_after = 20.0
    job = cluster.add_job("u")
    job.become("PREEMPTED")
    job.cancel(0)
    assert (job.state, job.will_run) == ("PREEMPTED", True)
    cluster.clock.advance(20)
    assert job.state == "PENDING"
    job.cancel(0)
    assert (job.state, job.will_run) == ("CANCELLED", False)
    cluster.clock.advance(100)
    assert job.state == "CANCELLED"


def test_the_lead_of_a_code(cluster):
    job = cluster.add_job("u")
    job.ignores_delete = True
    assert not job.in_lead(START, 10)
    job.cancel(0)
    cluster.clock.advance(30)
    job.cancel(0)
    assert [s for s in range(-5, 50, 5) if job.in_lead(START + s, 10)] == [0, 5, 30, 35]
    assert not job.in_lead(START, 0)
