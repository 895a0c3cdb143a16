from __future__ import annotations

import base64
import json

import pytest

from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.tokens import TokenOffice


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(clock: Clock) -> TokenOffice:
    return TokenOffice(clock, "alice", "acexample01", "11112", 3600)


def test_the_claims_are_those_of_scnet(office, clock):
    head, payload, _ = office.mint().split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, payload))
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert int(claims.pop("expireTime")) / 1000 == pytest.approx(clock.now() + 3600, abs=60)
    assert claims == {
        "computeUser": "acexample01",
        "accountStatus": "Trial",
        "creator": "ac",
        "role": "1",
        "clusterId": "11112",
        "invoker": "0123456789abcdef0123456789abcdef",
        "user": "alice",
        "userId": "1000000001",
    }


def test_no_two_tokens_are_equal(office):
    assert len({office.mint() for _ in range(50)}) == 50


def test_expiry_and_revocation(office, clock):
    first, second = office.mint(), office.mint(lifetime=7200)
    assert office.check(first, "11112")["user"] == "alice"
    clock.advance(3601)
    assert office.check(first, "11112") is None
    assert office.check(second, "11112")
    office.revoke(second)
    assert office.check(second, "11112") is None


def test_grace(office, clock):
    token = office.mint()
    clock.advance(3600 + 60)
    assert office.inspect(token) is None
    assert office.inspect(token, grace=59) is None
    assert office.inspect(token, grace=61)["clusterId"] == "11112"
    office.revoke(token)
    assert office.inspect(token, grace=61) is None


def test_platform_tokens_are_told_by_what_was_issued(office):
    token, own = office.mint(platform=True), office.mint(computeUser="root")
    assert (office.holder(token), office.holder(own)) == ("0", "11112")
    assert (office.check(token, "11112"), office.check(token, "0")["clusterId"]) == (None, "11112")
    assert (office.check(own, "0"), office.check(own, "11112")["computeUser"]) == (None, "root")


def test_revoking_all(office):
    own, other, platform = office.mint(), office.mint(clusterId="11113"), office.mint(platform=True)
    assert office.issued == {own, other, platform}
    office.revoke_all("11112")
    later = office.mint()
    assert [office.inspect(token) is None for token in (own, other, platform, later)] == [True] + [False] * 3
    office.revoke_all("0")
    assert office.inspect(platform) is None


@pytest.mark.parametrize(
    "claims", [{"lifetime": -1}, {"clusterId": "11113"}, {"expireTime": ""}, {"expireTime": "soon"}]
)
def test_tokens_that_are_no_good_here(office, claims):
    assert office.check(office.mint(**claims), "11112") is None


def test_forgeries(office, clock):
    other = TokenOffice(clock, "alice", "acexample01", "11112", 3600).mint()
    good = office.mint()
    forged = [None, "", "x", "a.b.c", "\u00e9.\u00e9.\u00e9", other, good + "x", "x" + good, good[:-1]]
    assert [office.check(token, "11112") for token in forged] == [None] * len(forged)
