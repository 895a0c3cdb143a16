from __future__ import annotations

import json
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import requests_mock

from airflow_provider_scnet import __version__
from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.transport import ATTEMPTS, CONNECT_TIMEOUT, LONGEST_PAUSE, Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret

URL = "https://hpc.example:65051/hpc/openapi/v2/cluster"
TOKEN = "eyJhbGciOi.eyJjb21wdXRl.c2lnbmF0dXJl"
WRITES = ["DELETE", "POST"]


@pytest.fixture(autouse=True)
def _no_ca_file_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(pauses: list[float]) -> Transport:
    return Transport(sleep=pauses.append)


@pytest.fixture
def answers() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def ask(answers: requests_mock.Mocker, transport: Transport) -> Callable[..., Any]:
    """Answer in a certain way, and ask."""

    def send(body: str | bytes = "", *, method: str = "GET", token: str = TOKEN, **answer: Any) -> Any:
        content = body if isinstance(body, bytes) else body.encode()
        answers.register_uri(method, URL, content=content, **answer)
        return transport.request(method, URL, headers={"token": Secret(token)})

    return send


def error_of(ask: Callable[..., Any], *args: Any, **answer: Any) -> ScnetError:
    with pytest.raises(ScnetError) as caught:
        ask(*args, **answer)
    return caught.value


# --- envelope ----------------------------------------------------------------------------------------------------


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


# --- what is sent ------------------------------------------------------------------------------------------------


def test_options_of_a_request(ask: Callable[..., Any], answers: requests_mock.Mocker) -> None:
    ask('{"code":"0"}')
    (request,) = answers.request_history
    assert (request.timeout, request.verify, request.url) == ((CONNECT_TIMEOUT, 30.0), True, URL)


def test_headers_of_a_request(scnet: ScnetEmulator, transport: Transport) -> None:
    send(scnet, transport)
    (request,) = scnet.requests
    assert request.headers["User-Agent"] == f"airflow-provider-scnet/{__version__}"
    assert [name for name, value in request.headers.items() if scnet.token in value] == ["token"]
    assert request.headers["token"] == scnet.token


@pytest.mark.parametrize(("timeout", "sent"), [(2.5, (2.5, 2.5)), (10, (10, 10)), (60, (CONNECT_TIMEOUT, 60))])
@pytest.mark.parametrize("verify", [True, False, "/ca.pem"])
def test_timeout_and_verify(answers: requests_mock.Mocker, timeout: float, sent: Any, verify: bool | str) -> None:
    answers.get(URL, text='{"code":"0"}')
    Transport(timeout=timeout, verify=verify).request("GET", URL, headers={"token": Secret(TOKEN)})
    assert answers.last_request.timeout == sent
    assert answers.last_request.verify == verify


