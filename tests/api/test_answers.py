from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
import requests_mock
from urllib3.exceptions import ReadTimeoutError

from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.api.conftest import TOKEN, URL

WRITES = ["DELETE", "POST"]


def error_of(ask: Callable[..., Any], *args: Any, **answer: Any) -> ScnetError:
    with pytest.raises(ScnetError) as caught:
        ask(*args, **answer)
    return caught.value


# --- envelope ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ('{"code":"0","msg":"success","data":[1]}', [1]),
        ('{"msg":"success","code":0,"data":"x"}', "x"),
        ('{"code":" 0 \\n","data":1}', 1),
        ('{"code":"0","msg":"success","data":null}', None),
        ('{"code":"0"}', None),
        ('\ufeff{"code":"0","data":{}}', {}),
        (' \n{"code":"0","data":"中"}\n', "中"),
        (b'{"code":"0","data":"\xff"}', "\ufffd"),
    ],
)
def test_success(ask: Callable[..., Any], body: str | bytes, data: Any) -> None:
    assert ask(body, headers={"Content-Type": "text/plain"}) == data


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("code", ['"10007"', "10007", '" 10007 "'])
def test_an_envelope_is_read_whatever_the_status(ask: Callable[..., Any], status: int, code: str) -> None:
    error = error_of(ask, f'{{"msg":"frozen","code":{code}}}', status_code=status)
    assert type(error) is ScnetAccountError
    assert (error.code, error.msg, error.data, error.call) == (
        "10007",
        "frozen",
        None,
        "GET /hpc/openapi/v2/cluster",
    )


@pytest.mark.parametrize(
    ("msg", "data"), [('"auth_fail"', "token is invalid"), ("null", {"a": 1}), ("7", None), ('["x"]', [1])]
)
def test_error_with_any_data(ask: Callable[..., Any], msg: str, data: Any) -> None:
    error = error_of(ask, f'{{"code":"10008","msg":{msg},"data":{json.dumps(data)}}}')
    assert type(error) is ScnetCredentialError
    assert error.data == data
    assert error.msg is None or isinstance(error.msg, str)


@pytest.mark.parametrize("status", [404, 405])
def test_unknown_path_or_verb(ask: Callable[..., Any], status: int) -> None:
    error = error_of(ask, f'{{"code":"{status}","data":null,"msg":"Not Found"}}', status_code=status)
    assert type(error) is ScnetAddressError
    assert "`host`" in str(error)


NO_ENVELOPE = {
    "empty": "",
    "blank": " \n",
    "html": "<html>Bad gateway</html>",
    "list": "[]",
    "text": '"0"',
    "number": "0",
    "null": "null",
    "no code": '{"msg":"success","data":[]}',
    "code null": '{"code":null,"data":[]}',
    "code true": '{"code":true}',
    "code list": '{"code":["0"]}',
    "code object": '{"code":{}}',
    "cut": '{"code":"0","data":[',
    "two": '{"code":"0"}{"code":"0"}',
    "deep": "[" * 100_000,
    "huge number": '{"code":' + "9" * 5000 + "}",
    "huge": "x" * 10**6,
    "invalid UTF-8": b"\xff\xfe\x00",
    "control characters": "a\r\nb\x1b[31m",
}


@pytest.mark.parametrize("body", NO_ENVELOPE.values(), ids=NO_ENVELOPE)
@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (200, ScnetTransientError),
        (204, ScnetTransientError),
        (400, ScnetError),
        (401, ScnetCredentialError),
        (403, ScnetError),
        (404, ScnetAddressError),
        (405, ScnetAddressError),
        (408, ScnetTransientError),
        (429, ScnetTransientError),
        (500, ScnetTransientError),
        (502, ScnetTransientError),
        (599, ScnetTransientError),
    ],
)
@pytest.mark.usefixtures("without_gc")
def test_no_envelope(ask: Callable[..., Any], body: str, status: int, error_class: type[ScnetError]) -> None:
    error = error_of(ask, body, status_code=status, method="DELETE")
    assert type(error) is error_class
    assert error.code == str(status)
    assert f"[HTTP {status}]" in str(error)
    assert "(DELETE /hpc/openapi/v2/cluster, connection scnet_default)" in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 700


def test_no_envelope_is_quoted(ask: Callable[..., Any]) -> None:
    error = error_of(
        ask, "<h1>Bad\ngateway</h1>", status_code=502, headers={"Content-Type": "text/html; charset=utf-8"}
    )
    assert str(error).startswith(
        "[HTTP 502] a web page from https://hpc.example:65051 (GET /hpc/openapi/v2/cluster, connection scnet_default). "
        "It begins: '<h1>Bad gateway</h1>'. If it stays: Check that `host` of the Connection is "
    )


