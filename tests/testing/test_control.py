from __future__ import annotations

import json

import pytest
import requests

from tests.testing.conftest import SCHEDULER
from tests.testing.test_submit import PATH, body


@pytest.fixture
def control(scnet):
    """Ask the control interface; returns status and JSON."""
    with requests.Session() as session:

        def send(method, path, content=None, **options):
            response = session.request(method, f"{scnet.url}/emulator{path}", json=content, timeout=10, **options)
            assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
            return response.status_code, response.json()

        yield send


@pytest.fixture
def held(control, until):
    """Wait until faults hold so many requests."""
    return lambda count: until(lambda: sum(fault["held"] for fault in control("GET", "/faults")[1]) == count)


def test_state_of_all_regions(scnet, control, delete):
    running = scnet.add_job(name="模拟 <1>")
    delete(scnet.add_job("PENDING", name="other").ref)
    scnet.add_region("11113", "region-b")
    scnet.add_job(region="11113")
    status, state = control("GET", "/state")
    assert status == 200
    assert state["jobs"][0] == {
        "ref": running.ref,
        "region_id": "11112",
        "scheduler_id": SCHEDULER,
        "user": "acexample01",
        "job_id": "101",
        "name": "模拟 <1>",
        "state": "RUNNING",
        "active": True,
        "will_run": True,
        "deletes": 0,
    }
    seen = [(job["region_id"], job["state"], job["active"], job["deletes"]) for job in state["jobs"]]
    assert seen[1:] == [("11112", "CANCELLED", False, 1), ("11113", "RUNNING", True, 0)]
    assert (state["active"], state["calls"]) == (2, {"delete": 1})
    assert abs(state["now"] - scnet.clock.now()) < 60


def test_it_is_not_recorded_and_no_fault_strikes_it(scnet, control):
    scnet.fail("*", status=500, times=None)
    for path in ("/state", "/secrets", "/faults", "/nosuch"):
        assert control("GET", path)[0] in (200, 404)
    # What a program asks to see whether it is there, and a browser before it sends what a page of somebody else wants.
    for verb in ("HEAD", "OPTIONS", "PATCH"):
        assert requests.request(verb, f"{scnet.url}/emulator/state", timeout=10).status_code == 404
    assert scnet.requests == []


def test_secrets(scnet, control):
    requests.get(scnet.url, headers={"signature": "not recorded"}, timeout=10)
    requests.get(f"{scnet.url}/nosuch", headers={"signature": "seen"}, timeout=10)
    token = scnet.token
    assert control("GET", "/secrets") == (200, sorted(["ak-example-0001", "seen", "sk-example-0001", token]))


@pytest.mark.parametrize("headers", [{"Origin": "http://page.example"}, {"Host": "page.example:8765"}])
def test_pages_of_others_are_refused(scnet, control, headers):
    for method, path in (("GET", "/secrets"), ("POST", "/clock"), ("DELETE", "/tokens")):
        assert control(method, path, headers=headers) == (403, {"error": "only for programs on this machine"})


def test_jobs_become_something_else(scnet, control):
    ended = scnet.add_job("COMPLETED", name="flow_0")
    flow, other = scnet.add_job(name="flow_1"), scnet.add_job(name="other")
    assert control("POST", "/jobs", {"name": "flow_", "state": "FAILED"}) == (200, {"jobs": [flow.ref]})
    assert [job.state for job in (ended, flow, other)] == ["COMPLETED", "FAILED", "RUNNING"]
    assert control("POST", "/jobs", {"state": "COMPLETED"}) == (200, {"jobs": [other.ref]})
    assert control("POST", "/jobs", {"name": "flow_"})[0] == 400
    assert "no state 'FINISHED'" in control("POST", "/jobs", {"state": "FINISHED"})[1]["error"]


