"""
Lives of a task and its mapped siblings, drawn from a seed: tries, waits, kills, workers that die, retries and clears on
a service that lags, loses answers and fails, until a teardown ends what is left. Run by
``python -m tests.simulation.lives FIRST COUNT``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from airflow.providers.common.compat.sdk import TaskDeferred

import tests.conftest  # noqa: F401 - first of all: it gives the process a throw-away Airflow
from airflow_provider_scnet.exceptions import ScnetPermanentError, ScnetQueueFullError
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.operators import submitters
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing.arrays import array_of
from airflow_provider_scnet.testing.job import Job
from tests.simulation.region import SCHEDULER, SHOWN_WITHIN, MoodyRegion
from tests.simulation.tasks import TASK_ID, TO_DIE, DiedError, Store, Task, TimedOutError, fire
from tests.simulation.world import EPOCH
from tests.tags import tag_of

ENDS = ("COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT", "CANCELLED")
STRIKES = ("nothing", "nothing", "dies", "is killed", "times out")
BEGAN = datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=1)


class Life:
    """
    One life.

    :param seed: which all follows from.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.story: list[str] = []
        self.violations: list[str] = []
        self._region = MoodyRegion(self.rng, self.story)
        self.scnet, self._time, self._worker = self._region.scnet, self._region.time, self._region.worker
        self._others = [self.scnet.add_job(name=self._others_name()) for _ in range(self.rng.randint(0, 4))]
        self._twins: list[Job] = []
        self._array_size = self.rng.choice((None, None, None, 3))
        self._keeps_store = self.rng.random() < 0.5
        self._tasks = self._draw_tasks()
        self._items = len(self._tasks)  # of the task group that they may be in

    def _draw_tasks(self) -> list[Task]:
        """One task, perhaps a pass of a loop, or mapped siblings."""
        indexes = self.rng.choice(((-1,), (-1,), (0, 1), (0, 1, 2)))
        failing, has_store = self.rng.choice((0, 0, 0.1)), self.rng.random() < 0.5
        loop = ("a", 0) if indexes == (-1,) and self.rng.random() < 0.2 else None
        stores = [Store(self._worker, self.rng, failing) if has_store else None for _ in indexes]
        return [Task(index, self._worker, store, loop=loop) for index, store in zip(indexes, stores, strict=True)]

    def _others_name(self) -> str:
        tag = tag_of(dag_id="d", run_id="another", task_id=TASK_ID, map_index=0, generation=3)
        return self.rng.choice(("demo", tag.name("flow")))

    def live(self) -> None:
        """Submit, again and again, then tear down."""
        with self._region.plugged_in():
            for _ in range(self.rng.randint(1, 5) + len(self._tasks) - 1):
                are_together = self.rng.random() < 0.3
                self._try(*(self._tasks if are_together else [self.rng.choice(self._tasks)]))
                self._let_time_pass()
            self._tear_down()

    # --- a try -------------------------------------------------------------------------------------------------------

    def _try(self, *tasks: Task) -> None:
        """Several begin one after the other; all that defer wait at the same time."""
        before = self._deletes()
        for task in tasks:
            if task.state in ("success", "failed") or (task.tries and self.rng.random() < 0.15):
                self._begin_anew(task)
            task.begin_try()
            self._go_on(task, partial(self._begin, task, waits=len(tasks) > 1 or self.rng.random() < 0.6))
        self._time.plan(self._time.elapsed() + self.rng.choice((0, 30, 100, 300)), partial(self._meddle, tasks[0]))
        while deferred := [task for task in tasks if task.state == "deferred"]:
            for task, event in zip(deferred, self._fire(deferred), strict=True):
                self._go_on(task, partial(self._resume, task, event))
        for task in tasks:
            self._judge(task)
        ours = [job for task in tasks for job in self._jobs(task)]
        touched = [job.ref for job in self.scnet.jobs if job not in ours and job.deletes > before.get(job.ref, 0)]
        self._assert(not touched, f"a try deleted {touched}, which are somebody else's")

    def _begin_anew(self, task: Task) -> None:
        """By a clear, or as the next pass of a loop."""
        if task.loop and task.state == "success" and self.rng.random() < 0.5:
            task.begin_pass()
            return
        task.clear(keeps_store=self._keeps_store)
        self.story.append(f"cleared {task.map_index}")

    def _go_on(self, task: Task, work: Callable[[], str | None]) -> None:
        """A step of a try, up to its end or until it defers."""
        try:
            ref = work()
            task.state, said = ("success", f"green, {ref}") if ref else ("failed", "marked")
            if ref:
                self._judge_green(task, ref)
        except TaskDeferred as deferred:
            task.state, said, task.trigger = "deferred", "deferred", deferred.trigger
        except DiedError:
            task.state, said = "up_for_retry", "died"
        except TimedOutError:
            task.operator.on_kill()
            task.state, said = "up_for_retry", "timed out"
        except Exception as error:
            task.state, said = self._state_after(error, task), f"{type(error).__name__} {str(error)[:120]}"
        self._worker.begin()
        self._region.heal()
        self.story.append(f"{self._time.elapsed():.0f} s: try {task.tries} of {task.tag.name('')}: {said}")

    def _state_after(self, error: Exception, task: Task) -> str:
        if isinstance(error, ScnetPermanentError) or task.tries > task.generation:
            return "failed"
        is_rescheduled = isinstance(error, ScnetQueueFullError) and task.store and self.rng.random() < 0.5
        return "up_for_reschedule" if is_rescheduled else "up_for_retry"

    def _begin(self, task: Task, *, waits: bool) -> str:
        task.operator = operator = self._operator(waits=waits)
        self.story.append(f"{self._region.fall_ill()}, {self._plan_strike(operator)}, waits: {waits}")
        context: Any = task.context(self._tasks, BEGAN)
        return operator.execute(context)

    def _operator(self, *, waits: bool) -> ScnetSubmitJobOperator:
        return ScnetSubmitJobOperator(
            task_id=TASK_ID,
            command=f"sleep {self.rng.choice((40, 300, 3000))}",
            job_queue="debug",
            work_dir="/public/home/me",
            walltime="10:00:00",
            scheduler_id=SCHEDULER,
            array_size=self._array_size,
            wait=waits,
            deferrable=self.rng.random() < 0.5,
            poll_interval=self.rng.choice((10, 30)),
            timeout=self.rng.choice((100, 1000, 5000)),
            log_lines=0,
        )

    def _fire(self, tasks: list[Task]) -> list[Any]:
        """Each trigger may begin anew elsewhere, or be ended with its task: then it has no event."""
        strikes = [(self.rng.choice((None, None, 0, 20, 100, 400)), self.rng.random() < 0.5) for _ in tasks]
        self.story.append(f"triggers {strikes}")
        triggers = [(task.trigger, *strike) for task, strike in zip(tasks, strikes, strict=True)]
        return fire(self._time, *triggers)

    def _resume(self, task: Task, event: Any) -> str | None:
        if event is None:
            return None
        fate = self.rng.random()
        task.operator = self._operator(waits=True)
        if fate < 0.15:  # the worker that was to go on is lost, and Airflow 3.0 hands the event to the next try
            task.state = "up_for_retry"
            task.begin_try()
        context: Any = task.context(self._tasks, BEGAN)
        if fate > 0.9:
            task.operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        return task.operator.execute_complete(context, event)

    def _plan_strike(self, operator: ScnetSubmitJobOperator) -> str:
        strike, after = self.rng.choice(STRIKES), self.rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 40, 80))

        def kill() -> None:
            operator.on_kill()
            self._worker.die(TO_DIE)

        def time_out() -> None:
            raise TimedOutError

        strikes = {"dies": self._worker.die, "is killed": kill, "times out": time_out}
        self._worker.begin(strikes.get(strike), after)
        return f"{strike} after {after} steps"

    def _meddle(self, task: Task) -> None:
        """The job may end badly meanwhile, be preempted and go on, or have a twin that is listed while it runs."""
        if not (jobs := [job for job in self._jobs(task) if job.active]):
            return
        job = jobs[-1]
        if self.rng.random() < 0.3:
            job.become(self.rng.choice(ENDS))
        elif task.state in ("running", "deferred") and self.rng.random() < 0.3 and not self._array_size:
            job.ends_at = self.scnet.clock.now() + 200
            self._twins.append(self.scnet.add_job(name=job.name))
            self.story.append(f"twin of {job.ref}")

    def _let_time_pass(self) -> None:
        active = [job for task in self._tasks for job in self._jobs(task) if job.active]
        if active and self.rng.random() < 0.25:
            active[0].become(self.rng.choice(ENDS))
        elif active and self.rng.random() < 0.1:
            active[0].become("COMPLETING")
            active[0].ends_at = self.scnet.clock.now() + 30
        self._time.sleep(self.rng.choice((0, 3, 20, 60, 300, 1200)))

    # --- what must be true -------------------------------------------------------------------------------------------

    def _judge_green(self, task: Task, ref: str) -> None:
        jobs = self._jobs(task)
        active = {_ref_of(job) for job in jobs if job.active}
        states = {job.state for job in jobs if _ref_of(job) == ref}
        self._assert(bool(states), f"a green try told {ref}, which is somebody else's")
        if task.operator.wait:
            self._assert(not active, f"a green wait left {active}")
            # Without a history, a retry cannot know of members that have left the live list.
            is_told = self.scnet.has_history or not self._array_size or task.tries == 1
            self._assert(states == {"COMPLETED"} or not is_told, f"a green wait for {ref}, which is {states}")
        else:
            self._assert(active - set(map(_ref_of, self._twins)) <= {ref}, f"a try that told {ref} left {active}")

    def _judge(self, task: Task) -> None:
        jobs = [job for job in self._jobs(task) if job not in self._twins]
        self.story.append("  " + ", ".join(f"{job.job_id} g{_tag(job).generation} {job.state}" for job in jobs))
        active = {_ref_of(job) for job in jobs if job.active}
        self._assert(len(active) <= 1, f"a try left {active}")
        for job in [job for job in jobs if _tag(job) == task.tag] if self._region.tells_ends else ():
            is_killed = bool(job.deletes) or (task.store is not None and job.ref in str(task.store.noted))
            is_good = job.state == "COMPLETED" and not is_killed and not self._array_size
            ended_at = job.ended_at or 0.0
            again = [one.ref for one in jobs if _tag(one) == _tag(job) and one.submitted_at > ended_at + 60]
            self._assert(not (is_good and again), f"{again} submitted although {job.ref} had ended well")

    def _tear_down(self) -> None:
        for task in self._tasks:
            if task.tries and self.rng.random() < 0.15:  # cleared, it has not run again, and what it told is left
                task.clear(keeps_store=self._keeps_store)
            if task.state == "none":
                task.state = self.rng.choice(("upstream_failed", "removed"))
        index = self.rng.choice((None, None, self._tasks[0].map_index)) if len(self._tasks) > 1 else None
        if index is not None and self.rng.random() < 0.5:  # the list of items is shorter after a clear
            self._tasks[-1].state, self._items = "removed", self._items - 1
        tags = self._tasks[0].tag.task if index is None and self.rng.random() < 0.3 else ""
        before, now = self._deletes(), self.scnet.clock.now()
        # Nobody promises to find these.
        unlisted = [job for job in self._twins if job.submitted_at > now - SHOWN_WITHIN]
        self.story.append(self._region.fall_ill())
        try:
            with patch.object(submitters, "shared_map_index", lambda *_: index):
                said = str(self._delete(tags))
            for later in (0, 120):
                self._time.sleep(later)
                active = [job.ref for job in self._all_of(index) if job.active and job not in unlisted]
                self._assert(not active, f"a green teardown left {active}, {later} s later")
            self._assert(bool(self._all_of(index)) or not tags, "a tag that no job has had was green")
        except Exception as error:
            said = f"{type(error).__name__} {error}"
        told = [f"{task.map_index} {task.state} {task.xcom.get('job')}" for task in self._tasks]
        self.story.append(f"teardown of {index}, tags {tags!r}, told {told}: {said}")
        ours = self._all_of(index)
        touched = [job.ref for job in self.scnet.jobs if job not in ours and job.deletes > before.get(job.ref, 0)]
        self._assert(not touched, f"deleted {touched}, which are somebody else's")

    def _delete(self, tags: str) -> Any:
        """The worker may die; then another one begins anew."""
        waits = self.rng.random() < 0.5
        submitted_by = None if tags else TASK_ID
        operator = ScnetDeleteJobsOperator(
            task_id="delete", job_tags=tags, submitted_by=submitted_by, deferrable=not waits
        )
        context: Any = self._tasks[0].context(self._tasks, BEGAN)
        context["ti"].items = self._items
        self._worker.begin(self._worker.die if self.rng.random() < 0.3 else None, self.rng.randint(1, 40))
        try:
            return operator.execute(context)
        except DiedError:
            self._worker.begin()
            self.story.append("the worker of the teardown died")
            return self._delete(tags)
        except TaskDeferred as deferred:
            self._worker.begin()
            (event,) = fire(self._time, (deferred.trigger, self.rng.choice((None, 0, 30, 100)), False))
            return operator.execute_complete(context, event)

    def _jobs(self, task: Task) -> list[Job]:
        """Those of a task instance, of whatever generation."""
        return [job for job in self._all_of(None) if _tag(job).is_of_same_instance(task.tag)]

    def _all_of(self, index: int | None) -> list[Job]:
        """
        Those of all instances of the task, or of those with a map index and of items that exist no more, of whatever
        pass of a loop.
        """
        task = self._tasks[0].tag.task
        tags = [(job, JobTag.read(job.name)) for job in self.scnet.jobs]
        ours = [(job, tag.map_index) for job, tag in tags if tag and tag.task == task]
        return [job for job, at in ours if index in (None, at) or at >= self._items]

    def _deletes(self) -> dict[str, int]:
        return {job.ref: job.deletes for job in self.scnet.jobs}

    def _assert(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)
            self.story.append(f"DEFECT {violation}")


def _tag(job: Job) -> JobTag:
    tag = JobTag.read(job.name)
    assert tag
    return tag


def _ref_of(job: Job) -> str:
    """What a task tells of it; of an array, one reference stands for all members."""
    return f"{job.scheduler_id},{job.user}:{array_of(job.job_id)}:"


def live(seed: int) -> Life:
    """Live one life to its end."""
    life = Life(seed)
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
