from __future__ import annotations

import base64
import json

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.tokens import TokenOffice, derived, read_claims


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


def seeded(clock: Clock, seed: str = "a", lifetime: float = 3600) -> TokenOffice:
    return TokenOffice(clock, "alice", "acexample01", "11112", lifetime, seed=seed)


def test_offices_with_the_same_seed_issue_the_same_token_and_accept_each_others():
    clock = Clock(start=3600 * 100.0 + 1)
    first, second, other = seeded(clock), seeded(clock), seeded(clock, "b")
    tokens = [first.mint(), first.mint()]
    assert tokens[0] != tokens[1]
    assert second.mint() == tokens[0]
    assert second.check(tokens[1], "11112")
    assert tokens[1] in second.issued
    assert other.check(tokens[0], "11112") is None
    clock.advance(3598)
    assert seeded(clock).mint() == tokens[0]
    clock.advance(1)
    assert seeded(clock).mint() != tokens[0]
    clock.advance(3599)
    assert seeded(clock).check(tokens[0], "11112")
    clock.advance(1)
    assert seeded(clock).check(tokens[0], "11112") is None


def test_a_seed_leaves_a_given_lifetime_alone(clock):
    token = seeded(clock).mint(60)
    assert int(read_claims(token)["expireTime"]) / 1000 == pytest.approx(clock.now() + 60, abs=30)


def test_what_a_seed_gives():
    assert derived("a", "x") == derived("a", "x")
    assert len({derived("a", "x"), derived("a", "y"), derived("b", "x"), derived("模拟", "x")}) == 4


def test_after_a_restart_with_the_same_seed_all_calls_accept_a_token():
    with ScnetEmulator(seed="staging") as scnet:
        token = scnet.mint_token()
    with ScnetEmulator(seed="staging") as scnet:
        for path in ("/hpc/openapi/v2/cluster", "/ac/openapi/v2/tokens/state", "/ac/openapi/v2/center"):
            assert requests.get(scnet.url + path, headers={"token": token}, timeout=10).json()["code"] == "0", path
        assert token in scnet.secrets
        scnet._tokens.revoke_everything()
        answer = requests.get(f"{scnet.url}/hpc/openapi/v2/cluster", headers={"token": token}, timeout=10)
        assert answer.json()["code"] == "10008"


def test_a_token_from_elsewhere(office, clock):
    token = seeded(clock, "elsewhere").mint()
    assert office.check(token, "11112") is None
    office.adopt(token)
    assert office.check(token, "11112")["user"] == "alice"
    assert office.check(token, "11113") is None
    assert token in office.issued
    office.revoke_all("11112")
    assert office.check(token, "11112") is None
    other = seeded(clock, "elsewhere", 1800).mint()
    office.adopt(other)
    office.revoke_everything()
    assert office.check(other, "11112") is None


def jwt(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.sig"


GOOD = {"user": "alice", "computeUser": "u", "clusterId": "11112", "expireTime": "99999999999999"}


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("", "it is no JWT, which has three parts"),
        ("a.b", "it is no JWT, which has three parts"),
        ("a.b.c d", "it is no JWT, which has three parts"),
        ("a.b.模", "it is no JWT, which has three parts"),
        ("a.b.c", "its second part is no JSON object"),
        (jwt([]), "its second part is no JSON object"),
        *((jwt({**GOOD, name: ""}), f"no claim '{name}' that is a text") for name in GOOD),
        (jwt({**GOOD, "expireTime": 99999999999999}), "no claim 'expireTime' that is a text"),
        (jwt({**GOOD, "expireTime": "1000"}), "its end .* has passed"),
        (jwt({**GOOD, "expireTime": "soon"}), "its end .* has passed"),
        (jwt({**GOOD, "expireTime": "9" * 15}), "its end .* comes after the year 9000"),
    ],
)
def test_a_token_from_elsewhere_that_cannot_be_used(office, token, error):
    with pytest.raises(ValueError, match=error) as raised:
        office.adopt(token)
    assert not token or token not in str(raised.value)
    assert office.issued == set()