def test_a_submission_is_held_until_it_is_released(scnet, control, held, begin, call):
    status, planned = control("POST", "/faults", {"call": "submit", "hold": True, "when": "/BASE/job"})
    assert (status, planned) == (200, {"id": 1})
    answer = begin(call, "POST", PATH, json=body())
    held(1)
    assert [job["state"] for job in control("GET", "/state")[1]["jobs"]] == ["RUNNING"]
    assert control("GET", "/faults") == (200, [{"id": 1, "call": "submit", "hits": 1, "held": 1}])
    assert control("DELETE", "/faults/1") == (200, {"forgotten": [1]})
    assert answer.result(10)["code"] == "0"
    assert control("GET", "/faults") == (200, [])


def test_one_fault_or_all_are_forgotten(scnet, control, held, begin, call):
    for number in (1, 2, 3):
        assert control("POST", "/faults", {"call": "clusters", "hold": True, "code": str(number)})[1] == {"id": number}
    answers = []
    for number in (1, 2):
        answers.append(begin(call, "GET", "/cluster"))
        held(number)
    assert control("DELETE", "/faults/2") == (200, {"forgotten": [2]})
    assert answers[1].result(10)["code"] == "2"
    held(1)
    assert control("DELETE", "/faults") == (200, {"forgotten": [1, 3]})
    assert answers[0].result(10)["code"] == "1"
    assert call("GET", "/cluster")["code"] == "0"
    assert control("POST", "/faults", {"call": "list"})[1] == {"id": 4}
    assert control("DELETE", "/faults/2") == (400, {"error": "no fault '2', only [4]"})


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("strJobInfoMap=1638523853,acexample01:101:", "7"),  # as meant
        ("strJobInfoMap=1638523853%2Cacexample01%3A101%3A", "7"),  # as sent
        ("/hpc/openapi/v2/jobs", "7"),
        (":102:", "0"),
    ],
)
def test_which_requests(scnet, control, delete, when, code):
    control("POST", "/faults", {"call": "delete", "code": 7, "when": when})
    assert str(delete(scnet.add_job().ref)["code"]) == code


def test_when_looks_into_the_query_and_into_json(scnet, control, call):
    control("POST", "/faults", {"call": "list", "code": "7", "when": "strJobId=a b"})
    control("POST", "/faults", {"call": "submit", "code": "8", "when": "模拟"})
    codes = [call("GET", "/jobs", params={"strJobId": text})["code"] for text in ("a", "a b")]
    assert codes[1] == "7" != codes[0]
    assert call("POST", PATH, json={"name": "模拟"})["code"] == "8"  # sent as \u6a21\u62df
    assert "\\u6a21" in scnet.requests[-1].body


def test_all_members_of_a_fault(scnet, control, call):
    plan = {
        "call": "clusters", "code": "1", "msg": "no", "data": [1], "status": 500, "headers": {"X-A": "b"},
        "latency": 0, "drop": False, "times": None, "after": 1, "effect": True, "hold": False, "when": None,
    }  # fmt: skip
    assert control("POST", "/faults", plan)[0] == 200
    assert call("GET", "/cluster")["code"] == "0"
    for _ in range(2):
        response = requests.get(f"{scnet.url}/hpc/openapi/v2/cluster", timeout=10)
        assert (response.status_code, response.headers["X-A"]) == (500, "b")
        assert response.json() == {"msg": "no", "code": "1", "data": [1]}


