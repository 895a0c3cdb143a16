"""What must be true of every job in lives of tasks, and who has submitted it: the wire saw that, whatever names say."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.arrays import array_of
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.words import VANISHED
from tests.simulation.tasks import NOTES, Airflow, AirflowIsAwayError, Asked, Task

SHOWN_WITHIN = 58.0
"""Seconds from a request to a list that shows what came of it, at most: a little less than is waited for."""


class Rules:
    """
    The ledger of all jobs, and what is found to be wrong.

    :param scnet: where they are.
    :param story: where to tell what was broken.
    """

    def __init__(self, scnet: ScnetEmulator, story: list[str]) -> None:
        self._scnet = scnet
        self._story = story
        self._asked: dict[str, Asked] = {}
        self._spoilt: set[str] = set()
        self._unwanted: set[str] = set()
        self.violations: list[str] = []
        self.may_be_double = False
        """Whether two processes have the same identity, so that one may submit what the other has submitted."""
        self.are_equal = False
        """Whether these ask for the same, so that they have to agree on the oldest job."""

    def check(self, holds: bool, violation: str) -> None:
        """Note what does not hold."""
        if not holds and violation not in self.violations:
            self.violations.append(violation)
            self._story.append(f"DEFECT {violation}")

    # --- the ledger --------------------------------------------------------------------------------------------------

    def note(self, job: Job, asked: Asked) -> None:
        """Write down who has submitted a job."""
        self._asked[self.number_of(job)] = asked

    def note_twin(self, twin: Job, job: Job) -> None:
        """Write down that a job was submitted twice."""
        self._asked[self.number_of(twin)] = self._asked[self.number_of(job)]
        self.spoil(twin)
        self.spoil(job)

    def spoil(self, job: Job) -> None:
        """Write down that something has happened to a job, for which a task may give it up."""
        self._spoilt.add(self.number_of(job))

    def asked(self, job: Job) -> Asked:
        """Return who has submitted a job of ours."""
        return self._asked[self.number_of(job)]

    def jobs_of(self, airflow: Airflow, index: int | None = None) -> list[Job]:
        """Return the jobs of an Airflow; with a map index, of the task instances that have it, or exist no more."""
        told = [(job, self._asked.get(self.number_of(job))) for job in self._scnet.jobs]
        ours = [(job, asked.instance[1]) for job, asked in told if asked and asked.airflow == airflow.name]
        return [job for job, at in ours if index in (None, at) or at >= airflow.items]

    def jobs_like(self, task: Task, airflow: Airflow) -> list[Job]:
        """Return the jobs of a task instance, of whatever life."""
        instance = (airflow.name, task.map_index, task.loop)
        return [job for job in self.jobs_of(airflow) if self.asked(job).instance == instance]

    # --- what nobody may do ------------------------------------------------------------------------------------------

    def check_delete(self, airflow: Airflow, refs: Iterable[str]) -> None:
        """Check who is asked to end."""
        numbers = {array_of(ref.rstrip(":").rpartition(":")[2]) for ref in refs}
        for number in sorted(numbers):
            asked = self._asked.get(number)
            ours = asked is not None and asked.airflow == airflow.name
            self.check(ours, f"{airflow.name} deletes {number}, which is somebody else's")
            now = airflow.asked
            if asked and now and asked.instance == now.instance:
                is_newer = asked.life > now.life or (asked.try_number > now.try_number and asked.wanted != now.wanted)
                self.check(not is_newer, f"deletes {number}, which is of a later try")
            if self.are_equal and number not in self._spoilt:
                self.check(not self._is_oldest(number), f"deletes {number}, the oldest of its duplicates")
            if number not in self._spoilt and any(job.active for job in self._jobs(number)):
                airflow.worker.deleted.add(number)
            self._spoilt.add(number)
            self._unwanted.add(number)

    def check_submission(self, airflow: Airflow) -> None:
        """Check that a process submits nothing while a job goes on that it would have to go on with, or to end."""
        now = airflow.asked
        if now is None or self.may_be_double:
            return
        for number, asked in self._asked.items():
            if asked.instance != now.instance or asked.try_number == now.try_number:
                continue
            jobs = self._jobs(number)
            is_listed = all(job.submitted_at < job.clock.now() - SHOWN_WITHIN for job in jobs)
            goes_on = number not in self._spoilt and is_listed and any(job.active for job in jobs)
            self.check(not goes_on, f"submits although {number} goes on")
            is_same = asked.dag.command == now.dag.command
            is_wanted = asked.wanted == now.wanted or (is_same and self._is_kept(number, now))
            is_thrown_away = number in airflow.worker.deleted and is_wanted and not now.may_seem_cleared(asked)
            self.check(not is_thrown_away, f"deletes {number}, which it could have gone on with, and submits")

    def check_chosen(self, airflow: Airflow, task: Task, ref: str) -> None:
        """Check whether a task may go on with a job, or end with it."""
        number, now = array_of(ref.rstrip(":").rpartition(":")[2]), task.asked
        asked = self._asked.get(number)
        if asked is None or now is None or asked.instance != now.instance:
            self.check(False, f"{airflow.name} {task.map_index} goes on with {ref}, which is somebody else's")
            return
        is_same = asked.dag.command == now.dag.command
        self.check(is_same, f"goes on with {ref}, which runs another command")
        if asked.life < now.life:
            self.check(
                self._is_kept(number, now) or not now.is_told_from(asked),
                f"goes on with {ref}, submitted before a clear",
            )

    def lost_arrays(self, task: Task, airflow: Airflow) -> set[str]:
        """Return the arrays of a task instance that have ended without some members: none of them has ended well."""
        since = self._scnet.clock.now() - SHOWN_WITHIN
        jobs = self.jobs_like(task, airflow)
        going_on = {self.ref_of(job) for job in jobs if job.active or (job.ended_at or 0.0) >= since}
        return {self.ref_of(job) for job in jobs if job.state == VANISHED} - going_on

    def check_error(self, error: Exception) -> None:
        """Check that an error is one that is meant for the reader of a log."""
        is_meant = isinstance(error, AirflowException | AirflowIsAwayError)
        self.check(is_meant, f"fails with {type(error).__name__} {error}")

    def is_good(self, job: Job, task: Task) -> bool:
        """Tell whether a job that has ended well is one that nobody has ended, or wanted to."""
        if task.store and job.ref in str(task.store.noted.get(NOTES)):
            self._unwanted.add(self.number_of(job))
        return job.state == "COMPLETED" and self.number_of(job) not in self._unwanted

    def number_of(self, job: Job) -> str:
        """Return the number of a job, or of the array that it is a member of."""
        return array_of(job.job_id)

    def ref_of(self, job: Job) -> str:
        """Return what a task tells of a job; of an array, one reference stands for all members."""
        return f"{job.scheduler_id},{job.user}:{self.number_of(job)}:"

    def _is_kept(self, number: str, now: Asked) -> bool:
        """Whether a job may be gone on with after a clear: it had not ended, as far as old lists could tell."""
        since = now.cleared_at - SHOWN_WITHIN
        return now.dag.on_clear == "keep" and any(
            job.active or (job.ended_at or 0.0) > since for job in self._jobs(number)
        )

    def _is_oldest(self, number: str) -> bool:
        """Whether a job goes on, and none that is older can be the one that counts."""
        older = [job for one in self._asked if int(one) < int(number) for job in self._jobs(one)]
        goes_on = any(job.active for job in self._jobs(number))
        return goes_on and all(job.state == "CANCELLED" for job in older)

    def _jobs(self, number: str) -> list[Job]:
        return [job for job in self._scnet.jobs if self.number_of(job) == number]
