from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import requests_mock

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.listing import PAGE_SIZE
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetSubmitRejectedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.testing import ScnetEmulator
from tests.api.conftest import BASE, JOBS, SINCE, TOKEN, UNTIL, FixedToken, ids, past_jobs, success
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, VirtualPatience

# --- delete ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "body"),
    [
        ("1638523853,test:35918:", "jobMethod=5&strJobInfoMap=1638523853%2Ctest%3A35918%3A"),
        (
            "1638523853,acexample01:197:;1638523853,acexample01:5_1:;",
            "jobMethod=5&strJobInfoMap=1638523853%2Cacexample01%3A197%3A%3B1638523853%2Cacexample01%3A5_1%3A",
        ),
        ("1,测试:2:", "jobMethod=5&strJobInfoMap=1%2C%E6%B5%8B%E8%AF%95%3A2%3A"),
        ("1,a&b=c+d:2:", "jobMethod=5&strJobInfoMap=1%2Ca%26b%3Dc%2Bd%3A2%3A"),
    ],
)
def test_wire_of_a_delete(scnet: ScnetEmulator, client: ScnetClient, jobs: str, body: str) -> None:
    scnet.fail("delete", code="0")
    client.delete_jobs(parse_jobs(jobs))
    (request,) = scnet.requests
    assert (request.method, request.path) == ("DELETE", "/hpc/openapi/v2/jobs")
    assert (request.body, request.query) == (body, {})
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Content-Length"] == str(len(body))
    assert request.headers["token"] == scnet.token
    assert "Authorization" not in request.headers


def test_delete_has_no_query_string(wire: requests_mock.Mocker, direct: ScnetClient) -> None:
    wire.delete(JOBS, **success(None))
    direct.delete_jobs(parse_jobs("1,u:2:"))
    assert wire.last_request.url == JOBS


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ({"1638523853": "deleted [u:1:] successfully!"}, {"1638523853": "deleted [u:1:] successfully!"}),
        ({" 1 ": "a", "2": "b"}, {"1": "a", "2": "b"}),
        ({"1": None}, {"1": "None"}),
        ({"1": {"a": 1}}, {"1": "{'a': 1}"}),
        ({}, {}),
        (None, {}),
        ("deleted", {"1": "deleted"}),
        (["deleted"], {}),
        (5, {}),
    ],
)
def test_answer_of_a_delete(wire: requests_mock.Mocker, direct: ScnetClient, data: Any, texts: dict[str, str]) -> None:
    wire.delete(JOBS, **success(data))
    assert direct.delete_jobs(parse_jobs("1,u:2:")) == texts


def test_delete_of_several_schedulers(scnet: ScnetEmulator, client: ScnetClient) -> None:
    one, two = scnet.add_job(), scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    texts = client.delete_jobs([JobRef(job.scheduler_id, job.user, job.job_id) for job in (one, two)])
    assert texts.keys() == {SCHEDULER, SECOND_SCHEDULER}
    assert f"{two.user}:{two.job_id}:" in texts[SECOND_SCHEDULER]
    assert scnet.active_jobs == []


def test_wrong_token(scnet: ScnetEmulator) -> None:
    client = ScnetClient([f"{scnet.url}/hpc"], FixedToken("nonsense"), Transport())
    with pytest.raises(ScnetCredentialError):
        client.delete_jobs(parse_jobs("1,u:2:"))
    assert scnet.calls == {"delete": 1, "clusters": 1}  # which tells whether it is the token


# --- live list ---------------------------------------------------------------------------------------------------


def test_wire_of_the_list(scnet: ScnetEmulator, client: ScnetClient) -> None:
    client.list_jobs(SCHEDULER)
    client.list_jobs(SCHEDULER, user="a b", job_id="5_1")
    plain, filtered = scnet.requests
    assert (plain.method, plain.path) == ("GET", "/hpc/openapi/v2/jobs")
    assert plain.query == {"strClusterIDList": SCHEDULER, "start": "0", "limit": str(PAGE_SIZE)}
    assert filtered.query == {**plain.query, "strJobOwner": "a b", "strJobId": "5_1"}


