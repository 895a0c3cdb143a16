"""Work that waits for a network, done beside an event loop that must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from asgiref.sync import sync_to_async

from airflow_provider_scnet.api.forks import in_child

MOST_THREADS = 16
"""Of this process. The loop's own pool is small, and shared with the look-ups of host names."""
THREADS_OF_ONE = 4
"""That one connection may keep busy: a gateway that does not answer delays nobody else."""
_SLOTS: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, asyncio.Semaphore]] = WeakKeyDictionary()
_RUNNING: set[asyncio.Task[Any]] = set()

T = TypeVar("T")


async def in_thread(connection: str, work: Callable[[], T]) -> T:
    """
    Do something in a thread. When the waiting is cancelled, the work goes on to its end, unless it is told to stop: cut
    off in the middle of a conversation with Airflow, it would leave an answer behind that nobody reads, and on Airflow
    3.0 and 3.1 the whole triggerer would end with that.

    :param connection: the Airflow connection id that it is done for.
    :param work: what to do; it may use Airflow's SDK, which ``asyncio.to_thread`` would break.
    """
    loop = asyncio.get_running_loop()
    slots = _SLOTS.setdefault(loop, WeakValueDictionary())
    slot = slots.setdefault(connection, asyncio.Semaphore(THREADS_OF_ONE))
    await slot.acquire()
    task = loop.create_task(_run(work))
    _RUNNING.add(task)

    def finish(done: asyncio.Task[T]) -> None:
        _RUNNING.discard(done)
        slot.release()
        if not done.cancelled():
            done.exception()  # which nobody may be there to hear any more

    task.add_done_callback(finish)
    return await asyncio.shield(task)


async def _run(work: Callable[[], T]) -> T:
    return await sync_to_async(work, thread_sensitive=False, executor=_pool())()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="scnet")


in_child(_pool.cache_clear)  # its threads are the parent's
