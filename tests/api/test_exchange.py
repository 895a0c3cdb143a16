from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests

from airflow_provider_scnet.api.exchange import Exchange, Session, TooLongError, _Adapter, forget_frames
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.exceptions import ScnetError, ScnetStoppedError
from airflow_provider_scnet.testing import ScnetEmulator

BLINK = 0.05


def get(url: str) -> Callable[[], int]:
    """Work that sends a request."""
    session = Session({})
    return lambda: session.get(url, timeout=60).status_code


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """Take connections, and say nothing."""
    taken: list[socket.socket] = []

    def serve() -> None:
        try:
            while True:
                taken.append(server.accept()[0])
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/", taken
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


@pytest.fixture(autouse=True)
def all_ended() -> Iterator[Callable[[], None]]:
    """Wait until no thread of this test works any more, at its end in any case."""
    before = threading.enumerate()

    def wait() -> None:
        for thread in threading.enumerate():
            if thread.name == "scnet-request" and thread not in before:
                thread.join(timeout=30)
                assert not thread.is_alive()

    yield wait
    wait()


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_value() -> None:
    assert Exchange(lambda: threading.current_thread().name).run(Patience(), 60).unwrap() == "scnet-request"


def test_answer(scnet: ScnetEmulator) -> None:
    assert Exchange(get(scnet.url)).run(Patience(), 60).unwrap() == 200


@pytest.mark.parametrize("error", [ScnetError("x"), ZeroDivisionError("x"), SystemExit("x")], ids=repr)
def test_error_comes_without_frames_and_reasons(error: BaseException) -> None:
    def fail() -> None:
        try:
            raise LookupError
        except LookupError as reason:
            raise error from reason

    outcome = Exchange(fail).run(Patience(), 60)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
    with pytest.raises(type(error), match="x") as caught:
        outcome.unwrap()
    assert caught.value is error


def test_defect_says_where_it_is() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        Exchange(fail).run(Patience(), 60).unwrap()
    assert "in fail\n    raise ZeroDivisionError\n" in caught.value.__notes__[0]


def test_nothing_shows_in_local_variables() -> None:
    exchange = Exchange(lambda: "SECRET")
    outcome = exchange.run(Patience(), 60)
    for thing in (exchange, outcome):
        assert "SECRET" not in repr(thing)
        with pytest.raises(TypeError):
            vars(thing)


# --- giving up --------------------------------------------------------------------------------------------------------


def given_up(work: Callable[[], Any], error_class: type[Exception], patience: Patience) -> bool:
    """Wait for work that does not end in time, no longer than allowed; return whether surely nothing was sent."""
    return given_up_within(BLINK, work, error_class, patience)


def given_up_within(seconds: float, work: Callable[[], Any], error_class: type[Exception], patience: Patience) -> bool:
    ended = threading.Event()

    def to_its_end() -> None:
        try:
            work()
        finally:
            ended.set()

    exchange = Exchange(to_its_end)
    with pytest.raises(error_class):
        exchange.run(patience, seconds)
    assert not ended.is_set()
    return exchange.give_up()


def test_time_is_up_before_the_answer_begins(scnet: ScnetEmulator) -> None:
    scnet.fail("*", latency=60)
    assert not given_up(get(f"{scnet.url}/hpc/openapi/v2/cluster"), TooLongError, Patience())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_that_takes_connections_and_says_nothing(scheme: str) -> None:
    """With TLS nothing was sent so far that could have an effect."""
    with silent_server() as (url, _):
        never_sent = given_up(get(url.replace("http", scheme)), TooLongError, Patience())
        assert never_sent is (scheme == "https")


def test_answer_that_trickles_in(scnet: ScnetEmulator) -> None:
    scnet.fail("*", drip=1.0)
    assert not given_up(get(f"{scnet.url}/hpc/openapi/v2/cluster"), TooLongError, Patience())


def test_task_is_stopped(scnet: ScnetEmulator) -> None:
    scnet.fail("*", latency=60)
    patience = Patience()
    threading.Timer(BLINK, patience.stop).start()
    assert not given_up_within(60, get(f"{scnet.url}/hpc/openapi/v2/cluster"), ScnetStoppedError, patience)


