"""What a thousand waiting tasks cost a triggerer: requests, and how long its event loop is held up."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.triggers.scnet import ScnetJobTrigger

TASKS = 1000
INTERVAL = 5.0
INTERVALS = 4
MOST_REQUESTS, MOST_LAG = 25, 0.050
MOST_KILL_REQUESTS, LONGEST_KILL = 60, 30.0
TICK = 0.005


def run() -> bool:
    """Print a line for each promise; tell whether all are kept."""
    print(f"{TASKS} deferred tasks on one event loop, {TASKS} live jobs, one scheduler")
    with _service() as ask:
        fields = ask("connection")
        quiet = redirect_stdout(io.StringIO())  # Airflow's log would stand between the lines
        with patch.dict(os.environ, AIRFLOW_CONN_SCNET_DEFAULT=fields), quiet:
            lines = asyncio.run(_measure(ask))
    kept = [_show(*line) for line in lines]
    print()
    return all(kept)


async def _measure(ask: Any) -> list[tuple[Any, ...]]:
    """What is promised, what was measured, the most it may be, and a remark."""
    triggers = [
        ScnetJobTrigger(scnet_conn_id="scnet_default", jobs=[ref], poll_interval=INTERVAL, cancel_on_kill=True)
        for ref in ask("refs")
    ]
    running = [asyncio.ensure_future(anext(trigger.run())) for trigger in triggers]
    await asyncio.sleep(INTERVAL * 1.5)  # so that nothing is measured but looks
    before = ask("requests")
    lags = await _lags(INTERVAL * INTERVALS)
    requests = (ask("requests") - before) / INTERVALS
    lag = statistics.quantiles(lags, n=100)[98]
    lines: list[tuple[Any, ...]] = [
        ("requests in an interval", requests, MOST_REQUESTS, f"{TASKS / requests:.0f} times less than one each"),
        ("loop lag, 99th percentile, ms", lag * 1000, MOST_LAG * 1000, f"longest {max(lags) * 1000:.0f} ms"),
    ]
    before, began = ask("requests"), time.perf_counter()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await asyncio.gather(*(trigger.on_kill() for trigger in triggers))
    took = time.perf_counter() - began
    return [
        *lines,
        ("requests when all are killed at once", ask("requests") - before, MOST_KILL_REQUESTS),
        ("seconds until all deletes are sent", took, LONGEST_KILL),
        ("jobs left", ask("active"), 0),
    ]


async def _lags(seconds: float) -> list[float]:
    """How much longer than asked a short sleep takes, again and again."""
    lags = []
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - began - TICK)
    return lags


def _show(title: str, value: float, most: float, remark: str = "") -> bool:
    is_kept = value <= most
    remark = f"  ({remark})" if remark else ""
    print(f"  {title:<56}{value:8.1f}  {f'<= {most:g}':>7}{'' if is_kept else '  BROKEN'}{remark}")
    return is_kept


@contextmanager
def _service() -> Iterator[Any]:
    """The emulator in a process of its own: what it computes must not hold up the loop that is measured."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()

    def ask(what: str) -> Any:
        ours.send(what)
        return ours.recv()

    try:
        yield ask
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection) -> None:
    with ScnetEmulator() as scnet:
        for _ in range(TASKS):
            scnet.add_job()
        answers = {
            "connection": scnet.connection,
            "refs": lambda: [job.ref for job in scnet.jobs],
            "requests": lambda: len(scnet.requests),
            "active": lambda: len(scnet.active_jobs),
        }
        while True:
            pipe.send(answers[pipe.recv()]())
