from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from airflow_provider_scnet.api.tokens import RegionToken, Token, read_claims
from tests.conftest import jwt


@pytest.mark.parametrize(
    ("token", "claims"),
    [
        pytest.param(jwt('{"user":"alice"}'), {"user": "alice"}, id="no padding"),
        pytest.param(jwt('{"user":"测试??>>"}'), {"user": "测试??>>"}, id="alphabet of URLs"),
        pytest.param(f"e30.{base64.urlsafe_b64encode(b'{}').decode()}.x", {}, id="padding"),
        pytest.param(jwt('{"user":"alice"}').rpartition(".")[0], {"user": "alice"}, id="no signature"),
        pytest.param("", {}, id="empty"),
        pytest.param("opaque-token", {}, id="no dot"),
        pytest.param("a.b.c", {}, id="no base64"),
        pytest.param("a.*.c", {}, id="foreign characters"),
        pytest.param("a.密.c", {}, id="Chinese"),
        pytest.param("..", {}, id="dots"),
        pytest.param(jwt(b"\xff\xfe{"), {}, id="no text"),
        pytest.param(jwt("not json"), {}, id="no JSON"),
        pytest.param(jwt("[1]"), {}, id="array"),
        pytest.param(jwt("null"), {}, id="null"),
        pytest.param(jwt("[" * 100_000), {}, id="deeply nested"),
        pytest.param(jwt(f'{{"expireTime":{"9" * 5000}}}'), {}, id="endless number"),
    ],
)
@pytest.mark.usefixtures("without_gc")
def test_claims(token: str, claims: dict[str, Any]) -> None:
    assert read_claims(token) == claims


@pytest.mark.parametrize(
    ("claim", "expiry"),
    [
        ('"1686908509231"', 1686908509.231),
        ('" 1686908509231 "', 1686908509.231),
        ("1686908509231", 1686908509.231),
        ("1.686908509231e12", 1686908509.231),
        ('""', None),
        ('"soon"', None),
        ("null", None),
        ("true", None),
        ("{}", None),
        ("[1]", None),
        # No moment that a calendar knows.
        ('"nan"', None),
        ('"inf"', None),
        ('"-Infinity"', None),
        ("NaN", None),
        ("1e300", None),
        ('"' + "9" * 40 + '"', None),
    ],
)
def test_expiry(claim: str, expiry: float | None) -> None:
    assert Token.read(jwt(f'{{"expireTime":{claim}}}')).ends_at == expiry


def test_other_claims_are_no_expiry() -> None:
    assert Token.read(jwt('{"exp":1686908509,"iat":1}')).ends_at is None
    assert Token.read("opaque-token").ends_at is None


SAMPLE = '{"computeUser":"acexample01","clusterId":"11112","user":"alice","expireTime":"1700003600000"}'


def test_token() -> None:
    token = Token.read(jwt(SAMPLE))
    assert (token.text, token.platform_user, token.user) == (jwt(SAMPLE), "alice", "acexample01")
    assert (token.region, token.ends_at, token.until) == ("11112", 1700003600.0, "until 2023-11-14 23:13 UTC")


@pytest.mark.parametrize("text", [jwt(SAMPLE), "opaque-token"])
def test_token_does_not_show_itself(text: str) -> None:
    token = Token.read(text)
    entry = RegionToken("11112", "region-a", token)
    for shown in (
        f"{token}",
        str(token),
        repr(token),
        repr([token]),
        str(entry),
        repr(entry),
        "".join([str(token), repr(token)]),
    ):
        assert text not in shown
    assert "***" in repr(token)
    assert Token.read(text) == token


@pytest.mark.parametrize("claim", ["a\nINFO - All jobs are accounted for", "b\r\n\x1b[31mc", "d\u2028e", "x" * 10**5])
@pytest.mark.parametrize("name", ["user", "computeUser", "clusterId"])
def test_claims_forge_no_line(name: str, claim: str) -> None:
    token = Token.read(jwt(json.dumps({name: claim})))
    values = (token.platform_user, token.user, token.region)
    assert all(value.isprintable() and len(value) < 300 for value in values)
    assert all("…" not in value for value in values)  # half a name would be somebody else's


@pytest.mark.parametrize("claim", [None, 5, True, [], {}, [1]])
def test_claims_of_any_type(claim: Any) -> None:
    token = Token.read(jwt(json.dumps(dict.fromkeys(("user", "computeUser", "clusterId", "expireTime"), claim))))
    assert all(isinstance(value, str) for value in (token.platform_user, token.user, token.region))


@pytest.mark.parametrize(
    ("claims", "looks"),
    [
        ({"computeUser": "root"}, True),
        ({"computeUser": "root", "clusterId": "11112"}, True),
        ({"computeUser": "acexample01", "clusterId": "0"}, True),
        ({"computeUser": "acexample01", "clusterId": "11112"}, False),
        ({}, False),
    ],
)
def test_looks_like_the_platforms(claims: dict[str, str], looks: bool) -> None:
    assert Token.read(jwt(json.dumps(claims))).looks_like_the_platforms is looks
