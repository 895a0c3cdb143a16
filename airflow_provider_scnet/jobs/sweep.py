"""Delete all jobs of tasks, whatever was told of them: their names say whose they are."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetError, ScnetJobsNotDeletedError, ScnetTransientError
from airflow_provider_scnet.jobs.deletion import LOOKS_IN_A_PROOF, Deletion
from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.jobs.report import DeletionReport, report_of_nothing
from airflow_provider_scnet.jobs.search import find_listed
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
    """

    tasks: Collection[str]
    user: str
    all_told: bool


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
        self._known: set[JobRef] = set()
        self._report = DeletionReport()
        self._error: ScnetError | None = None  # of the last deletion: about all that is left
        self._trouble: ScnetError | None = None  # why the last search told nothing

    def run(self) -> DeletionReport:
        """
        Delete until a search that began after the last delete shows no other job; unless every task has told its job,
        searches have to show none for ``absent_for``.

        :raises ScnetJobsNotDeletedError: naming the jobs that are left, or saying that lists did not tell.
        :raises ScnetError: as a deletion does.
        """
        while True:
            self._delete()
            is_late, is_proven = self._elapsed() >= self._timeout, self._is_proven()
            found, is_complete = self._search()
            self._due = [ref for ref in found if ref not in self._known]
            if self._due:
                self._log.info("Found %s that no XCom tells of.", counted(len(self._due), "job"))
                continue
            if (is_proven and is_complete) or is_late:
                break
            self._patience.sleep(self._pause())
        if self._error or not (is_proven and is_complete):
            raise self._error or self._not_proven()
        return self._report

    def _delete(self) -> None:
        """One job that does not end keeps none that is found later from being deleted."""
        if not self._due:
            return
        self._known.update(self._due)
        left = [job.ref for job in self._report.left]
        self._report.left, self._error = [], None
        options = replace(self._options, timeout=max(LAST_ROUND, self._timeout - self._elapsed()))
        try:
            report = Deletion(self._client, [*left, *self._due], options, logger=self._log).run()
        except ScnetError as error:
            self._error = error
            report = error.report or report_of_nothing([*left, *self._due])
        for part in fields(report):
            getattr(self._report, part.name).extend(getattr(report, part.name))

    def _search(self) -> tuple[list[JobRef], bool]:
        """The jobs that lists show, and whether these are sure to show all."""
        refs: list[JobRef] = []
        is_complete, self._trouble = True, None
        try:
            for scheduler_id in self._client.known_schedulers():
                found = find_listed(self._client, scheduler_id, self._sought.user, self._sought.tasks)
                refs += [job.ref for job in found.jobs if job.may_go_on]
                is_complete &= found.are_complete
        except ScnetTransientError as error:
            self._log.warning("Could not look for jobs that no XCom tells of: %s", error)
            is_complete, self._trouble = False, error
        return refs, is_complete

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

    def _elapsed(self) -> float:
        return self._patience.now() - self._started