@pytest.mark.parametrize("status", [400, 404, 500, 503, 302])
def test_code_0_is_no_success_with_another_status(ask: Callable[..., Any], status: int) -> None:
    error = error_of(ask, '{"code":"0","data":[]}', status_code=status, headers={"Location": "/login"})
    assert error.code == str(status)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_gateway_trouble_is_transient_in_an_envelope_too(ask: Callable[..., Any], status: int) -> None:
    """The gateway wraps its own 404 and 405 into an envelope, so it may well wrap these."""
    body = f'{{"code":"{status}","data":null,"msg":"Service Unavailable"}}'
    assert type(error_of(ask, body, status_code=status)) is ScnetTransientError


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(
    scnet: ScnetEmulator, transport: Transport, pauses: list[float], method: str, status: int
) -> None:
    with ScnetEmulator() as other:
        scnet.fail("*", redirect=f"{other.url}/hpc/openapi/v2/jobs?token=x", status=status, times=None)
        with pytest.raises(ScnetAddressError, match=rf"\[HTTP {status}\].*redirect to '127\.0\.0\.1:\d+', not"):
            transport.request(method, f"{scnet.url}/hpc/openapi/v2/jobs", headers={"token": Secret(scnet.token)})
        assert (len(scnet.requests), other.requests, pauses) == (1, [], [])


@pytest.mark.parametrize(
    "location", ["", "/login", "//", "http://[", "http://h:99999x/", "\xff\xfe://", "http://a b/", "javascript:1"]
)
def test_redirect_to_anything(scnet: ScnetEmulator, transport: Transport, location: str) -> None:
    scnet.fail("clusters", redirect=location)
    with pytest.raises(ScnetAddressError, match="redirect"):
        transport.request("GET", f"{scnet.url}/hpc/openapi/v2/cluster", headers={"token": Secret(scnet.token)})


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"body": "<p>@@</p>", "status": 502},
        {"body": "@@"},
        {"code": "10008", "msg": "bad token @@"},
        {"code": "10008", "data": "bad token @@"},
        {"code": "10008", "data": {"token": "@@", "@@": ["@@"]}},
        {"code": "@@"},
        {"redirect": "http://other.example/?token=@@"},
        {"redirect": "http://@@:x@other.example/"},
        {"redirect": "http://@@.other.example/"},
        {"body": r'{"code":"10001","msg":"@@"}'.replace("@@", r"@@\u003d")},
        {"body": r'{"code":"10001","msg":"@@"}'.replace("@@", r"\u0065@@\u003d")},
        {"status": 503, "headers": {"X-Token": "@@", "Retry-After": "@@"}},
    ],
    ids=["page", "text", "msg", "data", "deep data", "code", "query", "userinfo", "host", "Gson", "escaped", "headers"],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_echoed_token_is_not_shown(
    scnet: ScnetEmulator, transport: Transport, method: str, fault: dict[str, Any]
) -> None:
    token = f"{scnet.token}="  # JSON writers such as Gson escape `=`
    body = fault.get("body", "")
    echo = token.removesuffix("=" if r"\u003d" in body else "").removeprefix("e" if r"\u0065" in body else "")
    scnet.fail("*", times=None, **json.loads(json.dumps(fault).replace("@@", echo)))
    with pytest.raises(ScnetError) as caught:
        transport.request(method, f"{scnet.url}/hpc/openapi/v2/jobs", headers={"token": Secret(token)})
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr((error, vars(error), transport))
    assert token[1:30] not in shown


@pytest.mark.parametrize("token", ["a\nSECRET", "a\rSECRET", "令SECRET"])
def test_token_that_no_header_can_hold(scnet: ScnetEmulator, transport: Transport, token: str) -> None:
    with pytest.raises(ScnetError) as caught:
        transport.request("GET", f"{scnet.url}/hpc/openapi/v2/cluster", headers={"token": Secret(token)})
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_redaction_leaves_the_answer_alone(ask: Callable[..., Any]) -> None:
    """What is read out of a success is evidence; a short token must not change it."""
    assert ask('{"code":"0","data":[{"jobId":"197","user":"test"}]}', token="test") == [
        {"jobId": "197", "user": "test"}
    ]


ECHOES = {
    "text": ("bad @@", "bad ***"),
    "name of a scheduler": ([{"id": 1, "text": "@@"}], [{"id": 1, "text": "***"}]),
    "sentence of a delete": ({"1638523853": "job @@ deleted"}, {"1638523853": "job *** deleted"}),
    "key": ({"@@": None}, {"***": None}),
    "deep in a list": (
        {"list": [{"jobInitAttr": {"JobState": "@@"}}]},
        {"list": [{"jobInitAttr": {"JobState": "***"}}]},
    ),
    "JSON as text": ('{"token": "@@"}', '{"token": "***"}'),
}


@pytest.mark.parametrize(("data", "redacted"), ECHOES.values(), ids=ECHOES)
def test_success_is_redacted_like_an_error(ask: Callable[..., Any], data: Any, redacted: Any) -> None:
    body = json.dumps({"code": "0", "data": data}).replace("@@", TOKEN)
    assert ask(body) == redacted


