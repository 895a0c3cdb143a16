"""
Lives of one task instance, drawn from a seed: tries, waits, kills, retries and clears on a service that lags, loses
answers and fails, until a teardown ends what is left. Run by ``python -m tests.simulation.lives FIRST COUNT``.
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.memory import Notebook
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.jobs.submission import Submission, Target
from airflow_provider_scnet.jobs.sweep import Sought, Sweep
from airflow_provider_scnet.jobs.waiting import Watch, delete_at_once, wait_for
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.conftest import SCHEDULER, client_of

QUIET = logging.getLogger("lives")
QUIET.disabled = True
OPEN_CODES = ("10001", "10012", "10013", "815005")
FAULTS: dict[str, Any] = {
    "nothing": None,
    "request lost": ("submit", {"drop": True}),
    "answer lost": ("submit", {"drop": True, "effect": True}),
    "queue full": ("submit", {"code": "815007", "msg": "sbatch: error: QOSMaxSubmitJobPerUserLimit"}),
    "lists fail": ("list", {"status": 503}),
    "history fails": ("history", {"status": 503}),
}
ENDS = ("COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT", "CANCELLED")


class AirflowIsAwayError(Exception):
    """Airflow's state store cannot be written."""


@dataclass
class Store:
    """Airflow's state store of a task, which sometimes cannot be written."""

    rng: random.Random
    failing: float
    noted: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.noted.get(key)

    def set(self, key: str, value: Any) -> None:
        if self.rng.random() < self.failing:
            raise AirflowIsAwayError
        self.noted[key] = value


