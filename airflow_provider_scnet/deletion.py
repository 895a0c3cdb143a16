"""Delete until gone: batches, isolation of refused jobs, observation until a deadline, report."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
    quote,
)
from airflow_provider_scnet.jobs import NOT_LISTED, JobRef, JobState, Phase, to_wire
from airflow_provider_scnet.observation import UNCONFIRMED, confirm_absent, find_in_history, group_by, look
from airflow_provider_scnet.report import NAMED_JOBS, DeletionReport, LeftJob, account_of_left

if TYPE_CHECKING:
    from airflow_provider_scnet.client import ScnetClient

ENDS_EVERYTHING = (ScnetAccountError, ScnetPermissionError, ScnetCredentialError, ScnetAddressError)
"""Errors that are not about the jobs: whatever else was sent would meet them too."""
RESEND_EVERY = 3
FAILURES_IN_A_ROW = 3
"""Batches that may fail one after the other before the rest waits for the next round: the service is down."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeleteOptions:
    """
    How to delete.

    :param verify: wait until every job was seen not to be active any more.
    :param timeout: seconds (or ``timedelta``) after which the jobs that are left are an error.
    :param poll_interval: seconds (or ``timedelta``) between two looks.
    :param missing_ok: a job that SCNet does not know counts as gone; else it is an error, unless its history knows it.
    :param batch_size: jobs in one request.
    :raises ValueError: naming the argument that cannot be.
    """

    verify: bool = True
    timeout: float | timedelta = 300
    poll_interval: float | timedelta = 5
    missing_ok: bool = True
    batch_size: int = 50

    def __post_init__(self) -> None:
        _seconds("timeout", self.timeout)
        _seconds("poll_interval", self.poll_interval)
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size!r}: must be a whole number of jobs, 1 or more.")


