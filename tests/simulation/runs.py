"""One run of a DAG: tries of a task and its mapped siblings, retries, edits and clears, until a teardown ends it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_scnet.exceptions import ScnetPermanentError, ScnetQueueFullError, ScnetWaitTimeoutError
from airflow_provider_scnet.operators.scnet import ScnetSubmitJobOperator
from airflow_provider_scnet.testing.job import Job
from tests.simulation.judging import Judge
from tests.simulation.processes import DiedError, TimedOutError, Worker, live_in
from tests.simulation.region import SCHEDULER, MoodyRegion
from tests.simulation.tasks import Airflow, Clear, Dag, Store, Task
from tests.simulation.teardowns import Teardown
from tests.simulation.triggerers import fire
from tests.simulation.world import EPOCH

ENDS = ("COMPLETED", "FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT", "CANCELLED")
STRIKES = ("nothing", "nothing", "dies", "dies", "is killed", "times out")
COMMANDS = ("sleep 40", "sleep 400", "sleep 3000")
RETRIES = (0, 1, 2, 3, 3, 3, 5)
ENDED = ("success", "failed")


class Run:
    """
    One run in one Airflow.

    :param name: of the Airflow.
    :param region: where it submits to.
    :param indexes: map indexes of the task.
    :param array_size: of each job.
    :param most: of its tries, but for those of mapped siblings.
    """

    def __init__(
        self,
        name: str,
        region: MoodyRegion,
        rng: random.Random,
        *,
        indexes: Sequence[int],
        array_size: int | None,
        most: int,
    ) -> None:
        self.rng = rng
        self._most = most
        self._region, self._rules, self._story = region, region.rules, region.story
        self.scnet, self._time = region.scnet, region.time
        self._array_size = array_size
        self._worker = Worker(region.time)
        dag = Dag(rng.choice(COMMANDS), rng.choice(RETRIES), rng.choice(("new", "new", "keep")))
        self.airflow = Airflow(
            name,
            self._worker,
            dag,
            self._draw_tasks(indexes, dag),
            began=datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=1),
            keeps_store=rng.random() < 0.5,
        )
        self._judge = Judge(region, self.airflow, has_arrays=array_size is not None)

    def _draw_tasks(self, indexes: Sequence[int], dag: Dag) -> list[Task]:
        """One task, perhaps a pass of a loop, or mapped siblings."""
        failing, has_store = self.rng.choice((0, 0, 0.1)), self.rng.random() < 0.5
        loop = ("a", 0) if len(indexes) == 1 and self.rng.random() < 0.2 else None
        stores = [Store(self._worker, self.rng, failing) if has_store else None for _ in indexes]
        first = Clear(0, dag.retries, dag.retries)
        return [Task(index, store, first, loop) for index, store in zip(indexes, stores, strict=True)]

    @property
    def _tasks(self) -> list[Task]:
        return self.airflow.tasks

    def live(self) -> None:
        """Submit, again and again, then tear down."""
        live_in(self.airflow)
        lost: list[Task] = []
        for _ in range(self.rng.randint(1, self._most) + len(self._tasks) - 1):
            are_together = self.rng.random() < 0.3
            tasks = lost or (self._tasks if are_together else [self.rng.choice(self._tasks)])
            self._try(*tasks)
            lost = [task for task in tasks if task.state == "up_for_retry" and self.rng.random() < 0.5]
            if lost:  # while they wait for their retry, others are cleared
                self._clear()
                continue
            self._let_time_pass()
            self._edit()
        for task in self._tasks:
            if task.tries and self.rng.random() < 0.15:  # cleared, it has not run again, and what it told is left
                self._clear(task)
            if task.state == "none":
                task.state = self.rng.choice(("upstream_failed", "removed"))
        Teardown(self.airflow, self._region, self._judge, self.rng).run()

    def _tell(self, what: str) -> None:
        self._story.append(f"{self._time.elapsed():.0f} s: {self.airflow.name}: {what}")

    # --- between tries -----------------------------------------------------------------------------------------------

    def _edit(self) -> None:
        """Somebody edits the DAG, or clears another task of the run."""
        before = self.airflow.dag
        for change in ({"command": COMMANDS}, {"retries": RETRIES}, {"on_clear": ("new", "keep")}):
            if self.rng.random() < 0.15:
                self.airflow.dag = replace(self.airflow.dag, **{k: self.rng.choice(v) for k, v in change.items()})
        if self.airflow.dag != before:
            self._tell(f"{self.airflow.dag}")
        if self.rng.random() < 0.2:
            self._clear()

    def _begin_anew(self, task: Task) -> None:
        """By a clear, or as the next pass of a loop."""
        if task.loop and task.state == "success" and self.rng.random() < 0.5:
            task.begin_pass(self.airflow.dag.retries)
            return
        self._clear(task)

    def _clear(self, *tasks: Task) -> None:
        has_ended = all(task.state in ENDED for task in self._tasks) and self.rng.random() < 0.5
        ended_at = datetime.fromtimestamp(self.scnet.clock.now(), UTC) if has_ended else None
        for task in tasks:
            left = task.generation - task.tries
            if left >= 0 and self.rng.random() < 0.3:  # an edit after which the clear makes the generation that was
                self.airflow.dag = replace(self.airflow.dag, retries=left)
            task.cleared_at = self.scnet.clock.now()
        self.airflow.clear(*tasks, is_in_dag=self.rng.random() < 0.8, ended_at=ended_at)
        indexes = [f"{task.map_index} (max_tries {task.generation})" for task in tasks]
        self._tell(f"cleared {', '.join(indexes) or 'another task'}, clear_number {self.airflow.clear_number}")

    def _let_time_pass(self) -> None:
        active = [job for job in self._rules.jobs_of(self.airflow) if job.active]
        if self._lose_member(active):
            pass
        elif active and self.rng.random() < 0.25:
            self._rules.spoil(active[0])
            if self.rng.random() < 0.7:
                active[0].become(self.rng.choice(ENDS))
            else:
                active[0].become("COMPLETING")
                active[0].ends_at = self.scnet.clock.now() + 30
        self._time.sleep(self.rng.choice((0, 3, 20, 60, 300, 1200)))

    # --- a try -------------------------------------------------------------------------------------------------------

    def _try(self, *tasks: Task) -> None:
        """Several begin one after the other; all that defer wait at the same time."""
        before = self._judge.deletes()
        for task in tasks:
            if task.state in ENDED or (task.tries and self.rng.random() < 0.15):
                self._begin_anew(task)
            task.begin_try()
            self._go_on(task, partial(self._begin, task, waits=len(tasks) > 1 or self.rng.random() < 0.6))
        self._time.plan(self._time.elapsed() + self.rng.choice((0, 30, 100, 300)), partial(self._meddle, tasks[0]))
        while deferred := [task for task in tasks if task.state == "deferred"]:
            for task, event in zip(deferred, self._fire(deferred), strict=True):
                self._go_on(task, partial(self._resume, task, event))
        for task in tasks:
            self._judge.judge(task)
        self._judge.judge_deletes(before, [job for task in tasks for job in self._rules.jobs_like(task, self.airflow)])

    def _go_on(self, task: Task, work: Callable[[], str | None]) -> None:
        """A step of a try, up to its end or until it defers."""
        try:
            ref = work()
            said = f"green, {ref}" if ref else "marked"
            if ref:
                task.succeed(ref, is_lost=task.tries <= task.generation and self.rng.random() < 0.1)
                self._judge.judge_green(task, ref)
            else:
                task.state = "failed"
        except TaskDeferred as deferred:
            task.state, said, task.trigger = "deferred", "deferred", deferred.trigger
        except DiedError:
            task.state, said = "up_for_retry", "died"
        except TimedOutError:
            task.operator.on_kill()
            task.state, said = "up_for_retry", "timed out"
        except Exception as error:
            self._rules.check_error(error)
            task.state, said = self._state_after(error, task), f"{type(error).__name__} {str(error)[:120]}"
        if "job" in task.xcom:
            self._rules.check_chosen(self.airflow, task, task.xcom["job"])
        self._worker.begin()
        self._region.heal()
        self._tell(f"{task.map_index} {task.loop or ''} try {task.tries} of {task.generation}: {said}")

    def _state_after(self, error: Exception, task: Task) -> str:
        if isinstance(error, ScnetWaitTimeoutError):
            self._judge.judge_given_up(task)
        if isinstance(error, ScnetPermanentError) or task.tries > task.generation:
            return "failed"
        is_rescheduled = isinstance(error, ScnetQueueFullError) and task.store and self.rng.random() < 0.5
        return "up_for_reschedule" if is_rescheduled else "up_for_retry"

    def _begin(self, task: Task, *, waits: bool) -> str:
        task.operator = operator = self._operator(waits=waits)
        strike, after = self.rng.choice(STRIKES), self.rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 40, 80))
        fate = self._worker.plan_strike(strike, after, operator.on_kill)
        self._tell(f"{self._region.fall_ill()}, {fate}, waits: {waits}")
        self.airflow.ask(task)
        context: Any = self.airflow.context(task)
        lost = self._rules.lost_arrays(task, self.airflow)
        try:
            return operator.execute(context)
        finally:
            ref = task.xcom.get("job")
            self._rules.check(ref not in lost, f"goes on with {ref}, of which members were cancelled before this try")

    def _operator(self, *, waits: bool) -> ScnetSubmitJobOperator:
        return self.airflow.operator(
            scheduler_id=SCHEDULER,
            array_size=self._array_size,
            wait=waits,
            deferrable=self.rng.random() < 0.5,
            poll_interval=self.rng.choice((10, 30)),
            timeout=self.rng.choice((100, 1000, 5000)),
        )

    def _fire(self, tasks: list[Task]) -> list[Any]:
        """Each trigger may begin anew elsewhere, or be ended with its task: then it has no event."""
        strikes = [(self.rng.choice((None, None, 0, 20, 100, 400)), self.rng.random() < 0.5) for _ in tasks]
        self._tell(f"triggers {strikes}")
        triggers = [(task.trigger, *strike) for task, strike in zip(tasks, strikes, strict=True)]
        return fire(self._time, *triggers)

    def _resume(self, task: Task, event: Any) -> str | None:
        if event is None:
            return None
        fate = self.rng.random()
        task.operator = self._operator(waits=True)
        task.keys = ()  # what has deferred keeps what it has told
        if fate < 0.15:  # the worker that was to go on is lost, and Airflow 3.0 hands the event to the next try
            task.state = "up_for_retry"
            task.begin_try(is_resumed=True)
            self.airflow.ask(task)
        self.airflow.asked = task.asked
        context: Any = self.airflow.context(task)
        if fate > 0.9:
            task.operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        return task.operator.execute_complete(context, event)

    def _is_watched(self, task: Task) -> bool:
        """Of several that wait, one may have given up already, and looks once more only when the others have ended."""
        others = [one for one in self._tasks if one is not task and one.state == "deferred"]
        return task.state in ("running", "deferred") and not others

    def _lose_member(self, jobs: list[Job]) -> bool:
        """One that waits may be cancelled, which leaves no record."""
        waiting = [job for job in jobs if job.state == "PENDING"]
        if not self._array_size or not waiting or self.rng.random() < 0.3:
            return False
        job = self.rng.choice(waiting)
        self._rules.spoil(job)
        job.become("VANISHED")
        self._tell(f"{job.ref} is cancelled while it waits")
        return True

    def _meddle(self, task: Task) -> None:
        """
        The job may end badly meanwhile, be preempted and go on, or have a twin that is listed while it runs, unless the
        task goes on only when others do.
        """
        if not (jobs := [job for job in self._rules.jobs_like(task, self.airflow) if job.active]):
            return
        job = jobs[-1]
        if self._lose_member(jobs):
            return
        if self.rng.random() < 0.3:
            self._rules.spoil(job)
            job.become(self.rng.choice(ENDS))
        elif self._is_watched(task) and self.rng.random() < 0.3 and not self._array_size:
            job.ends_at = self.scnet.clock.now() + 200
            self._judge.twins.append(twin := self.scnet.add_job(name=job.name))
            self._rules.note_twin(twin, job)
            self._tell(f"twin of {job.ref}")
