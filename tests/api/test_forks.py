"""A child process has but one thread, and the connections of its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_scnet.api.credentials import TokenCache
from airflow_provider_scnet.api.forks import Renewed, cached_property
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs.threads import in_thread
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.api.conftest import stored
from tests.conftest import client_of

PACKAGE = Path(__file__).parents[2] / "airflow_provider_scnet"

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.usefixtures("cache"),
]


def succeeds_in_child(act: Callable[[], object]) -> bool:
    """Whether a child does something, within the time that a lock which nobody opens would take for ever."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def held(lock: threading.RLock) -> Iterator[None]:
    """Have another thread hold a lock."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait(timeout=60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(timeout=30)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_token_is_had_although_another_thread_holds_the_lock(scnet: ScnetEmulator) -> None:
    source = stored(scnet)
    with held(source._entry.lock):
        assert succeeds_in_child(source.token)
    assert source.token()


def test_lock_that_the_forking_thread_holds_is_given_back(cache: TokenCache) -> None:
    entry = cache.entry("token", Secret("x"))

    def fork_within() -> None:
        lock = entry.lock
        with lock:
            assert succeeds_in_child(lambda: entry.lock.acquire(timeout=0))

    fork_within()
    assert entry.lock.acquire(timeout=0)


def test_locks_are_forgotten_with_what_they_are_for() -> None:
    before = len(Renewed._all)
    entry = Renewed()
    assert len(Renewed._all) == before + 1
    del entry
    assert len(Renewed._all) == before


def test_parent_and_child_have_connections_of_their_own(scnet: ScnetEmulator) -> None:
    """Else each would read what the other one is answered."""
    made = []
    serve = scnet._front.server.process_request  # type: ignore[union-attr]
    scnet._front.server.process_request = lambda *given: made.append(given) or serve(*given)  # type: ignore[union-attr,method-assign]
    client = client_of(scnet)
    client.list_schedulers()
    client.list_schedulers()
    assert len(made) == 1
    assert succeeds_in_child(client.list_schedulers)
    assert len(made) == 2
    client.list_schedulers()
    assert len(made) == 2


def test_pool_of_threads_works_in_a_child() -> None:
    def work() -> None:
        assert asyncio.run(asyncio.wait_for(in_thread("scnet_default", lambda: 1), 10)) == 1

    work()
    assert succeeds_in_child(work)


class Slow:
    waits = threading.Event()
    begun = threading.Event()

    def __init__(self, is_slow: bool) -> None:
        self._is_slow = is_slow

    @cached_property
    def value(self) -> float:
        if self._is_slow:
            self.begun.set()
            self.waits.wait(timeout=60)
        return time.monotonic()


def test_property_of_one_object_does_not_hold_up_another() -> None:
    slow, quick = Slow(True), Slow(False)
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    Slow.begun.wait(timeout=30)
    try:
        assert succeeds_in_child(lambda: quick.value)
        assert succeeds_in_child(lambda: Slow(False).value)
    finally:
        Slow.waits.set()
        thread.join()
    assert slow.value == slow.value


def test_hook_has_no_lock_of_its_class() -> None:
    assert type(vars(ScnetHook)["client"]) is cached_property


def test_nobody_takes_the_property_with_the_lock() -> None:
    found = subprocess.run(
        ["grep", "-rlE", r"from functools import .*cached_property|functools\.cached_property", str(PACKAGE)],
        capture_output=True,
        text=True,
    ).stdout.split()
    assert [Path(name).name for name in found if name.endswith(".py")] == ["forks.py"]
