"""Delete until gone: batches, isolation of refused jobs, observation until a deadline, report."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef, to_wire
from airflow_provider_scnet.api.states import NOT_LISTED, JobState
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
)
from airflow_provider_scnet.jobs.observation import (
    SINGLE_LOOKUPS,
    confirm_absent,
    find_in_history,
    group_by,
    look,
)
from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.jobs.progress import Progress, Stage
from airflow_provider_scnet.jobs.report import NAMED_JOBS, DeletionReport, LeftJob, account_of_left

NOT_ABOUT_JOBS = (ScnetAccountError, ScnetPermissionError, ScnetCredentialError, ScnetAddressError)
BODY_WAS_LOST = "10003"
"""Our requests always have all parameters; a service that misses one never saw the body."""
RESEND_EVERY = 3
FAILURES_IN_A_ROW = 3
"""Batches that may fail one after the other before the rest waits for the next round: the service is down."""

log = logging.getLogger(__name__)


class Deletion:
    """
    One deletion of jobs, from the first request to the report.

    :param refs: the jobs, each once.
    :param clock: seconds that only grow.
    :param logger: where to tell what happens.
    """

    def __init__(
        self,
        client: ScnetClient,
        refs: Iterable[JobRef],
        options: DeleteOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        logger: Any = log,
    ) -> None:
        self._client = client
        self._options = options
        self._clock = clock
        self._log = logger
        self._timeout = seconds("timeout", options.timeout)
        self._poll_interval = seconds("poll_interval", options.poll_interval)
        self._jobs = [Progress(ref, options.batch_size) for ref in dict.fromkeys(refs)]
        self._started = clock()
        self._waits = 0

    def run(self, sleep: Callable[[float], None] = time.sleep) -> DeletionReport:
        """
        Delete the jobs on a worker, which sleeps between two rounds; raises what :meth:`rounds` raises.

        :param sleep: how to wait, given seconds.
        """
        with closing(self.rounds()) as rounds:
            for pause in rounds:
                sleep(pause)
        return self.report()

    def rounds(self) -> Generator[float]:
        """
        Delete the jobs until none of them is left. Between two rounds of requests, the seconds to wait are yielded:
        whoever drives this waits, however it likes. To be closed, so that an interruption leaves its account.

        :raises ScnetJobsNotDeletedError: if some are left at the deadline.
        :raises ScnetRequestError: if all that are left were refused for good.
        :raises ScnetAccountError: (and permission, credential, address) at once, with what was already done.
        """
        self._log_start()
        try:
            yield from self._insist()
            if not self._options.missing_ok:
                self._check_missing()
        except ScnetError as error:
            raise error.with_report(self.report(), self._account_of_all()) from None
        except BaseException:  # the task's execution_timeout, or a kill
            self._log.error("Stopped in the middle. %s", self._account("Run this task again."))
            raise
        report = self.report()
        if report.left:
            raise self._not_deleted(report)
        self._log.info("All jobs are accounted for: %s.", report)

    def report(self) -> DeletionReport:
        """Tell what became of the jobs so far."""
        report = DeletionReport(left=[LeftJob(job.ref, job.state, job.error) for job in self._open()])
        settled = {Stage.DELETED: report.deleted, Stage.GONE: report.gone, Stage.ACCEPTED: report.accepted}
        for job in self._jobs:
            if job.stage.is_settled:
                settled[job.stage].append(job.ref)
        return report

    def _insist(self) -> Iterator[float]:
        """Send what needs it, look and wait, until nothing can change any more or time is up."""
        self._send(self._jobs)
        self._take_stock()
        rounds = 1
        while self._undecided() and not self._is_late():
            again = rounds % RESEND_EVERY == 0
            split = self._send([job for job in self._undecided() if again or job.stage.is_to_be_sent])
            if not split:
                yield self._pause()
                rounds += 1
            self._take_stock()
        if not self._undecided():
            return
        self._send(self._undecided())
        self._take_stock()
        if any(job.state is NOT_LISTED for job in self._undecided()):
            self._waits += 1
            yield self._poll_interval  # the second look that it takes to call them gone
            self._take_stock()

    def _take_stock(self) -> None:
        """Look at (or, unverified, believe) what was done."""
        if self._options.verify:
            self._look()
        else:
            for job in self._open():
                job.believe()
        if undecided := self._undecided():
            states = Counter(str(replace(job.state, word="")) for job in undecided)
            self._log.info(
                "After %.0f s, %d of %d jobs are not settled: %s.",
                self._elapsed(),
                len(undecided),
                len(self._jobs),
                ", ".join(f"{count} {state}" for state, count in states.items()),
            )

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, jobs: Sequence[Progress]) -> bool:
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

    def _send_batch(self, batch: Sequence[Progress]) -> ScnetError | None:
        for job in batch:
            job.sends += 1
        try:
            texts = self._client.delete_jobs([job.ref for job in batch])
        except ScnetError as error:
            if _ends_everything(error):
                raise
            self._log.warning("A delete of %d jobs failed: %s", len(batch), error)
            for job in batch:
                job.note_failure(error, batch=len(batch))
            return error
        for job in batch:
            job.note_answer(texts.get(job.ref.scheduler_id, ""))
        return None

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read each user's list, then make sure of what is absent; what goes wrong with one spares the others."""
        by_ref = {job.ref: job for job in self._open()}
        for scheduler_id, of_scheduler in group_by(by_ref, "scheduler_id").items():
            for user, of_user in group_by(of_scheduler, "user").items():
                refs = _rotated(of_user, self._waits * SINGLE_LOOKUPS)
                states = self._observe([by_ref[ref] for ref in refs], partial(look, self._client, scheduler_id, user))
                for ref, state in states.items():
                    by_ref[ref].note_listed(state, self._waits)
            absent = [by_ref[ref] for ref in of_scheduler if by_ref[ref].is_absent_again(self._waits)]
            states = self._observe(absent, partial(confirm_absent, self._client, scheduler_id)) if absent else {}
            for ref, state in states.items():
                by_ref[ref].note_absent(state)

    def _observe(
        self, jobs: Sequence[Progress], read: Callable[[Sequence[JobRef]], dict[JobRef, JobState]]
    ) -> dict[JobRef, JobState]:
        try:
            return read([job.ref for job in jobs])
        except ScnetError as error:
            if _ends_everything(error):
                raise
            scheduler_id = jobs[0].ref.scheduler_id
            self._log.warning("Could not look at %d jobs of scheduler %s: %s", len(jobs), scheduler_id, error)
            for job in jobs:
                job.note_unseen(error)
            return {}

    def _check_missing(self) -> None:
        """Keep as gone only what the history knows."""
        gone = [job for job in self._jobs if job.stage is Stage.GONE]
        error = ScnetError("neither listed nor in the history of the last 30 days (missing_ok=False)")
        try:
            known = find_in_history(self._client, [job.ref for job in gone], datetime.now(UTC))
        except ScnetError as failure:
            if _ends_everything(failure):
                raise
            known, error = {}, failure
        for job in gone:
            if job.ref not in known:
                job.note_missing(error)

    # --- time and account ----------------------------------------------------------------------------------------

    def _open(self) -> list[Progress]:
        return [job for job in self._jobs if not job.stage.is_settled]

    def _undecided(self) -> list[Progress]:
        return [job for job in self._open() if not job.is_hopeless]

    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _is_late(self) -> bool:
        return self._elapsed() >= self._timeout

    def _pause(self) -> float:
        self._waits += 1
        return max(0.0, min(self._poll_interval, self._timeout - self._elapsed()))

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

    def _account(self, advice: str) -> str:
        return account_of_left(self.report(), len(self._jobs), self._elapsed(), advice=advice)

    def _account_of_all(self) -> str:
        unsent = sum(not job.sends for job in self._jobs)
        sent = f"{len(self._jobs) - unsent} were named in a delete request and {unsent} were not"
        return f"Of {len(self._jobs)} jobs, {sent}. {self._account('Run this task again then.')}"

    def _not_deleted(self, report: DeletionReport) -> ScnetError:
        codes = {job.error.code for job in report.left if job.error}
        code = codes.pop() if len(codes) == 1 else None
        error: ScnetError
        if not self._undecided():
            verb = "show" if all(job.is_hidden for job in self._open()) else "delete"
            advice = f"SCNet refuses to {verb} them: correct the references."
            error = ScnetRequestError(self._account(advice), code=code)
        else:
            advice = "Look at them on the platform, then run this task again."
            error = ScnetJobsNotDeletedError(self._account(advice), code=code)
        error.report = report
        return error


def _ends_everything(error: ScnetError) -> bool:
    """Tell whether whatever else was sent would meet the same error: it is not about the jobs."""
    return (
        isinstance(error, NOT_ABOUT_JOBS)
        or error.code == BODY_WAS_LOST
        or (isinstance(error, ScnetPermanentError) and not error.answered)
    )


def _rotated(refs: list[JobRef], by: int) -> list[JobRef]:
    """Not always the same jobs are the first, who alone are looked up one by one."""
    start = by % len(refs)
    return refs[start:] + refs[:start]


def _batches(jobs: Sequence[Progress]) -> list[list[Progress]]:
    """Cut jobs into batches; each travels in a batch no larger than its own limit."""
    batches: list[list[Progress]] = []
    limit = 0
    for job in jobs:
        limit = min(limit, job.batch_limit)
        if not batches or len(batches[-1]) >= limit:
            batches.append([])
            limit = job.batch_limit
        batches[-1].append(job)
    return batches
