"""The emulated clusters: schedulers and their jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from airflow_provider_scnet.testing.arrays import JOB_ID, array_of, member_ids
from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.words import is_terminal

USER = re.compile(r"[^,:;\s]+")


class Cluster:
    """
    The jobs of one region's schedulers.

    :param clock: the clock its jobs live by.
    :param schedulers: scheduler id -> display name.
    :param behaviour: what its jobs do where there is a choice.
    """

    def __init__(self, clock: Clock, schedulers: Mapping[str, str], behaviour: Behaviour | None = None) -> None:
        self.clock = clock
        self.schedulers = dict(schedulers)
        self.jobs: list[Job] = []
        self._behaviour = behaviour or Behaviour()
        self._by_array: dict[str, list[Job]] = {}
        self._last_id = 100

    def add_job(
        self,
        user: str,
        *,
        state: str = "RUNNING",
        scheduler_id: str | None = None,
        job_id: str | int | None = None,
        name: str = "demo",
        queue: str = "debug",
        runtime: float | None = None,
        outcome: str = "COMPLETED",
        ended_ago: float = 0.0,
    ) -> Job:
        """
        Put a job on the cluster.

        :param user: cluster user that owns it.
        :param state: Slurm's word; with a terminal one the job has ended already.
        :param scheduler_id: by default the first scheduler.
        :param job_id: by default the next free number; ``5_1`` and ``5_[2-9,11%4]`` are members of an array.
        :param runtime: seconds until it ends by itself; None for never.
        :param outcome: Slurm's word for it after ``runtime``.
        :param ended_ago: for a terminal ``state``: how many seconds ago it ended.
        """
        scheduler_id = next(iter(self.schedulers)) if scheduler_id is None else scheduler_id
        job_id = self.next_id() if job_id is None else str(job_id)
        self._check_new(scheduler_id, user, job_id)
        if not is_terminal(outcome):
            raise ValueError(f"outcome {outcome!r} is not a terminal state")
        now = self.clock.now()
        if is_terminal(state):
            ran = 60.0 if runtime is None else runtime
            timeline = [(now - ended_ago - ran, "RUNNING"), (now - ended_ago, state)]
        else:
            timeline = [(now, state)] + ([] if runtime is None else [(now + runtime, outcome)])
        job = self._enter(Job(self.clock, self._behaviour, scheduler_id, user, job_id, name, queue, timeline))
        job.outcome, job.work_dir = state if is_terminal(state) else outcome, f"/public/home/{user}"
        job.started_at = None if state == "PENDING" else job.submitted_at
        return job

    def _enter(self, job: Job) -> Job:
        self.jobs.append(job)
        self._by_array.setdefault(array_of(job.job_id), []).append(job)
        return job

    def _check_new(self, scheduler_id: str, user: str, job_id: str) -> None:
        if scheduler_id not in self.schedulers:
            raise ValueError(f"no scheduler {scheduler_id!r}, only {sorted(self.schedulers)}")
        if not (USER.fullmatch(user) and re.fullmatch(JOB_ID, job_id)):
            raise ValueError(f"user {user!r} or job id {job_id!r} cannot be written into a delete")
        if self.find(job_id, scheduler_id):
            raise ValueError(f"scheduler {scheduler_id} has a job {job_id} already")

    def find(self, job_id: str, scheduler_id: str | None = None) -> Job | None:
        """
        Return a job, or None.

        :param scheduler_id: its scheduler; None for the first job with this id.
        """
        return next(self.with_id(job_id, scheduler_id), None)

    def with_id(self, job_id: str, scheduler_id: str | None = None) -> Iterator[Job]:
        """
        Yield the jobs with an id.

        :param scheduler_id: their scheduler; None for all.
        """
        for job in self._by_array.get(array_of(job_id), ()):
            if job.job_id == job_id and scheduler_id in (None, job.scheduler_id):
                yield job

    def family(self, job_id: str, scheduler_id: str) -> list[Job]:
        """
        Return the jobs that a scheduler means by an id: for ``5`` also ``5_1`` and ``5_[2-9]``, for ``5_[2-9]`` also
        ``5_3`` and ``5_[2-9%4]``.

        :param scheduler_id: the scheduler.
        """
        relatives = self._by_array.get(array_of(job_id), ())
        whole, meant = array_of(job_id) == job_id, set(member_ids(job_id))
        return [
            job
            for job in relatives
            if job.scheduler_id == scheduler_id and (whole or meant.issuperset(member_ids(job.job_id)))
        ]

    def select(self, scheduler_id: str) -> list[Job]:
        """
        Return the jobs of a scheduler, in the order in which they came.

        :param scheduler_id: the scheduler.
        """
        return [job for job in self.jobs if job.scheduler_id == scheduler_id]

    def next_id(self) -> str:
        """Return the next id that is free."""
        self._last_id += 1
        while str(self._last_id) in self._by_array:
            self._last_id += 1
        return str(self._last_id)
