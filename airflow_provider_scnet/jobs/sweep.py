"""Delete all jobs of tasks, whatever was told of them: their names say whose they are."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetUnknownTagError,
)
from airflow_provider_scnet.jobs.deletion import LOOKS_IN_A_PROOF, Deletion, drive
from airflow_provider_scnet.jobs.evidence import HISTORY_WINDOW
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.jobs.report import DeletionReport, report_of_nothing
from airflow_provider_scnet.jobs.search import GOES_ON, Findings, Search, TaggedJob
from airflow_provider_scnet.wording import counted

LAST_ROUND = 1.0
"""Seconds for a deletion that begins when time is up: one round."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sought:
    """
    Whose jobs are looked for.

    :param tasks: what stands for the tasks in the names of their jobs.
    :param user: the cluster user who submitted them.
    :param all_told: every instance of the tasks has told its job, so that none can be listed late.
    :param map_index: of the task instances; ``None`` for all.
    :param items: with ``map_index``: how many there are of them; jobs of any beyond that are looked for as well, for
        nobody else is left to do so.
    :param gone: what stands for tasks that exist no more, whatever map index.
    :param to_be_found: those of the tasks that have had a job for sure: if none is found, ended or not, then what
        stands for them is misspelt, or is looked for in the wrong place.
    """

    tasks: Collection[str]
    user: str
    all_told: bool
    map_index: int | None = None
    to_be_found: Collection[str] = ()
    items: int | None = None
    gone: Collection[str] = ()

    def __contains__(self, tag: JobTag) -> bool:
        is_item = self.items is None or 0 <= tag.map_index < self.items
        return tag.task in self.gone or (
            tag.task in self.tasks and (self.map_index in (None, tag.map_index) or not is_item)
        )

    @property
    def tags(self) -> list[str]:
        """All that the names of the jobs may carry."""
        return [*self.tasks, *self.gone]


