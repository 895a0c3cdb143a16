"""Task instances as Airflow runs them, in virtual time: tries, deferrals, kills, and workers that die."""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import requests

from airflow_provider_scnet.jobs import poller
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.triggers import scnet as triggers
from tests.simulation.wire import Endless, VirtualTime, Wire
from tests.tags import tag_of

RUN = {"dag_id": "d", "run_id": "r"}
TASK_ID = "t"
TO_DIE = 5.0
"""Seconds that Airflow leaves a process which it kills."""


class DiedError(BaseException):
    """The worker's process is no more; nothing that comes after runs."""


class TimedOutError(BaseException):
    """As Airflow's ``execution_timeout`` strikes."""


class AirflowIsAwayError(Exception):
    """Airflow's state store cannot be written."""


class Worker:
    """
    The process of a try, which may be struck before or after any of its requests and writes.

    :param virtual: the time it lives in.
    """

    def __init__(self, virtual: VirtualTime) -> None:
        self._virtual = virtual
        self._steps = 0
        self._strike: Callable[[], None] | None = None
        self._dies_at = float("inf")

    def begin(self, strike: Callable[[], None] | None = None, after: int = 0) -> None:
        """
        Begin a new process.

        :param strike: what strikes it.
        :param after: how many steps.
        """
        self._strike, self._steps, self._dies_at = strike, after, float("inf")

    def die(self, within: float = 0.0) -> None:
        """End the process, at once or a little later."""
        self._dies_at = min(self._dies_at, self._virtual.elapsed() + within)
        self._live()

    def step(self) -> None:
        """Go on, unless something strikes."""
        self._live()
        self._steps -= 1
        if self._steps == 0 and self._strike:
            self._strike()
            self._live()

    def _live(self) -> None:
        if self._virtual.elapsed() >= self._dies_at:
            raise DiedError


class WireOfWorker(Wire):
    """The wire of a process that may be struck; a submission may have its effect after the connection broke."""

    def __init__(self, scnet: ScnetEmulator, virtual: VirtualTime, door: str, worker: Worker) -> None:
        super().__init__(scnet, virtual, door)
        self._worker = worker
        self.submission_lasts: float | None = None
        """Seconds from the loss of the next submission's answer to its effect."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """As the wire does, in steps."""
        self._worker.step()
        lasts = self.submission_lasts
        if lasts is not None and request.method == "POST" and (request.path_url or "").endswith("/job"):
            self.submission_lasts = None
            again = lambda: super(WireOfWorker, self).send(request, timeout=None)  # noqa: E731
            self._virtual.plan(self._virtual.elapsed() + lasts, again)
            raise requests.ConnectionError("broken", request=request)
        answer = super().send(request, *args, **kwargs)
        self._worker.step()
        return answer


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


@dataclass
class Task:
    """
    One instance of a task, as the database has it.

    :param generation: ``max_tries``.
    :param store: ``None`` on Airflow before 3.3.
    :param reschedules: of this try.
    :param loop: the pass of a loop, and what it is of; ``None`` outside of loops.
    """

    map_index: int
    worker: Worker
    store: Store | None
    retries: int = 3
    tries: int = 0
    generation: int = 3
    reschedules: int = 0
    clears: int = 0
    state: str = "none"
    loop: tuple[str, int] | None = None
    xcom: dict[str, Any] = field(default_factory=dict)
    operator: Any = None
    trigger: Any = None

    @property
    def tag(self) -> JobTag:
        """What the names of its jobs carry."""
        iteration = f"{self.loop[0]} {self.loop[1]}" if self.loop else None
        key = {**RUN, "task_id": TASK_ID, "map_index": self.map_index, "generation": self.generation}
        return tag_of(**key, iteration=iteration)

    def context(self, tasks: list[Task], began: datetime) -> dict[str, Any]:
        """Return what the operator is told."""
        run = SimpleNamespace(start_date=began, clear_number=sum(task.clears for task in tasks))
        context: dict[str, Any] = {"ti": TaskInstance(self, tasks), "dag_run": run}
        if self.store:
            context |= {"task_state_store": self.store, "task_reschedule_count": self.reschedules}
        return context | ({"loop": SimpleNamespace(index=self.loop[1])} if self.loop else {})

    def clear(self, *, keeps_store: bool) -> None:
        """Let it run anew; what it has told stays until it does."""
        self.generation, self.state = self.tries + self.retries, "none"
        self.clears += 1
        if self.loop:  # its passes begin anew
            self.loop = (f"{self.loop[0]}'", 0)
        if self.store and not keeps_store:
            self.store.noted.clear()

    def begin_pass(self) -> None:
        """Go on with the next pass of the loop."""
        region, number = self.loop or ("", 0)
        self.loop = (region, number + 1)
        self.tries, self.generation, self.state = 0, self.retries, "none"

    def begin_try(self) -> None:
        """Count a try, unless it is a reschedule; what the last one has told is forgotten."""
        self.tries += self.state != "up_for_reschedule"
        self.reschedules = self.reschedules + 1 if self.state == "up_for_reschedule" else 0
        self.xcom.clear()
        self.state = "running"


class TaskInstance(SimpleNamespace):
    """What operators ask of Airflow's task instance."""

    def __init__(self, task: Task, tasks: list[Task]) -> None:
        loop = task.loop or ("", 0)
        super().__init__(**RUN, task_id=TASK_ID, map_index=task.map_index, start_date=None, region_id=loop[0])
        self.try_number, self.max_tries = task.tries, task.generation
        self._task, self._tasks = task, tasks
        self.items = len(tasks)  # of the task group that they are in, if they are

    def xcom_push(self, key: str, value: Any) -> None:
        self._task.worker.step()
        self._task.xcom[key] = value
        self._task.worker.step()

    def xcom_pull(self, task_ids: Any, key: str, map_indexes: Any = None) -> Any:
        wanted = [map_indexes] if isinstance(map_indexes, int) else map_indexes
        told = [task.xcom[key] for task in self._select(wanted) if key in task.xcom]
        return told if isinstance(task_ids, list) else next(iter(told), None)

    def get_ti_count(self, task_ids: Any, map_index: int | None = None, states: Any = None, **where: Any) -> int:
        if TASK_ID not in task_ids:  # of the task that deletes, which has no other instances
            return 0 if states else self.items
        tasks = self._select(None if map_index is None else [map_index])
        return sum(states is None or task.state in states for task in tasks)

    def _select(self, map_indexes: list[int] | None) -> list[Task]:
        return [task for task in self._tasks if map_indexes is None or task.map_index in map_indexes]


