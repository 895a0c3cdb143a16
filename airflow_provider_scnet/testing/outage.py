"""A time for which the emulator is away, and comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
        self._serving = False

    def begin(self, seconds: float) -> None:
        """
        Close all connections and refuse new ones, then listen again on the same ports; returns at once.

        What has been stopped stays so: the request for an outage may have been answered just before.

        :param seconds: how long, in real time.
        """
        with self._lock:
            if not self._serving:
                return
            self._over.set()  # an earlier one, which this one takes over from
            over = self._over = Event()
        Thread(target=self._run, args=(seconds, over), name="scnet-outage", daemon=True).start()

    @contextmanager
    def ended(self, *, serving: bool) -> Iterator[None]:
        """
        End it; none begins or ends while the listeners are started or stopped within.

        :param serving: whether they serve afterwards.
        """
        with self._lock:
            self._over.set()
            self._serving = serving
            yield

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
