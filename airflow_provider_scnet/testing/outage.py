"""A time for which the emulator is away, and comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event, RLock, Thread

from airflow_provider_scnet.testing.server import Listener


class Outage:
    """
    Lets all listeners be away for a while; whoever starts or stops them meanwhile ends it first.

    :param listeners: returns those there are.
    """

    def __init__(self, listeners: Callable[[], Iterable[Listener]]) -> None:
        self._listeners = listeners
        self._lock = RLock()
        self._over = Event()

    def begin(self, seconds: float) -> None:
        """
        Close all connections and refuse new ones, then listen again on the same ports; returns at once.

        :param seconds: how long, in real time.
        """
        with self._lock:
            self._over.set()  # an earlier one, which this one takes over from
            self._over = Event()
        Thread(target=self._run, args=(seconds, self._over), name="scnet-outage", daemon=True).start()

    def end(self) -> None:
        """Leave the listeners alone from now on, as they are."""
        with self._lock:
            self._over.set()

    def _run(self, seconds: float, over: Event) -> None:
        with self._lock:
            if over.is_set():
                return
            for listener in self._listeners():
                listener.pause()
        over.wait(seconds)
        with self._lock:
            if over.is_set():
                return
            for listener in self._listeners():
                listener.start()
