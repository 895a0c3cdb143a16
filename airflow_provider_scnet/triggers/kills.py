"""Whether a trigger was cancelled because somebody ended its task, and not because the triggerer shuts down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import TaskInstanceState
from airflow.triggers.base import BaseTrigger

from airflow_provider_scnet.jobs.threads import THREADS_OF_ONE, in_thread

LONGEST_ANSWER = 2.0
"""Seconds that Airflow has to tell; one that shuts down does not answer at all."""
QUESTIONS = 2
"""Times that it is asked: an API server may take its time over the first of a kind."""
SILENCE = 30.0
"""Seconds for which nobody asks again then."""
AIRFLOW_SAYS_SO = hasattr(BaseTrigger, "on_kill")
"""From 3.3 on Airflow calls ``on_kill`` by itself."""

log = logging.getLogger(__name__)


async def is_killed(trigger: BaseTrigger) -> bool:
    """
    Ask Airflow whether the task of a trigger that was just cancelled is no longer deferred to it. Where nobody
    answers, it is not.

    :param trigger: the trigger.
    """
    ti = trigger.task_instance
    if AIRFLOW_SAYS_SO or ti is None:  # `dag.test()` tells no trigger whose it is, and cancels it after its event
        return False
    inquiries = _INQUIRIES.setdefault(asyncio.get_running_loop(), _Inquiries())
    return await inquiries.ask(partial(_has_left, ti, trigger.trigger_id))


class _Inquiries:
    """What the triggers of one loop ask Airflow: some at a time, and nothing more once it does not answer."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(THREADS_OF_ONE)
        self._silent_until = 0.0

    async def ask(self, question: Callable[[], bool]) -> bool:
        now = asyncio.get_running_loop().time
        async with self._slots:
            for _ in range(QUESTIONS):
                if now() < self._silent_until:
                    return False
                try:
                    async with asyncio.timeout(LONGEST_ANSWER):
                        return await in_thread("airflow", question)
                except Exception as error:
                    log.warning("Airflow does not say whether a task was ended (%s).", type(error).__name__)
            self._silent_until = now() + SILENCE
            return False


_INQUIRIES: WeakKeyDictionary[asyncio.AbstractEventLoop, _Inquiries] = WeakKeyDictionary()


def _has_left(ti: Any, trigger_id: int | None) -> bool:
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        return _has_left_in_database(ti, trigger_id)
    map_index = -1 if ti.map_index is None else ti.map_index
    told = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=map_index
    )
    states = told.get(ti.run_id, {})
    state = states.get(f"{ti.task_id}_{map_index}", states.get(ti.task_id) if map_index < 0 else None)
    return state is not None and str(state) != TaskInstanceState.DEFERRED.value


def _has_left_in_database(ti: Any, trigger_id: int | None) -> bool:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    key = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    with create_session() as session:
        row = session.query(TaskInstance.state, TaskInstance.trigger_id).filter_by(**key).one_or_none()
    return row is not None and (row.state != TaskInstanceState.DEFERRED or row.trigger_id != trigger_id)
