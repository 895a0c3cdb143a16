from __future__ import annotations

import base64
import json
from collections import Counter

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.platform import sign

INVALID = {"msg": "auth_fail", "code": "10008", "data": "token is invalid"}
AK, SK = "ak-example-0001", "sk-example-0001"
VECTORS = [
    ("alice", "730825b2b7d5cae621949741c601649001bb6dc129f7fee2cbd60ec88525b886"),
    ("测试", "59bc7031a7cd93392f94792c73314d61db62c91411419df7754a84e4f4c5af1e"),
]


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


@pytest.fixture
def ac(scnet):
    """Make a platform call; returns the envelope."""

    def send(method, path, token=None, **options):
        headers = {} if token is None else {"token": token}
        response = requests.request(method, f"{scnet.url}/ac/openapi/v2{path}", headers=headers, timeout=10, **options)
        assert response.status_code == 200
        return response.json()

    return send


@pytest.fixture
def login(scnet):
    """Make the token call, with headers that differ from the right ones; returns the envelope."""

    def send(*, secret_key=SK, **changes):
        headers = {"user": "alice", "accessKey": AK, "timestamp": str(int(scnet.clock.now())), **changes}
        signed = (str(headers[name]) for name in ("timestamp", "user"))
        headers = {"signature": sign(str(headers["accessKey"]), secret_key, *signed), **headers}
        response = requests.post(f"{scnet.url}/api/user/v3/tokens", headers=headers, timeout=10)
        assert response.status_code == 200
        return response.json()

    return send


@pytest.fixture
def tokens(login):
    """Fetch tokens: ``clusterId`` -> token."""
    return lambda: {entry["clusterId"]: entry["token"] for entry in login()["data"]}


@pytest.mark.parametrize(("user", "signature"), VECTORS)
def test_the_signature(user, signature):
    assert sign(AK, SK, "1700000000", user) == signature


@pytest.mark.parametrize(("user", "signature"), VECTORS)
@pytest.mark.parametrize("options", [{}, {"data": "{}"}, {"json": {"user": "somebody"}}])
def test_tokens_are_issued(user, signature, options):
    headers = {"user": user.encode(), "accessKey": AK, "signature": signature, "timestamp": "1700000000"}
    with ScnetEmulator(login=user) as scnet:
        scnet.clock.advance(1_700_000_000 - scnet.clock.now())
        answer = requests.post(f"{scnet.url}/api/user/v3/tokens", headers=headers, timeout=10, **options).json()
        assert (answer["code"], answer["msg"], len(answer["data"])) == ("0", "success", 2)
        assert scnet.calls == {"tokens": 1}


def test_one_token_for_each_region_and_the_platform(scnet, login):
    scnet.add_region("11113", "华东一区【昆山】", stopped=True)
    scnet.add_region("11114", "region-c", user="acother")
    first, stopped, other, platform = login()["data"]
    assert stopped == {"clusterName": "华东一区【昆山】", "clusterId": "11113", "token": None}
    expected = [
        (first, "region-a", "11112", "acexample01", "11112"),
        (other, "region-c", "11114", "acother", "11114"),
        (platform, "ac", "0", "alice", "11112"),
    ]
    for entry, name, region_id, user, claimed in expected:
        assert (entry["clusterName"], entry["clusterId"]) == (name, region_id)
        content = claims(entry["token"])
        assert (content["computeUser"], content["clusterId"], content["user"]) == (user, claimed, "alice")


@pytest.mark.parametrize(
    ("position", "ids"),
    [
        ("first", "0 11112 11113"),
        ("middle", "11112 0 11113"),
        ("last", "11112 11113 0"),
        (None, "11112 11113"),
    ],
)
def test_the_platform_entry_in_any_position(scnet, tokens, position, ids):
    scnet.add_region("11113", "region-b")
    scnet.platform_entry = position
    assert list(tokens()) == ids.split()