class Life:
    """
    One life.

    :param seed: which all follows from.
    :param scnet: the service, still without jobs.
    """

    def __init__(self, seed: int, scnet: ScnetEmulator) -> None:
        self.rng = random.Random(seed)
        self.scnet = scnet
        self.story: list[str] = []
        self.violations: list[str] = []
        self._generation = self._tries = 0
        self._told: JobRef | None = None
        self._draw_service()
        self._others = [scnet.add_job() for _ in range(self.rng.randint(0, 5))]
        self._store = Store(self.rng, self.rng.choice((0, 0, 0.1))) if self.rng.random() < 0.5 else None

    def _draw_service(self) -> None:
        """No more than lists that show everything within the time that is waited for it."""
        rng = self.rng
        knobs = {
            "submit_lag": rng.choice((0, 0, 5, 20, 45)),
            "lagging_deletes": rng.random() < 0.5,
            "view_age": rng.choice((0, 0, 0, 10)),
            "cancel_delay": rng.choice((0, 1, 20, 50)),
            "history_lag": rng.choice((0, 0, 30, 60)),
            "has_history": rng.random() < 0.85,
            "words_in_details": rng.random() < 0.8,
            "raw_state_in_lists": rng.random() < 0.3,
            "code_lead": rng.choice((0, 0, 0, 15)),
            "null_empty_lists": rng.random() < 0.3,
            "requeue_after": rng.choice((None, None, 20)),
        }
        self.story.append(f"service {knobs}")
        for knob, value in knobs.items():
            setattr(self.scnet, knob, value)

    def live(self) -> None:
        """Submit, again and again, then tear down."""
        for number in range(self.rng.randint(1, 5)):
            if number and self.rng.random() < 0.3:
                self._generation += self.rng.randint(1, 3)
                self._told = None
                self.story.append("cleared")
            self._try()
            self._let_time_pass()
        self._tear_down()

    def _try(self) -> None:
        self._tries += 1
        fault = self._plan_fault()
        try:
            self._told = self._submission().run()
            said = f"job {self._told.job_id}"
            active = {job.ref for job in self._jobs() if job.active}
            self._assert(active <= {self._told}, f"a try that ended with {self._told} left {active}")
            if self.rng.random() < 0.6:
                said += f", {self._wait(self._told)}"
        except (ScnetError, AirflowIsAwayError) as error:
            said = f"{type(error).__name__} {str(error)[:100]}"
            active = {job.ref for job in self._jobs() if job.active}
            self._assert(len(active) <= 1, f"a try that failed left {active}")
        self.scnet.clear_faults()
        self.story.append(f"try {self._tries} of generation {self._generation}, {fault}: {said}; {self._states()}")

    def _wait(self, ref: JobRef) -> str:
        """As the operator does with ``wait=True``: a kill is a short delete, a time-out a verified one."""
        if self.rng.random() < 0.2:
            self.scnet.clock.advance(self.rng.choice((0, 20, 100)))
            delete_at_once(client_of(self.scnet), [ref], logger=QUIET)
            self._notebook().note_killed(ref)
            return "killed"
        is_hampered = self.rng.random() < 0.3
        if not is_hampered:
            self.scnet.clear_faults()
        self._meddle(ref)
        watch = Watch(client_of(self.scnet), {ref: self._tag()}, logger=QUIET)
        timeout = self.rng.choice((100, 1000, 10_000))
        outcomes = wait_for(watch, poll_interval=self.rng.choice((5, 30)), timeout=timeout, logger=QUIET)
        active = {job.ref for job in self._jobs() if job.active}
        if outcomes:
            self._assert(not active, f"a wait that is over ({outcomes[0].ending.value}) left {active}")
            job = next(job for job in self._jobs() if job.ref == ref)
            is_true = job.state == "COMPLETED" or not outcomes[0].is_good
            self._assert(is_true, f"a green wait for {ref}, which is {job.state}")
            return outcomes[0].ending.value
        Deletion(client_of(self.scnet), [ref], DeleteOptions(), logger=QUIET).run()
        self._notebook().note_killed(ref)
        untouched = {job.ref for job in self._jobs() if job.active and not job.deletes}
        self._assert(is_hampered or not untouched, f"a wait whose time is up left {untouched}")
        return "time is up"

    def _meddle(self, ref: JobRef) -> None:
        """The job may end badly meanwhile, be preempted and go on, or have a twin that is listed while it runs."""
        job = next(job for job in self._jobs() if job.ref == ref)
        if job.active and self.rng.random() < 0.3:
            job.become(self.rng.choice(ENDS))
        elif job.active and self.rng.random() < 0.2:
            job.ends_at = self.scnet.clock.now() + 200
            self.scnet.add_job(name=job.name)
            self.story.append(f"twin of {ref}")

    def _plan_fault(self) -> str:
        fault = self.rng.choice([*FAULTS, "effect unknown"])
        if fault == "effect unknown":
            self.scnet.fail("submit", code=self.rng.choice(OPEN_CODES), effect=self.rng.random() < 0.5)
        elif fault != "nothing":
            call, how = FAULTS[fault]
            self.scnet.fail(call, times=1 if call == "submit" else self.rng.randint(1, 12), **how)
        return fault

    def _submission(self) -> Submission:
        tag = self._tag()
        command = f"sleep {self.rng.choice((40, 300, 5000))}"
        specification = JobSpecification(command, "debug", work_dir="/public/home/me", walltime="10:00:00")
        target = Target(SCHEDULER, self.scnet.user, tag, specification.as_members(tag.name("flow")))
        return Submission(
            client_of(self.scnet),
            target,
            self._notebook(),
            is_retry=self._tries > 1,
            since=datetime.fromtimestamp(self.scnet.clock.now(), UTC) - timedelta(days=1),
            logger=QUIET,
        )

    def _notebook(self) -> Notebook:
        return Notebook(self._store, self._tag().name("flow"), logger=QUIET)

    def _let_time_pass(self) -> None:
        active = [job for job in self._jobs() if job.active]
        if active and self.rng.random() < 0.25:
            active[0].become(self.rng.choice(ENDS))
        elif active and self.rng.random() < 0.1:
            active[0].become("COMPLETING")
            active[0].ends_at = self.scnet.clock.now() + 30
        self.scnet.clock.advance(self.rng.choice((0, 3, 20, 60, 300, 1200)))

    def _tear_down(self) -> None:
        all_told = self._told is not None and self.rng.random() < 0.5
        known = [self._told] if self._told and (all_told or self.rng.random() < 0.5) else []
        tasks = {self._tag().task}
        is_by_hand = not known and self.rng.random() < 0.5
        sought = Sought(tasks, self.scnet.user, all_told, to_be_found=tasks if is_by_hand else ())
        try:
            report = Sweep(client_of(self.scnet), known, sought, DeleteOptions(), logger=QUIET).run()
            active = [job.ref for job in self._jobs() if job.active]
            self._assert(not active, f"a green teardown left {active}")
            self._assert(bool(self._jobs()) or not is_by_hand, "a tag that no job has had was green")
            self.story.append(f"teardown, told {known}, all {all_told}: {report}")
        except ScnetError as error:
            self.story.append(f"teardown, told {known}, all {all_told}: {error}")
        touched = [job.ref for job in self._others if job.deletes]
        self._assert(not touched, f"deleted {touched}, which are somebody else's")

    def _tag(self) -> JobTag:
        return JobTag.of(dag_id="d", run_id="r", task_id="t", map_index=-1, generation=self._generation)

    def _jobs(self) -> list[Job]:
        return [job for job in self.scnet.jobs if job not in self._others]

    def _states(self) -> str:
        return ", ".join(f"{job.job_id} {job.state}" for job in self._jobs())

    def _assert(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)
            self.story.append(f"DEFECT {violation}")


def live(seed: int) -> Life:
    """Live one life to its end."""
    with ScnetEmulator(schedulers={SCHEDULER: "Cluster"}) as scnet:
        life = Life(seed, scnet)
        life.live()
    return life


def main(seeds: Iterable[int]) -> int:
    """Live many, and tell the story of those in which something went wrong."""
    lives = {seed: live(seed) for seed in seeds}
    bad = {seed: life for seed, life in lives.items() if life.violations}
    for seed, life in bad.items():
        print(f"life {seed}", *life.story, sep="\n  ")
    print(f"{len(lives)} lives, {len(bad)} with defects")
    return 1 if bad else 0


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    sys.exit(main(range(first, first + count)))
