from __future__ import annotations

import asyncio
import threading
import time

import pytest

from airflow_provider_scnet.jobs.threads import MOST_THREADS, THREADS_OF_ONE, in_thread


def test_work_is_done_beside_the_loop() -> None:
    assert asyncio.run(in_thread("c", threading.current_thread)).name.startswith("scnet")


def test_one_connection_keeps_few_threads_busy() -> None:
    busy: list[int] = []
    running = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running
        with lock:
            running += 1
            busy.append(running)
        time.sleep(0.02)
        with lock:
            running -= 1

    async def main(connections: int) -> int:
        busy.clear()
        await asyncio.gather(*(in_thread(f"c{n % connections}", work) for n in range(60)))
        return max(busy)

    assert asyncio.run(main(1)) == THREADS_OF_ONE
    assert THREADS_OF_ONE < asyncio.run(main(10)) <= MOST_THREADS


def test_connection_that_hangs_delays_no_other() -> None:
    async def main() -> None:
        release = threading.Event()
        hanging = [asyncio.ensure_future(in_thread("broken", release.wait)) for _ in range(10)]
        await asyncio.sleep(0.05)
        await in_thread("good", lambda: None)
        assert not any(one.done() for one in hanging)
        release.set()
        await asyncio.gather(*hanging)

    asyncio.run(main())


def test_work_goes_on_although_nobody_waits_and_keeps_its_place() -> None:
    """Cut off in the middle of a conversation with Airflow, it would confuse whoever speaks next."""
    ended: list[str] = []

    def work() -> None:
        time.sleep(0.2)
        ended.append(threading.current_thread().name)

    async def main() -> None:
        waiting = [asyncio.ensure_future(in_thread("c", work)) for _ in range(THREADS_OF_ONE)]
        await asyncio.sleep(0.05)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await in_thread("c", lambda: None)
        assert ended

    asyncio.run(main())
    deadline = time.monotonic() + 30
    while len(ended) < THREADS_OF_ONE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(ended) == THREADS_OF_ONE


def test_failure_is_told() -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(in_thread("c", work))
