"""Delete until gone: batches, isolation of refused jobs, observation until a deadline, report."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
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
from airflow_provider_scnet.observation import (
    SINGLE_LOOKUPS,
    UNCONFIRMED,
    confirm_absent,
    find_in_history,
    group_by,
    look,
)
from airflow_provider_scnet.options import DeleteOptions, seconds
from airflow_provider_scnet.report import NAMED_JOBS, DeletionReport, LeftJob, account_of_left

if TYPE_CHECKING:
    from airflow_provider_scnet.client import ScnetClient

OF_THE_ACCOUNT = (ScnetAccountError, ScnetPermissionError, ScnetCredentialError, ScnetAddressError)
BODY_WAS_LOST = "10003"
"""Our requests always have all parameters; a service that misses one never saw the body."""
EFFECT_UNKNOWN = {"10012", "10013", "815005"}
RESEND_EVERY = 3
FAILURES_IN_A_ROW = 3
"""Batches that may fail one after the other before the rest waits for the next round: the service is down."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Job:
    """What is known of one job while its deletion is under way."""

    ref: JobRef
    batch_limit: int
    state: JobState = UNCONFIRMED
    error: ScnetError | None = None
    sends: int = 0
    answered: bool = False  # SCNet has answered a delete of this very job, whatever it said
    accepted: bool = False  # SCNet has confirmed a delete of it
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
        self._timeout = seconds("timeout", options.timeout)
        self._poll_interval = seconds("poll_interval", options.poll_interval)
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
        except ScnetError as error:
            raise self._ended_by(error) from None
        except BaseException:  # the task's execution_timeout, or a kill
            self._log.error("Stopped in the middle. %s", self._account("Run this task again."))
            raise
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
        if not self._settled() and any(job.state is NOT_LISTED for job in self._undecided()):
            self._sleep(self._poll_interval)  # the second look that it takes to call them gone
            self._waits += 1
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
        try:
            texts = self._client.delete_jobs([job.ref for job in batch])
        except ScnetError as error:
            for job in batch:
                job.sends += 1
            if _ends_everything(error):
                raise
            self._log.warning("A delete of %d jobs failed: %s", len(batch), error)
            for job in batch:
                job.error, job.due = error, True
                job.answered |= error.answered and len(batch) == 1 and error.code not in EFFECT_UNKNOWN
                job.refused = len(batch) == 1 and isinstance(error, ScnetPermanentError)
                if error.answered:
                    job.batch_limit = max(1, len(batch) // 2)
            return error
        for job in batch:
            job.sends += 1
            job.answered, job.error, job.refused, job.batch_limit = True, None, False, self._options.batch_size
            text = texts.get(job.ref.scheduler_id, "")
            job.due = not _is_confirmed(job.ref, text)
            job.accepted |= not job.due
            if job.due:
                job.error = ScnetError(f'code "0", but SCNet did not confirm this job; it said: {quote(text)!r}')
        return None

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read each user's list, then make sure of what is absent; what goes wrong with one spares the others."""
        by_ref = {job.ref: job for job in self._open()}
        for scheduler_id, of_scheduler in group_by(by_ref, "scheduler_id").items():
            for user, of_user in group_by(of_scheduler, "user").items():
                refs = _rotated(of_user, self._waits * SINGLE_LOOKUPS)
                states = self._observed([by_ref[ref] for ref in refs], partial(look, self._client, scheduler_id, user))
                for ref, state in states.items():
                    self._note(by_ref[ref], state)
            absent = [by_ref[ref] for ref in of_scheduler if self._is_absent_again(by_ref[ref])]
            states = self._observed(absent, partial(confirm_absent, self._client, scheduler_id)) if absent else {}
            for ref, state in states.items():
                self._conclude(by_ref[ref], state)

    def _observed(
        self, jobs: Sequence[_Job], observe: Callable[[Sequence[JobRef]], dict[JobRef, JobState]]
    ) -> dict[JobRef, JobState]:
        try:
            return observe([job.ref for job in jobs])
        except ScnetError as error:
            if _ends_everything(error):
                raise
            self._log.warning(
                "Could not look at %d jobs of scheduler %s: %s", len(jobs), jobs[0].ref.scheduler_id, error
            )
            for job in jobs:
                job.error = job.error if job.refused else error
                if isinstance(error, ScnetPermanentError):
                    job.refused = job.hopeless = True
            return {}

    def _note(self, job: _Job, state: JobState) -> None:
        """Take down what a user's list says of a job."""
        job.state = state
        job.hopeless = job.refused and not job.accepted and state.phase is Phase.ACTIVE and state.word != "COMPLETING"
        if state.phase is Phase.ENDED:
            job.outcome = "deleted"
        if state.phase is not Phase.NOT_LISTED:
            job.absent_at_wait = None
        elif job.absent_at_wait is None:
            job.absent_at_wait = self._waits

    def _is_absent_again(self, job: _Job) -> bool:
        """A job that was submitted a moment ago may not be listed yet: it takes a wait between two looks."""
        return not job.outcome and job.absent_at_wait is not None and job.absent_at_wait < self._waits

    def _conclude(self, job: _Job, state: JobState) -> None:
        """Call a job gone only if it is surely absent, and SCNet has answered a delete of it."""
        if state is UNCONFIRMED:
            return
        job.state = state
        if state.phase is Phase.ENDED:
            job.outcome = "deleted"
        elif state.phase is Phase.NOT_LISTED and job.answered:
            job.outcome = "gone"

    def _check_missing(self) -> None:
        """Keep as gone only what the history knows."""
        gone = [job for job in self._jobs if job.outcome == "gone"]
        error = ScnetError("neither listed nor in the history of the last 30 days (missing_ok=False)")
        try:
            known = find_in_history(self._client, [job.ref for job in gone], datetime.now(UTC))
        except ScnetError as failure:
            if _ends_everything(failure):
                raise
            known, error = {}, failure
        for job in gone:
            if job.ref not in known:
                job.outcome, job.error = "", error

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

    def _account(self, advice: str) -> str:
        return account_of_left(self._report(), len(self._jobs), self._elapsed(), advice=advice)

    def _ended_by(self, error: ScnetError) -> ScnetError:
        unsent = sum(not job.sends for job in self._jobs)
        error.report = self._report()
        sent = f"{len(self._jobs) - unsent} were named in a delete request and {unsent} were not"
        error.args = (f"{error} Of {len(self._jobs)} jobs, {sent}. {self._account('Run this task again then.')}",)
        return error

    def _not_deleted(self, report: DeletionReport) -> ScnetError:
        codes = {job.error.code for job in report.left if job.error}
        code = codes.pop() if len(codes) == 1 else None
        error: ScnetError
        if all(job.hopeless for job in self._open()):
            error = ScnetRequestError(self._account("SCNet refuses to delete them: correct the references."), code=code)
        else:
            advice = "Look at them on the platform, then run this task again."
            error = ScnetJobsNotDeletedError(self._account(advice), code=code)
        error.report = report
        return error


def _ends_everything(error: ScnetError) -> bool:
    """Tell whether whatever else was sent would meet the same error: it is not about the jobs."""
    return (
        isinstance(error, OF_THE_ACCOUNT)
        or error.code == BODY_WAS_LOST
        or (isinstance(error, ScnetPermanentError) and not error.answered)
    )


def _rotated(refs: list[JobRef], by: int) -> list[JobRef]:
    """Not always the same jobs are the first, who alone are looked up one by one."""
    start = by % len(refs)
    return refs[start:] + refs[:start]


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
    """Code "0" alone says nothing of a job: SCNet's sentence must say ``[...] successfully`` and name it there."""
    name = re.compile(rf"(?<![\w.@-]){re.escape(f'{ref.user}:{ref.job_id}:')}")
    return any(name.search(names) for names in re.findall(r"\[(.*?)\]\s*successfully", text))
