"""
Two processes that are the same task instance and wait at the same time, drawn from a seed: two copies of a metadata
database, or a worker or trigger that Airflow believes to be lost, beside the retry or the cleared task.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from tests.simulation.processes import Worker, live_in
from tests.simulation.region import SCHEDULER, MoodyRegion
from tests.simulation.tasks import Airflow, Clear, Dag, Store, Task
from tests.simulation.triggerers import fire
from tests.simulation.world import EPOCH, GATEWAYS

KINDS = ("copies", "copies", "a retry", "a retry", "an edited retry", "a cleared task")
COMMANDS = ("sleep 600", "sleep 601")


class Double:
    """
    One of the processes.

    :param airflow: that runs it, with the one task.
    :param most: how often it is tried.
    """

    def __init__(self, airflow: Airflow, region: MoodyRegion, rng: random.Random, *, most: int) -> None:
        self.airflow = airflow
        self.green: str | None = None
        self._region, self._rng, self._most = region, rng, most
        self._fate: dict[str, Any] = {"deferrable": rng.random() < 0.5, "poll_interval": rng.choice((5, 10, 30))}

    def live(self, begins_after: float) -> None:
        """Try, and retry; the last time, nothing keeps it from submitting."""
        live_in(self.airflow)
        (task,) = self.airflow.tasks
        self._region.time.sleep(begins_after)
        for left in reversed(range(self._most)):
            task.begin_try()
            self.airflow.ask(task)
            self._tell(f"{task.asked} {self._region.fall_ill() if left else ''}")
            try:
                self.green = self._try(task)
                self._tell(f"green, {self.green}")
                return
            except Exception as error:
                self._region.rules.check_error(error)
                self._tell(f"{type(error).__name__} {str(error)[:120]}")
            self._region.heal()
            task.state = "up_for_retry"
            self._region.time.sleep(60)

    def _try(self, task: Task) -> str:
        rules = self._region.rules
        operator = self.airflow.operator(scheduler_id=SCHEDULER, wait=True, **self._fate)
        context: Any = self.airflow.context(task)
        try:
            ref = operator.execute(context)
        except TaskDeferred as deferred:
            rules.check_chosen(self.airflow, task, task.xcom["job"])
            (event,) = fire(self._region.time, (deferred.trigger, self._rng.choice((None, None, 100)), False))
            ref = operator.execute_complete(context, event)
        rules.check_chosen(self.airflow, task, ref)
        return str(ref)

    def _tell(self, what: str) -> None:
        self._region.story.append(f"{self._region.time.elapsed():.0f} s: {self._fate}: {what}")


class Doubles:
    """
    Both of them.

    :param seed: which all follows from.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self._region = MoodyRegion(rng)
        self.story, self._rules = self._region.story, self._region.rules
        self.violations = self._rules.violations
        # Whoever waits without end has to be told of the end, by a gateway that knows of the job.
        self._region.scnet.has_history = self._region.scnet.words_in_details = True
        self._region.scnet.regions[0].gateways = [f"http://{GATEWAYS['seeing']}/hpc"]
        self._rules.may_be_double = True
        self._kind = rng.choice(KINDS)
        self._rules.are_equal = self._kind in ("copies", "a retry")
        self.story.append(f"beside {self._kind}")
        is_late = self._kind == "a retry"  # which must not have seen the job in its search
        if is_late:
            self._region.scnet.submit_lag = rng.choice((75, 100))
        has_store = rng.random() < 0.5
        first = self._airflow(has_store)
        self._first = Double(first, self._region, rng, most=4 if self._kind == "copies" else 1)
        self._second = Double(self._second_of(first, has_store), self._region, rng, most=4)
        self._gap = rng.uniform(0, 30) if is_late else rng.uniform(0, 120) if self._kind == "copies" else 100

    def _airflow(self, has_store: bool) -> Airflow:
        worker, first = Worker(self._region.time), Clear(0, 1, 1)
        task = Task(-1, Store(worker, self.rng, 0) if has_store else None, first)
        dag = Dag(COMMANDS[0], retries=1, on_clear=self.rng.choice(("new", "keep")))
        return Airflow("prod", worker, dag, [task], datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=1))

    def _second_of(self, first: Airflow, has_store: bool) -> Airflow:
        second = self._airflow(has_store)
        (task,) = second.tasks
        second.dag = first.dag
        task.tries = 0 if self._kind == "copies" else 1
        if self._kind == "an edited retry" or (self._kind == "a cleared task" and self.rng.random() < 0.5):
            second.dag = replace(second.dag, command=COMMANDS[1])
        if self._kind == "a cleared task":
            second.dag = replace(second.dag, retries=self.rng.choice((0, 1)))
            task.cleared_at = EPOCH
            second.clear(task, is_in_dag=self.rng.random() < 0.8, ended_at=None)
        return second

    def live(self) -> None:
        """Let both live at the same time."""
        with self._region.plugged_in():
            self._region.time.together(partial(self._first.live, 0.0), partial(self._second.live, self._gap))
            self._region.time.sleep(200)
        self._judge()

    def _judge(self) -> None:
        jobs, check = self._rules.jobs_of(self._first.airflow), self._rules.check
        self.story.append(", ".join(f"{job.job_id} {job.name} {job.state}" for job in jobs))
        completed = [self._rules.ref_of(job) for job in jobs if job.state == "COMPLETED"]
        green = [double.green for double in (self._first, self._second) if double.green]
        check(set(green) <= set(completed), f"told {green}, while {completed} have ended well")
        check(not jobs or bool(completed), "all have ended each other's jobs")
        if green:
            check(len(completed) == 1, f"{completed} have all ended well")
            check(not [job for job in jobs if job.active], "a job goes on that nobody waits for")
        check(bool(self._second.green), "who was not lost has no job")
