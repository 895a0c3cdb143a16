"""The emulated clusters: a clock that can be moved, and jobs that live by it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: Seconds for which a finished job stays in the live list.
LIVE_SECONDS = 300.0

ENDED_STATES = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}
NAME_PART = re.compile(r"[^,:;\s]+")


class Clock:
    """The wall clock plus an offset that a test moves instead of sleeping."""

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """
        Let time pass.

        :param seconds: how much of it.
        """
        self._offset += seconds


def is_terminal(state: str) -> bool:
    """
    Tell whether a Slurm state is a final one.

    :param state: Slurm's word; ``CANCELLED by 1000`` is one too.
    """
    return state.partition(" ")[0] in ENDED_STATES


@dataclass(eq=False)
class Job:
    """
    A job of an emulated cluster. Its state follows the clock.

    :param clock: the clock it lives by.
    :param scheduler_id: scheduler it was submitted to.
    :param user: cluster user that owns it.
    :param job_id: its id in that scheduler.
    :param running_state: Slurm's word for it until it ends.
    :param submitted_at: when it was submitted, seconds since the epoch.
    :param started_at: when it started; None while it is queued.
    :param ends_at: when it ends; None for a job that only a delete can end.
    :param outcome: Slurm's word for it once it has ended.
    :param exit_code: Slurm's ``rc:signal``; None for the usual one of the outcome.
    :param deletes: how many deletes have named it.
    :param ignores_delete: deletes are answered with success and do nothing: all (True) or the next n.
    :param refused: ``(code, msg)`` with which a delete of this job is refused.
    """

    clock: Clock = field(repr=False)
    scheduler_id: str
    user: str
    job_id: str
    name: str
    queue: str
    running_state: str
    submitted_at: float
    started_at: float | None = None
    ends_at: float | None = None
    outcome: str = "COMPLETED"
    exit_code: str | None = None
    work_dir: str = "/public/home/demo"
    command: str = ""
    nodes: int = 1
    procs: int = 1
    deletes: int = 0
    ignores_delete: bool | int = False
    refused: tuple[str, str] | None = None
    _cancelled: bool = False

    @property
    def ref(self) -> str:
        """The job as an entry of ``strJobInfoMap``."""
        return f"{self.scheduler_id},{self.user}:{self.job_id}:"

    @property
    def ended_at(self) -> float | None:
        """When the job ended, seconds since the epoch; None while it has not."""
        return self.ends_at if self.ends_at is not None and self.ends_at <= self.clock.now() else None

    @property
    def state(self) -> str:
        """Slurm's word for the job at the clock's present."""
        return self.running_state if self.ended_at is None else self.outcome

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.ended_at is None

    @property
    def listed(self) -> bool:
        """Whether the live list still shows the job."""
        ended_at = self.ended_at
        return ended_at is None or self.clock.now() < ended_at + LIVE_SECONDS

    def become(self, state: str) -> None:
        """
        Put the job into another state now, as if the cluster had done it.

        :param state: Slurm's word; a terminal one ends the job.
        """
        now = self.clock.now()
        if is_terminal(state):
            self.outcome, self.ends_at, self.exit_code = state, now, None
            return
        self.running_state, self.ends_at, self._cancelled = state, None, False
        if state != "PENDING" and self.started_at is None:
            self.started_at = now

    def cancel(self, delay: float) -> None:
        """
        Do what a delete does: COMPLETING for a while, then CANCELLED.

        :param delay: seconds in COMPLETING.
        """
        if not self.active or self._cancelled:
            return
        if self.ignores_delete:
            if self.ignores_delete is not True:
                self.ignores_delete -= 1
            return
        self._cancelled = True
        self.running_state, self.outcome, self.exit_code = "COMPLETING", "CANCELLED", None
        self.ends_at = self.clock.now() + delay


class Cluster:
    """
    The jobs of one region's schedulers.

    :param clock: the clock its jobs live by.
    :param schedulers: scheduler id -> display name.
    """

    def __init__(self, clock: Clock, schedulers: Mapping[str, str]) -> None:
        self.clock = clock
        self.schedulers = dict(schedulers)
        self.jobs: list[Job] = []
        self._by_id: dict[str, list[Job]] = {}
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
        :param job_id: by default the next free number.
        :param runtime: seconds until it ends by itself; None for never.
        :param outcome: Slurm's word for it after ``runtime``.
        :param ended_ago: for a terminal ``state``: how many seconds ago it ended.
        """
        scheduler_id = next(iter(self.schedulers)) if scheduler_id is None else scheduler_id
        job_id = self._next_id() if job_id is None else str(job_id)
        self._check_new(scheduler_id, user, job_id)
        if not is_terminal(outcome):
            raise ValueError(f"outcome {outcome!r} is not a terminal state")
        now = self.clock.now()
        job = Job(self.clock, scheduler_id, user, job_id, name, queue, state, submitted_at=now)
        job.outcome, job.work_dir = outcome, f"/public/home/{user}"
        if is_terminal(state):
            job.outcome, job.ends_at = state, now - ended_ago
            job.submitted_at = job.started_at = job.ends_at - (60.0 if runtime is None else runtime)
        else:
            job.started_at = None if state == "PENDING" else now
            job.ends_at = None if runtime is None else now + runtime
        self.jobs.append(job)
        self._by_id.setdefault(job_id, []).append(job)
        return job

    def _check_new(self, scheduler_id: str, user: str, job_id: str) -> None:
        if scheduler_id not in self.schedulers:
            raise ValueError(f"no scheduler {scheduler_id!r}, only {sorted(self.schedulers)}")
        if not (NAME_PART.fullmatch(user) and NAME_PART.fullmatch(job_id)):
            raise ValueError(f"user {user!r} or job id {job_id!r} cannot be written into a delete")
        if self.find(job_id, scheduler_id):
            raise ValueError(f"scheduler {scheduler_id} has a job {job_id} already")

    def find(self, job_id: str, scheduler_id: str | None = None) -> Job | None:
        """
        Return a job, or None.

        :param scheduler_id: its scheduler; None for the first job with this id.
        """
        for job in self._by_id.get(job_id, ()):
            if scheduler_id in (None, job.scheduler_id):
                return job
        return None

    def select(self, scheduler_id: str, job_id: str | None = None) -> Iterator[Job]:
        """
        Yield the jobs of a scheduler, in the order in which they came.

        :param job_id: only the job with this id.
        """
        candidates = self._by_id.get(job_id, []) if job_id else self.jobs
        return (job for job in candidates if job.scheduler_id == scheduler_id)

    def _next_id(self) -> str:
        self._last_id += 1
        while str(self._last_id) in self._by_id:
            self._last_id += 1
        return str(self._last_id)