def test_list_of_a_user(scnet: ScnetEmulator, client: ScnetClient) -> None:
    mine, other = scnet.add_job(), scnet.add_job(user="other")
    assert ids(client.list_jobs(SCHEDULER, user=scnet.user).records) == [mine.job_id]
    assert ids(client.list_jobs(SCHEDULER, job_id=other.job_id).records) == [other.job_id]


# --- detail ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job_id", "path"),
    [("197", "197"), ("5_1", "5_1"), ("5_[2-9]", "5_%5B2-9%5D"), ("1/2?x#y", "1%2F2%3Fx%23y"), ("中", "%E4%B8%AD")],
)
def test_wire_of_the_detail(scnet: ScnetEmulator, client: ScnetClient, job_id: str, path: str) -> None:
    assert client.get_job(job_id) is None
    (request,) = scnet.requests
    assert (request.path, request.query) == (f"/hpc/openapi/v2/jobs/{path}", {})


@pytest.mark.parametrize("job_id", ["197", "5_1"])
def test_detail(scnet: ScnetEmulator, client: ScnetClient, job_id: str) -> None:
    scnet.add_job(job_id=job_id)
    record = client.get_job(job_id)
    assert record is not None
    assert (record.job_id, record.word) == (job_id, "RUNNING")


@pytest.mark.parametrize("data", [None, {}])
def test_no_detail(wire: requests_mock.Mocker, direct: ScnetClient, data: Any) -> None:
    wire.get(f"{JOBS}/1", **success(data))
    assert direct.get_job("1") is None


@pytest.mark.parametrize("data", ["busy", [{"jobId": "1"}], 5, True])
def test_what_is_no_detail_is_no_unknown_job(wire: requests_mock.Mocker, direct: ScnetClient, data: Any) -> None:
    wire.get(f"{JOBS}/1", **success(data))
    with pytest.raises(ScnetTransientError):
        direct.get_job("1")


# --- history -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        (SINCE, UNTIL, "2024-01-01 08:00:00", "2024-02-01 08:00:00"),
        (
            datetime(2023, 12, 31, 20, 0, 0, 999999, tzinfo=UTC),
            datetime(2024, 1, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5))),
            "2024-01-01 04:00:00",
            "2024-01-01 14:02:03",
        ),
    ],
)
def test_wire_of_the_history(
    *, scnet: ScnetEmulator, client: ScnetClient, since: datetime, until: datetime, start: str, end: str
) -> None:
    assert client.list_history(SCHEDULER, user="u", since=since, until=until).records == []
    (request,) = scnet.requests
    assert (request.method, request.path) == ("GET", "/hpc/openapi/v2/historyjobs")
    assert request.query == {
        "strClusterNameList": SCHEDULER,
        "strUser": "u",
        "startTime": start,
        "endTime": end,
        "timeType": "CUSTOM",
        "isQueryByQueueTime": "false",
        "sort": "DESC",
        "orderBy": "jobId",
        "start": "0",
        "limit": str(PAGE_SIZE),
    }


def test_history(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=60 * n).job_id for n in range(250)]
    scnet.add_job("COMPLETED", user="other")
    scnet.add_job()
    assert ids(past_jobs(scnet, client).records) == jobs[::-1]
    assert all(record.past for record in past_jobs(scnet, client).records)


def test_history_of_one_job(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=60).job_id for _ in range(250)]
    assert ids(past_jobs(scnet, client, job_id=jobs[7]).records) == [jobs[7]]
    assert scnet.calls == {"history": 1}


def test_history_is_read_until_all_that_is_wanted_was_found(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=60).job_id for _ in range(250)]
    assert len(past_jobs(scnet, client, wanted=jobs[-10:]).records) == PAGE_SIZE
    assert scnet.calls == {"history": 1}


# --- schedulers --------------------------------------------------------------------------------------------------


def test_schedulers(scnet: ScnetEmulator, client: ScnetClient) -> None:
    assert client.list_schedulers() == {SCHEDULER: "Cluster", SECOND_SCHEDULER: "Second"}
    (request,) = scnet.requests
    assert (request.method, request.path, request.query) == ("GET", "/hpc/openapi/v2/cluster", {})


