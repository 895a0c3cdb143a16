"""A drawn service becomes an emulator, with everything that happens to it planned in virtual time."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from airflow_provider_scnet.testing import Clock, Job, RecordedRequest, ScnetEmulator
from airflow_provider_scnet.testing.arrays import array_of, member_ids
from tests.simulation.services import DAWN, SCHEDULERS, TOTALS, USER, JobPlan, Service, Trouble
from tests.simulation.wire import VirtualTime, Wire

EPOCH = float(int(time.time()))
"""The moment 0 of every run, near the real present, which the history is asked for: nothing replaces ``datetime``."""
REGION = "11112"
REFUSED = "refused for this job:"
"""How SCNet's message begins then: faults may have the same code."""
TOKEN_KEY = b"the same in all runs"
CONDITIONS: dict[str, Callable[[RecordedRequest], bool]] = {
    "all": lambda request: True,
    "everybody's": lambda request: not request.query.get("strJobOwner") and not request.query.get("strJobId"),
    "later pages": lambda request: request.query.get("start") != "0",
}


class World:
    """
    An emulator that is what a service describes, at the moment the deletion starts.

    :param scnet: the emulator, not started.
    """

    def __init__(self, service: Service) -> None:
        clock = Clock(start=EPOCH + DAWN)
        self.service = service
        self.time = VirtualTime(clock, EPOCH)
        self.scnet = ScnetEmulator(clock=clock, user=USER, region_id=REGION, schedulers=SCHEDULERS, token_lifetime=1e6)
        # All runs share one token: Airflow looks for all that it has ever met in a Connection in whatever is logged.
        self.scnet._tokens._key, self.scnet._tokens._clock = TOKEN_KEY, Clock(start=EPOCH)
        self.token = self.scnet.mint_token()
        self.wire = Wire(self.scnet, self.time, REGION)
        self._by_name: dict[str, list[Job]] = defaultdict(list)
        self._set_knobs()
        for trouble in service.troubles:
            self._add_trouble(trouble)
        for plan in sorted(service.jobs, key=lambda plan: plan.born):
            self.time.plan(max(DAWN, plan.born), partial(self._add_job, plan))
        for one in service.outages:
            self._plan_outage(one.start, one.end, one.kind)
        self.time.go_to(0.0)

    def _set_knobs(self) -> None:
        knobs = dict(self.service.knobs)
        if total := TOTALS.get(knobs.pop("total", "")):
            shown = knobs.get("list_cap", sys.maxsize)
            self.scnet.total_lie = lambda real: total(real, shown)
        for name, value in knobs.items():
            if not hasattr(self.scnet, name):
                raise AttributeError(f"the emulator has no knob {name!r}")
            setattr(self.scnet, name, value)

    def _add_trouble(self, trouble: Trouble) -> None:
        rng, strikes = self.service.rng, CONDITIONS[trouble.only]
        self.scnet.fail(
            trouble.call,
            times=trouble.times,
            when=lambda request: strikes(request) and (trouble.rate == 1 or rng.random() < trouble.rate),
            **trouble.how,
        )

    def _add_job(self, plan: JobPlan) -> None:
        now = self.time.elapsed()
        over = plan.ends is not None and plan.ends <= now
        job = self.scnet.add_job(
            plan.outcome if over else plan.state,
            user=plan.user,
            scheduler_id=plan.scheduler_id,
            job_id=plan.job_id,
            runtime=None if plan.ends is None else plan.ends - plan.born if over else plan.ends - now,
            outcome=plan.outcome,
            ended_ago=now - plan.ends if over and plan.ends is not None else 0.0,
        )
        for name in {plan.ref, *_names_of(job)}:
            self._by_name[name].append(job)
        job.ignores_delete = plan.ignores_delete
        job.refused = (plan.refused, f"{REFUSED} {plan.refused}") if plan.refused else None
        if plan.preempted is not None:
            self.time.plan(max(plan.preempted, now), partial(_preempt, job, plan.preempted_word))

    def _plan_outage(self, start: float, end: float, kind: str) -> None:
        if kind == "10001":
            outage = lambda: self.scnet.fail(  # noqa: E731
                "list", code="10001", times=None, when=lambda request: self.time.elapsed() < end
            )
            self.time.plan(start, outage)
            return
        self.time.plan(start, lambda: setattr(self.scnet, "blank_lists", kind))
        self.time.plan(end, lambda: setattr(self.scnet, "blank_lists", None))

    def jobs(self, ref: str) -> list[Job]:
        """The jobs that a reference stands for: itself, or an array's members, or the rest in which a member waits."""
        return self._by_name[ref]

    def running(self, ref: str) -> list[Job]:
        """Those of them that run, or will again."""
        return [job for job in self._by_name[ref] if job.will_run]


def _preempt(job: Job, word: str) -> None:
    if job.active and job.state != "COMPLETING":
        job.become(word)


def _names_of(job: Job) -> set[str]:
    """The references that a task can name a job by: its own id, its array's, and those of the members it waits for."""
    ids = {job.job_id, array_of(job.job_id), *member_ids(job.job_id)}
    return {f"{job.scheduler_id},{job.user}:{job_id}:" for job_id in ids}