class _Selector(selectors.SelectSelector):
    """Nothing comes from outside, so that whoever waits lets time pass."""

    def __init__(self, virtual: VirtualTime) -> None:
        super().__init__()
        self._virtual = virtual

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is None:
            raise Endless("an event loop in which nothing will happen any more")
        if not events and timeout:
            self._virtual.sleep(timeout)
        return events


def fire(virtual: VirtualTime, *triggers: tuple[Any, float | None, bool]) -> list[dict[str, Any] | None]:
    """
    Run triggers in one triggerer, as they come out of the database, and return the event of each.

    :param triggers: each with the seconds after which it is cancelled, if at all: to begin anew elsewhere, or because
        its task is ended; whether it is that. Then there is no event.
    """

    async def main() -> list[dict[str, Any] | None]:
        return await asyncio.gather(*(_fire(*one) for one in triggers))

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Selector(virtual))) as runner:
        return runner.run(main())


async def _fire(trigger: Any, struck_after: float | None, is_kill: bool) -> dict[str, Any] | None:
    trigger = _stored(trigger)
    running = asyncio.ensure_future(_event_of(trigger))
    done, _ = await asyncio.wait([running], timeout=struck_after)
    if done:
        return await running
    running.cancel()
    await asyncio.wait([running])
    if not is_kill:
        return await _event_of(_stored(trigger))
    await trigger.on_kill()
    return None


async def _event_of(trigger: Any) -> Any:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))


def _stored(trigger: Any) -> Any:
    arguments = json.loads(json.dumps(trigger.serialize()[1]))
    return type(trigger)(**arguments)


@contextmanager
def no_threads() -> Iterator[None]:
    """Let triggers do at once what they do in threads."""

    async def at_once(connection: str, work: Callable[[], Any]) -> Any:
        return work()

    with ExitStack() as stack:
        for module in (triggers, poller):
            stack.enter_context(patch.object(module, "in_thread", at_once))
        yield