@pytest.mark.parametrize(
    ("data", "schedulers"),
    [
        ([{"id": 7, "text": "A"}, {"id": " 8 ", "text": "B"}], {"7": "A", "8": "B"}),
        ({"id": 7, "text": "A"}, {"7": "A"}),
        ([{"id": 7}], {"7": ""}),
        ([{"id": 7, "text": None}], {"7": ""}),
        ([{"text": "A"}, {"id": None}, None, "x", 5], {}),
        ([], {}),
        ({}, {}),
    ],
)
def test_shapes_of_the_schedulers(
    wire: requests_mock.Mocker, direct: ScnetClient, data: Any, schedulers: dict[str, str]
) -> None:
    wire.get(f"{BASE}/openapi/v2/cluster", **success(data))
    assert direct.list_schedulers() == schedulers


@pytest.mark.parametrize("data", [None, "x", 5, True])
def test_what_is_no_list_of_schedulers(wire: requests_mock.Mocker, direct: ScnetClient, data: Any) -> None:
    wire.get(f"{BASE}/openapi/v2/cluster", **success(data))
    with pytest.raises(ScnetTransientError, match=r"no list of schedulers \(GET /hpc/openapi/v2/cluster"):
        direct.list_schedulers()


# --- submit ------------------------------------------------------------------------------------------------------

PARAMETERS = {
    "GAP_CMD_FILE": "sleep 500",
    "GAP_NNODE": 1,
    "GAP_NODE_STRING": "",
    "GAP_SUBMIT_TYPE": "cmd",
    "GAP_JOB_NAME": "demo",
    "GAP_WORK_DIR": "/public/home/acexample01",
    "GAP_QUEUE": "debug",
    "GAP_NPROC": 1,
    "GAP_WALL_TIME": "24:00:00",
    "GAP_APPNAME": "BASE",
    "GAP_STD_OUT_FILE": "/public/home/acexample01/std.out.%j",
    "GAP_STD_ERR_FILE": "/public/home/acexample01/std.err.%j",
}


