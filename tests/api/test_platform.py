from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_scnet.api.platform import AccessKeys, PlatformClient
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.conftest import VirtualPatience, platform_of

AK, SK = "ak-example-0001", "sk-example-0001"
KEYS = AccessKeys("alice", Secret(AK), Secret(SK))


@pytest.fixture
def platform(scnet: ScnetEmulator) -> PlatformClient:
    return platform_of(scnet)


def failure(act: Callable[[], Any], error_class: type[ScnetError] = ScnetError) -> str:
    with pytest.raises(error_class) as caught:
        act()
    return str(caught.value)


# --- signature ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "signature"),
    [
        ("alice", "730825b2b7d5cae621949741c601649001bb6dc129f7fee2cbd60ec88525b886"),
        ("测试", "59bc7031a7cd93392f94792c73314d61db62c91411419df7754a84e4f4c5af1e"),
    ],
)
@pytest.mark.parametrize("now", [1700000000, 1700000000.0, 1700000000.999])
def test_signature(login: str, signature: str, now: float) -> None:
    assert AccessKeys(login, Secret(AK), Secret(SK)).headers(now) == {
        "user": login,
        "accessKey": Secret(AK),
        "signature": Secret(signature),
        "timestamp": "1700000000",
    }


@pytest.mark.parametrize("login", ["alice", "测试", 'a"b\\c', "al ice", "é"])
def test_platform_accepts_the_signature(login: str) -> None:
    with ScnetEmulator(login=login) as scnet:
        assert len(platform_of(scnet).mint_tokens(AccessKeys(login, Secret(AK), Secret(SK)))) == 1


def test_keys_are_not_in_their_text() -> None:
    assert repr(KEYS) == "AccessKeys(login='alice', access_key=***, secret_key=***)"


# --- minting --------------------------------------------------------------------------------------------------------


def test_wire_of_minting(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    platform.mint_tokens(KEYS)
    (request,) = scnet.requests
    assert (request.method, request.path, request.query) == ("POST", "/api/user/v3/tokens", {})
    assert request.headers["Content-Type"] == "application/json"
    assert {name: request.headers[name] for name in ("user", "accessKey")} == {"user": "alice", "accessKey": AK}
    assert abs(int(request.headers["timestamp"]) - scnet.clock.now()) < 60
    assert not {"token", "Authorization", "secretKey"} & set(request.headers)
    assert SK not in f"{request.headers} {request.body}"


@pytest.mark.parametrize("place", ["first", "middle", "last", None])
def test_platform_entry_is_left_out(scnet: ScnetEmulator, platform: PlatformClient, place: Any) -> None:
    scnet.platform_entry = place
    scnet.add_region("11113", "华东一区【昆山】", stopped=True)
    one, two = platform.mint_tokens(KEYS)
    assert (one.region_id, one.name, str(one)) == ("11112", "region-a", "11112 (region-a)")
    assert one.token.text in scnet.secrets
    assert (str(two), two.token) == ("11113 (华东一区【昆山】)", None)
    assert one.token.text not in repr([one, two])


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ({"clusterId": 11112, "clusterName": "a", "token": "t"}, ("11112", "a", "t")),
        ({"clusterId": " 11112 ", "token": "t"}, ("11112", "", "t")),
        ({"clusterId": "11112", "clusterName": None, "token": ""}, ("11112", "", None)),
        ({"clusterId": "11112", "clusterName": "a"}, ("11112", "a", None)),
        ({"clusterId": "11112", "clusterName": "a", "token": " t\n"}, ("11112", "a", "t")),
        ({"clusterId": 0, "token": "t"}, None),
        ({"clusterId": "0", "token": "t"}, None),
        ({"clusterId": None, "token": "t"}, None),
        ({"token": "t"}, None),
        ("text", None),
        (None, None),
    ],
)
def test_entries_of_the_token_list(scnet: ScnetEmulator, platform: PlatformClient, entry: Any, read: Any) -> None:
    scnet.fail("tokens", code="0", data=[entry])
    regions = platform.mint_tokens(KEYS)
    assert [(r.region_id, r.name, r.token and r.token.text) for r in regions] == ([read] if read else [])