@pytest.mark.parametrize(
    "spelling", [r"\u002e", "%2E", "&#46;", r"\\u002e", r"\u005cu002e", r"\u00252E", r"\u0026#46;"]
)
def test_success_that_spells_the_token_in_another_way(ask: Callable[..., Any], spelling: str) -> None:
    data = ask('{"code":"0","data":["@@",1]}'.replace("@@", TOKEN.replace(".", spelling)))
    assert data[1:] == [1]
    assert data[0] in ("***.***.***", "***", "(withheld: it repeats the credential)")


@pytest.mark.parametrize("code", ["0", "10001"])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [51, 400, 900])
def test_deep_nesting_overflows_nobody(ask: Callable[..., Any], code: str, left: str, right: str, depth: int) -> None:
    body = f'{{"code":"{code}","data":{left * depth}"{TOKEN}"{right * depth}}}'
    try:
        data = ask(body)
    except ScnetError as error:
        data = error.data
    if data is not None:  # else it was no envelope: Python refuses to read so deep
        assert "(nested too deeply)" in repr(data)
        assert repr(data).count(left[0]) == 50


def test_data_that_may_hold_new_tokens_is_left_alone(scnet: ScnetEmulator, transport: Transport) -> None:
    scnet.fail("renew", code="0", data=scnet.token)
    url = f"{scnet.url}/ac/openapi/v2/tokens/next"
    read: list[Any] = []
    headers = {"token": Secret(scnet.token)}
    assert transport.send("POST", url, headers=headers, quotable=False, read=read.append, json={}) is None
    assert read == [scnet.token]


def test_empty_token_leaves_the_message_readable(ask: Callable[..., Any]) -> None:
    assert type(error_of(ask, '{"code":"10008","msg":"auth_fail"}', token="")) is ScnetCredentialError


# --- no answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_host(transport: Transport, pauses: list[float], monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NeverSentError, match=r"^https://hpc\.invalid:65051 - the host name is unknown.*typo"):
        transport.request(method, "https://hpc.invalid:65051/hpc/openapi/v2/jobs", headers={"token": Secret(TOKEN)})
    assert len(pauses) == 3


@pytest.mark.parametrize("host", ["hpc..example", f"{'a' * 64}.example"])
def test_impossible_host(transport: Transport, host: str) -> None:
    with pytest.raises(ScnetError):
        transport.request("GET", f"https://{host}/hpc/openapi/v2/cluster", headers={"token": Secret(TOKEN)})


@pytest.mark.parametrize(
    ("library_error", "error_class", "text"),
    [
        (requests.ConnectTimeout(), NeverSentError, "no connection within 10 s"),
        (requests.ReadTimeout(), ScnetTransientError, "no answer within 30 s"),
        (requests.ConnectionError(ReadTimeoutError(None, "", "")), ScnetTransientError, "no answer within 30 s"),
        (requests.ConnectionError("eyJ SECRET"), ScnetTransientError, "broke before an answer"),
        (requests.exceptions.ChunkedEncodingError("SECRET"), ScnetTransientError, "broke before an answer"),
        (requests.exceptions.ContentDecodingError("SECRET"), ScnetTransientError, "broke before an answer"),
        (requests.exceptions.InvalidURL("SECRET"), ScnetRequestError, "not an address"),
        (requests.exceptions.InvalidHeader("SECRET"), ScnetRequestError, "."),
        (requests.exceptions.SSLError("SECRET EOF"), ScnetTransientError, "TLS failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_library_error(
    answers: requests_mock.Mocker, transport: Transport, library_error: Exception, error_class: Any, text: str
) -> None:
    answers.delete(URL, exc=library_error)
    with pytest.raises(ScnetError, match=text) as caught:
        transport.request("DELETE", URL, headers={"token": Secret(TOKEN)})
    assert type(caught.value) is error_class
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x", "http://[", "http://"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_failing_proxy(transport: Transport, monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{scheme}_proxy", proxy.replace("//", "//alice:SECRET@", 1))
    with pytest.raises(ScnetError, match="HTTPS_PROXY") as caught:
        transport.request("DELETE", f"{scheme}://hpc.invalid/hpc/openapi/v2/jobs", headers={"token": Secret(TOKEN)})
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"status": 503}, {"redirect": "https://login.example"}, {"latency": 5}, {"body": "x"}]
)
def test_address_in_a_message_can_be_copied(scnet: ScnetEmulator, fault: dict[str, Any]) -> None:
    """A terminal takes what follows it without a blank for a part of it."""
    scnet.fail("clusters", times=None, **fault)
    with pytest.raises(ScnetError) as caught:
        Transport(timeout=0.3).tried_once().request("GET", f"{scnet.url}/hpc/openapi/v2/cluster", headers={})
    assert f"{scnet.url} " in str(caught.value)
    assert f"{scnet.url}:" not in str(caught.value)


# --- unusable ---------------------------------------------------------------------------------------------------------


def test_unusable_answer(transport: Transport) -> None:
    error = transport.unusable("GET", URL, "no list of jobs")
    assert type(error) is ScnetTransientError
    assert error.call == "GET /hpc/openapi/v2/cluster"
    assert str(error) == ("SCNet's answer has no list of jobs (GET /hpc/openapi/v2/cluster, connection scnet_default).")
