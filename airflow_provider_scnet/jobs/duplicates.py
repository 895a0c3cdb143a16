"""Jobs that one task instance has submitted more than once: which of them counts, and which are to be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.deletion import delete_at_once
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.search import GOES_ON, TaggedJob, jobs_of


@dataclass(frozen=True)
class Origin:
    """
    The task instance that has submitted a job, and waits for it.

    :param tag: of the task instance, in its present life.
    :param dismissed: other jobs of it that are known not to count: they were submitted before a clear, have ended, or
        were deleted, whatever a list that lags may still show.
    :param name: of a job that it submits now; empty if that is not known.
    :param keeps: whether a job of an earlier life counts as well, if command and resources are the same.
    """

    tag: JobTag
    dismissed: frozenset[JobRef] = frozenset()
    name: str = ""
    keeps: bool = False

    def owns(self, tag: JobTag) -> bool:
        """Tell whether a job with this tag may be the one that counts."""
        is_kept = self.keeps and bool(tag.specification) and self.tag.is_of_later_life(tag)
        return tag == (replace(self.tag, generation=tag.generation) if is_kept else self.tag)


Followed = Mapping[JobRef, Origin | None]
"""Jobs that are waited for, and where each comes from, if its duplicates are to be found."""


class Duplicates:
    """
    What a wait knows of the duplicates of its jobs, from look to look.

    :param logger: where to tell what happens.
    """

    def __init__(self, *, logger: Any) -> None:
        self.followed: Followed = {}
        """The jobs that are asked for."""
        self._chosen: dict[JobRef, JobRef] = {}
        self._doomed: set[JobRef] = set()
        self._log = logger

    def follow(self, jobs: Followed) -> None:
        """
        Wait for these from now on.

        :param jobs: what is known of their duplicates stays known.
        """
        self.followed = dict(jobs)

    def current(self, ref: JobRef) -> JobRef:
        """Return the job that counts instead of one that is asked for: most often that one."""
        return self._chosen.get(ref, ref)

    def end(
        self, client: ScnetClient, refs: Sequence[JobRef], listed: Sequence[JobRecord]
    ) -> tuple[Sequence[JobRef], set[JobRef]]:
        """
        Choose among jobs that were submitted more than once, and send a delete of the others, with each look until they
        have ended. Return the jobs to watch, and those of them whose wait is not over before that.

        :param refs: the jobs that are watched, of one user in one scheduler.
        :param listed: that user's jobs.
        """
        waits = [ref for ref in self.followed if self.current(ref) in refs]
        origins = {ref: origin for ref in waits if (origin := self.followed[ref])}
        if not origins:
            return refs, set()
        tasks = {origin.tag.task for origin in origins.values()}
        tagged = jobs_of(tasks, listed, refs[0].scheduler_id, refs[0].user)
        others: dict[JobRef, list[TaggedJob]] = {}
        for ref, origin in origins.items():
            jobs = [job for job in tagged if job.tag.instance == origin.tag.instance and job.phase in GOES_ON]
            self._choose(ref, origin, jobs)
            others[self.current(ref)] = self._others(origin, self.current(ref), jobs)
        self._delete(client, [job for jobs in others.values() for job in jobs])
        return list(dict.fromkeys(map(self.current, waits))), {ref for ref, jobs in others.items() if jobs}

    def _choose(self, asked: JobRef, origin: Origin, jobs: Sequence[TaggedJob]) -> None:
        before = self.current(asked)
        chosen = choose(origin, before, [job for job in jobs if job.ref not in self._doomed])
        if chosen != before:
            self._log.warning("Job %s is a duplicate of job %s, which is older: waiting for that one.", before, chosen)
            self._chosen[asked] = chosen

    def _others(self, origin: Origin, chosen: JobRef, jobs: Sequence[TaggedJob]) -> list[TaggedJob]:
        """What was to be deleted once is waited for until it has ended."""
        known = {job.ref for job in surplus(origin, chosen, jobs)} | self._doomed
        return [job for job in jobs if job.ref in known and job.ref != chosen]

    def _delete(self, client: ScnetClient, jobs: Sequence[TaggedJob]) -> None:
        # What just ends by itself needs none.
        self._doomed |= {job.ref for job in jobs if not job.is_on_its_way_out}
        if doomed := sorted({job.ref for job in jobs if job.ref in self._doomed}):
            self._log.warning("Deleting duplicate submission(s): %s.", ", ".join(doomed))
            delete_at_once(client, doomed, logger=self._log)


def choose(origin: Origin, ours: JobRef, jobs: Iterable[TaggedJob]) -> JobRef:
    """
    Return the job that a wait goes on with. Several waits with the same identity, a lost worker's beside that of its
    retry, or those of two copies of a metadata database, must come to the same choice: the oldest by its number, which
    a requeue does not move. They may have no state store in common, so that it is not asked.

    :param ours: the job that is waited for.
    :param jobs: of the same task instance that go on.
    """
    rivals = [job for job in jobs if origin.owns(job.tag) and job.ref not in origin.dismissed]
    older = [job for job in rivals if job.number < ours.number and not job.is_on_its_way_out]
    return min(older, key=lambda job: job.number).ref if older else ours


def surplus(origin: Origin, chosen: JobRef, jobs: Iterable[TaggedJob]) -> list[TaggedJob]:
    """
    Return the jobs that must not go on beside the chosen one. While that one goes on, these are all others; once it has
    ended, or is about to, a younger one may be the next try's, or what another wait has chosen. One that was submitted
    after a clear never is surplus: then it is the wait that has outlived its time.

    :param jobs: of the same task instance that go on, the chosen one among them if it does.
    """
    listed = list(jobs)
    goes_on = any(job.ref == chosen and not job.is_on_its_way_out for job in listed)
    return [
        job
        for job in listed
        if job.ref != chosen
        and not job.tag.is_of_later_life(origin.tag)
        and (goes_on or job.number < chosen.number or origin.tag.is_of_later_life(job.tag))
    ]