@pytest.mark.parametrize("token", [5, True, {"token": "t"}, ["t"]])
def test_token_that_is_no_text_is_never_used(scnet: ScnetEmulator, platform: PlatformClient, token: Any) -> None:
    scnet.fail("tokens", code="0", data=[{"clusterId": "11112", "token": token}], times=None)
    with suppress(ScnetTransientError):  # an answer that cannot be used is as good as none
        assert [region.token for region in platform.mint_tokens(KEYS)] in ([None], [])


@pytest.mark.parametrize("data", [None, "token", {"token": "t"}, 5, True])
def test_what_is_no_list_of_regions(scnet: ScnetEmulator, platform: PlatformClient, data: Any) -> None:
    scnet.fail("tokens", code="0", data=data, times=None)
    assert "no list of regions" in failure(lambda: platform.mint_tokens(KEYS), ScnetTransientError)


@pytest.mark.parametrize("fault", [{"code": "10001"}, {"status": 502}, {"drop": True}, {"code": "10012"}])
def test_each_attempt_is_signed_anew(scnet: ScnetEmulator, platform: PlatformClient, fault: dict[str, Any]) -> None:
    scnet.fail("tokens", times=3, **fault)
    scnet.fail("tokens", when=lambda request: scnet.clock.advance(2))
    assert len(platform.mint_tokens(KEYS)) == 1
    stamps = [(request.headers["timestamp"], request.headers["signature"]) for request in scnet.requests]
    assert len(stamps) == 4
    for timestamp, signature in stamps:
        assert KEYS.headers(int(timestamp))["signature"] == Secret(signature)
    assert int(stamps[-1][0]) > int(stamps[0][0])


# --- who is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        (AccessKeys("bob", Secret(AK), Secret(SK)), "login='bob'"),
        (AccessKeys("acexample01", Secret(AK), Secret(SK)), "login='acexample01'"),
        (AccessKeys("测试", Secret(AK), Secret(SK)), "login='测试'"),
        (AccessKeys("alice", Secret("ak-unknown-9999"), Secret(SK)), "extra `access_key`"),
        (AccessKeys("alice", Secret(AK), Secret("sk-unknown-9999")), "extra `secret_key`"),
    ],
)
def test_wrong_keys_name_their_field(
    scnet: ScnetEmulator, platform: PlatformClient, keys: AccessKeys, field: str
) -> None:
    message = failure(lambda: platform.mint_tokens(keys), ScnetCredentialError)
    for part in ("[10009]", "connection scnet_default", field):
        assert part in message
    assert not any(secret in message for secret in {*scnet.secrets, keys.access_key.text, keys.secret_key.text})
    assert scnet.calls == {"tokens": 1}


@pytest.mark.parametrize("offset", [-3600, 3600])
def test_clock_skew_names_the_clock(scnet: ScnetEmulator, offset: float) -> None:
    transport = Transport()
    platform = PlatformClient(
        scnet.url, scnet.url, api=transport, platform=transport, now=lambda: scnet.clock.now() + offset
    )
    message = failure(lambda: platform.mint_tokens(KEYS), ScnetCredentialError)
    assert "clock" in message
    assert "UTC" in message
    assert "secret_key" not in message


@pytest.mark.parametrize(
    ("msg", "field"),
    [
        ("用户不存在", "login='alice'"),
        ("AccessKey不存在", "extra `access_key`"),
        ("AK非本人", "extra `access_key`"),
        ("AK/SK签名校验失败", "extra `secret_key`"),
        ("timestamp expired", "clock"),
        ("verify_fail", "extra `secret_key`"),
    ],
)
@pytest.mark.parametrize("code", ["10009", "10008"])
def test_words_of_the_platform(scnet: ScnetEmulator, platform: PlatformClient, code: str, msg: str, field: str) -> None:
    scnet.fail("tokens", code=code, msg=msg)
    message = failure(lambda: platform.mint_tokens(KEYS), ScnetCredentialError)
    assert field in message
    assert f"[{code}]" in message


