"""A drawn service becomes an emulator, with everything that happens to it planned in virtual time."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from functools import partial
from typing import Any
from unittest.mock import patch

from airflow_provider_scnet.testing import Clock, Job, RecordedRequest, ScnetEmulator, gateway
from airflow_provider_scnet.testing.arrays import array_of, member_ids
from tests.simulation.oddities import PLAIN_RESTS, OddHistory, name_rests_by_array
from tests.simulation.services import (
    ANOTHER_REGION,
    CONDITIONS,
    DAWN,
    PAGES,
    REFUSED,
    SCHEDULERS,
    TOTALS,
    USER,
    JobPlan,
    Service,
    Trouble,
)
from tests.simulation.wire import VirtualTime, Wire, refs_in

EPOCH = float(int(time.time()))
"""The moment 0 of every run, near the real present, which the history is asked for: nothing replaces ``datetime``."""
REGION = "11112"
TOKEN_KEY = b"the same in all runs"
GATEWAYS = {"seeing": "127.0.0.1:9", "blind": "127.0.0.1:8"}


class World:
    """
    An emulator that is what a service describes, at the moment the deletion starts.

    :param scnet: the emulator, not started.
    """

    def __init__(self, service: Service) -> None:
        clock = Clock(start=EPOCH + DAWN)
        self.service = service
        self.time = VirtualTime(clock, EPOCH)
        with patch.object(gateway, "History", partial(OddHistory, oddities=service.oddities)):
            self.scnet = ScnetEmulator(
                clock=clock, user=USER, region_id=REGION, schedulers=SCHEDULERS, token_lifetime=1e6
            )
        # All runs share one token: Airflow looks for all that it has ever met in a Connection in whatever is logged.
        self.scnet._tokens._key, self.scnet._tokens._clock = TOKEN_KEY, Clock(start=EPOCH)
        self.token = self.scnet.mint_token()
        self.scnet._front._port = 9  # so that the platform can name it
        self.scnet.clock_skew = 1e9  # who signs has bound the real clock
        self.wire = Wire(self.scnet, self.time, REGION)
        if PLAIN_RESTS in service.oddities:
            self.wire.change = name_rests_by_array
        self._by_name: dict[str, list[Job]] = defaultdict(list)
        self._paged: set[str] = set()
        self._set_knobs()
        if service.gateways:
            self.scnet.regions[0].gateways = [f"http://{GATEWAYS[name]}/hpc" for name in service.gateways]
            for call, how in ANOTHER_REGION.items():
                self._add_trouble(Trouble(call, "of another region", how, only="blind"))
        for trouble in service.troubles:
            self._add_trouble(trouble)
        for plan in sorted(service.jobs, key=lambda plan: plan.born):
            self.time.plan(max(DAWN, plan.born), partial(self._add_job, plan))
        for one in service.outages:
            self._plan_outage(one.start, one.end, one.kind)
        for moment in service.revoked_at:
            self.time.plan(max(moment, DAWN), self.scnet.regions[0].revoke_tokens)
        self.time.go_to(0.0)

    def _set_knobs(self) -> None:
        knobs = dict(self.service.knobs)
        lists, lookups = (TOTALS.get(knobs.pop(name, "")) for name in ("total", "total_of_lookups"))
        if lists or lookups:
            shown = knobs.get("list_cap", sys.maxsize)

            def told(real: int) -> int | None:
                is_lookup = CONDITIONS["look-ups"](self.scnet.requests[-1])
                lie = (is_lookup and lookups) or lists
                return lie(real, shown) if lie else real

            self.scnet.total_lie = told
        for name, value in knobs.items():
            if not hasattr(self.scnet, name):
                raise AttributeError(f"the emulator has no knob {name!r}")
            setattr(self.scnet, name, value)

    def _add_trouble(self, trouble: Trouble) -> None:
        rng = self.service.rng
        condition = _is_at_the_blind if trouble.only == "blind" else CONDITIONS[trouble.only]
        pretends = trouble.how.get("code") == "0"
        first, last = trouble.during or (float("-inf"), float("inf"))

        def strikes(request: RecordedRequest) -> bool:
            if not first <= self.time.elapsed() < last or (pretends and not self._is_allowed(request)):
                return False
            return condition(request) and (trouble.rate == 1 or rng.random() < trouble.rate)

        self.scnet.fail(trouble.call, times=trouble.times, when=strikes, **trouble.how)

    def _is_allowed(self, request: RecordedRequest) -> bool:
        """Whether its token is good; what a service makes up, it tells nobody else either."""
        return self.scnet._tokens.check(request.headers.get("token"), REGION) is not None

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
        if plan.refused in PAGES:
            self._refuse_with_page(plan.ref, PAGES[plan.refused])
        elif plan.refused:
            job.refused = plan.refused, f"{REFUSED} {plan.refused}"
        if plan.preempted is not None:
            self.time.plan(max(plan.preempted, now), partial(_preempt, job, plan.preempted_word))

    def _refuse_with_page(self, ref: str, how: dict[str, Any]) -> None:
        if ref not in self._paged:
            self.scnet.fail("delete", times=None, when=lambda request: ref in refs_in(request), **how)
        self._paged.add(ref)

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


def _is_at_the_blind(request: RecordedRequest) -> bool:
    return request.headers.get("Host") == GATEWAYS["blind"]


def _preempt(job: Job, word: str) -> None:
    if job.active and job.state != "COMPLETING":
        job.become(word)


def _names_of(job: Job) -> set[str]:
    """The references that a task can name a job by: its own id, its array's, and those of the members it waits for."""
    ids = {job.job_id, array_of(job.job_id), *member_ids(job.job_id)}
    return {f"{job.scheduler_id},{job.user}:{job_id}:" for job_id in ids}