class Sweep:
    """
    Delete jobs that are known, and all others of some tasks that lists show.

    :param client: how to talk to the region's gateways.
    :param refs: the jobs that are known.
    :param logger: where to tell what happens.
    """

    def __init__(
        self,
        client: ScnetClient,
        refs: Iterable[JobRef],
        sought: Sought,
        options: DeleteOptions,
        *,
        logger: Any = log,
    ) -> None:
        self._client = client
        self._sought = sought
        self._options = options
        self._patience = client.patience
        self._log = logger
        self._started = self._patience.now()
        self._timeout = seconds("timeout", options.timeout)
        self._absent_for = seconds("absent_for", options.absent_for)
        self._due = list(refs)
        self._known: dict[JobRef, None] = {}
        self._to_be_found = set(sought.to_be_found)
        self._report = DeletionReport()
        self._error: ScnetError | None = None  # of the last deletion: about all that is left
        self._trouble: ScnetError | None = None  # why the last search told nothing
        self._was_blank = False  # it showed no job at all, of whatever tasks: one such list may be an accident

    def run(self) -> DeletionReport:
        """Delete on a worker, which sleeps between two rounds; raises what :meth:`rounds` raises."""
        drive(self.rounds(), self._patience)
        return self.report()

    @property
    def sought(self) -> Sought:
        """What goes on being looked for; what was found need not be found again."""
        return replace(self._sought, to_be_found=sorted(self._to_be_found))

    @property
    def refs(self) -> list[JobRef]:
        """The jobs that are to be deleted, as far as they are known."""
        return list(dict.fromkeys([*self._known, *self._due]))

    def report(self) -> DeletionReport:
        """Tell what became of the jobs so far."""
        return self._report

    def rounds(self) -> Generator[float]:
        """
        Delete until a search that began after the last delete shows no other job; unless every task has told its job,
        searches have to show none for ``absent_for``.

        :raises ScnetJobsNotDeletedError: naming the jobs that are left, or saying that lists did not tell.
        :raises ScnetUnknownTagError: naming what has to be found and is not.
        :raises ScnetError: as a deletion does.
        """
        while True:
            yield from self._delete()
            is_late, is_proven = self._elapsed() >= self._timeout, self._is_proven()
            found, is_complete = self._search()
            self._due = self._to_be_deleted(found)
            if self._due and not is_late:
                continue
            if (is_proven and is_complete) or is_late or isinstance(self._trouble, ScnetPermanentError):
                break
            yield self._pause()
        yield from self._delete()  # what the last search has found
        if self._error or not (is_proven and is_complete):
            raise self._error or self._not_proven()
        if self._to_be_found:
            yield from self._find_in_history()

    def _find_in_history(self) -> Generator[float]:
        """Jobs that have ended long ago need no deleting. One history may lack them by accident, as a list may."""
        past, is_complete = self._read_history()
        if self._to_be_found - _tasks_of(past):
            yield self._pause()
            past, is_complete = self._read_history()
        self._due = [job.ref for job in past if job.phase in GOES_ON]
        self._report.gone += [job.ref for job in past if job.ref not in self._due]
        yield from self._delete()
        if self._error:
            raise self._error
        if unknown := self._to_be_found - _tasks_of(past):
            raise self._trouble or self._not_known(unknown, is_complete)

    def _read_history(self) -> tuple[list[TaggedJob], bool]:
        """The jobs that histories show, and whether these are sure to show all."""
        past: list[TaggedJob] = []
        self._trouble = None
        schedulers = self._schedulers()
        is_complete = not self._client.silent_gateways
        for scheduler_id in sorted(schedulers):
            self._client.turn_to(scheduler_id)
            search = Search(self._client, scheduler_id, self._sought.user, self._to_be_found)
            found = search.with_past(Findings([], are_complete=True, live=[]), since=self._now() - HISTORY_WINDOW)
            self._trouble = self._trouble or found.trouble
            is_complete &= found.are_complete
            past += found.jobs
        return past, is_complete

    def _to_be_deleted(self, found: list[TaggedJob]) -> list[JobRef]:
        """What is new; and what had ended, but goes on again."""
        ended = {*self._report.deleted, *self._report.gone}
        new = [job.ref for job in found if job.ref not in self._known]
        again = [job.ref for job in found if job.ref in ended and job.phase in GOES_ON]
        if new:
            self._log.info("Found %s that no XCom tells of.", counted(len(new), "job"))
        for refs in (self._report.deleted, self._report.gone) if again else ():
            refs[:] = [ref for ref in refs if ref not in again]
        return [*new, *again]

    def _delete(self) -> Generator[float]:
        """One job that does not end keeps none that is found later from being deleted."""
        if not self._due:
            return
        self._known.update(dict.fromkeys(self._due))
        left = [job.ref for job in self._report.left]
        self._report.left, self._error = [], None
        options = replace(self._options, timeout=max(LAST_ROUND, self._timeout - self._elapsed()))
        try:
            deletion = Deletion(self._client, [*left, *self._due], options, is_ours=self._is_ours, logger=self._log)
            yield from deletion.rounds()
            report = deletion.report()
        except ScnetError as error:
            self._error = error
            report = error.report or report_of_nothing([*left, *self._due])
        for part in fields(report):
            getattr(self._report, part.name).extend(getattr(report, part.name))

    def _is_ours(self, name: str) -> bool:
        tag = JobTag.read(name)
        return tag is not None and tag in self._sought

    def _search(self) -> tuple[list[TaggedJob], bool]:
        """The jobs that lists show, and whether these are sure to show all."""
        jobs: list[TaggedJob] = []
        is_complete, is_blank, self._trouble = True, True, None
        for scheduler_id in sorted(self._schedulers()):
            try:
                found = Search(self._client, scheduler_id, self._sought.user, self._sought.tags).listed()
            except ScnetError as error:
                self._note_trouble(error)
                continue
            self._to_be_found -= {job.tag.task for job in found.jobs}
            jobs += [job for job in found.jobs if job.tag in self._sought and job.may_go_on(self._now())]
            is_complete &= found.are_complete
            is_blank &= not found.live
        was_blank, self._was_blank = self._was_blank, is_blank
        return jobs, is_complete and not self._trouble and (was_blank or not is_blank)

    def _schedulers(self) -> set[str]:
        known = {ref.scheduler_id for ref in self._known}
        try:
            return known | self._client.all_schedulers().keys()
        except ScnetError as error:
            self._note_trouble(error)
            return known

    def _note_trouble(self, error: ScnetError) -> None:
        self._log.warning("Could not look for jobs that no XCom tells of: %s", error)
        self._trouble = error

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._patience.wall_clock(), UTC)

    def _is_proven(self) -> bool:
        """Tell whether one complete search that begins now is enough."""
        return self._sought.all_told or self._elapsed() >= self._absent_for

    def _pause(self) -> float:
        """So often that it is no accident, and at the moment from which on it counts."""
        pause = min(seconds("poll_interval", self._options.poll_interval), self._absent_for / LOOKS_IN_A_PROOF)
        return pause if self._is_proven() else min(pause, max(0.1, self._absent_for - self._elapsed()))

    def _not_proven(self) -> ScnetError:
        if self._trouble:
            return self._trouble
        why = "SCNet's lists were not complete"
        if not self._sought.all_told and self._timeout < self._absent_for:
            why = (
                f"timeout={self._timeout:g} is less than absent_for={self._absent_for:g}, for which lists have to show "
                f"none where a task did not tell its job"
            )
        return ScnetJobsNotDeletedError(
            f"It is not known whether tasks have submitted jobs that no XCom tells of: {why}. Look at the platform, "
            f"then run this task again."
        )

    def _not_known(self, tasks: Collection[str], is_complete: bool) -> ScnetError:
        """Only a history that was read in full says that a retry cannot find more."""
        what = f"{' or '.join(sorted(tasks))} in its name, neither in lists nor in the history"
        advice = (
            "Compare that with the name of a job on the platform, and the Connection with that of the run, whose jobs "
            "may go on elsewhere."
        )
        if is_complete:
            return ScnetUnknownTagError(
                f"No job of user {self._sought.user} has {what} of {HISTORY_WINDOW.days} days. {advice}"
            )
        return ScnetJobsNotDeletedError(
            f"No job of user {self._sought.user} was found with {what} of {HISTORY_WINDOW.days} days, which could not "
            f"be read in full. Run this task again. {advice}"
        )

    def _elapsed(self) -> float:
        return self._patience.now() - self._started


def _tasks_of(jobs: Iterable[TaggedJob]) -> set[str]:
    return {job.tag.task for job in jobs}
