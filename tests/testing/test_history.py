from __future__ import annotations

import pytest


@pytest.fixture
def past(scnet):
    scnet.add_job("COMPLETED", ended_ago=100, job_id="20", name="a")
    scnet.add_job("CANCELLED", ended_ago=300, job_id="3", user="bob")
    scnet.add_job("FAILED", ended_ago=200, job_id="5_1", queue="normal")
    scnet.add_job("FAILED", ended_ago=3700, runtime=3600, job_id="2")
    scnet.add_job("TIMEOUT", scheduler_id="2000000000")
    scnet.add_job("RUNNING")


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "20 3 5_1"),
        ({"since": -4000}, "20 3 5_1 2"),
        ({"until": -250}, "3"),
        ({"since": -8000, "until": -3600, "isQueryByQueueTime": "True"}, "2"),
        ({"jobId": "3"}, "3"),
        ({"strUser": "bob"}, "3"),
        ({"jobName": "a"}, "20"),
        ({"queue": "normal"}, "5_1"),
        ({"appType": "BASE", "hostName": "node01"}, "20 3 5_1"),
        ({"appType": "OTHER"}, ""),
        ({"hostName": "node02"}, ""),
        ({"jobState": "statD"}, "5_1"),
        ({"jobState": "statC"}, "20"),
        ({"start": 1, "limit": 1}, "3"),
        ({"orderBy": "jobId"}, "3 5_1 20"),
        ({"orderBy": "jobId", "sort": "DESC"}, "20 5_1 3"),
        ({"orderBy": "acctTime", "sort": "ASC"}, "3 5_1 20"),
        ({"orderBy": "nosuch", "sort": "DESC"}, "20 3 5_1"),
    ],
)
def test_the_history(history, ids, query, expected):
    assert ids(history(**query)) == expected.split()


def test_names_by_a_part_of_them(scnet, history, ids):
    for name in ("demo_1", "demo_2"):
        scnet.add_job("COMPLETED", name=name)
    assert ids(history(jobName="demo")) == []
    scnet.name_filter = "fuzzy"
    assert ids(history(jobName="demo")) == ["101", "102"]


def test_one_job(scnet, call, history):
    scnet.add_job("CANCELLED", job_id="5_[2-3]")
    scnet.add_job("FAILED", job_id="7", scheduler_id="2000000000")
    scnet.add_job("RUNNING", job_id="8")

    def detail(path, **query):
        return call("GET", f"/historyjobs/{path}", params=query)

    (_, member) = history()["data"]["list"]
    assert detail("1638523853/5_3")["data"] == detail("1638523853/5_3", acctTime=member["acctTime"])["data"] == member
    assert detail("2000000000/7")["data"]["jobmanagerId"] == 2000000000
    for unknown in ("5", "7", "8", "9"):
        assert detail(f"1638523853/{unknown}") == {"code": "0", "msg": "success", "data": None}
    assert detail("1/5_3")["code"] == "10004"
    scnet.numeric_ids = True
    assert detail("2000000000/7")["data"]["jobId"] == 7
    scnet.has_history = False
    assert detail("1638523853/5_3")["data"] is None


def test_a_job_is_in_the_history_as_soon_as_it_has_ended(scnet, history, ids):
    scnet.add_job("COMPLETED")
    assert ids(history(until=0)) == ["101"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *(({name: None}, "10003") for name in ("strClusterNameList", "startTime", "endTime", "timeType")),
        *(({name: None}, "10003") for name in ("start", "limit", "isQueryByQueueTime")),
        ({"strClusterNameList": "1"}, "10004"),
        ({"startTime": "2024-01-02T03:04:05"}, "10004"),
        ({"endTime": "2024-01-02 03:04:05\n"}, "10004"),
        ({"timeType": "DAY"}, "10004"),
        ({"isQueryByQueueTime": "maybe"}, "10004"),
    ],
)
def test_wrong_history_requests(history, query, code):
    assert history(**query)["code"] == code


def test_a_history_that_is_late(scnet, history, ids):
    scnet.history_lag = 60.0
    scnet.add_job(runtime=100)
    scnet.clock.advance(130)
    assert ids(history()) == []
    scnet.clock.advance(31)
    assert ids(history()) == ["101"]


def test_no_history(scnet, history):
    scnet.add_job("COMPLETED")
    scnet.has_history = False
    assert history()["data"] == {"total": 0, "list": []}
    scnet.null_empty_lists = True
    assert history()["data"] is None


def test_a_total_that_is_missing(scnet, history):
    scnet.add_job("COMPLETED")
    scnet.total_lie = lambda total: None
    assert list(history()["data"]) == ["list"]


def test_the_largest_limit(scnet, history):
    scnet.largest_limit = 25
    assert [history(limit=limit)["code"] for limit in (25, 26)] == ["0", "10004"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "5_1 5_2 5_3 5_11 51"),
        ({"jobId": "5"}, "5_1 5_2 5_3 5_11"),
        ({"jobId": "5_3"}, "5_3"),
        ({"jobId": "5_4"}, ""),
        ({"jobId": "5_[2-3,11%4]"}, "5_2 5_3 5_11"),
        ({"start": 1, "limit": 2}, "5_2 5_3"),
        ({"orderBy": "jobId", "sort": "DESC"}, "51 5_11 5_3 5_2 5_1"),
    ],
)
def test_members_are_listed_one_by_one(scnet, history, ids, query, expected):
    for job_id in ("5_1", "5_[2-3,11%4]", "51"):
        scnet.add_job("CANCELLED", job_id=job_id)
    scnet.add_job("CANCELLED", job_id="5_9", scheduler_id="2000000000")
    assert ids(history(**query)) == expected.split()
    scnet.members_by_lookup = False
    assert ids(history(**query)) == ([] if query == {"jobId": "5"} else expected.split())


def test_a_job_that_is_started_again_leaves_the_history(scnet, history, ids):
    scnet.requeue_after = 20.0
    scnet.add_job().become("PREEMPTED")
    assert [record["jobState"] for record in history()["data"]["list"]] == ["statEX"]
    scnet.clock.advance(21)
    assert ids(history()) == []