def test_wire_of_a_submission(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job_id = client.submit_job(SCHEDULER, PARAMETERS)
    (request,) = scnet.requests
    assert (request.method, request.path) == ("POST", "/hpc/openapi/v2/apptemplates/BASIC/BASE/job")
    assert (request.query, request.headers["Content-Type"]) == ({}, "application/json")
    assert json.loads(request.body) == {
        "strJobManagerID": int(SCHEDULER),
        "mapAppJobInfo": {name: str(value) for name, value in PARAMETERS.items()},
    }
    assert scnet.job(job_id).name == "demo"


@pytest.mark.parametrize(("data", "job_id"), [("148", "148"), (148, "148"), (" 148\n", "148"), ("5_1", "5_1")])
def test_submitted_id(wire: requests_mock.Mocker, direct: ScnetClient, data: Any, job_id: str) -> None:
    wire.post(requests_mock.ANY, **success(data))
    assert direct.submit_job("1", {}) == job_id


@pytest.mark.parametrize(
    "data",
    [None, "", "null", "accepted", True, {}, [], {"jobId": "148"}, ["148"], "error 500", "QOS min 1", 148.5],
    ids=str,
)
def test_submission_without_an_id(wire: requests_mock.Mocker, direct: ScnetClient, data: Any) -> None:
    wire.post(requests_mock.ANY, **success(data))
    with pytest.raises(ScnetError, match=r"no job id.*'demo\d'") as caught:
        direct.submit_job("1", {"GAP_JOB_NAME": "demo1"})
    assert caught.value.data == data
    assert len(wire.request_history) == 1


def test_rejected_submission(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.fail("submit", code="815007", msg="QOSMinGRES")
    with pytest.raises(ScnetSubmitRejectedError, match="QOSMinGRES"):
        client.submit_job(SCHEDULER, PARAMETERS)
    assert scnet.calls == {"submit": 1}


def test_submission_is_not_repeated(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.fail("submit", drop=True, effect=True)
    with pytest.raises(ScnetTransientError):
        client.submit_job(SCHEDULER, PARAMETERS)
    assert len(scnet.jobs) == 1


@pytest.mark.parametrize("scheduler_id", ["abc", "", "1;2", "1.5"])
def test_submission_to_no_scheduler(scnet: ScnetEmulator, client: ScnetClient, scheduler_id: str) -> None:
    with pytest.raises(ScnetError):
        client.submit_job(scheduler_id, PARAMETERS)
    assert scnet.requests == []


# --- the client --------------------------------------------------------------------------------------------------


def test_no_token_in_the_text_of_a_client(direct: ScnetClient) -> None:
    assert repr(direct) == str(direct)
    assert BASE in repr(direct)
    assert TOKEN not in repr(direct)


@pytest.mark.parametrize("gateways", [[], (), BASE, ""])
def test_client_without_a_gateway_is_refused(gateways: Any) -> None:
    """It would send nothing, and its answers would look empty: no job anywhere."""
    with pytest.raises(ValueError, match=r"^gateways=.*name at least one address"):
        ScnetClient(gateways, FixedToken(), Transport())


CALLS: dict[str, Callable[[ScnetClient], Any]] = {
    "clusters": lambda client: client.list_schedulers(),
    "list": lambda client: client.list_jobs(SCHEDULER),
    "detail": lambda client: client.get_job("1"),
    "history": lambda client: client.list_history(SCHEDULER, user="u", since=SINCE, until=UNTIL),
    "delete": lambda client: client.delete_jobs(parse_jobs("1,u:2:")),
    "submit": lambda client: client.submit_job(SCHEDULER, PARAMETERS),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("connection", ["scnet_default", "other"])
def test_errors_name_call_and_connection(scnet: ScnetEmulator, call: str, connection: str) -> None:
    scnet.fail(call, code="10007")
    client = ScnetClient([f"{scnet.url}/hpc"], FixedToken(scnet.token), Transport(connection=connection))
    with pytest.raises(ScnetPermanentError, match=rf"\(\w+ /hpc/openapi/v2/\S+, connection {connection}\)") as caught:
        CALLS[call](client)
    (request,) = scnet.requests
    assert caught.value.call == f"{request.method} {request.path}"
    assert scnet.token not in str(caught.value)


# --- several gateways --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_next_gateway_where_one_cannot_be_connected_to(scnet: ScnetEmulator, call: str) -> None:
    with ScnetEmulator() as stopped:
        closed = f"{stopped.url}/hpc"
    scnet.fail(call, code="0", data=[] if call == "clusters" else {} if call != "submit" else "1", times=None)
    waits: list[float] = []
    client = ScnetClient(
        [closed, f"{scnet.url}/hpc"], FixedToken(scnet.token), Transport(patience=VirtualPatience(pauses=waits))
    )
    CALLS[call](client)
    assert client.base_url == f"{scnet.url}/hpc"
    assert (scnet.calls, waits) == ({call: 1}, [])


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"code": "10012"}, {"redirect": "/"}], ids=str)
def test_nothing_is_sent_twice_to_two_gateways(scnet: ScnetEmulator, fault: dict[str, Any]) -> None:
    with ScnetEmulator() as other:
        scnet.fail("delete", times=None, **fault)
        client = ScnetClient([f"{scnet.url}/hpc", f"{other.url}/hpc"], FixedToken(scnet.token), Transport())
        with pytest.raises(ScnetError):
            client.delete_jobs(parse_jobs("1,u:2:"))
        assert (len(scnet.requests), other.requests) == (1, [])


def test_no_gateway_can_be_connected_to(scnet: ScnetEmulator) -> None:
    with ScnetEmulator() as other:
        urls = [f"{scnet.url}/hpc", f"{other.url}/hpc"]
    scnet.stop()
    waits: list[float] = []
    with pytest.raises(ScnetTransientError, match="nothing answers"):
        ScnetClient(urls, FixedToken(), Transport(patience=VirtualPatience(pauses=waits))).list_schedulers()
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("named", "asked", "in_use"),
    [
        ([["1"], ["2"]], [1, 0], 0),
        ([["2"], ["1"]], [1, 1], 1),
        ([["2"], ["2"]], [1, 1], 0),
        ([[], ["1"]], [1, 1], 1),
    ],
)
def test_gateway_that_names_a_scheduler(
    scnet: ScnetEmulator, named: list[list[str]], asked: list[int], in_use: int
) -> None:
    with ScnetEmulator() as other:
        both = [scnet, other]
        for emulator, ids in zip(both, named, strict=True):
            emulator.fail("clusters", code="0", data=[{"id": int(one), "text": ""} for one in ids], times=None)
        client = ScnetClient([f"{one.url}/hpc" for one in both], FixedToken(scnet.token), Transport())
        names = client.find_scheduler("1")
        assert ("1" in names) == (["1"] in named)
        assert [one.calls["clusters"] for one in both] == asked
        assert client.base_url == f"{both[in_use].url}/hpc"