def test_netrc_is_left_alone(
    scnet: ScnetEmulator, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login alice password SECRET\ndefault login alice password SECRET\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    transport.request("GET", f"{scnet.url}/hpc/openapi/v2/cluster", headers={"token": Secret(scnet.token)})
    (request,) = scnet.requests
    assert "Authorization" not in request.headers
    assert request.headers["token"] == scnet.token


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


# --- secrets -----------------------------------------------------------------------------------------------------


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


def test_empty_token_leaves_the_message_readable(ask: Callable[..., Any]) -> None:
    assert type(error_of(ask, '{"code":"10008","msg":"auth_fail"}', token="")) is ScnetCredentialError


# --- repetition --------------------------------------------------------------------------------------------------

TRANSIENT = {
    "10001": {"code": "10001"},
    "10012": {"code": "10012"},
    "10013": {"code": "10013"},
    "815005": {"code": "815005"},
    "502": {"status": 502, "body": "<html>"},
    "429": {"status": 429},
    "no JSON": {"body": "<html>"},
    "dropped": {"drop": True},
}
FINAL = {
    "10003": {"code": "10003"},
    "10007": {"code": "10007"},
    "10008": {"code": "10008"},
    "unknown": {"code": "1"},
    "403": {"status": 403},
    "404": {"status": 404},
    "302": {"redirect": "/"},
}


def send(scnet: ScnetEmulator, transport: Transport, method: str = "GET") -> Any:
    path = "cluster" if method == "GET" else "jobs"
    return transport.request(method, f"{scnet.url}/hpc/openapi/v2/{path}", headers={"token": Secret(scnet.token)})


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_reads_are_tried_four_times(
    scnet: ScnetEmulator, transport: Transport, pauses: list[float], fault: dict[str, Any]
) -> None:
    scnet.fail("clusters", times=None, **fault)
    with pytest.raises(ScnetTransientError):
        send(scnet, transport)
    assert len(scnet.requests) == ATTEMPTS == 4
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    assert all(0 < pause < 10 for pause in pauses)


def test_reads_succeed_at_last(scnet: ScnetEmulator, transport: Transport, pauses: list[float]) -> None:
    scnet.fail("clusters", code="10012", times=3)
    assert send(scnet, transport)[0]["text"] == "Cluster"
    assert len(pauses) == 3


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("method", WRITES)
def test_writes_are_sent_once(
    scnet: ScnetEmulator, transport: Transport, pauses: list[float], method: str, fault: dict[str, Any]
) -> None:
    scnet.fail("*", times=None, **fault)
    with pytest.raises(ScnetTransientError) as caught:
        send(scnet, transport, method)
    assert not isinstance(caught.value, NeverSentError)
    assert (len(scnet.requests), pauses) == (1, [])


@pytest.mark.parametrize("fault", FINAL.values(), ids=FINAL)
def test_final_errors_are_not_repeated(
    scnet: ScnetEmulator, transport: Transport, pauses: list[float], fault: dict[str, Any]
) -> None:
    scnet.fail("clusters", times=None, **fault)
    with pytest.raises(ScnetError):
        send(scnet, transport)
    assert (len(scnet.requests), pauses) == (1, [])


@pytest.mark.parametrize(("method", "requests_seen"), [("GET", 4), ("DELETE", 1)])
def test_read_timeout(scnet: ScnetEmulator, pauses: list[float], method: str, requests_seen: int) -> None:
    scnet.fail("*", latency=30, times=None)
    with pytest.raises(ScnetTransientError, match=r"no answer within 0\.1 s") as caught:
        send(scnet, Transport(timeout=0.1, sleep=pauses.append), method)
    assert not isinstance(caught.value, NeverSentError)
    assert len(pauses) == requests_seen - 1
    assert len(scnet.requests) == requests_seen


@pytest.mark.parametrize("method", ["GET", *WRITES])
def test_refused_connection_is_tried_again(
    scnet: ScnetEmulator, transport: Transport, pauses: list[float], method: str
) -> None:
    scnet.stop()
    with pytest.raises(NeverSentError, match=r"nothing answers at this address.*`host`"):
        send(scnet, transport, method)
    assert len(pauses) == 3


def test_write_arrives_once_the_service_is_back(scnet: ScnetEmulator) -> None:
    scnet.stop()
    transport = Transport(sleep=lambda _: scnet.start() and None)
    with pytest.raises(ScnetRequestError, match="10003"):
        send(scnet, transport, "DELETE")
    assert scnet.calls == {"delete": 1}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_host(transport: Transport, pauses: list[float], monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NeverSentError, match=r"^https://hpc\.invalid:65051: the host name is unknown.*typo"):
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


def test_answer_that_stops_halfway(transport: Transport, pauses: list[float]) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{") as url, pytest.raises(ScnetTransientError):
        transport.request("DELETE", f"{url}/hpc/openapi/v2/jobs", headers={"token": Secret(TOKEN)})
    assert pauses == []


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x", "http://[", "http://"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_failing_proxy(transport: Transport, monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{scheme}_proxy", proxy.replace("//", "//alice:SECRET@", 1))
    with pytest.raises(ScnetError, match="HTTPS_PROXY") as caught:
        transport.request("DELETE", f"{scheme}://hpc.invalid/hpc/openapi/v2/jobs", headers={"token": Secret(TOKEN)})
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


# --- Retry-After -------------------------------------------------------------------------------------------------


def moment(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        (" 7 ", 7, 7),
        ("0", 0, 0),
        ("60", 60, 60),
        ("61", LONGEST_PAUSE, LONGEST_PAUSE),
        ("9" * 400, LONGEST_PAUSE, LONGEST_PAUSE),
        (moment(7200), LONGEST_PAUSE, LONGEST_PAUSE),
        (moment(86400), LONGEST_PAUSE, LONGEST_PAUSE),
        (moment(-86400), 0, 0),
        # Not understood: our own pause.
        ("", 0.5, 1),
        ("soon", 0.5, 1),
        ("-7", 0.5, 1),
        ("1.5", 0.5, 1),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 0.5, 1),
        ("\xb2", 0.5, 1),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 0.5, 1),
    ],
)
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"code": "10012"}], ids=str)
def test_retry_after(
    *,
    scnet: ScnetEmulator,
    transport: Transport,
    pauses: list[float],
    fault: dict[str, Any],
    value: str,
    low: float,
    high: float,
) -> None:
    scnet.fail("clusters", headers={"Retry-After": value}, **fault)
    assert send(scnet, transport)
    assert len(pauses) == 1
    assert low <= pauses[0] <= high


