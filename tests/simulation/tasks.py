"""Airflows in virtual time: a DAG that is edited, and the instances of its task that are tried, retried and cleared."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from airflow_provider_scnet.operators.scnet import ScnetSubmitJobOperator
from tests.simulation.processes import COUNTS_CLEARS, IS_AIRFLOW_2, Worker
from tests.tags import tag_of

RUN = {"dag_id": "d", "run_id": "r"}
TASK_ID = "t"
NOTES = "scnet_submission"
"""Under which the state store holds what a task notes."""


class AirflowIsAwayError(Exception):
    """Airflow's state store cannot be written."""


@dataclass
class Store:
    """Airflow's state store of a task, which sometimes cannot be written, and sometimes does not say that it was."""

    worker: Worker
    rng: random.Random
    failing: float
    noted: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        self.worker.step()
        return self.noted.get(key)

    def set(self, key: str, value: Any) -> None:
        self.worker.step()
        is_failing = self.rng.random() < self.failing
        if not is_failing or self.rng.random() < 0.5:
            self.noted[key] = json.loads(json.dumps(value))
        if is_failing:
            raise AirflowIsAwayError
        self.worker.step()


@dataclass(frozen=True)
class Dag:
    """What the DAG file says of the task at present."""

    command: str
    retries: int = 3
    on_clear: str = "new"


@dataclass(frozen=True)
class Clear:
    """
    The last clear that has found the task in its DAG, or the beginning.

    :param life: that it has begun.
    :param generation: that it has made.
    """

    life: int
    retries: int
    generation: int


@dataclass(frozen=True)
class Asked:
    """
    What a try asks for, and who it is; this is how jobs are told apart, whatever their names say.

    :param instance: Airflow, map index and pass of a loop.
    :param life: number of clears before it.
    :param known_since: the try that Airflow shows to have begun this life: the one before it had succeeded; 0 if none.
    :param cleared_at: when it was cleared last, in seconds since the epoch.
    :param has_returned: a try of this life was lost after it had returned.
    """

    airflow: str
    instance: tuple[str, int, tuple[str, int] | None]
    life: int
    generation: int
    try_number: int
    clear_number: int
    cleared: Clear
    known_since: int
    cleared_at: float
    has_returned: bool
    dag: Dag

    def is_told_from(self, before: Asked) -> bool:
        """
        Tell whether it can be known that a try before was before a clear, as "Clearing" in the guide says.

        :param before: of an earlier life.
        """
        if before.generation != self.generation or before.try_number < self.known_since:
            return True
        has_clear_between = before.life < self.cleared.life and before.clear_number != self.clear_number
        return has_clear_between and self.cleared.generation == self.generation and not self._has_other_retries

    def may_seem_cleared(self, before: Asked) -> bool:
        """
        Tell whether a retry may look like a clear.

        :param before: what an earlier try of the same life has asked for.
        """
        has_returned = self.has_returned and not (COUNTS_CLEARS and before.clear_number == self.clear_number)
        return has_returned or self._has_other_retries

    @property
    def _has_other_retries(self) -> bool:
        """Whether ``retries`` are not what the generation was made of."""
        return self.cleared.retries != self.dag.retries

    @property
    def wanted(self) -> tuple[Any, ...]:
        """What a job has to be of, for a retry to go on with it."""
        return self.instance, self.life, self.dag.command


@dataclass
class Task:
    """
    One instance of a task, as the database has it.

    :param store: ``None`` on Airflow before 3.3.
    :param generation: ``max_tries``.
    :param reschedules: of this try.
    :param loop: the pass of a loop, and what it is of; ``None`` outside of loops.
    :param keys: what earlier tries have left in XCom, as the server tells a try that begins.
    :param cleared_at: when it was cleared last, in seconds since the epoch.
    :param has_returned: a try of this life was lost after it had returned.
    :param asked: what the present try asks for.
    """

    map_index: int
    store: Store | None
    cleared: Clear
    loop: tuple[str, int] | None = None
    generation: int = 0
    tries: int = 0
    life: int = 0
    reschedules: int = 0
    last_success: int = 0
    state: str = "none"
    keys: tuple[str, ...] = ()
    cleared_at: float = 0.0
    has_returned: bool = False
    xcom: dict[str, Any] = field(default_factory=dict)
    asked: Asked | None = None
    operator: Any = None
    trigger: Any = None

    def __post_init__(self) -> None:
        self.generation = self.cleared.generation

    def clear(self, *, retries: int | None, keeps_store: bool) -> None:
        """
        Let it run anew; what it has told stays until it does.

        :param retries: in the DAG; ``None`` if that is without the task at this moment.
        """
        self.life += 1
        self.state, self.has_returned = "none", False
        if retries is None:
            self.generation = max(self.generation, self.tries)
        else:
            self.generation = self.tries + retries
            self.cleared = Clear(self.life, retries, self.generation)
        if self.loop:  # its passes begin anew
            self.loop = (f"{self.loop[0]}'", 0)
        if self.store and not keeps_store:
            self.store.noted.clear()

    def begin_pass(self, retries: int) -> None:
        """Go on with the next pass of the loop."""
        region, number = self.loop or ("", 0)
        self.loop = (region, number + 1)
        self.life += 1
        self.cleared = Clear(self.life, retries, retries)
        self.tries, self.last_success, self.generation, self.state = 0, 0, retries, "none"

    def begin_try(self, *, is_resumed: bool = False) -> None:
        """
        Count a try, unless it is a reschedule; what the last one has told is forgotten.

        :param is_resumed: whether it is handed the event that the last one has waited for.
        """
        self.tries += self.state != "up_for_reschedule"
        self.reschedules = self.reschedules + 1 if self.state == "up_for_reschedule" else 0
        self.keys = () if is_resumed else tuple(self.xcom)
        if not is_resumed:
            self.xcom.clear()
        self.state = "running"

    @property
    def known_since(self) -> int:
        """See :class:`Asked`."""
        if self.tries == 1:
            return 0
        if IS_AIRFLOW_2:  # which keeps every try
            return self.last_success + 1 if self.last_success else 0
        noted = self.store.noted.get(NOTES, {}) if self.store else {}
        is_noted = f"_g{self.generation}_" in noted.get("name", "")
        return self.tries if "return_value" in self.keys else noted["since"] if is_noted else 0

    def succeed(self, ref: str, *, is_lost: bool) -> None:
        """
        End well.

        :param is_lost: whether Airflow does not come to know of it.
        """
        self.xcom["return_value"] = ref
        self.state, self.has_returned = "up_for_retry" if is_lost else "success", is_lost or self.has_returned
        self.last_success = self.last_success if is_lost else self.tries


