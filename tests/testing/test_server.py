from __future__ import annotations

import socket
from threading import Event
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.server import HttpServer


@pytest.fixture
def talk(scnet: ScnetEmulator):
    """Send raw bytes and read until the server closes the connection."""

    def send(text: str) -> str:
        with socket.create_connection(("127.0.0.1", urlsplit(scnet.url).port), timeout=10) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    return send


def test_a_connection_serves_many_requests(scnet, talk):
    request = f"GET /hpc/openapi/v2/cluster HTTP/1.1\nHost: x\ntoken: {scnet.token}\n"
    text = talk(f"{request}\n{request}\n{request}Connection: close\n\n")
    assert text.count("HTTP/1.1 200 OK\r\n") == 3
    assert text.count("Connection: close") == 1


def test_one_write_per_answer(scnet, call, monkeypatch):
    sizes = []
    send = socket.socket.sendall
    monkeypatch.setattr(socket.socket, "sendall", lambda self, data: sizes.append(len(data)) or send(self, data))
    for _ in range(300):
        scnet.add_job()
    call("GET", "/jobs", params={"strClusterIDList": "1638523853", "limit": 300})
    assert len(sizes) == 2  # the request and its answer


def test_head_has_no_body(talk):
    head, _, body = talk("HEAD / HTTP/1.1\nHost: x\nConnection: close\n\n").partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 405 ")
    assert body == ""


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Length: many"])
def test_a_body_without_a_clear_end_is_not_read(scnet, talk, header):
    text = talk(f"DELETE /hpc/openapi/v2/jobs HTTP/1.1\nHost: x\ntoken: {scnet.token}\n{header}\n\n0\n\n")
    assert '"code":"10003"' in text
    assert scnet.requests[0].body == ""


def test_the_emulator_can_be_slow(scnet, call):
    scnet.latency = 0.001
    assert call("GET", "/cluster")["code"] == "0"


def test_stopping_closes_connections_and_starting_again_keeps_the_port(scnet):
    url = scnet.url
    with requests.Session() as session:
        assert session.get(url, timeout=10).ok
        scnet.stop()
        scnet.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(url, timeout=10)
        scnet.start()
        assert scnet.start().url == url
        assert session.get(url, timeout=10).ok


def test_stopping_does_not_wait_for_slow_answers(scnet):
    struck = Event()
    scnet.fail("*", latency=3600, when=lambda request: struck.set() or True)
    port = urlsplit(scnet.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /nosuch HTTP/1.1\r\n\r\n")
        assert struck.wait(10)
        scnet.stop()
        assert connection.recv(1) == b""


def test_stopping_does_not_wait_for_held_answers(scnet, until):
    fault = scnet.fail("*", hold=True)
    port = urlsplit(scnet.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /nosuch HTTP/1.1\r\n\r\n")
        until(lambda: fault.held)
        scnet.stop()
        assert connection.recv(1) == b""
    assert fault.held == 0


def test_nothing_is_held_by_a_server_that_stops(scnet):
    server = scnet._front.server
    scnet.stop()
    server.hold(Event())
    assert not server._gates


def test_stopping_cuts_off_an_answer_that_drips(scnet):
    scnet.fail("*", drip=3600)
    port = urlsplit(scnet.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /nosuch HTTP/1.1\r\n\r\n")
        assert connection.recv(100) == b"H"
        scnet.stop()
        assert connection.recv(1) == b""


def test_one_byte_at_a_time(scnet, talk, monkeypatch):
    scnet.fail("unknown", drip=0.0001)
    sizes = []
    send = socket.socket.sendall
    monkeypatch.setattr(socket.socket, "sendall", lambda self, data: sizes.append(len(data)) or send(self, data))
    text = talk("GET /nosuch HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert text.startswith("HTTP/1.1 404 ")
    assert sizes[1:] == [1] * len(text.encode())  # the first was the request


def test_connections_that_are_gone_already(scnet):
    server = scnet._front.server
    closed = socket.socket()
    closed.close()
    server._connections.add(closed)
    scnet.stop()
    assert server.stopping.is_set()


@pytest.mark.parametrize(("error", "noise"), [(ConnectionResetError, False), (ZeroDivisionError, True)])
def test_only_real_errors_make_noise(scnet, capsys, error, noise):
    try:
        raise error
    except error:
        HttpServer.handle_error(scnet._front.server, None, ("127.0.0.1", 1))
    assert ("Traceback" in capsys.readouterr().err) is noise
