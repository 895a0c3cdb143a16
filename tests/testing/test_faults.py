from __future__ import annotations

from time import monotonic

import pytest
import requests

from airflow_provider_scnet.testing import Fault, ScnetEmulator


@pytest.fixture
def get(scnet: ScnetEmulator):
    def send(path: str = "cluster") -> requests.Response:
        url = f"{scnet.url}/hpc/openapi/v2/{path}"
        return requests.get(url, headers={"token": scnet.token}, allow_redirects=False, timeout=10)

    return send


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"code": "10012"}, 200, '{"msg":"error_10012","code":"10012","data":null}'),
        ({"code": "10008"}, 200, '{"msg":"auth_fail","code":"10008","data":"token is invalid"}'),
        ({"code": 0, "data": [1]}, 200, '{"msg":"success","code":0,"data":[1]}'),
        ({"code": "1", "msg": "", "status": 500}, 500, '{"msg":"","code":"1","data":null}'),
        ({"body": "<h1>Bad gateway</h1>", "status": 502}, 502, "<h1>Bad gateway</h1>"),
        ({"body": ""}, 200, ""),
        ({"status": 503}, 503, ""),
        ({"status": 599}, 599, ""),
    ],
)
def test_answers(scnet, get, fault, status, text):
    scnet.fail("clusters", **fault)
    response = get()
    assert (response.status_code, response.text) == (status, text)
    assert get().json()["code"] == "0"


def test_headers_and_types(scnet, get):
    scnet.fail("clusters", body="{}", content_type="text/plain", headers={"Retry-After": "7"})
    assert get().headers.items() >= {"Content-Type": "text/plain", "Retry-After": "7"}.items()
    scnet.fail("clusters", body="<p>")
    assert get().headers["Content-Type"] == "text/html;charset=UTF-8"


@pytest.mark.parametrize(("status", "seen"), [(200, 302), (307, 307)])
def test_redirects(scnet, get, status, seen):
    scnet.fail("clusters", redirect="http://elsewhere.example/", status=status)
    response = get()
    assert (response.status_code, response.headers["Location"]) == (seen, "http://elsewhere.example/")


def test_a_lost_answer(scnet, delete):
    lost, done = scnet.add_job(), scnet.add_job()
    scnet.fail("delete", drop=True)
    scnet.fail("delete", drop=True, effect=True)
    for job in (lost, done):
        with pytest.raises(requests.ConnectionError):
            delete(job.ref)
    assert [job.state for job in scnet.jobs] == ["RUNNING", "CANCELLED"]


def test_a_wrong_answer_to_work_that_was_done(scnet, delete):
    job = scnet.add_job()
    scnet.fail("delete", code="10013", effect=True)
    assert delete(job.ref)["code"] == "10013"
    assert job.state == "CANCELLED"


def test_only_late(scnet, get):
    fault = scnet.fail("clusters", latency=0.001)
    assert get().json()["code"] == "0"
    assert fault.hits == 1


def test_an_answer_that_drips(scnet, get):
    fault = scnet.fail("clusters", drip=0.001)
    started = monotonic()
    assert get().json()["code"] == "0"
    assert monotonic() - started > 0.2  # more than 200 bytes
    scnet.fail("clusters", drip=0.0001, code="10001", effect=True)
    assert get().json()["code"] == "10001"
    assert get().json()["code"] == "0"
    assert fault.hits == 1


def test_how_often_and_which(scnet, get):
    scnet.fail("clusters", code="1", times=2, after=1)
    scnet.fail("*", code="2", times=None, after=4)
    scnet.fail("list", code="3", when=lambda request: request.query.get("strJobId") == "7")
    scnet.fail("unknown", code="4")
    paths = ["cluster", "cluster", "jobs?strJobId=7", "cluster", "jobs?strJobId=7", "nosuch", "cluster"]
    assert [get(path).json()["code"] for path in paths] == ["0", "1", "3", "1", "2", "2", "2"]
    scnet.clear_faults()
    assert get().json()["code"] == "0"


def test_each_fault_counts_every_matching_request(scnet, get):
    faults = [scnet.fail("clusters", code=str(number), after=number) for number in (0, 1, 2)]
    assert [get().json()["code"] for _ in range(4)] == ["0", "1", "2", "0"]
    assert [fault.hits for fault in faults] == [1, 1, 1]


def test_a_call_that_does_not_exist(scnet):
    with pytest.raises(ValueError, match=r"no call 'deletes', only .*'delete'"):
        scnet.fail("deletes")


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({"msg": "no"}, "msg needs a code"),
        ({"data": [], "body": "x"}, "data needs a code"),
        ({"headers": {"Retry-After": "7"}}, "headers needs an answer"),
        ({"content_type": "text/plain", "drop": True}, "content_type needs an answer"),
    ],
)
def test_what_would_say_nothing_is_refused(scnet, parameters, missing):
    with pytest.raises(ValueError, match=missing):
        scnet.fail("clusters", **parameters)
    assert list(scnet._dispatcher.faults) == []


def test_an_answer_that_is_held(scnet, delete, begin, until):
    job = scnet.add_job()
    fault = scnet.fail("delete", hold=True)
    answer = begin(delete, job.ref)
    until(lambda: fault.held)
    assert (fault.held, fault.hits, job.state) == (1, 1, "CANCELLED")
    fault.release()
    assert answer.result(10)["code"] == "0"
    assert fault.held == 0


def test_a_wrong_answer_that_is_held_does_the_work_only_if_told_to(scnet, delete, begin, until):
    jobs = [scnet.add_job(), scnet.add_job()]
    faults = [scnet.fail("delete", hold=True, code="10013", effect=effect) for effect in (False, True)]
    answers = []
    for job, fault in zip(jobs, faults, strict=True):
        answers.append(begin(delete, job.ref))
        until(lambda fault=fault: fault.held)
    assert [job.state for job in jobs] == ["RUNNING", "CANCELLED"]
    scnet.clear_faults()
    assert [answer.result(10)["code"] for answer in answers] == ["10013", "10013"]


def test_an_answer_that_is_held_and_then_lost(scnet, delete, begin, until):
    fault = scnet.fail("delete", hold=True, drop=True, effect=True)
    job = scnet.add_job()
    answer = begin(delete, job.ref)
    until(lambda: fault.held)
    fault.release()
    with pytest.raises(requests.ConnectionError):
        answer.result(10)
    assert job.state == "CANCELLED"


def test_many_are_held_and_let_go_at_once(scnet, get, begin, until):
    fault = scnet.fail("clusters", hold=True, times=None)
    answers = [begin(get) for _ in range(20)]
    until(lambda: fault.held == 20)
    fault.release()
    assert [answer.result(10).json()["code"] for answer in answers] == ["0"] * 20


def test_a_released_fault_strikes_no_more(scnet, get):
    held, other = scnet.fail("clusters", hold=True, times=None), scnet.fail("clusters", code="7", times=None)
    for fault, code in ((held, "7"), (other, "0")):
        fault.release()
        assert get().json()["code"] == code
    assert (held.hits, other.hits) == (0, 1)


def test_a_release_between_the_strike_and_the_wait():
    fault = Fault("*", hold=True)
    fault.release()
    assert fault.gate().is_set()
    assert fault.held == 0