@dataclass
class Airflow:
    """
    One Airflow, and a run of its DAG.

    :param name: of the database; a copy has the same.
    :param keeps_store: whether a clear keeps the state store.
    :param sought: map index of the task that tears down, if it is in a mapped group with those that submit.
    :param items: of that group, after the last clear.
    :param asked: what the process that runs asks for.
    """

    name: str
    worker: Worker
    dag: Dag
    tasks: list[Task]
    began: datetime
    keeps_store: bool = True
    clear_number: int = 0
    sought: int | None = None
    items: int = 0
    asked: Asked | None = None

    def __post_init__(self) -> None:
        self.items = len(self.tasks)

    @property
    def namespace(self) -> str:
        """What the Variable holds."""
        return f"namespace {self.name}"

    @property
    def task_tag(self) -> str:
        """What stands for the task in the names of its jobs."""
        return tag_of(**RUN, task_id=TASK_ID, namespace=self.namespace).task

    def context(self, task: Task) -> dict[str, Any]:
        """Return what the operator is told."""
        run = SimpleNamespace(start_date=self.began, clear_number=self.clear_number)
        context: dict[str, Any] = {"ti": TaskInstance(task, self), "dag_run": run}
        if task.store:
            context |= {"task_state_store": task.store, "task_reschedule_count": task.reschedules}
        return context | ({"loop": SimpleNamespace(index=task.loop[1])} if task.loop else {})

    def operator(self, **arguments: Any) -> ScnetSubmitJobOperator:
        """Return the task as the DAG has it now."""
        dag: Any = self.dag
        return ScnetSubmitJobOperator(
            task_id=TASK_ID,
            command=dag.command,
            retries=dag.retries,
            on_clear=dag.on_clear,
            job_queue="debug",
            work_dir="/public/home/me",
            walltime="10:00:00",
            log_lines=0,
            **arguments,
        )

    def clear(self, *tasks: Task, is_in_dag: bool, ended_at: datetime | None) -> None:
        """
        Clear tasks; none of ours is another task of the run.

        :param is_in_dag: whether the DAG is with the task at this moment.
        :param ended_at: the present if the run has ended and begins anew, ``None`` if it has not.
        """
        self.clear_number += COUNTS_CLEARS or ended_at is not None
        self.began = ended_at or self.began
        for task in tasks:
            task.clear(retries=self.dag.retries if is_in_dag else None, keeps_store=self.keeps_store)

    def ask(self, task: Task) -> None:
        """Let the process that runs be this task's, and ask for what the DAG says now."""
        self.asked = task.asked = Asked(
            airflow=self.name,
            instance=(self.name, task.map_index, task.loop),
            life=task.life,
            generation=task.generation,
            try_number=task.tries,
            clear_number=self.clear_number,
            cleared=task.cleared,
            known_since=task.known_since,
            cleared_at=task.cleared_at,
            has_returned=task.has_returned,
            dag=self.dag,
        )


class TaskInstance(SimpleNamespace):
    """What operators ask of Airflow's task instance."""

    def __init__(self, task: Task, airflow: Airflow) -> None:
        loop = task.loop or ("", 0)
        super().__init__(**RUN, task_id=TASK_ID, map_index=task.map_index, start_date=None, region_id=loop[0])
        self.try_number, self.max_tries, self.last_success = task.tries, task.generation, task.last_success
        self._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=list(task.keys))
        self._task, self._airflow = task, airflow

    def xcom_push(self, key: str, value: Any) -> None:
        self._airflow.worker.step()
        self._task.xcom[key] = value
        self._airflow.worker.step()

    def xcom_pull(self, task_ids: Any, key: str, map_indexes: Any = None) -> Any:
        wanted = [map_indexes] if isinstance(map_indexes, int) else map_indexes
        told = [task.xcom[key] for task in self._select(wanted) if key in task.xcom]
        return told if isinstance(task_ids, list) else next(iter(told), None)

    def get_ti_count(self, task_ids: Any, map_index: int | None = None, states: Any = None, **where: Any) -> int:
        if TASK_ID not in task_ids:  # of the task that deletes, which has no other instances
            return 0 if states else self._airflow.items
        tasks = self._select(None if map_index is None else [map_index])
        return sum(states is None or task.state in states for task in tasks)

    def _select(self, map_indexes: list[int] | None) -> list[Task]:
        return [task for task in self._airflow.tasks if map_indexes is None or task.map_index in map_indexes]