@pytest.mark.parametrize("offset", [-290, 290])
def test_a_clock_that_is_a_little_wrong(scnet, login, offset):
    assert login(timestamp=str(int(scnet.clock.now() + offset)))["code"] == "0"


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        *(
            ({name: value}, "10003", "param_incomplete")
            for name in ("user", "accessKey", "signature", "timestamp")
            for value in (None, "")
        ),
        ({"user": "acexample01"}, "10009", "用户不存在"),
        ({"user": "é".encode("latin-1")}, "10009", "用户不存在"),
        ({"accessKey": "ak-other"}, "10009", "AccessKey不存在"),
        ({"secret_key": "sk-other"}, "10009", "AK/SK签名校验失败"),
        ({"signature": sign(AK, SK, "1700000000", "alice")}, "10009", "AK/SK签名校验失败"),
        ({"signature": "é".encode()}, "10009", "AK/SK签名校验失败"),
        ({"timestamp": "now"}, "10009", "时间戳校验失败"),
        ({"timestamp": "1700000000.5"}, "10009", "时间戳校验失败"),
        ({"timestamp": "9" * 400}, "10009", "时间戳校验失败"),
        ({"timestamp": "1700000000"}, "10009", "时间戳校验失败"),
    ],
)
def test_refused_logins(scnet, login, changes, code, text):
    assert login(**changes) == {"msg": text, "code": code, "data": None}
    assert not any(secret.count(".") == 2 for secret in scnet.secrets)


def test_a_clock_in_milliseconds_and_another_tolerance(scnet, login):
    milliseconds = str(int(scnet.clock.now() * 1000))
    assert login(timestamp=milliseconds)["code"] == "10009"
    scnet.clock_skew = float("inf")
    assert login(timestamp=milliseconds)["code"] == "0"


def test_a_renamed_user_with_new_keys(scnet, login):
    scnet.account.login, scnet.account.secret_key = "alicia", "sk-new"
    assert login()["msg"] == "用户不存在"
    assert login(user="alicia")["msg"] == "AK/SK签名校验失败"
    data = login(user="alicia", secret_key="sk-new")["data"]
    assert {claims(entry["token"])["user"] for entry in data} == {"alicia"}


def test_tokens_work_where_they_should(scnet, call, ac, tokens):
    scnet.add_region("11113", "region-b")
    own, other, platform = (tokens()[region_id] for region_id in ("11112", "11113", "0"))
    assert [call("GET", "/cluster", token=token)["code"] for token in (own, other, platform)] == [
        "0",
        "10008",
        "10008",
    ]
    for token in (own, other, platform):
        assert ac("GET", "/tokens/state", token) == {"msg": "success", "code": "0", "data": "token is valid"}
        assert ac("GET", "/user", token)["data"]["userName"] == "alice"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tokens/state"), ("POST", "/tokens/next"), ("GET", "/center"), ("GET", "/user")],
)
def test_every_call_checks_the_token(scnet, ac, method, path):
    scnet.add_region("11113", "region-b", stopped=True)
    revoked = scnet.mint_token()
    scnet.revoke(revoked)
    late = scnet.mint_token(lifetime=-24 * 3600 - 1)
    stopped, nowhere = (scnet.mint_token(clusterId=region_id) for region_id in ("11113", "11114"))
    for token in (None, "", "a.b.c", revoked, late, stopped, nowhere):
        assert ac(method, path, token) == INVALID


def test_a_token_ends_with_the_clock(scnet, ac):
    token = scnet.token
    scnet.clock.advance(12 * 3600 - 60)
    assert ac("GET", "/tokens/state", token)["code"] == "0"
    scnet.clock.advance(60)
    assert ac("GET", "/tokens/state", token) == INVALID
    assert ac("GET", "/center", token) == INVALID


@pytest.mark.parametrize("age", [0, 12 * 3600, 36 * 3600 - 60])
def test_renewal(scnet, ac, call, age):
    region = scnet.add_region("11113", "region-b")
    old = region.token
    scnet.clock.advance(age)
    new = [ac("POST", "/tokens/next", old)["data"] for _ in range(3)]
    assert len({old, *new}) == 4
    for token in new:
        content = claims(token)
        assert (content["clusterId"], content["computeUser"]) == ("11113", region.user)
        assert ac("GET", "/center", token)["data"]["id"] == 11113
    assert (ac("GET", "/tokens/state", old)["code"] == "0") is (age < 12 * 3600)


def test_renewal_comes_too_late(scnet, ac):
    old = scnet.token
    scnet.clock.advance(36 * 3600 + 60)
    assert ac("POST", "/tokens/next", old) == INVALID


