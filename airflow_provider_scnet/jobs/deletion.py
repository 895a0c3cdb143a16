"""Delete until gone: rounds of deletes and looks until a deadline, and an account of what became of the jobs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.reference import JobRef, to_wire
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetRequestError,
)
from airflow_provider_scnet.jobs.evidence import group_by
from airflow_provider_scnet.jobs.observation import Observer
from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.proof import Experience, Standard
from airflow_provider_scnet.jobs.report import NAMED_JOBS, DeletionReport, LeftJob, account_of_left
from airflow_provider_scnet.jobs.sending import Sender
from airflow_provider_scnet.jobs.stages import Stage
from airflow_provider_scnet.wording import counted

LONGEST_DELETE = 20.0
"""Seconds for deletes that nobody waits for."""
RESEND_EVERY = 3
LOOKS_IN_A_PROOF = 4
"""What has to be seen for ``absent_for`` is looked at so often meanwhile, whatever ``poll_interval`` says."""
LOOKS_IN_AN_ABSENCE = 9
"""The same of what the history knows to have ended, which rarely shows up again: it is looked at no more often."""
LONGEST_GAP = 2 / 3
"""Share of ``absent_for`` for which looks may fail; after a longer gap, what they say begins anew."""
_REFUSED = "SCNet refuses what was asked: correct the references, or what the last error names."

log = logging.getLogger(__name__)


class Deletion:
    """
    One deletion of jobs, from the first request to the report.

    :param client: how to talk to the region's gateways; its patience measures time and waits.
    :param refs: the jobs, each once.
    :param is_ours: tells of a name whether only one of these jobs can have it, so that an end in the history is its.
    :param logger: where to tell what happens.
    """

    sought = None
    """It looks for no other jobs."""

    def __init__(
        self,
        client: ScnetClient,
        refs: Iterable[JobRef],
        options: DeleteOptions,
        *,
        is_ours: Callable[[str], bool] = lambda name: False,
        logger: Any = log,
    ) -> None:
        # Whatever fails is tried again with the next round, and nothing must keep the other requests waiting.
        self._client = client.tried_once()
        self._options = options
        self._patience = client.patience
        self._log = logger
        self._timeout = seconds("timeout", options.timeout)
        self._poll_interval = seconds("poll_interval", options.poll_interval)
        self._absent_for = seconds("absent_for", options.absent_for)
        gap = self._absent_for * LONGEST_GAP
        self._jobs = [Progress(ref, options.batch_size, longest_gap=gap) for ref in dict.fromkeys(refs)]
        self._sender = Sender(self._client, logger=logger)
        self._observers = self._hire_observers(is_ours)
        self._started = self._patience.now()

    def run(self) -> DeletionReport:
        """Delete the jobs on a worker, which sleeps between two rounds; raises what :meth:`rounds` raises."""
        drive(self.rounds(), self._patience)
        return self.report()

    def rounds(self) -> Generator[float]:
        """
        Delete the jobs until none of them is left. Between two rounds of requests, the seconds to wait are yielded:
        whoever drives this waits, however it likes. What interrupts the wait is to be thrown in, so that it leaves an
        account; who closes this goes on elsewhere.

        :raises ScnetJobsNotDeletedError: if some are left at the deadline.
        :raises ScnetPermanentError: if all that are left were refused for good, in the class of that refusal; at once
            if it is the account that is refused, with what was already done.
        :raises ScnetStoppedError: if the task is told to stop.
        """
        self._log_start()
        self._patience.deadline = self._started + self._timeout
        try:
            yield from self._insist()
        except ScnetError as error:
            account = self._account_of_all("Mend that, then run this task again.")
            raise error.with_report(self.report(), account) from None
        except GeneratorExit:
            raise
        except BaseException:  # the task's execution_timeout, or a kill
            self._log.error("Stopped in the middle. %s", self._account_of_all("Run this task again."))
            raise
        finally:
            self._patience.deadline = None
        report = self.report()
        if report.left:
            raise self._not_deleted(report)
        self._log.info("All jobs are accounted for: %s.", report)

    @property
    def refs(self) -> list[JobRef]:
        """The jobs that are to be deleted."""
        return [job.ref for job in self._jobs]

    def report(self) -> DeletionReport:
        """Tell what became of the jobs so far."""
        report = DeletionReport(
            left=[LeftJob(job.ref, job.last_seen, job.last_error) for job in self._jobs if not job.stage.is_settled]
        )
        settled = {Stage.DELETED: report.deleted, Stage.GONE: report.gone, Stage.ACCEPTED: report.accepted}
        for job in self._jobs:
            if job.stage.is_settled:
                settled[job.stage].append(job.ref)
        return report

    def _insist(self) -> Generator[float]:
        """Send what needs it, look and wait, until nothing can change any more; one last round when time is up."""
        pauses, everybody, is_last = 0, True, False
        while True:
            due = [
                job
                for job in self._undecided()
                if (everybody and (is_last or not job.is_claimed)) or job.is_due(self._client.base_url)
            ]
            split = self._sender.send(due, is_last=is_last)
            self._take_stock()
            if self._is_done() or is_last:
                break
            if not split:
                yield self._pause()
                pauses += 1
            is_last = self._is_late()
            everybody = is_last or (not split and pauses % RESEND_EVERY == 0)
        for observer in self._observers:
            observer.reopen_what_was_not_looked_at(self._sender.last_sent_at)

    def _is_done(self) -> bool:
        """The last look at every job has to begin after the last request that changed something."""
        last = self._sender.last_sent_at
        return not self._undecided() and (
            not self._options.verify or all(observer.has_looked_since(last) for observer in self._observers)
        )

    def _take_stock(self) -> None:
        """Look at (or, unverified, believe) what was done."""
        if self._options.verify:
            for observer in self._observers:
                observer.look(self._sender.last_sent_at)
        else:
            for job in self._undecided():
                job.believe()
        if undecided := self._undecided():
            states = Counter(str(replace(job.state, word="")) for job in undecided)
            self._log.info(
                "After %.0f s, %d of %s %s not settled: %s.",
                self._elapsed(),
                len(undecided),
                counted(len(self._jobs), "job"),
                "is" if len(undecided) == 1 else "are",
                ", ".join(f"{count} {state}" for state, count in states.items()),
            )

    def _hire_observers(self, is_ours: Callable[[str], bool]) -> list[Observer]:
        by_ref = {job.ref: job for job in self._jobs}
        experience = Experience(schedulers=frozenset(ref.scheduler_id for ref in by_ref))
        standard = Standard(self._absent_for, self._options.missing_ok)
        return [
            Observer(
                self._client,
                scheduler_id,
                [by_ref[ref] for ref in refs],
                experience,
                standard,
                is_ours=is_ours,
                logger=self._log,
            )
            for scheduler_id, refs in group_by(by_ref, "scheduler_id").items()
        ]

    # --- time and account ----------------------------------------------------------------------------------------

    def _undecided(self) -> list[Progress]:
        return [job for job in self._jobs if not job.stage.is_final]

    def _elapsed(self) -> float:
        return self._patience.now() - self._started

    def _is_late(self) -> bool:
        return self._elapsed() >= self._timeout

    def _pause(self) -> float:
        asked = max(self._sender.retry_after, *(observer.retry_after for observer in self._observers))
        interval = self._poll_interval
        if all(job.is_told_by_past for job in self._undecided()):
            interval = max(interval, self._absent_for / LOOKS_IN_AN_ABSENCE)
        if any(job.needs_time for job in self._undecided()):
            interval = min(interval, self._absent_for / LOOKS_IN_A_PROOF)
        return max(0.0, min(max(interval, asked), self._timeout - self._elapsed()))

    def _log_start(self) -> None:
        for scheduler_id, refs in group_by((job.ref for job in self._jobs), "scheduler_id").items():
            named = f": {to_wire(refs)}" if len(refs) <= NAMED_JOBS else ""
            self._log.info(
                "Deleting %s of scheduler %s at %s %s.",
                counted(len(refs), "job"),
                scheduler_id,
                self._client.base_url,
                named,
            )

    def _account(self, advice: str) -> str:
        return account_of_left(self.report(), len(self._jobs), self._elapsed(), advice=advice)

    def _account_of_all(self, advice: str) -> str:
        unsent = [job.ref for job in self._jobs if not job.sends]
        sent = f"{_were(len(self._jobs) - len(unsent))} named in a delete request and {_were(len(unsent))} not"
        named = f"\n  not named in a delete request: {to_wire(unsent)}" if unsent else ""
        return f"Of {counted(len(self._jobs), 'job')}, {sent}. {self._account(advice)}{named}"

    def _not_deleted(self, report: DeletionReport) -> ScnetError:
        codes = {left.error.code for left in report.left if left.error}
        code = codes.pop() if len(codes) == 1 else None
        kind, advice = self._verdict()
        error = kind(self._account(advice), code=code)
        error.report = report
        return error

    def _verdict(self) -> tuple[type[ScnetError], str]:
        """Where all that is left was refused alike, that is what the task fails with."""
        left = [job for job in self._jobs if not job.stage.is_settled]
        kinds = {type(job.error) if job.stage in (Stage.REFUSED, Stage.HOPELESS) else None for job in left}
        if len(kinds) == 1 and (kind := kinds.pop()) and issubclass(kind, ScnetPermanentError):
            return kind, _REFUSED
        if all(job.stage is Stage.HOPELESS for job in left):
            return ScnetRequestError, _REFUSED
        advice = "Look at them on the platform, then run this task again."
        if self._timeout < self._absent_for and any(job.needs_time for job in left):
            advice += (
                f" timeout={self._timeout:g} is less than absent_for={self._absent_for:g}: a job that SCNet does not "
                f"know, or whose end nothing but a code tells, needs that long."
            )
        return ScnetJobsNotDeletedError, advice


def delete_at_once(client: ScnetClient, refs: Iterable[JobRef], *, logger: Any) -> None:
    """
    Send deletes, in few requests, without a look whether the jobs end. What fails is told, and is no error.

    :param client: how to talk to the region's gateways.
    :param refs: the jobs.
    :param logger: where to tell what happens.
    """
    options = DeleteOptions(verify=False, timeout=LONGEST_DELETE)
    try:
        Deletion(client, refs, options, logger=logger).run()
    except ScnetError as error:
        logger.error("These jobs may go on, for they could not be deleted: %s", error)


def drive(rounds: Generator[float], patience: Patience) -> None:
    """
    Sleep on a worker whatever pauses are asked for.

    :param rounds: what asks for them.
    :param patience: how to sleep.
    """
    with closing(rounds):
        for pause in rounds:
            try:
                patience.sleep(pause)
            except BaseException as error:  # where the generator waits, so that it leaves its account
                rounds.throw(error)


def _were(number: int) -> str:
    return f"{number} {'was' if number == 1 else 'were'}"
