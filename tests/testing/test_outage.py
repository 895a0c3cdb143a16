from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator


@pytest.fixture
def away(scnet, until):
    """Begin an outage, and wait until it has begun."""

    def begin(seconds):
        answer = requests.post(f"{scnet.url}/emulator/outage", json={"seconds": seconds}, timeout=10)
        assert (answer.status_code, answer.json()) == (200, {"seconds": seconds})
        until(lambda: not reachable(scnet.url))
        with scnet._outage._lock:  # until all ports are
            pass

    return begin


def reachable(url):
    try:
        socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=10).close()
    except ConnectionError:
        return False
    return True


def test_all_ports_are_away_and_come_back(scnet, away, until):
    region = scnet.add_region("11113", "region-b")
    job, token, urls = scnet.add_job(), scnet.token, (scnet.url, region.url)
    with requests.Session() as session:
        assert session.get(scnet.url, timeout=10).ok
        away(3600)
        assert not reachable(region.url)
        with pytest.raises(requests.ConnectionError):
            session.get(scnet.url, timeout=10)
    scnet._outage.begin(0.1)  # which takes over from the longer one
    until(lambda: reachable(scnet.url) and reachable(region.url))
    assert (scnet.url, region.url) == urls
    assert (scnet.jobs, job.state, scnet.token) == ([job], "RUNNING", token)
    assert requests.get(f"{scnet.url}/emulator/state", timeout=10).json()["active"] == 1


def test_what_is_held_is_cut_off(scnet, away, until):
    fault = scnet.fail("unknown", hold=True)
    with socket.create_connection(("127.0.0.1", urlsplit(scnet.url).port), timeout=10) as connection:
        connection.sendall(b"GET /nosuch HTTP/1.1\r\n\r\n")
        until(lambda: fault.held)
        away(3600)
        assert connection.recv(1) == b""
    assert fault.held == 0


def test_nobody_else_gets_the_port_meanwhile(scnet, away):
    port = urlsplit(scnet.url).port
    away(3600)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


@pytest.mark.parametrize("again", [True, False])
def test_whoever_starts_or_stops_it_ends_the_outage(scnet, away, again):
    away(3600)
    over = scnet._outage._over
    (scnet.start if again else scnet.stop)()
    assert over.is_set()
    assert reachable(scnet.url) is again


def test_an_outage_that_was_asked_for_just_before_a_stop(scnet):
    """Its request has been answered, and it begins once the emulator has been stopped."""
    scnet.stop()
    scnet._outage.begin(0)
    for thread in threading.enumerate():
        if thread.name == "scnet-outage":
            thread.join()
    assert not reachable(scnet.url)


def test_an_outage_that_was_ended_before_it_began(scnet):
    begun = scnet._outage._over
    begun.set()
    scnet._outage._run(0, begun)
    assert reachable(scnet.url)


def test_a_region_that_comes_meanwhile_listens_afterwards(scnet, away, until):
    away(3600)
    region = scnet.add_region("11113", "region-b")
    scnet._outage.begin(0.1)
    until(lambda: reachable(scnet.url))
    with scnet._outage._lock:
        assert reachable(region.url)


def test_the_port_is_free_after_a_stop(away, scnet):
    away(3600)
    port = urlsplit(scnet.url).port
    scnet.stop()
    with ScnetEmulator(port=port) as other:
        assert other.url == scnet.url
