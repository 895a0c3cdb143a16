"""A clock that a test can move."""

from __future__ import annotations

import time


class Clock:
    """
    The wall clock plus an offset that a test moves instead of sleeping.

    :param start: seconds since the epoch; the clock stands there, and only :meth:`advance` moves it.
        None for the wall clock.
    """

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._offset = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return (time.time() if self._start is None else self._start) + self._offset

    def advance(self, seconds: float) -> None:
        """
        Let time pass.

        :param seconds: how much of it.
        """
        self._offset += seconds
