"""When a deferred task has to be over."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

TO_RESUME = 15.0
"""Seconds for which a task needs a worker again before its ``execution_timeout``, where that counts deferred time."""
BACKSTOP = timedelta(minutes=10)
"""After the deadline that a trigger keeps by itself, Airflow ends it without a word to the job."""


def counts_deferred_time(ti: Any) -> bool:
    """
    Tell whether this is Airflow 2, where ``execution_timeout`` goes on while a task is deferred.

    :param ti: any task instance.
    """
    return not hasattr(ti, "get_ti_count")


def deadline_of(operator: Any, ti: Any, timeout: float | None) -> float | None:
    """
    Return the moment, in seconds since the epoch; ``None`` if there is none.

    :param operator: the task that is about to defer.
    :param ti: its task instance.
    :param timeout: seconds from now on; ``None`` for ever.
    """
    ends = [] if timeout is None else [time.time() + timeout]
    if operator.execution_timeout is not None and ti.start_date is not None and counts_deferred_time(ti):
        ends.append((ti.start_date + operator.execution_timeout).timestamp() - TO_RESUME)
    return min(ends, default=None)


def backstop_of(deadline: float | None) -> timedelta | None:
    """
    Return Airflow's own bound on a deferral that a trigger ends by itself.

    :param deadline: of the trigger, in seconds since the epoch.
    """
    return None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time())) + BACKSTOP
