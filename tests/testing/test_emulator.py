from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator


def test_the_parameters():
    with ScnetEmulator(user="u", login="l", region_id="7", schedulers={"1": "S"}, token_lifetime=5) as scnet:
        answer = requests.get(
            scnet.url + "/hpc/openapi/v2/cluster", headers={"token": scnet.token}, timeout=10
        )
        assert answer.json()["data"][0]["text"] == "S"
        assert scnet.add_job().ref == "1,u:101:"


def test_without_a_start_there_is_no_url():
    with pytest.raises(RuntimeError, match="not been started"):
        ScnetEmulator().url  # noqa: B018


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
    expected = {"conn_type": "scnet", "host": scnet.url, "password": scnet.token, "extra": {}, **changes}
    expected = {name: value for name, value in expected.items() if value is not None}
    assert json.loads(scnet.connection(**overrides)) == expected


def test_jobs_can_be_looked_up(scnet):
    one, two = scnet.add_job(), scnet.add_job("COMPLETED", scheduler_id="2000000000", job_id=101)
    assert scnet.jobs == [one, two]
    assert scnet.active_jobs == [one]
    assert (scnet.job(101), scnet.job("101", "2000000000")) == (one, two)
    with pytest.raises(KeyError):
        scnet.job("102")
