"""What the live list, look-ups and details show: not always all, and not always the present."""

from __future__ import annotations

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
        return [job for job in jobs if self._shows(job)]

    def job(self, job_id: str) -> Job | None:
        """
        Return the job that a detail shows, or None; the call knows no scheduler.

        :param job_id: its whole id.
        """
        if self._behaviour.blank_lists:
            return None
        return next((job for job in self._cluster.with_id(job_id) if self._shows(job)), None)

    def _shows(self, job: Job) -> bool:
        return self.knows(job) and job.listed_at(self._moment)

    @property
    def _moment(self) -> float:
        return self._cluster.clock.now() - self._behaviour.view_age