@pytest.mark.parametrize("code", ["1001", "10004", "4711"])
def test_failed_signature_under_another_code(scnet: ScnetEmulator, platform: PlatformClient, code: str) -> None:
    """Its text was seen on the real service, its code was not recorded."""
    scnet.fail("tokens", code=code, msg="AK/SK签名校验失败")
    assert "extra `secret_key`" in failure(lambda: platform.mint_tokens(KEYS), ScnetCredentialError)


@pytest.mark.parametrize(
    ("code", "msg"),
    [("10001", "internal_error, timestamp 1700000000"), ("10012", "连接不存在"), ("10013", "处理时间过长")],
)
def test_trouble_of_the_platform_is_no_fault_of_the_keys(
    scnet: ScnetEmulator, platform: PlatformClient, code: str, msg: str
) -> None:
    """A retry of the task may help, whatever words the platform uses."""
    scnet.fail("tokens", code=code, msg=msg, times=None)
    failure(lambda: platform.mint_tokens(KEYS), ScnetTransientError)
    assert scnet.calls == {"tokens": 4}


def test_what_the_platform_says_is_kept(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    scnet.fail("tokens", code="10009", msg="该AccessKey已被禁用")
    assert "该AccessKey已被禁用" in failure(lambda: platform.mint_tokens(KEYS))


@pytest.mark.parametrize("code", ["10003", "10004"])
def test_codes_of_the_token_call_speak_of_it(scnet: ScnetEmulator, platform: PlatformClient, code: str) -> None:
    scnet.fail("tokens", code=code)
    message = failure(lambda: platform.mint_tokens(KEYS))
    assert "access_key" in message
    assert "DELETE" not in message
    assert "job id" not in message


@pytest.mark.parametrize(
    ("act", "call", "field"),
    [
        (lambda platform: platform.mint_tokens(KEYS), "tokens", "extra `api_url`"),
        (lambda platform: platform.renew_token(Token.read("t-0001")), "renew", "extra `platform_url`"),
        (lambda platform: platform.get_center(Token.read("t-0001")), "center", "extra `platform_url`"),
    ],
    ids=["tokens", "renew", "center"],
)
@pytest.mark.parametrize("fault", ["redirect", "html", "not found", "envelope 404"])
def test_wrong_address_names_its_field(
    scnet: ScnetEmulator, act: Callable[[PlatformClient], Any], call: str, field: str, fault: str
) -> None:
    bystander = scnet.bystander()
    faults: dict[str, dict[str, Any]] = {
        "redirect": {"redirect": bystander.url},
        "html": {"body": "<html>Welcome</html>"},
        "not found": {"status": 404, "body": "<html>Not found</html>"},
        "envelope 404": {"code": "404", "status": 404},
    }
    scnet.fail(call, times=None, **faults[fault])
    api, ac = (
        Transport(field=f"extra `{name}`", patience=VirtualPatience(scnet)) for name in ("api_url", "platform_url")
    )
    platform = PlatformClient(scnet.url, scnet.url, api=api, platform=ac, now=scnet.clock.now)
    message = failure(lambda: act(platform))
    assert field in message
    assert "`host`" not in message
    assert bystander.requests == []


def test_redirect_is_final(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    scnet.fail("tokens", redirect="https://login.example/sso", times=None)
    failure(lambda: platform.mint_tokens(KEYS), ScnetAddressError)
    assert scnet.calls == {"tokens": 1}


# --- renewal --------------------------------------------------------------------------------------------------------


def test_wire_of_a_renewal(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    token = scnet.token
    assert platform.renew_token(Token.read(token)).text in scnet.secrets - {token}
    (request,) = scnet.requests
    assert (request.method, request.path, request.query) == ("POST", "/ac/openapi/v2/tokens/next", {})
    assert request.headers["token"] == token
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("data", "token"),
    [
        ("t", "t"),
        (" t\n", "t"),
        ({"token": "t"}, "t"),
        ([{"token": "t"}], "t"),
        ([{"clusterId": "11112"}, {"clusterId": "11113", "token": "t"}], "t"),
    ],
)
def test_answers_of_a_renewal(scnet: ScnetEmulator, platform: PlatformClient, data: Any, token: str) -> None:
    scnet.fail("renew", code="0", data=data)
    assert platform.renew_token(Token.read("old-token")).text == token


@pytest.mark.parametrize("data", [None, "", "  ", [], {}, {"token": None}, [{"token": ""}], [None], ["t"], 5, True])
def test_renewal_without_a_token(scnet: ScnetEmulator, platform: PlatformClient, data: Any) -> None:
    scnet.fail("renew", code="0", data=data, times=None)
    assert "no token" in failure(lambda: platform.renew_token(Token.read("old-token")), ScnetTransientError)


# --- center ---------------------------------------------------------------------------------------------------------


def test_center(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    region = scnet.add_region("11113", "region-b")
    center = platform.get_center(Token.read(region.token))
    assert (center.name, center.user, center.gateways) == ("region-b", "acexample02", [region.url])
    (request,) = scnet.requests
    assert (request.method, request.path) == ("GET", "/ac/openapi/v2/center")
    assert request.headers["token"] == region.token


@pytest.mark.parametrize(
    ("entries", "gateways"),
    [
        (["https://a"], ["https://a"]),
        ([{"url": "https://a", "enable": "true"}, {"url": "https://b", "enable": "false"}], ["https://a"]),
        ([{"url": "https://a", "enable": " TRUE "}, {"url": "https://b", "enable": "False"}], ["https://a"]),
        ([{"url": "https://a", "enable": None}], ["https://a"]),
        ([{"url": "https://a", "enable": ""}], []),
        ([{"url": " https://a "}, {"url": ""}, {"url": None}], ["https://a"]),
        ([], []),
    ],
)
def test_gateways_of_a_center(
    scnet: ScnetEmulator, platform: PlatformClient, entries: Any, gateways: list[str]
) -> None:
    scnet.regions[0].gateways = entries
    assert platform.get_center(Token.read(scnet.token)).gateways == gateways


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": None, "clusterUserInfo": None, "hpcUrls": None},
        {"clusterUserInfo": "x", "hpcUrls": "https://a"},
        {"clusterUserInfo": {"userName": None}, "hpcUrls": {"url": "https://a"}},
        {"hpcUrls": ["https://a", None, 5, []]},
    ],
)
def test_center_that_says_little(scnet: ScnetEmulator, platform: PlatformClient, data: Any) -> None:
    scnet.fail("center", code="0", data=data)
    center = platform.get_center(Token.read(scnet.token))
    assert (center.name, center.user, center.gateways) == ("", "", [])


@pytest.mark.parametrize("data", [None, "x", [], [{"hpcUrls": []}], 5])
def test_what_is_no_center(scnet: ScnetEmulator, platform: PlatformClient, data: Any) -> None:
    scnet.fail("center", code="0", data=data, times=None)
    assert "no region" in failure(lambda: platform.get_center(Token.read(scnet.token)), ScnetTransientError)


@pytest.mark.parametrize("user", ["root", "acexample01"])
def test_center_of_the_platform_token(scnet: ScnetEmulator, platform: PlatformClient, user: str) -> None:
    token = scnet.mint_token(platform=True, computeUser=user)
    message = failure(lambda: platform.get_center(Token.read(token)), ScnetTransientError)
    assert "[10001]" in message
    assert "a region's, not the platform's" in message
    assert scnet.calls == {"center": 4}


def test_only_credentials_are_credential_errors(scnet: ScnetEmulator, platform: PlatformClient) -> None:
    scnet.fail("center", code="10003")
    assert "[10003]" in failure(lambda: platform.get_center(Token.read(scnet.token)), ScnetRequestError)
    scnet.fail("center", code="10008")
    assert "[10008]" in failure(lambda: platform.get_center(Token.read(scnet.token)), ScnetCredentialError)
