from __future__ import annotations

import gzip
import os
import signal
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
import requests_mock

from airflow_provider_scnet import __version__
from airflow_provider_scnet.api.answers import LARGEST_ANSWER, NeverSentError
from airflow_provider_scnet.api.transport import ATTEMPTS, CONNECT_TIMEOUT, LONGEST_PAUSE, Transport
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetPermanentError,
    ScnetRequestError,
    ScnetStoppedError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.api.conftest import TOKEN, URL
from tests.conftest import VirtualPatience

WRITES = ["DELETE", "POST"]


# --- what is sent -----------------------------------------------------------------------------------------------------


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
    assert request.headers["Cache-Control"] == "no-cache"


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


# --- repetition -------------------------------------------------------------------------------------------------------


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
        send(scnet, Transport(timeout=0.1, patience=VirtualPatience(pauses=pauses)), method)
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

    class UntilItIsBack(VirtualPatience):
        def sleep(self, seconds: float) -> None:
            scnet.start()

    transport = Transport(patience=UntilItIsBack())
    with pytest.raises(ScnetRequestError, match="10003"):
        send(scnet, transport, "DELETE")
    assert scnet.calls == {"delete": 1}


def test_answer_that_stops_halfway(transport: Transport, pauses: list[float]) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{") as url, pytest.raises(ScnetTransientError):
        transport.request("DELETE", f"{url}/hpc/openapi/v2/jobs", headers={"token": Secret(TOKEN)})
    assert pauses == []


def test_transport_that_tries_once(scnet: ScnetEmulator, transport: Transport, pauses: list[float]) -> None:
    scnet.fail("clusters", code="10012")
    once = transport.tried_once()
    with pytest.raises(ScnetTransientError):
        send(scnet, once)
    assert (len(scnet.requests), pauses) == (1, [])
    assert send(scnet, transport)
    assert (once.patience, once.connection) == (transport.patience, transport.connection)


def test_connections_are_kept(scnet: ScnetEmulator, transport: Transport) -> None:
    """Also after an error, and by what shares them; each request has one to itself."""
    made = []
    serve = scnet._front.server.process_request  # type: ignore[union-attr]
    scnet._front.server.process_request = lambda *given: made.append(given) or serve(*given)  # type: ignore[union-attr,method-assign]
    scnet.fail("clusters", code="10009", after=1)
    scnet.fail("clusters", status=503, after=2)
    for sender in (transport, transport, transport, transport.tried_once()):
        with suppress(ScnetError):
            send(scnet, sender)
    assert (len(made), len(scnet.requests)) == (1, 5)


# --- on which connection ----------------------------------------------------------------------------------------------


FIRST, SECOND = (
    b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{"code":"0","data":"%s"}' % (22 + len(text), text)
    for text in (b"of the first", b"of the second")
)


@contextmanager
def server_of(*conversations: list[bytes | None]) -> Iterator[tuple[str, list[list[bytes]]]]:
    """
    Play one conversation on each connection that is made: what to send, ``None`` for waiting until something is asked.
    """
    heard: list[list[bytes]] = []

    def serve() -> None:
        for conversation in conversations:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            heard.append([])
            Thread(target=talk, args=(connection, conversation, heard[-1]), daemon=True).start()

    def talk(connection: socket.socket, conversation: list[bytes | None], asked: list[bytes]) -> None:
        with connection, suppress(OSError):
            for part in conversation:
                if part is not None:
                    connection.sendall(part)
                elif request := connection.recv(65536):
                    asked.append(request)
                else:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/x", heard
        finally:
            server.shutdown(socket.SHUT_RDWR)


INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
    "several": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_answer_is_not_the_answer(transport: Transport, interim: bytes, method: str) -> None:
    """Nor is the connection used again: what comes next on it may belong to the request before."""
    with server_of([None, interim, FIRST, None, FIRST], [None, SECOND]) as (url, heard):
        assert transport.request(method, url, headers={}) == "of the first"
        assert transport.request(method, url, headers={}) == "of the second"
        assert [len(requests) for requests in heard] == [1, 1]


@pytest.mark.parametrize("interim", [*INTERIM.values(), b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
def test_answer_to_the_request_before_is_nobody_elses(transport: Transport, interim: bytes) -> None:
    """The real answer comes when the next request is there."""
    once = Transport(timeout=0.3, patience=transport.patience).tried_once()
    with server_of([None, interim, None, FIRST], [None, SECOND]) as (url, _):
        with pytest.raises(ScnetTransientError) as caught:
            once.request("POST", url, headers={})
        assert not caught.value.without_effect
        assert once.request("POST", url, headers={}) == "of the second"


def test_answers_that_nobody_asked_for_are_dropped(transport: Transport) -> None:
    with server_of([None, FIRST + FIRST, None, FIRST], [None, SECOND]) as (url, heard):
        assert transport.request("POST", url, headers={}) == "of the first"
        transport.request("POST", url, headers={})
    assert len(heard[0]) <= 2


KEPT = {
    "chunked": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cod\r\n6\r\ne":0}\n\r\n0\r\n\r\n',
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
    % (len(gzip.compress(b'{"code":0}', mtime=0)), gzip.compress(b'{"code":0}', mtime=0)),
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("answer", KEPT.values(), ids=KEPT)
def test_connection_is_kept_after_any_whole_answer(transport: Transport, answer: bytes) -> None:
    with server_of([None, answer, None, SECOND]) as (url, heard):
        with suppress(ScnetTransientError):
            transport.request("POST", url, headers={})
        assert transport.request("POST", url, headers={}) == "of the second"
        assert [len(requests) for requests in heard] == [2]


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "127.9.8.7", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_comes_between_this_machine_and_itself(
    scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, *, scheme: str, host: str, name: str
) -> None:
    """Plain http is allowed there because nobody can listen."""
    port = scnet.url.rpartition(":")[2]
    with server_of([None], [None]) as (proxy, heard):
        only_proxy(monkeypatch, name, proxy)
        with suppress(ScnetTransientError):
            Transport(timeout=2, patience=VirtualPatience()).tried_once().request(
                "GET", f"{scheme}://{host}:{port}/hpc/openapi/v2/cluster", headers={"token": Secret(scnet.token)}
            )
    assert heard == []
    if (scheme, host) == ("http", "127.0.0.1"):
        assert scnet.calls == {"clusters": 1}


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_proxy_is_used_for_others(monkeypatch: pytest.MonkeyPatch, transport: Transport, name: str) -> None:
    """With extra `allow_http` whoever stands on the way can listen, a proxy too; the guide says so."""
    with server_of([None, FIRST]) as (proxy, heard):
        only_proxy(monkeypatch, name, proxy)
        assert transport.request("GET", "http://hpc.example/x", headers={"token": Secret(TOKEN)}) == "of the first"
    assert heard[0][0].startswith(b"GET http://hpc.example/x HTTP/1.1")


def test_request_that_a_proxy_does_not_pass_on_was_never_sent(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], transport: Transport
) -> None:
    refused = [None, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]
    with server_of(*[refused] * ATTEMPTS) as (proxy, heard):
        only_proxy(monkeypatch, "https_proxy", proxy)
        with pytest.raises(NeverSentError, match=r"the proxy failed.*HTTPS_PROXY"):
            transport.request("POST", "https://hpc.example/x", headers={"token": Secret(TOKEN)})
    assert len(pauses) == ATTEMPTS - 1
    assert not any(TOKEN.encode() in request for requests in heard for request in requests)


def only_proxy(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    for variable in ("no_proxy", "http_proxy", "https_proxy", "all_proxy"):
        for spelling in (variable, variable.upper()):
            monkeypatch.delenv(spelling, raising=False)
    monkeypatch.setenv(name, url.removesuffix("/x"))


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "fault",
    [{"drip": 0.05}, {"drip": 0.05, "body": "x" * 10**6}, {"drip": 0.05, "code": "0", "headers": {"X": "x" * 10**4}}],
)
def test_answer_that_trickles_in_is_cut_off(
    scnet: ScnetEmulator, pauses: list[float], method: str, fault: dict[str, Any]
) -> None:
    scnet.fail("*", times=None, **fault)
    with pytest.raises(ScnetTransientError) as caught:
        send(scnet, Transport(timeout=0.2, patience=VirtualPatience(pauses=pauses)).tried_once(), method)
    assert str(caught.value).startswith(f"{scnet.url} - no complete answer within 0.4 s, so it was cut off ({method} ")
    assert not isinstance(caught.value, NeverSentError)


def test_next_request_does_not_meet_the_rest_of_an_answer_that_was_cut_off(scnet: ScnetEmulator) -> None:
    scnet.fail("clusters", drip=0.01, code="0", data="of the first")
    transport = Transport(timeout=0.2).tried_once()
    with pytest.raises(ScnetTransientError, match="cut off"):
        send(scnet, transport)
    assert send(scnet, transport)[0]["text"] == "Cluster"


def test_name_that_is_not_resolved_in_time(
    scnet: ScnetEmulator, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request surely was not sent, nor will it be later, so it is safe to send it again."""
    resolved = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: resolved.wait(timeout=30) and [])
    with pytest.raises(NeverSentError, match=r" - no connection within 0\.2 s \(DELETE "):
        send(scnet, Transport(timeout=0.1, patience=VirtualPatience(pauses=pauses)), "DELETE")
    resolved.set()
    assert len(pauses) == 3
    assert scnet.requests == []


def body_of(size: int) -> bytes:
    return b'{"code":"0","data":"%s"}' % (b"x" * (size - 22))


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_answer_that_is_too_large_is_cut_off(encoding: str, transport: Transport) -> None:
    compressed = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[encoding]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode()
    largest, larger = (head + compressed(body_of(LARGEST_ANSWER + more)) for more in (0, 1))
    with raw_server(largest) as url:
        assert len(transport.request("GET", f"{url}/x", headers={})) == LARGEST_ANSWER - 22
    with raw_server(larger) as url, pytest.raises(ScnetTransientError) as caught:
        transport.request("DELETE", f"{url}/x", headers={})
    assert str(caught.value).startswith(f"{url} - the answer is larger than 32 MB and was cut off (DELETE /x, ")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "x"])
def test_answer_in_an_encoding_that_was_not_asked_for(encoding: str, transport: Transport) -> None:
    body = gzip.compress(gzip.compress(body_of(99)))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode()
    with (
        raw_server(head + body) as url,
        pytest.raises(ScnetTransientError, match=f"compressed as '{encoding}'") as caught,
    ):
        transport.request("POST", f"{url}/x", headers={})
    assert not caught.value.without_effect


def test_only_what_is_bounded_is_asked_for(scnet: ScnetEmulator, transport: Transport) -> None:
    send(scnet, transport)
    assert scnet.requests[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(("encoding", "more"), [("gzip", 1), ("gzip", 1 << 20), ("deflate", 1)])
def test_no_more_is_decompressed_than_is_bounded(encoding: str, more: int, transport: Transport) -> None:
    """Whatever the HTTP library decompresses at a time: it is not asked to."""
    compressed = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](body_of(LARGEST_ANSWER + more))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(compressed)}\r\n\r\n".encode()
    with raw_server(head + compressed) as url, pytest.raises(ScnetTransientError, match="larger than 32 MB"):
        transport.request("POST", f"{url}/x", headers={})


@pytest.mark.parametrize("ending", [b"", b"\0" * 9, b"x"])
@pytest.mark.parametrize("at", [0, 50, 99])
@pytest.mark.parametrize("as_one", [True, False])
def test_gzip_in_several_members(ending: bytes, at: int, as_one: bool, transport: Transport) -> None:
    """As some servers send it, with padding behind it; members and packets end where they like."""
    parts = [gzip.compress(body_of(99)[:at]), gzip.compress(body_of(99)[at:]) + ending]
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"".join(parts)] if as_one else [bytes([byte]) for byte in b"".join(parts)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    with raw_server(head + body) as url:
        assert transport.request("GET", f"{url}/x", headers={}) == "x" * 77


@pytest.mark.parametrize(("encoding", "body"), [("gzip", b""), ("gzip", b"busy"), ("br", b"\0")])
def test_status_that_says_enough_needs_no_body(encoding: str, body: bytes, transport: Transport) -> None:
    head = f"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    with raw_server(head.encode() + body) as url, pytest.raises(ScnetTransientError) as caught:
        transport.request("POST", f"{url}/x", headers={})
    assert (caught.value.too_many, caught.value.retry_after, caught.value.without_effect) == (True, 7, True)


@pytest.mark.parametrize("body", [b"{}", gzip.compress(body_of(99))[:-9]])
def test_answer_that_cannot_be_decompressed(body: bytes, transport: Transport) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    with raw_server(head + body) as url, pytest.raises(ScnetTransientError, match=r"the answer is (not )?compressed"):
        transport.request("POST", f"{url}/x", headers={})


def test_answer_without_an_end(transport: Transport) -> None:
    with endless_server() as url, pytest.raises(ScnetTransientError, match="larger than 32 MB"):
        transport.request("DELETE", f"{url}/x", headers={})


# --- being stopped ----------------------------------------------------------------------------------------------------


def in_a_moment(act: Callable[[], None]) -> None:
    Timer(0.1, act).start()


@pytest.mark.parametrize("fault", [{"hold": True}, {"drip": 60.0}, {"status": 503, "headers": {"Retry-After": "60"}}])
def test_stop_ends_whatever_is_under_way(scnet: ScnetEmulator, fault: dict[str, Any]) -> None:
    scnet.fail("clusters", times=None, **fault)
    transport = Transport()
    in_a_moment(transport.patience.stop)
    with pytest.raises(ScnetStoppedError):
        send(scnet, transport)
    assert len(scnet.requests) == 1
    for again in (transport, transport.tried_once()):
        with pytest.raises(ScnetStoppedError):
            send(scnet, again)
    assert len(scnet.requests) == 1


def test_signal_handler_may_send_a_request_itself(scnet: ScnetEmulator) -> None:
    """`on_kill` runs in one, and whatever it has interrupted must not keep it waiting."""
    scnet.fail("clusters", latency=60)
    transport, other, sent = Transport(), Transport(), []

    def on_kill(*_: Any) -> None:
        transport.patience.stop()
        sent.append(send(scnet, other))

    before = signal.signal(signal.SIGTERM, on_kill)
    try:
        in_a_moment(lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(ScnetStoppedError):
            send(scnet, transport)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(sent) == 1


# --- Retry-After ------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("deadline", "waited"), [(61, [60]), (59, []), (-1, [])])
def test_retry_after_does_not_wait_past_the_deadline(
    scnet: ScnetEmulator, deadline: float, waited: list[float]
) -> None:
    pauses: list[float] = []
    patience = VirtualPatience(scnet, pauses)
    patience.deadline = patience.now() + deadline
    scnet.fail("clusters", status=503, headers={"Retry-After": "600"}, times=None)
    with pytest.raises(ScnetTransientError) as caught:
        send(scnet, Transport(patience=patience))
    assert (pauses, len(scnet.requests)) == (waited, len(waited) + 1)
    assert caught.value.retry_after == 600


# --- TLS --------------------------------------------------------------------------------------------------------------


@contextmanager
def endless_server() -> Iterator[str]:
    """Send an answer that never ends, to one who asks."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(timeout=30)


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
        Transport(verify=str(file), patience=VirtualPatience(pauses=pauses)).request(
            "GET", tls_url, headers={"token": Secret(TOKEN)}
        )


def test_http_server_behind_an_https_address(scnet: ScnetEmulator, transport: Transport) -> None:
    url = f"{scnet.url.replace('http:', 'https:')}/hpc/openapi/v2/jobs"
    with pytest.raises(ScnetTransientError, match=r"TLS failed.*port and scheme"):
        transport.request("DELETE", url, headers={"token": Secret(TOKEN)})
    assert scnet.requests == []


def test_https_server_behind_an_http_address(tls_url: str, transport: Transport) -> None:
    with pytest.raises(ScnetError, match=r"^http://127\.0\.0\.1|HTTP 4"):
        transport.request("DELETE", tls_url.replace("https:", "http:"), headers={"token": Secret(TOKEN)})
