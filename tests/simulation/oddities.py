"""What is odd in a service's answers beyond the emulator's knobs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_scnet.testing import Job, RecordedRequest
from airflow_provider_scnet.testing.arrays import array_of, member_ids
from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.history import History
from airflow_provider_scnet.testing.records import LIVE_CODES, Record, history_record
from airflow_provider_scnet.testing.wire import Answer
from airflow_provider_scnet.testing.words import is_terminal

PLAIN_RESTS, EARLIER_RUNS, ACTIVE_IN_HISTORY = "rests without members", "earlier runs", "active in the history"
USED_TWICE, USED_BY_OTHERS = "numbers used twice", "numbers that others have used"
STRANGER = "acexample09"
EARLIER = 600.0
"""Seconds from the end of a job to the submission of the next one that has its number."""
_STARTS_NOTHING_AGAIN = Behaviour()


def name_rests_by_array(request: RecordedRequest, answer: Answer) -> Answer:
    """Let a list show the waiting rest of an array as ``5``, not as ``5_[2-9]``."""
    if request.call != "list" or b"_[" not in answer.body:
        return answer
    envelope = json.loads(answer.body)
    for record in envelope["data"]["list"]:
        if "[" in str(record["jobId"]):
            record["jobId"] = array_of(record["jobId"])
    return replace(answer, body=json.dumps(envelope).encode())


class OddHistory(History):
    """
    A history that lists more than the last ends of jobs.

    :param oddities: the names of what it lists besides.
    """

    def __init__(self, cluster: Cluster, behaviour: Behaviour, *, oddities: Collection[str]) -> None:
        super().__init__(cluster, behaviour)
        self._more = [more for name, more in _MORE.items() if name in oddities]

    def records(self, scheduler_id: str, query: Mapping[str, str]) -> list[Callable[[], Record]]:
        """See the base class; what is odd comes last."""
        past = super().records(scheduler_id, query)
        if not self._behaviour.has_history:
            return past
        wanted, user = query.get("jobId"), query.get("strUser")
        more = (
            (job_id, run, changes)
            for job in (self._cluster.select(scheduler_id) if self._more else ())
            for runs in self._more
            for run, changes in runs(job)
            if user in (None, "", run.user) or run.user == STRANGER  # a filter that lets them through
            for job_id in member_ids(job.job_id)
        )
        name = self._cluster.schedulers[scheduler_id]
        return past + [
            partial(_record, run, name, job_id, changes)
            for job_id, run, changes in more
            if wanted in (None, "", job_id, run.job_id, array_of(job_id))
        ]


def _record(job: Job, scheduler_name: str, job_id: str, changes: Record) -> Record:
    return history_record(job, scheduler_name, job_id) | changes


def _earlier_runs(job: Job) -> Iterator[tuple[Job, Record]]:
    """Those whose end was taken back."""
    entries = [entry for entry in job.timeline if entry[0] <= job.clock.now()]
    for number, (_, word) in enumerate(entries[:-1]):
        if is_terminal(word):
            run = copy.copy(job)
            run.behaviour, run.outcome, run._timeline = _STARTS_NOTHING_AGAIN, word, entries[: number + 1]
            yield run, {}


def _present_run(job: Job) -> Iterator[tuple[Job, Record]]:
    if job.active:
        yield job, {"jobState": LIVE_CODES[job.state] if job.state in ("PENDING", "SUSPENDED") else "statR"}


def _earlier_job(job: Job, user: str = "") -> Iterator[tuple[Job, Record]]:
    """One that had the same number before the counter began anew."""
    ended_at, word = job.submitted_at - EARLIER, ("COMPLETED", "FAILED", "CANCELLED")[int(job.submitted_at) % 3]
    earlier = copy.copy(job)
    earlier.behaviour, earlier.outcome, earlier.name = _STARTS_NOTHING_AGAIN, word, "earlier"
    earlier.user, earlier.started_at = user or job.user, ended_at - EARLIER
    earlier._timeline = [(ended_at - EARLIER, "RUNNING"), (ended_at, word)]
    yield earlier, {}


_MORE: dict[str, Callable[[Job], Iterator[tuple[Job, Any]]]] = {
    EARLIER_RUNS: _earlier_runs,
    ACTIVE_IN_HISTORY: _present_run,
    USED_TWICE: _earlier_job,
    USED_BY_OTHERS: partial(_earlier_job, user=STRANGER),
}