def test_gateway_that_refuses_to_name_schedulers_is_left(scnet: ScnetEmulator) -> None:
    with ScnetEmulator() as other:
        scnet.fail("clusters", code="0", data=[{"id": 2, "text": ""}], times=None)
        other.fail("clusters", code="77777", times=None)
        client = ScnetClient([f"{scnet.url}/hpc", f"{other.url}/hpc"], FixedToken(scnet.token), Transport())
        with pytest.raises(ScnetError, match="77777"):
            client.find_scheduler("1")
        assert client.base_url == f"{scnet.url}/hpc"


# --- schedulers, attempts and lost submissions ----------------------------------------------------------------------


def test_schedulers_are_asked_for_once(scnet: ScnetEmulator, client: ScnetClient) -> None:
    assert SCHEDULER in client.known_schedulers()
    assert client.known_schedulers() == client.known_schedulers()
    assert scnet.calls == {"clusters": 1}


def test_gateway_without_schedulers_is_asked_again(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.fail("clusters", code="0", data=[])
    assert client.known_schedulers() == {}
    assert SCHEDULER in client.known_schedulers()


def test_another_gateway_is_asked_for_its_own_schedulers(scnet: ScnetEmulator) -> None:
    with ScnetEmulator() as other:
        other.fail("*", code="0", data=[{"id": 7, "text": "Other"}], times=None)
        client = ScnetClient(
            [f"{scnet.url}/hpc", f"{other.url}/hpc"],
            FixedToken(scnet.token),
            Transport(patience=VirtualPatience()),
        )
        assert SCHEDULER in client.known_schedulers()
        scnet.fail("list", drop=True)
        client.list_jobs(SCHEDULER)
        assert client.known_schedulers() == {"7": "Other"}


def test_gateways_that_do_not_name_their_schedulers(scnet: ScnetEmulator) -> None:
    dead = f"{scnet.dead_url()}/hpc"
    transport = Transport(patience=VirtualPatience())
    client = ScnetClient([dead, f"{scnet.url}/hpc"], FixedToken(scnet.token), transport)
    assert client.silent_gateways == [dead, f"{scnet.url}/hpc"]
    assert client.all_schedulers() == {SCHEDULER: "Cluster", SECOND_SCHEDULER: "Second"}
    assert client.silent_gateways == [dead]


@pytest.mark.parametrize("call", ["list", "delete"])
def test_call_that_is_tried_once(scnet: ScnetEmulator, client: ScnetClient, call: str) -> None:
    scnet.fail(call, status=503, headers={"Retry-After": "60"})
    before = scnet.clock.now()
    with pytest.raises(ScnetTransientError):
        CALLS[call](client.tried_once())
    assert scnet.calls == {call: 1}
    assert scnet.clock.now() - before < 1


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ({"drop": True}, True),
        ({"body": "<html>busy</html>"}, True),
        ({"status": 502}, True),
        ({"code": "10012"}, True),
        ({"code": "10001"}, False),
        ({"code": "815007"}, False),
    ],
)
def test_submission_whose_answer_was_lost_says_that_its_effect_is_unknown(
    scnet: ScnetEmulator, client: ScnetClient, fault: dict[str, Any], lost: bool
) -> None:
    scnet.fail("submit", **fault)
    with pytest.raises(ScnetError) as caught:
        client.submit_job(SCHEDULER, PARAMETERS)
    assert ("The effect of a submission is unknown" in str(caught.value)) is lost
    assert scnet.calls == {"submit": 1}


def test_submission_that_was_never_sent_says_nothing_of_its_effect(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.token, scnet.stop()
    with pytest.raises(ScnetError) as caught:
        client.submit_job(SCHEDULER, PARAMETERS)
    assert "effect" not in str(caught.value)
