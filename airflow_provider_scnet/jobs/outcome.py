"""How a job ended: as a result, as what it cost, and as the error that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Self

from airflow_provider_scnet.api.job_ids import is_one_member
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase, words_of
from airflow_provider_scnet.exceptions import (
    ScnetJobCancelledError,
    ScnetJobFailedError,
    ScnetJobNodeFailureError,
    ScnetJobOutOfMemoryError,
    ScnetJobPreemptedError,
    ScnetJobTimeLimitError,
    final,
)
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.usage import usage_of
from airflow_provider_scnet.wording import quote


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
_ERRORS: dict[Ending, type[ScnetJobFailedError]] = {
    Ending.OUT_OF_MEMORY: ScnetJobOutOfMemoryError,
    Ending.TIME_LIMIT: ScnetJobTimeLimitError,
    Ending.NODE_FAILURE: ScnetJobNodeFailureError,
    Ending.PREEMPTED: ScnetJobPreemptedError,
    Ending.FAILED: ScnetJobFailedError,
    Ending.CANCELLED: ScnetJobCancelledError,
}
NO_OUTPUT = "0:53"
NAMED_JOBS = 20


@dataclass(frozen=True)
class Outcome:
    """
    How a job ended; of an array, how the member did that ended worst.

    :param job_id: the job's, or that of the member.
    :param state: what SCNet calls it.
    :param reason: the scheduler's; empty if it gave none.
    :param exit_code: ``rc:signal``; empty if SCNet did not tell it.
    :param usage: what the job has used, all members together, see :func:`airflow_provider_scnet.jobs.usage.usage_of`.
    """

    ref: JobRef
    ending: Ending
    job_id: str
    state: str
    reason: str
    exit_code: str
    usage: Mapping[str, Any]

    @classmethod
    def of(cls, ref: JobRef, endings: Mapping[JobRecord, Ending], missing: str = "") -> Self:
        """
        Return the outcome of a job.

        :param endings: how each of its records ended, at least one.
        :param missing: members that were cancelled while they waited and left no record, for people.
        """
        if missing and worst({*endings.values(), Ending.CANCELLED}) is Ending.CANCELLED:
            usage = usage_of(list(endings) or [JobRecord(ref.job_id)])
            return cls(ref, Ending.CANCELLED, ref.job_id, "no record", missing, "", usage)
        record = min(endings, key=lambda record: list(Ending).index(endings[record]))
        reason = "" if record.reason == "None" else quote(record.reason, 80)
        told = (str(record.state), reason, quote(record.exit_code, 20))
        return cls(ref, endings[record], record.job_id, *told, usage_of(list(endings)))

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """
        Return what :meth:`as_json` was made of.

        :param told: what came out of it.
        """
        (ref,) = parse_jobs(told["ref"])
        return cls(**{**told, "ref": ref, "ending": Ending[told["ending"]]})

    def as_json(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {**vars(self), "ref": str(self.ref), "ending": self.ending.name}

    @property
    def is_good(self) -> bool:
        """Whether the job did what it was to do, as far as the scheduler knows."""
        return self.ending is Ending.COMPLETED

    @property
    def log_ref(self) -> JobRef:
        """The job, or the member of an array, whose log tells why."""
        scheduler_id, user = self.ref.scheduler_id, self.ref.user
        return JobRef(scheduler_id, user, self.job_id) if is_one_member(self.job_id) else self.ref

    def as_record(self) -> dict[str, Any]:
        """Return what became of the job and what it cost, for XCom: always the same keys, in JSON types."""
        return {
            "ref": str(self.ref),
            "ending": self.ending.value,
            "state": self.state,
            "reason": self.reason or None,
            "exit_code": self.exit_code or None,
            **self.usage,
        }

    def __str__(self) -> str:
        member = f", member {self.job_id}" if self.job_id != self.ref.job_id else ""
        reason = f", reason {self.reason}" if self.reason else ""
        exit_code = f", exit code {self.exit_code}" if self.exit_code else ""
        return f"{self.ref}{member}  {self.ending.value} ({self.state}{reason}{exit_code})"


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


def error_of(outcomes: Sequence[Outcome], *, is_final: bool) -> ScnetJobFailedError:
    """
    Make the error for jobs that ended badly, in the class that says how if they did so alike.

    :param outcomes: of one or more such jobs.
    :param is_final: whether a retry of the task would find the same jobs.
    """
    kinds = {_ERRORS[outcome.ending] for outcome in outcomes}
    kind = kinds.pop() if len(kinds) == 1 else ScnetJobFailedError
    first = outcomes[0]
    remedy = ""
    if any(outcome.exit_code == NO_OUTPUT for outcome in outcomes):
        remedy = f"Exit code {NO_OUTPUT} without a log: the output path could not be opened. Does work_dir exist?"
    if len(outcomes) == 1:
        message = f"Job {first}."
    else:
        more = len(outcomes) - NAMED_JOBS
        lines = [f"{len(outcomes)} jobs ended badly:", *(f"  {outcome}" for outcome in outcomes[:NAMED_JOBS])]
        message = "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])
    return (final(kind) if is_final else kind)(
        message,
        remedy=remedy,
        ref=str(first.ref),
        state=first.state,
        reason=first.reason,
        exit_code=first.exit_code,
    )
