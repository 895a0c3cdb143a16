from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import requests

from airflow_provider_scnet.testing.wire import beijing

INVALID = {"msg": "auth_fail", "code": "10008", "data": "token is invalid"}
KINDS = ["monitor", "history"]


@pytest.fixture
def overview(scnet):
    """Ask for a list of all regions with a platform token; returns the envelope."""

    def send(kind, token=None, **wanted):
        headers = {"token": scnet.mint_token(platform=True) if token is None else token}
        url = f"{scnet.url}/ac/openapi/v2/jobs/{kind}/page-list"
        return requests.post(url, headers=headers, json=wanted, timeout=10).json()

    return send


def ids(answer):
    return [record["jobId"] for record in answer["data"]["records"]]


@pytest.fixture
def jobs(scnet):
    """In the live list and in the history, here and there."""
    other = scnet.add_region("11113", "region-b")
    return [
        scnet.add_job(),
        scnet.add_job("FAILED", job_id="102", queue="normal", ended_ago=60),
        scnet.add_job(job_id="103", region=other),
        scnet.add_job("CANCELLED by 1000", job_id="104", region=other, ended_ago=3600, runtime=500),
        scnet.add_job("COMPLETED", job_id="105", user="bob"),
    ]


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        ("monitor", {}, "101 102 103"),
        ("monitor", {"clusterId": "", "queue": "", "jobId": "", "jobState": "", "clusterUserName": ""}, "101 102 103"),
        ("monitor", {"clusterId": "11113"}, "103"),
        ("monitor", {"clusterId": 11112}, "101 102"),
        ("monitor", {"queue": "normal"}, "102"),
        ("monitor", {"jobId": "103"}, "103"),
        ("monitor", {"jobState": "statC"}, "102"),
        ("monitor", {"showGroupJobs": True}, "101 102 105 103"),
        ("monitor", {"clusterUserName": "bob"}, "105"),
        ("history", {}, "102 104"),
        ("history", {"jobState": "statDE"}, "104"),
        ("history", {"jobState": "CANCELLED", "showAllData": True}, "104"),
        ("history", {"clusterId": "11112", "showGroupJobs": True}, "102 105"),
    ],
)
def test_filters(overview, kind, wanted, expected):
    answer = overview(kind, **wanted)
    assert ids(answer) == expected.split()
    assert answer["data"]["total"] == len(expected.split())


def test_records_hold_what_a_delete_needs(overview, jobs):
    record = overview("monitor", jobId="103")["data"]["records"][0]
    attributes = json.loads(record.pop("initContentAttr"))
    assert attributes["JobState"] == "RUNNING"
    assert record == {
        "clusterId": 11113,
        "jobManagerId": 1638523854,
        "clusterUserName": "acexample02",
        "jobId": "103",
        "jobState": "statR",
        "reason": "None",
    }
    assert f"{record['jobManagerId']},{record['clusterUserName']}:{record['jobId']}:" == jobs[2].ref


def test_records_of_the_history(scnet, overview, jobs):
    plain, full = (overview("history", jobId="104", showAllData=full)["data"]["records"][0] for full in (False, True))
    assert (plain["jobState"], full["jobState"]) == ("statDE", "CANCELLED")
    assert plain["jobWalltimeUsed"] == 500
    accounted = datetime.strptime(plain["acctTime"], "%Y-%m-%dT%H:%M:%S.000%z")
    assert (accounted.utcoffset(), accounted.tzinfo) == (UTC.utcoffset(None), UTC)
    assert accounted.timestamp() > jobs[3].ended_at
    scnet.view_age = 4000.0
    past = overview("history", jobId="104")["data"]["records"][0]
    assert json.loads(past["initContentAttr"])["JobState"] == "CANCELLED by 1000"


def test_window_of_the_history(overview, jobs):
    end = beijing(jobs[3].ended_at, " ")
    assert ids(overview("history", endTime=end)) == ["104"]
    assert ids(overview("history", startTime=end)) == ["102", "104"]
    assert ids(overview("history", startTime=beijing(jobs[1].ended_at, " "))) == ["102"]
    assert overview("history", startTime="yesterday")["code"] == "10004"


@pytest.mark.parametrize("first", [0, 1])
def test_pages(scnet, overview, first):
    scnet.first_page = first
    for _ in range(25):
        scnet.add_job()
    answers = [overview("monitor", page=first + number, size="10") for number in range(4)]
    assert [len(ids(answer)) for answer in answers] == [10, 10, 5, 0]
    assert [(answer["data"]["total"], answer["data"]["pages"]) for answer in answers] == [(25, 3)] * 4
    assert ids(overview("monitor")) == ids(answers[0])
    assert ids(overview("monitor", page=0)) == (ids(answers[0]) if first == 0 else [])


def test_newest_that_are_not_shown_yet(scnet, overview):
    scnet.submit_lag = 60.0
    scnet.add_job()
    assert ids(overview("monitor")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_platform_s_token_is_good(scnet, overview, kind):
    scnet.platform_user = scnet.user
    for token in ("", "nonsense", scnet.token, scnet.mint_token(platform=True, lifetime=-1)):
        assert overview(kind, token=token) == INVALID


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", ["", "{", "[]", '{"page": "x"}', '{"page": -1}', '{"size": 0}', '{"page": null}'])
def test_body_that_cannot_be_read_is_answered_by_the_framework(scnet, kind, body):
    url = f"{scnet.url}/ac/openapi/v2/jobs/{kind}/page-list"
    headers = {"token": scnet.mint_token(platform=True), "Content-Type": "application/json"}
    response = requests.post(url, headers=headers, data=body, timeout=10)
    content = response.json()
    assert (response.status_code, content["status"]) == (400, 400)
    assert (content["error"], content["path"]) == ("Bad Request", f"/v2/jobs/{kind}/page-list")
    assert "code" not in content
