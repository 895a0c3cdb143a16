"""What the live list, look-ups and details show: not always all, and not always the present."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_scnet.testing.arrays import array_of, rest_id
from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import Look


class View:
    """
    The jobs of a cluster as the live calls see them.

    :param cluster: the jobs as they are.
    :param behaviour: how far the view may be from that.
    """

    def __init__(self, cluster: Cluster, behaviour: Behaviour) -> None:
        self._cluster = cluster
        self._behaviour = behaviour

    @property
    def look(self) -> Look:
        """How records are written now."""
        return Look(self._moment, self._behaviour.code_lead, self._behaviour.word_style)

    def knows(self, job: Job) -> bool:
        """
        Tell whether the service has noticed that a job was submitted.

        :param job: any job.
        """
        return job.submitted_at + self._behaviour.submit_lag <= self._moment

    def jobs(self, scheduler_id: str, job_id: str | None = None) -> list[Job]:
        """
        Return the jobs that are shown.

        :param scheduler_id: the scheduler.
        :param job_id: for a look-up of one job.
        """
        if not job_id:
            jobs = self._cluster.select(scheduler_id)
        elif self._behaviour.members_by_lookup:
            jobs = self._cluster.family(job_id, scheduler_id)
        else:
            jobs = list(self._cluster.with_id(job_id, scheduler_id))
        shown = [job for job in jobs if self._shows(job)]
        return list(self._with_rests(shown)) if self._behaviour.waiting_rest else shown

    def job(self, job_id: str) -> Job | None:
        """
        Return the job that a detail shows, or None; the call knows no scheduler.

        :param job_id: its whole id.
        """
        if self._behaviour.blank_lists:
            return None
        jobs = (job for job in self._cluster.with_id(job_id) if self._shows(job))
        return next((job for job in jobs if not (self._behaviour.waiting_rest and self._waits(job))), None)

    def _with_rests(self, jobs: list[Job]) -> Iterator[Job]:
        """Members of an array that wait are one row."""
        rests: dict[tuple[str, str], list[Job]] = {}
        for job in jobs:
            if self._waits(job):
                rests.setdefault((job.scheduler_id, array_of(job.job_id)), []).append(job)
        for job in jobs:
            rest = rests.get((job.scheduler_id, array_of(job.job_id)), []) if self._waits(job) else []
            if not rest:
                yield job
            elif job is rest[0]:
                yield job.called(rest_id(one.job_id for one in rest))

    def _waits(self, job: Job) -> bool:
        return job.is_member and job.state_at(self._moment) == "PENDING"

    def _shows(self, job: Job) -> bool:
        return self.knows(job) and job.listed_at(self._moment)

    @property
    def _moment(self) -> float:
        return self._cluster.clock.now() - self._behaviour.view_age