@pytest.mark.parametrize(
    ("path", "content", "error"),
    [
        ("/faults", {}, "the body must be a JSON object with a member 'call', like {\"call\": ...}"),
        ("/faults", [1], "the body must be a JSON object with a member 'call', like {\"call\": ...}"),
        ("/faults", {"call": "lists"}, "no call 'lists', only ['*', "),
        ("/faults", {"call": "list", "hald": True}, "no member 'hald', only ['after', 'body', 'call', "),
        ("/faults", {"call": None}, "'call' must be a text, not null"),
        ("/faults", {"call": "list", "hold": 1}, "'hold' must be true or false, not 1"),
        ("/faults", {"call": "list", "times": True}, "'times' must be a whole number or null, not true"),
        ("/faults", {"call": "list", "times": 0}, "times must be 1 or more, or none for ever, not 0"),
        ("/faults", {"call": "list", "code": 1.5}, "'code' must be a text or a whole number or null, not 1.5"),
        ("/faults", {"call": "list", "latency": "1"}, "'latency' must be a number, not \"1\""),
        ("/faults", {"call": "list", "latency": -1}, "latency must be a number from 0 to 1000000000, not -1"),
        ("/faults", {"call": "list", "drip": float("inf")}, "drip must be a number from 0 to 1000000000, not inf"),
        ("/faults", {"call": "list", "after": -1}, "after must be a number from 0 to 1000000000, not -1"),
        ("/faults", {"call": "list", "status": 99}, "status must be a number from 100 to 599, not 99"),
        ("/faults", {"call": "list", "headers": {"A": 1}}, "'headers' must be an object with texts or null, not {"),
        ("/faults", {"call": "list", "redirect": "a\nb"}, "header field 'Location: a\\nb' must be printable Latin-1"),
        ("/faults", {"call": "list", "when": ["a"]}, "'when' must be a text or null, not [\"a\"]"),
        ("/clock", {"seconds": 1}, "the body must be a JSON object with a member 'advance', like"),
        ("/clock", {"advance": -1}, "'advance' must be from 0 to 1000000000 seconds, not -1"),
        ("/clock", {"advance": float("nan")}, "'advance' must be from 0 to 1000000000 seconds, not nan"),
        ("/clock", {"advance": "\ud800"}, "'advance' must be a number, not \"?\""),
        ("/outage", {"seconds": None}, "'seconds' must be a number, not null"),
        ("/outage", {"seconds": 1, "port": 2}, "no member 'port', only ['seconds']"),
    ],
)
def test_what_cannot_be_understood_does_nothing(scnet, control, path, content, error):
    before = scnet.clock.now()
    status, said = control("POST", path, data=json.dumps(content))
    assert status == 400
    assert said["error"].startswith(error)
    assert control("GET", "/faults") == (200, [])
    assert scnet.clock.now() - before < 60


@pytest.mark.parametrize("content", [b"", b"advance=1", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json(control, content):
    status, said = control("POST", "/clock", data=content)
    assert status == 400
    assert said["error"].startswith('the body must be JSON like {"advance": ...}: ')


@pytest.mark.parametrize("path", ["", "/", "/nosuch", "/faults/1/2", "/clock"])
def test_an_unknown_path_tells_what_there_is(control, path):
    status, said = control("DELETE", path)
    assert status == 404
    assert "GET /emulator/state" in said["error"]
    assert "DELETE /emulator/faults/ID" in said["error"]


def test_the_clock(scnet, control):
    job = scnet.add_job(runtime=3600)
    now = scnet.clock.now()
    status, said = control("POST", "/clock", {"advance": 3600})
    assert status == 200
    assert said["now"] >= now + 3600
    assert job.state == "COMPLETED"


def test_all_tokens_are_refused(scnet, control, call):
    old = scnet.token
    region = scnet.add_region("11113", "region-b")
    other = region.token
    assert control("DELETE", "/tokens") == (200, {})
    assert call("GET", "/cluster", token=old)["code"] == "10008"
    url = f"{region.url}/hpc/openapi/v2/cluster"
    assert requests.get(url, headers={"token": other}, timeout=10).json()["code"] == "10008"
    assert call("GET", "/cluster", token=scnet.token)["code"] == "0"
    assert {old, other, scnet.token} <= scnet.secrets


def test_only_the_platform_has_it(scnet, control):
    region = scnet.add_region("11113", "region-b")
    assert requests.get(f"{region.url}/emulator/state", timeout=10).json()["code"] == "404"


def test_ten_thousand_jobs(scnet, control):
    for _ in range(10_000):
        scnet.add_job()
    assert control("GET", "/state")[1]["active"] == 10_000