def _seconds(name: str, value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise ValueError(f"{name}={value!r}: must be a positive number of seconds or a timedelta.")
    return float(seconds)


UNSEEN = JobState(Phase.DOUBTFUL)


@dataclass(eq=False)
class _Job:
    """What is known of one job while its deletion is under way."""

    ref: JobRef
    batch_limit: int
    state: JobState = UNSEEN
    error: ScnetError | None = None
    sends: int = 0
    answered: bool = False  # SCNet has answered a delete that names it, whatever it said
    due: bool = True  # a delete has to be sent (again) at once
    refused: bool = False  # by a request of its own, for good
    hopeless: bool = False  # refused, and seen to go on: neither sending nor waiting helps
    absent_at_wait: int | None = None
    outcome: str = ""  # "deleted", "gone" or "accepted" once settled


class Deletion:
    """
    One deletion of jobs, from the first request to the report.

    :param client: how to talk to SCNet.
    :param refs: the jobs, each once.
    :param options: how to delete.
    :param clock: seconds that only grow.
    :param sleep: how to wait.
    :param logger: where to tell what happens.
    """

    def __init__(
        self,
        client: ScnetClient,
        refs: Iterable[JobRef],
        options: DeleteOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        logger: Any = log,
    ) -> None:
        self._client = client
        self._options = options
        self._clock = clock
        self._sleep = sleep
        self._log = logger
        self._timeout = _seconds("timeout", options.timeout)
        self._poll_interval = _seconds("poll_interval", options.poll_interval)
        self._jobs = [_Job(ref, options.batch_size) for ref in dict.fromkeys(refs)]
        self._started = clock()
        self._waits = 0

    def run(self) -> DeletionReport:
        """
        Delete the jobs and wait until none of them is left.

        :raises ScnetJobsNotDeletedError: if some are left at the deadline.
        :raises ScnetRequestError: if all that are left were refused for good.
        :raises ScnetAccountError: (and permission, credential, address) at once, with what was already done.
        """
        self._log_start()
        try:
            self._send(self._jobs)
            if not self._settled():
                self._insist()
            if not self._options.missing_ok:
                self._check_missing()
        except ENDS_EVERYTHING as error:
            raise self._ended_by(error) from None
        report = self._report()
        if report.left:
            raise self._not_deleted(report)
        self._log.info("All jobs are accounted for: %s.", report)
        return report

    def _insist(self) -> None:
        """Send again what needs it, wait and look, until nothing can change any more or time is up."""
        rounds = 1
        while not self._late():
            split = self._send([job for job in self._undecided() if job.due or rounds % RESEND_EVERY == 0])
            if not split:
                self._wait()
                rounds += 1
            if self._settled():
                return
        self._send(self._undecided())
        self._settled()

    def _settled(self) -> bool:
        """Look at (or, unverified, believe) what was done; tell whether all is decided."""
        if self._options.verify:
            self._look()
        else:
            for job in self._open():
                job.hopeless = job.refused
                job.outcome = "" if job.due else "accepted"
        undecided = self._undecided()
        if undecided:
            states = Counter(str(replace(job.state, word="")) for job in undecided)
            tally = ", ".join(f"{count} {state}" for state, count in states.items())
            self._log.info(
                "After %.0f s, %d of %d jobs are not settled: %s.",
                self._elapsed(),
                len(undecided),
                len(self._jobs),
                tally,
            )
        return not undecided

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, jobs: Sequence[_Job]) -> bool:
        """
        Send deletes, jobs that were sent least first.

        :return: whether a refused batch waits to be sent in halves, for which there is no reason to wait.
        """
        split = False
        by_ref = {job.ref: job for job in sorted(jobs, key=lambda job: job.sends)}
        for refs in group_by(by_ref, "scheduler_id").values():
            failures = 0
            for batch in _batches([by_ref[ref] for ref in refs]):
                error = self._send_batch(batch)
                split |= isinstance(error, ScnetPermanentError) and len(batch) > 1
                failures = failures + 1 if error and not isinstance(error, ScnetPermanentError) else 0
                if failures == FAILURES_IN_A_ROW:
                    break
        return split

    def _send_batch(self, batch: Sequence[_Job]) -> ScnetError | None:
        for job in batch:
            job.sends += 1
        try:
            texts = self._client.delete_jobs([job.ref for job in batch])
        except ENDS_EVERYTHING:
            raise
        except ScnetError as error:
            self._log.warning("A delete of %d jobs failed: %s", len(batch), error)
            for job in batch:
                job.error, job.due = error, True
                job.answered |= error.answered
                job.batch_limit = max(1, len(batch) // 2)
                job.refused = len(batch) == 1 and isinstance(error, ScnetPermanentError)
            return error
        for job in batch:
            job.answered, job.error, job.refused, job.batch_limit = True, None, False, self._options.batch_size
            text = texts.get(job.ref.scheduler_id, "")
            job.due = not _is_confirmed(job.ref, text)
            if job.due:
                job.error = ScnetError(f'code "0", but SCNet did not confirm this job; it said: {quote(text)!r}')
        return None

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        by_ref = {job.ref: job for job in self._open()}
        for scheduler_id, refs in group_by(by_ref, "scheduler_id").items():
            jobs = [by_ref[ref] for ref in refs]
            try:
                states = look(self._client, scheduler_id, refs)
                states.update(self._confirmed([job for job in jobs if states[job.ref] is NOT_LISTED]))
            except ENDS_EVERYTHING:
                raise
            except ScnetError as error:
                self._log.warning("Could not look at %d jobs of scheduler %s: %s", len(refs), scheduler_id, error)
                for job in jobs:
                    job.error = job.error if job.refused else error
                    job.refused |= isinstance(error, ScnetPermanentError)
                    job.hopeless |= isinstance(error, ScnetPermanentError)
                continue
            for job in jobs:
                self._settle(job, states[job.ref])

    def _confirmed(self, absent: Sequence[_Job]) -> dict[JobRef, JobState]:
        """
        A job that was submitted a moment ago may not be listed yet, and a list may be wrong: it takes two looks with
        a wait between them, a second opinion, and a delete that arrived, to call a job gone.
        """
        twice = [job for job in absent if job.absent_at_wait is not None and job.absent_at_wait < self._waits]
        if not twice:
            return {}
        return confirm_absent(self._client, twice[0].ref.scheduler_id, [job.ref for job in twice])

    def _settle(self, job: _Job, state: JobState) -> None:
        if state is UNCONFIRMED:
            return
        job.state = state
        job.hopeless = job.refused and state.phase is Phase.ACTIVE and state.word != "COMPLETING"
        if state.phase is Phase.ENDED:
            job.outcome = "deleted"
        elif state.phase is Phase.NOT_LISTED:
            if job.absent_at_wait is None:
                job.absent_at_wait = self._waits
            elif job.absent_at_wait < self._waits and job.answered:
                job.outcome = "gone"

    def _check_missing(self) -> None:
        gone = [job for job in self._jobs if job.outcome == "gone"]
        if gone:
            known = find_in_history(self._client, [job.ref for job in gone], datetime.now(UTC))
            for job in gone:
                if job.ref not in known:
                    job.outcome = ""
                    job.error = ScnetError("neither listed nor in the history of the last 30 days (missing_ok=False)")

    # --- time and account ----------------------------------------------------------------------------------------

    def _open(self) -> list[_Job]:
        return [job for job in self._jobs if not job.outcome]

    def _undecided(self) -> list[_Job]:
        return [job for job in self._open() if not job.hopeless]

    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _late(self) -> bool:
        return self._elapsed() >= self._timeout

    def _wait(self) -> None:
        self._sleep(max(0.0, min(self._poll_interval, self._timeout - self._elapsed())))
        self._waits += 1

    def _report(self) -> DeletionReport:
        report = DeletionReport(left=[LeftJob(job.ref, job.state, job.error) for job in self._open()])
        for job in self._jobs:
            if job.outcome:
                getattr(report, job.outcome).append(job.ref)
        return report

    def _log_start(self) -> None:
        for scheduler_id, refs in group_by((job.ref for job in self._jobs), "scheduler_id").items():
            named = f": {to_wire(refs)}" if len(refs) <= NAMED_JOBS else ""
            self._log.info(
                "Deleting %d jobs of scheduler %s at %s%s.",
                len(refs),
                scheduler_id,
                self._client.base_url,
                named,
            )

    def _ended_by(self, error: ScnetError) -> ScnetError:
        unsent = sum(not job.sends for job in self._jobs)
        error.report = self._report()
        error.args = (
            f"{error} Of {len(self._jobs)} jobs, {len(self._jobs) - unsent} were named in a delete request and "
            f"{unsent} were not; {error.report}. What is left may still be running.",
        )
        return error

    def _not_deleted(self, report: DeletionReport) -> ScnetError:
        for_good = all(job.hopeless for job in self._open())
        error_class = ScnetRequestError if for_good else ScnetJobsNotDeletedError
        codes = {job.error.code for job in report.left if job.error}
        code = codes.pop() if len(codes) == 1 else None
        error = error_class(account_of_left(report, len(self._jobs), self._elapsed()), code=code)
        error.report = report
        return error


def _batches(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """Cut jobs into batches; each travels in a batch no larger than its own limit."""
    batches: list[list[_Job]] = []
    limit = 0
    for job in jobs:
        limit = min(limit, job.batch_limit)
        if not batches or len(batches[-1]) >= limit:
            batches.append([])
            limit = job.batch_limit
        batches[-1].append(job)
    return batches


def _is_confirmed(ref: JobRef, text: str) -> bool:
    """Code "0" alone says nothing of a job: SCNet's sentence must say ``successfully`` and name it."""
    name = re.escape(f"{ref.user}:{ref.job_id}:")
    return "successfully" in text and re.search(rf"(?<![\w.@-]){name}", text) is not None
