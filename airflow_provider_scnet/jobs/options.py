"""How to delete: checked where a DAG is parsed, so importing it costs next to nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class DeleteOptions:
    """
    How to delete.

    :param verify: wait until every job was seen not to be active any more.
    :param timeout: seconds (or ``timedelta``) after which the jobs that are left are an error.
    :param poll_interval: seconds (or ``timedelta``) between two looks.
    :param absent_for: seconds (or ``timedelta``) for which what is no proof by itself has to be seen without a break:
        that SCNet does not list a job, or says in a code that nothing confirms that it ended. It has to be longer than
        SCNet's lists may lag.
    :param missing_ok: a job that SCNet does not know counts as gone; else it is an error, unless its history knows it.
    :param batch_size: jobs in one request.
    :raises ValueError: naming the argument that cannot be.
    """

    verify: bool = True
    timeout: float | timedelta = 300
    poll_interval: float | timedelta = 5
    absent_for: float | timedelta = 90
    missing_ok: bool = True
    batch_size: int = 50

    def as_json(self) -> dict[str, Any]:
        """Return the options in JSON types, times in seconds."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        times = {name: seconds(name, values[name]) for name in ("timeout", "poll_interval", "absent_for")}
        return {**values, **times}

    def __post_init__(self) -> None:
        seconds("timeout", self.timeout)
        seconds("poll_interval", self.poll_interval)
        seconds("absent_for", self.absent_for)
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size!r}: must be a whole number of jobs, 1 or more.")


def seconds(name: str, value: Any) -> float:
    """
    Check a time span.

    :param name: the argument, for the message.
    :param value: seconds, or a ``timedelta``.
    :raises ValueError: if it is not a positive one.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
        raise ValueError(f"{name}={value!r}: must be a positive number of seconds or a timedelta.")
    return float(number)


def lines(name: str, value: Any) -> int:
    """
    Check a number of lines.

    :param name: the argument, for the message.
    :param value: 0 or more.
    :raises ValueError: if it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}={value!r}: must be a whole number of lines, 0 for none.")
    return value