def test_what_was_given_up_before_it_is_connected_is_never_sent(
    scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, all_ended: Callable[[], None]
) -> None:
    look_up, resolved = socket.getaddrinfo, threading.Event()

    def resolve(*arguments: Any) -> Any:
        resolved.wait(timeout=30)
        return look_up(*arguments)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert given_up(get(f"{scnet.url}/hpc/openapi/v2/cluster"), TooLongError, Patience())
    resolved.set()
    all_ended()
    assert scnet.requests == []


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_given_up_before_it_asks_for_a_connection_is_never_sent(
    scnet: ScnetEmulator, all_ended: Callable[[], None], kept: bool
) -> None:
    session, go_on = Session({}), threading.Event()
    url = f"{scnet.url}/hpc/openapi/v2/cluster"
    if kept:
        session.get(url, timeout=60)

    def work() -> None:
        go_on.wait(timeout=30)
        session.get(url, timeout=60)

    given_up(work, TooLongError, Patience())
    go_on.set()
    all_ended()
    assert len(scnet.requests) == kept


def test_what_has_ended_can_be_given_up(scnet: ScnetEmulator) -> None:
    exchange = Exchange(get(scnet.url))
    exchange.run(Patience(), 60)
    assert not exchange.give_up()


def test_through_a_proxy(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator sees the whole address, which is none of its paths."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", scnet.url)
    assert Exchange(get("http://hpc.invalid/nowhere")).run(Patience(), 60).unwrap() == 404
    scnet.fail("*", latency=60)
    assert not given_up(get("http://hpc.invalid/nowhere"), TooLongError, Patience())


def test_connections_do_without_an_exchange(scnet: ScnetEmulator) -> None:
    assert get(scnet.url)() == 200


# --- whether anything has left --------------------------------------------------------------------------------------


def has_left_after(work: Callable[[], Any]) -> bool | None:
    exchange = Exchange(work)
    with suppress(OSError, ValueError):
        exchange.run(Patience(), 60).unwrap()
    return exchange.has_left


def posting(url: str, session: Session | None = None, **how: Any) -> Callable[[], Any]:
    return lambda: (session or Session({})).post(url, **{"timeout": 60, **how})


def test_nothing_has_left_before_it_came_to_that() -> None:
    for url in ("hpc.example", "ftp://hpc.example", "http://"):
        assert has_left_after(posting(url)) is None
    assert has_left_after(posting("http://hpc.example", headers={"token": "a\nb"})) is None


def test_nothing_has_left_without_a_connection(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    url = scnet.url
    assert has_left_after(posting(url.replace("http", "https"))) is False  # it does not speak TLS
    assert has_left_after(posting(url.replace("http", "https"), verify="/nowhere")) is False
    scnet.stop()
    assert has_left_after(posting(url)) is False
    monkeypatch.setenv("https_proxy", url)
    assert has_left_after(posting("https://hpc.example")) is False


def test_something_may_have_left_once_there_is_a_connection(scnet: ScnetEmulator) -> None:
    session = Session({})
    assert has_left_after(posting(scnet.url, session)) is True
    assert has_left_after(posting(scnet.url, session)) is True  # which is kept
    scnet.fail("*", drop=True)
    assert has_left_after(posting(scnet.url, session)) is True
    with silent_server() as (url, _):
        assert has_left_after(posting(url, timeout=BLINK)) is True


def test_something_may_have_left_through_a_proxy_with_connections_of_its_own() -> None:
    exchange = Exchange(lambda: _Adapter().proxy_manager_for("socks5://127.0.0.1:9"))
    exchange.beginning()
    try:
        exchange.run(Patience(), 60).unwrap()
    except requests.exceptions.InvalidSchema:  # without PySocks nothing is sent at all
        assert exchange.has_left is False
    else:
        assert exchange.has_left is True


# --- frames -----------------------------------------------------------------------------------------------------------


def test_frames_are_forgotten_up_to_what_was_handled_before() -> None:
    def fail() -> None:
        try:
            raise ValueError
        except ValueError:
            raise KeyError from None

    with pytest.raises(LookupError) as outer:
        raise LookupError
    with pytest.raises(KeyError) as caught:
        fail()
    reason = caught.value.__context__
    assert reason is not None
    reason.__context__ = outer.value
    forget_frames(caught.value, outer.value)
    assert (caught.value.__traceback__, reason.__traceback__) == (None, None)
    assert outer.value.__traceback__ is not None
