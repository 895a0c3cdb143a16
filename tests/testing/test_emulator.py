from __future__ import annotations

import json
import socket
from email.message import Message

import pytest
import requests

from airflow_provider_scnet.testing import Clock, ScnetEmulator


def test_the_parameters():
    with ScnetEmulator(
        user="u",
        login="l",
        region_id="7",
        schedulers={"1": "S"},
        token_lifetime=5,
        region_name="r",
        access_key="a",
        secret_key="s",
    ) as scnet:
        answer = requests.get(scnet.url + "/hpc/openapi/v2/cluster", headers={"token": scnet.token}, timeout=10)
        assert answer.json()["data"][0]["text"] == "S"
        assert scnet.add_job().ref == "1,u:101:"
        assert (scnet.user, scnet.regions[0].region_id, scnet.regions[0].name) == ("u", "7", "r")
        assert (scnet.account.login, scnet.account.access_key, scnet.account.secret_key) == ("l", "a", "s")


def test_without_a_start_there_is_no_url():
    with pytest.raises(RuntimeError, match="not been started"):
        ScnetEmulator().url  # noqa: B018


def test_it_answers_without_a_start():
    scnet = ScnetEmulator(clock=Clock(start=1_800_000_000.0))
    job = scnet.add_job()
    other = scnet.mint_token(lifetime=3600)
    headers = Message()
    headers["token"] = scnet.token
    path = f"/hpc/openapi/v2/jobs/{job.job_id}"
    reply = scnet._dispatcher.reply(scnet.regions[0].region_id, "GET", path, headers, b"")
    assert json.loads(reply.answer.body)["data"]["jobSubmitTime"] == "2027-01-15T16:00:00"
    assert (reply.delay, reply.drip) == (0.0, 0.0)
    assert (scnet.jobs, scnet.calls, scnet.requests[0].path) == ([job], {"detail": 1}, path)
    assert {scnet.token, other} < scnet.secrets


def test_the_clock_can_be_given():
    clock = Clock(start=1_800_000_000.0)
    first, second = ScnetEmulator(clock=clock), ScnetEmulator(clock=clock)
    first.clock.advance(60)
    assert first.add_job().submitted_at == second.add_job().submitted_at == 1_800_000_060.0


def test_the_token_is_renewed_when_it_is_no_good_any_more(scnet):
    first = scnet.token
    assert scnet.token == first
    scnet.clock.advance(13 * 3600)
    second = scnet.token
    scnet.revoke(second)
    assert len({first, second, scnet.token}) == 3


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ({}, {}),
        ({"password": None, "login": "alice"}, {"password": None, "login": "alice"}),
        (
            {"scheduler_id": "1", "extra": {"user": "u", "verify": None}},
            {"extra": {"scheduler_id": "1", "user": "u"}},
        ),
        ({"extra": None}, {}),
    ],
)
def test_the_connection(scnet, overrides, changes):
    extra = {"api_url": scnet.url, "platform_url": scnet.url, **changes.pop("extra", {})}
    expected = {"conn_type": "scnet", "host": scnet.url, "password": scnet.token, "extra": extra, **changes}
    expected = {name: value for name, value in expected.items() if value is not None}
    assert json.loads(scnet.connection(**overrides)) == expected


def test_the_connection_with_keys(scnet):
    extra = {
        "access_key": "ak-example-0001",
        "secret_key": "sk-example-0001",
        "api_url": scnet.url,
        "platform_url": scnet.url,
    }
    usual = {"conn_type": "scnet", "login": "alice", "extra": extra}
    assert json.loads(scnet.aksk_connection()) == usual
    assert json.loads(scnet.aksk_connection(login=None, region="11113", api_url=None, extra={"verify": 0})) == {
        "conn_type": "scnet",
        "extra": {
            **{name: extra[name] for name in extra if name != "api_url"},
            "region": "11113",
            "verify": 0,
        },
    }


def test_secrets(scnet):
    assert scnet.secrets == {"ak-example-0001", "sk-example-0001"}
    tokens = {scnet.token, scnet.mint_token(lifetime=-1), scnet.add_region("11113", "region-b").token}
    scnet.fail("tokens", code="10001")
    for signature in ("first", "second"):
        headers = {"user": "x", "accessKey": "x", "timestamp": "1", "signature": signature}
        requests.post(f"{scnet.url}/api/user/v3/tokens", headers=headers, timeout=10)
    scnet.requests.clear()
    assert scnet.secrets == {"ak-example-0001", "sk-example-0001", "first", "second", *tokens}


def test_regions_added_before_the_start():
    scnet = ScnetEmulator()
    region = scnet.add_region("11113", "region-b")
    with pytest.raises(RuntimeError, match="not been started"):
        region.url  # noqa: B018
    with scnet:
        assert requests.get(region.url, timeout=10).status_code == 404


def test_all_ports_or_none(scnet):
    region = scnet.add_region("11113", "region-b")
    url = region.url
    scnet.stop()
    with (
        socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))),
        pytest.raises(OSError, match="in use"),
    ):
        scnet.start()
    with pytest.raises(requests.ConnectionError):
        requests.get(scnet.url, timeout=10)
    scnet.start()
    assert region.url == url
    assert requests.get(url, timeout=10).status_code == 404


def test_jobs_can_be_looked_up(scnet):
    one, two = scnet.add_job(), scnet.add_job("COMPLETED", scheduler_id="2000000000", job_id=101)
    assert scnet.jobs == [one, two]
    assert scnet.active_jobs == [one]
    assert (scnet.job(101), scnet.job("101", "2000000000")) == (one, two)
    with pytest.raises(KeyError):
        scnet.job("102")
