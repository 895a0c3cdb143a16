from __future__ import annotations

import pytest

from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.cluster import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Clock(), {"1": "One", "2": "Two"})


def test_ids_increase_and_skip_taken_ones(cluster):
    given = [cluster.add_job("u", job_id=job_id).job_id for job_id in (None, 102, "5_1", None)]
    assert given == ["101", "102", "5_1", "103"]
    assert [job.job_id for job in cluster.jobs] == given


@pytest.mark.parametrize(
    "wrong",
    [
        {"scheduler_id": "3"},
        {"outcome": "RUNNING"},
        {"job_id": "1:2"},
        {"job_id": "1,2"},
        {"job_id": "5_[1;2]"},
        {"user": "a,b"},
        {"job_id": "7"},
    ],
)
def test_impossible_jobs_are_refused(cluster, wrong):
    cluster.add_job("u", job_id="7")
    with pytest.raises(ValueError, match=r".+"):
        cluster.add_job(**{"user": "u", **wrong})


def test_finding(cluster):
    one, two = (cluster.add_job("u", scheduler_id=scheduler, job_id=9) for scheduler in "12")
    assert (cluster.find("9"), cluster.find("9", "2"), cluster.find("9", "3")) == (one, two, None)
    assert cluster.find("8") is None
    assert (list(cluster.with_id("9")), list(cluster.with_id("9", "2"))) == ([one, two], [two])
    assert cluster.select("2") == [two]
    assert one.ref == "1,u:9:"


def test_families(cluster):
    one, some, five, other = (
        cluster.add_job("u", job_id=job_id, scheduler_id="1") for job_id in ("5_1", "5_[2-9,11%4]", "5", "51")
    )
    elsewhere = cluster.add_job("u", job_id="5_1", scheduler_id="2")
    assert cluster.family("5", "1") == [one, some, five]
    assert cluster.family("5_1", "1") == [one]
    assert cluster.family("5_[2-9,11%4]", "1") == [some]
    assert cluster.family("5_2", "1") == []
    assert cluster.family("5", "2") == [elsewhere]
    assert cluster.family("51", "1") == [other]
