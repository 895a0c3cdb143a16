"""Waiting that ends at once when the task is told to stop."""

from __future__ import annotations

import time

from airflow_provider_scnet.exceptions import ScnetStoppedError

SLICE = 0.25
"""Seconds after which whoever waits looks whether to stop."""


class Patience:
    """
    How long to wait for an answer, for another attempt or for the next look. All that works for one task shares one.
    """

    deadline: float | None = None
    """Moment on :meth:`now` beyond which nobody waits between two attempts; ``None`` for no end."""

    def __init__(self) -> None:
        # No `threading.Event`: a signal handler may have interrupted who owns its lock, and would wait for ever.
        self._stopped = False

    def now(self) -> float:
        """Return the moment on a clock that never goes back, in seconds."""
        return time.monotonic()

    def wall_clock(self) -> float:
        """Return the time of day, in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """
        Wait.

        :param seconds: how long; nothing at all if not positive.
        :raises ScnetStoppedError: as soon as the task is told to stop.
        """
        self.check()
        while seconds > 0:
            time.sleep(min(seconds, SLICE))
            seconds -= SLICE
            self.check()

    def stop(self) -> None:
        """End all waiting, for good. May be called by a signal handler and from any thread."""
        self._stopped = True

    def check(self) -> None:
        """
        Go on, unless the task was told to stop.

        :raises ScnetStoppedError: if it was.
        """
        if self._stopped:
            raise ScnetStoppedError("The task was told to stop.")

    def allows(self, seconds: float) -> bool:
        """
        Tell whether a wait would end in time.

        :param seconds: how long the wait is.
        """
        return self.deadline is None or self.now() + seconds <= self.deadline