def test_retry_after_is_told_to_who_sent_a_write(scnet: ScnetEmulator, transport: Transport) -> None:
    scnet.fail("delete", status=503, headers={"Retry-After": "600"})
    with pytest.raises(ScnetTransientError) as caught:
        send(scnet, transport, "DELETE")
    assert caught.value.retry_after == 600


# --- TLS ---------------------------------------------------------------------------------------------------------


@contextmanager
def raw_server(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Give one answer to each connection, whatever is asked."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as stream:
                    stream.recv(65536)
                    stream.sendall(answer)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, with its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    issued = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "gateway.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + issued.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = b'{"code":"0","data":[1]}'
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with raw_server(answer, context) as url:
        yield f"{url}/hpc/openapi/v2/jobs"


def test_untrusted_certificate(tls_url: str, transport: Transport, pauses: list[float]) -> None:
    with pytest.raises(NeverSentError, match=r"certificate cannot be verified.*`verify`"):
        transport.request("DELETE", tls_url, headers={"token": Secret(TOKEN)})
    assert len(pauses) == 3


def test_own_ca_file(tls_url: str, certificate: Path) -> None:
    assert Transport(verify=str(certificate)).request("DELETE", tls_url, headers={"token": Secret(TOKEN)}) == [1]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_can_be_switched_off(tls_url: str) -> None:
    assert Transport(verify=False).request("DELETE", tls_url, headers={"token": Secret(TOKEN)}) == [1]


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["missing", "empty", "garbage"])
def test_unusable_ca_file(tls_url: str, tmp_path: Path, pauses: list[float], content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ScnetPermanentError, match="verify"):
        Transport(verify=str(file), sleep=pauses.append).request("GET", tls_url, headers={"token": Secret(TOKEN)})


def test_http_server_behind_an_https_address(scnet: ScnetEmulator, transport: Transport) -> None:
    url = f"{scnet.url.replace('http:', 'https:')}/hpc/openapi/v2/jobs"
    with pytest.raises(ScnetTransientError, match=r"TLS failed.*port and scheme"):
        transport.request("DELETE", url, headers={"token": Secret(TOKEN)})
    assert scnet.requests == []


def test_https_server_behind_an_http_address(tls_url: str, transport: Transport) -> None:
    with pytest.raises(ScnetError, match=r"^http://127\.0\.0\.1|HTTP 4"):
        transport.request("DELETE", tls_url.replace("https:", "http:"), headers={"token": Secret(TOKEN)})


# --- unusable ----------------------------------------------------------------------------------------------------


def test_unusable_answer(transport: Transport) -> None:
    error = transport.unusable("GET", URL, "no list of jobs")
    assert type(error) is ScnetTransientError
    assert error.call == "GET /hpc/openapi/v2/cluster"
    assert str(error) == ("SCNet's answer has no list of jobs (GET /hpc/openapi/v2/cluster, connection scnet_default).")