def test_renewal_of_a_platform_token(scnet, ac, tokens):
    new = ac("POST", "/tokens/next", tokens()["0"], json={})["data"]
    assert (claims(new)["computeUser"], claims(new)["clusterId"]) == ("alice", "11112")
    assert ac("GET", "/center", new)["code"] == "10001"


@pytest.mark.parametrize("user", ["root", "acexample01"])
def test_no_claim_tells_the_platform_token(scnet, call, ac, tokens, user):
    scnet.platform_user = user
    for token in (tokens()["0"], scnet.mint_token(platform=True, computeUser=user)):
        assert (claims(token)["computeUser"], claims(token)["clusterId"]) == (user, "11112")
        assert (ac("GET", "/center", token)["code"], call("GET", "/cluster", token=token)["code"]) == (
            "10001",
            "10008",
        )
    assert call("GET", "/cluster", token=scnet.mint_token(computeUser="root"))["code"] == "0"


@pytest.mark.parametrize(
    ("shape", "unwrap"),
    [
        ("text", lambda data: data),
        ("object", lambda data: data["token"]),
        ("list", lambda data: data[0]["token"]),
    ],
)
def test_shapes_of_a_renewal(scnet, ac, call, shape, unwrap):
    scnet.renewal_shape = shape
    assert call("GET", "/cluster", token=unwrap(ac("POST", "/tokens/next", scnet.token)["data"]))["code"] == "0"


@pytest.mark.parametrize("revoke", [False, True])
def test_new_tokens_may_revoke_older_ones(scnet, ac, tokens, revoke):
    scnet.add_region("11113", "region-b", stopped=True)
    spared = scnet.mint_token(clusterId="11113")
    scnet.new_tokens_revoke = revoke
    old, new = tokens(), tokens()
    newest = ac("POST", "/tokens/next", new["11112"])["data"]
    state = {
        name: ac("GET", "/tokens/state", token)["code"]
        for name, token in {
            "old": old["11112"],
            "new": new["11112"],
            "newest": newest,
            "old platform": old["0"],
            "platform": new["0"],
        }.items()
    }
    assert {name for name, code in state.items() if code != "0"} == (
        {"old", "new", "old platform"} if revoke else set()
    )
    scnet.regions[1].stopped = False
    assert ac("GET", "/tokens/state", spared)["code"] == "0"


def test_center(scnet, ac):
    assert ac("GET", "/center", scnet.token) == {
        "msg": "success",
        "code": "0",
        "data": {
            "id": 11112,
            "name": "region-a",
            "description": "",
            "clusterUserInfo": {"userName": "acexample01", "homePath": "/public/home/acexample01"},
            "hpcUrls": [{"enable": "true", "isManagerNode": "true", "version": "5.2.2", "url": scnet.url}],
            "efileUrls": [
                {
                    "nodeName": "n1",
                    "enable": "true",
                    "fastTransEnable": "false",
                    "udpPort": "",
                    "version": "5.2.2",
                    "url": scnet.url,
                }
            ],
            "eshellUrls": [],
            "ingressUrls": [],
            "aiUrls": [],
        },
    }


def test_center_does_not_take_the_platform_token(ac, tokens):
    answer = ac("GET", "/center", tokens()["0"])
    assert (answer["code"], answer["msg"]) == ("10001", "internal_error")
    assert isinstance(answer["data"], str)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/user/v3/tokens"),
        ("GET", "/ac/openapi/v2/tokens/next"),
        ("POST", "/ac/openapi/v2/center"),
    ],
)
def test_wrong_verbs(scnet, method, path):
    assert requests.request(method, scnet.url + path, timeout=10).status_code == 405


def test_faults_and_records(scnet, ac, login):
    names = ["tokens", "state", "renew", "center", "user"]
    for name in names:
        scnet.fail(name, code="10001", msg=name)
    answers = [
        login(),
        ac("GET", "/tokens/state"),
        ac("POST", "/tokens/next"),
        ac("GET", "/center"),
        ac("GET", "/user"),
    ]
    assert [answer["msg"] for answer in answers] == names
    assert scnet.calls == Counter(names)
    assert {request.region for request in scnet.requests} == {""}
