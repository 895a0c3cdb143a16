"""What must be true after each try of a run, and after its teardown."""

from __future__ import annotations

from airflow_provider_scnet.testing.job import Job
from tests.simulation.region import MoodyRegion
from tests.simulation.rules import SHOWN_WITHIN
from tests.simulation.tasks import Airflow, Task


class Judge:
    """
    Judge a run.

    :param region: where it submits to.
    :param has_arrays: whether its jobs are arrays.
    """

    def __init__(self, region: MoodyRegion, airflow: Airflow, *, has_arrays: bool) -> None:
        self._region, self._rules, self._scnet = region, region.rules, region.scnet
        self._airflow = airflow
        self._has_arrays = has_arrays
        self.twins: list[Job] = []
        """Jobs that were submitted twice by nobody's fault."""

    def judge_green(self, task: Task, ref: str) -> None:
        """Judge a try that has ended well."""
        self._rules.check_chosen(self._airflow, task, ref)
        jobs = self._rules.jobs_like(task, self._airflow)
        active = {self._rules.ref_of(job) for job in jobs if job.active}
        states = {job.state for job in jobs if self._rules.ref_of(job) == ref}
        check = self._rules.check
        if task.operator.wait:
            check(not active, f"a green wait left {active}")
            check(states == {"COMPLETED"}, f"a green wait for {ref}, which is {states}")
        else:
            twins = set(map(self._rules.ref_of, self.twins))
            check(active - twins <= {ref}, f"a try that told {ref} left {active}")

    def judge_given_up(self, task: Task) -> None:
        """Judge a try that has deleted its job when time was up."""
        now = self._scnet.clock.now()
        jobs = [job for job in self._rules.jobs_like(task, self._airflow) if job not in self.twins]
        active = [job.ref for job in jobs if job.active and job.submitted_at < now - SHOWN_WITHIN]
        self._rules.check(not active, f"a try that deleted its job when time was up left {active}")

    def judge(self, task: Task) -> None:
        """Judge a try that has ended."""
        jobs = [job for job in self._rules.jobs_like(task, self._airflow) if job not in self.twins]
        asked = {job.ref: self._rules.asked(job) for job in jobs}
        told = [f"{job.job_id} life {asked[job.ref].life} {asked[job.ref].dag.command} {job.state}" for job in jobs]
        self._region.story.append("  " + ", ".join(told))
        active = {self._rules.ref_of(job) for job in jobs if job.active}
        self._rules.check(len(active) <= 1, f"a try left {active}")
        for job in jobs if self._region.tells_ends and not self._has_arrays else ():
            ended_at = job.ended_at or 0.0
            again = [
                one.ref
                for one in jobs
                if asked[one.ref].wanted == asked[job.ref].wanted
                and one.submitted_at > ended_at + 60
                and not asked[one.ref].may_seem_cleared(asked[job.ref])
            ]
            is_good = self._rules.is_good(job, task)
            self._rules.check(not (is_good and again), f"{again} submitted although {job.ref} had ended well")

    def judge_deletes(self, before: dict[str, int], ours: list[Job]) -> None:
        """Siblings are nobody's concern, and what belongs to other Airflows all the less."""
        all_ours = self._rules.jobs_of(self._airflow)
        touched = [job.ref for job in all_ours if job not in ours and job.deletes > before.get(job.ref, 0)]
        self._rules.check(not touched, f"deleted {touched}, which are somebody else's")

    def deletes(self) -> dict[str, int]:
        """Return how often each job was deleted so far."""
        return {job.ref: job.deletes for job in self._scnet.jobs}
