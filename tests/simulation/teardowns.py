"""The teardown of a run, whose worker may die."""

from __future__ import annotations

import random
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator
from tests.simulation.judging import Judge
from tests.simulation.processes import DiedError
from tests.simulation.region import MoodyRegion
from tests.simulation.rules import SHOWN_WITHIN
from tests.simulation.tasks import TASK_ID, Airflow
from tests.simulation.triggerers import fire


class Teardown:
    """
    One teardown.

    :param airflow: of the run.
    :param region: where that has submitted to.
    """

    def __init__(self, airflow: Airflow, region: MoodyRegion, judge: Judge, rng: random.Random) -> None:
        self._airflow, self._region, self._judge, self._rng = airflow, region, judge, rng
        self._rules, self._scnet, self._time = region.rules, region.scnet, region.time
        self._worker, self._tasks = airflow.worker, airflow.tasks

    def _tell(self, what: str) -> None:
        self._region.story.append(f"{self._time.elapsed():.0f} s: {self._airflow.name}: {what}")

    def run(self) -> None:
        """Tear down, by tasks or by tags, those of one item or all."""
        index = self._rng.choice((None, None, self._tasks[0].map_index)) if len(self._tasks) > 1 else None
        if index is not None and self._rng.random() < 0.5:  # the list of items is shorter after a clear
            self._tasks[-1].state, self._airflow.items = "removed", self._airflow.items - 1
        tags = self._airflow.task_tag if index is None and self._rng.random() < 0.3 else ""
        before, now = self._judge.deletes(), self._scnet.clock.now()
        # Nobody promises to find these.
        unlisted = [job for job in self._judge.twins if job.submitted_at > now - SHOWN_WITHIN]
        self._tell(self._region.fall_ill())
        self._airflow.sought, self._airflow.asked = index, None
        try:
            said = self._delete(tags)
            for later in (0, 120):
                self._time.sleep(later)
                ours = self._rules.jobs_of(self._airflow, index)
                active = [job.ref for job in ours if job.active and job not in unlisted]
                self._rules.check(not active, f"a green teardown left {active}, {later} s later")
            self._rules.check(bool(ours) or not tags, "a tag that no job has had was green")
            counted = {ref for refs in said.values() for ref in refs} - set(map(self._rules.ref_of, ours))
            self._rules.check(not counted, f"a teardown counted {counted}, which are somebody else's")
        except Exception as error:
            self._rules.check_error(error)
            said = f"{type(error).__name__} {error}"
        told = [f"{task.map_index} {task.state} {task.xcom.get('job')}" for task in self._tasks]
        self._tell(f"teardown of {index}, tags {tags!r}, told {told}: {said}")
        self._judge.judge_deletes(before, self._rules.jobs_of(self._airflow, index))

    def _delete(self, tags: str) -> Any:
        """The worker may die; then another one begins anew."""
        waits = self._rng.random() < 0.5
        submitted_by = None if tags else TASK_ID
        operator = ScnetDeleteJobsOperator(
            task_id="delete", job_tags=tags, submitted_by=submitted_by, deferrable=not waits
        )
        context: Any = self._airflow.context(self._tasks[0])
        self._worker.begin(self._worker.die if self._rng.random() < 0.3 else None, self._rng.randint(1, 40))
        try:
            return operator.execute(context)
        except DiedError:
            self._worker.begin()
            self._tell("the worker of the teardown died")
            return self._delete(tags)
        except TaskDeferred as deferred:
            self._worker.begin()
            (event,) = fire(self._time, (deferred.trigger, self._rng.choice((None, 0, 30, 100)), False))
            return operator.execute_complete(context, event)
