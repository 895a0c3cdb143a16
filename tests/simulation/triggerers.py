"""Triggerers in virtual time."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from airflow_provider_scnet.jobs import poller
from airflow_provider_scnet.triggers import scnet as triggers
from tests.simulation.wire import Endless, VirtualTime


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
