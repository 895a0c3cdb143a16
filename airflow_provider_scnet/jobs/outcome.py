"""How a job ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.states import Phase, words_of


class Ending(Enum):
    """How a job ended; what is worse comes first, for a job may have several records."""

    OUT_OF_MEMORY = "out of memory"
    TIME_LIMIT = "time limit reached"
    NODE_FAILURE = "node failure"
    PREEMPTED = "preempted"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


RESTARTS_WITHIN = timedelta(seconds=90)
"""A job that was interrupted may be started again; so long after its end it is not expected to be."""
_OF_WORD = {
    "COMPLETED": Ending.COMPLETED,
    "CANCELLED": Ending.CANCELLED,
    "FAILED": Ending.FAILED,
    "TIMEOUT": Ending.TIME_LIMIT,
    "DEADLINE": Ending.TIME_LIMIT,
    "OUT_OF_MEMORY": Ending.OUT_OF_MEMORY,
    "PREEMPTED": Ending.PREEMPTED,
    "NODE_FAIL": Ending.NODE_FAILURE,
    "BOOT_FAIL": Ending.NODE_FAILURE,
    "LAUNCH_FAILED": Ending.NODE_FAILURE,
    "RECONFIG_FAIL": Ending.NODE_FAILURE,
    "REVOKED": Ending.CANCELLED,
}
_OF_PAST_CODE = {
    "statD": Ending.FAILED,
    "statT": Ending.TIME_LIMIT,
    "statDE": Ending.CANCELLED,
    "statN": Ending.NODE_FAILURE,
}
_COMPLETED = "statC"


def ending_of(record: JobRecord) -> Ending | None:
    """
    Tell how a job ended; ``None`` if that is not known: because it goes on, or because nothing but a live code says
    that it has ended, which says nothing about success.

    :param record: of the job.
    """
    if record.state.phase not in (Phase.ENDED, Phase.INTERRUPTED):
        return None
    said = {_OF_WORD[word] for word in words_of(record.word) if word in _OF_WORD}
    return worst(said) if said or not record.past else _ending_of_past_code(record)


def worst(endings: set[Ending]) -> Ending | None:
    """Return the one that counts where several things are said of one job."""
    return next((ending for ending in Ending if ending in endings), None)


def _ending_of_past_code(record: JobRecord) -> Ending | None:
    """The history's code for a good end counts only with the accounting code that says the same."""
    if record.status != _COMPLETED or record.accounting_code is None:
        return _OF_PAST_CODE.get(record.status)
    return Ending.FAILED if record.accounting_code else Ending.COMPLETED


def may_be_started_again(record: JobRecord, now: datetime) -> bool:
    """
    Tell whether an end may be taken back by the scheduler.

    :param record: of the job.
    :param now: the present, with a time zone.
    """
    if record.state.phase is not Phase.INTERRUPTED:
        return False
    if record.ended_at is None:
        return not record.past
    return now - record.ended_at < RESTARTS_WITHIN
