"""One look serves all who wait, and is not older than what they ask."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetPermissionError, ScnetStoppedError, ScnetTransientError
from airflow_provider_scnet.jobs import poller as module
from airflow_provider_scnet.jobs.poller import Glance, Poller, Subject, shared_poller
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, client_of

SUBJECT = Subject("scnet_default", SCHEDULER)
LONGEST = 60.0
"""Seconds after which a test is over that would wait for ever."""


def refs(scnet: ScnetEmulator, number: int, state: str = "RUNNING") -> list[JobRef]:
    jobs = [scnet.add_job(state) for _ in range(number)]
    return [JobRef(job.scheduler_id, job.user, job.job_id) for job in jobs]


def run(scnet: ScnetEmulator, work: Callable[[Poller], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        with shared_poller(SUBJECT, lambda: client_of(scnet), []) as poller:
            return await work(poller)

    return asyncio.run(main())


def test_one_look_serves_all(scnet: ScnetEmulator) -> None:
    jobs = refs(scnet, 20)

    async def work(poller: Poller) -> list[Glance]:
        return await asyncio.gather(*(poller.look({ref: None}, 0.2) for ref in jobs))

    glances = run(scnet, work)
    assert [glance.outcomes for glance in glances] == [{}] * 20
    assert scnet.calls == {"list": 1}


def test_look_begins_after_it_was_asked_for(scnet: ScnetEmulator) -> None:
    """Who asks while one is under way gets the next one."""
    first, second = refs(scnet, 2)
    scnet.fail("list", latency=0.3)

    async def work(poller: Poller) -> None:
        early = asyncio.ensure_future(poller.look({first: None}, 0))
        await asyncio.sleep(0.1)
        for job in scnet.jobs:
            job.become("COMPLETED")
        late = await poller.look({second: None}, 0)
        assert list(late.outcomes) == [second]
        await early

    run(scnet, work)
    assert scnet.calls["list"] == 2


def test_each_gets_its_own(scnet: ScnetEmulator) -> None:
    (good,), (bad,), (going_on,) = refs(scnet, 1, "COMPLETED"), refs(scnet, 1, "FAILED"), refs(scnet, 1)

    async def work(poller: Poller) -> list[Glance]:
        return await asyncio.gather(*(poller.look({ref: None}, 0.1) for ref in (good, bad, going_on)))

    glances = run(scnet, work)
    assert [list(glance.outcomes) for glance in glances] == [[good], [bad], []]


def test_whoever_is_in_a_hurry_serves_the_others(scnet: ScnetEmulator) -> None:
    patient, hurried = refs(scnet, 2)

    async def work(poller: Poller) -> None:
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(poller.look({patient: None}, 10 * LONGEST), poller.look({hurried: None}, 0.1))

    run(scnet, work)
    assert scnet.calls == {"list": 1}


def test_look_that_fails_is_told_and_pauses_grow(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1)
    scnet.fail("list", status=503, times=None)

    async def work(poller: Poller) -> list[float]:
        moments = []
        for _ in range(3):
            glance = await poller.look({ref: None}, 0.2)
            assert isinstance(glance.trouble, ScnetTransientError)
            moments.append(time.monotonic())
        return [after - before for before, after in itertools.pairwise(moments)]

    first, second = run(scnet, work)
    assert first >= 0.2
    assert second >= 0.4


def test_connection_is_read_again_after_a_failure(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1)
    clients = [client_of(scnet, token="e30.e30.wrong"), client_of(scnet)]

    def make() -> ScnetClient:
        return clients.pop(0)

    async def main() -> None:
        with shared_poller(SUBJECT, make, []) as poller:
            assert (await poller.look({ref: None}, 0)).trouble
            assert not (await poller.look({ref: None}, 0)).trouble

    asyncio.run(main())


def test_look_that_fails_tells_nothing_of_the_one_before(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1, "COMPLETED")
    clients: list[Any] = [client_of(scnet)]

    async def main() -> list[Glance]:
        with shared_poller(SUBJECT, lambda: clients.pop(), []) as poller:
            first = await poller.look({ref: None}, 0)
            poller._needs_client = True
            return [first, await poller.look({ref: None}, 0)]

    first, second = asyncio.run(main())
    assert (len(first.outcomes), second.outcomes) == (1, {})


def test_refusal_that_stays_ends_the_wait_of_all(scnet: ScnetEmulator) -> None:
    jobs = refs(scnet, 2)
    scnet.fail("list", code="10009", times=None)

    async def work(poller: Poller) -> list[Any]:
        async def insist(ref: JobRef) -> None:
            while True:
                await poller.look({ref: None}, 0.05)

        return await asyncio.gather(*map(insist, jobs), return_exceptions=True)

    assert [type(error) for error in run(scnet, work)] == [ScnetPermissionError] * 2


def test_airflow_that_is_away_for_a_moment_ends_no_wait(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1, "COMPLETED")
    away = [OSError("the database is away")]

    def make() -> ScnetClient:
        if away:
            raise away.pop()
        return client_of(scnet)

    async def main() -> list[Glance]:
        with shared_poller(SUBJECT, make, []) as poller:
            return [await poller.look({ref: None}, 0.05) for _ in range(2)]

    first, second = asyncio.run(main())
    assert isinstance(first.trouble, OSError)
    assert [outcome.is_good for outcome in second.outcomes.values()] == [True]


def test_last_look_is_made_although_pauses_have_grown(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1, "COMPLETED")
    # The client's own attempts honour it, too, up to a minute.
    scnet.fail("list", status=503, headers={"Retry-After": "2"}, times=4)

    async def work(poller: Poller) -> Glance:
        assert (await poller.look({ref: None}, 0)).trouble
        poller._not_before = float("inf")
        return await poller.look({ref: None}, 0.1, is_last=True)

    assert run(scnet, work).outcomes


def test_poller_ends_although_somebody_has_just_asked(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1)

    async def main(turns: int) -> bool:
        with shared_poller(SUBJECT, lambda: client_of(scnet), []) as poller:
            asking = asyncio.ensure_future(poller.look({ref: None}, 60))
            await asyncio.sleep(0.05)
            second = asyncio.ensure_future(poller.look({ref: None}, 60))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            second.cancel()
        await asyncio.sleep(0.1)
        return poller._serving is not None and poller._serving.done()

    assert all(asyncio.run(main(turns)) for turns in range(5))


def test_nothing_is_left_when_nobody_waits(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1)
    hanging, client = scnet.fail("list", hold=True, times=None), client_of(scnet)

    async def main() -> None:
        with shared_poller(SUBJECT, lambda: client, []) as poller:
            waiting = asyncio.ensure_future(poller.look({ref: None}, 0))
            while not hanging.held:
                await asyncio.sleep(0.01)
            waiting.cancel()

    asyncio.run(main())
    assert not any(module._POLLERS.values())
    with pytest.raises(ScnetStoppedError):
        client.patience.check()


def test_pollers_are_of_one_loop(scnet: ScnetEmulator) -> None:
    (ref,) = refs(scnet, 1)
    for _ in range(2):
        assert run(scnet, lambda poller: poller.look({ref: None}, 0)) == Glance({}, {})


@pytest.mark.parametrize("holds", [True, False])
def test_what_is_known_of_a_job_stays_known_while_others_look(scnet: ScnetEmulator, holds: bool) -> None:
    """A trigger that waits at two schedulers asks again when both have answered; looks of others lie between."""
    scnet.waiting_rest = scnet.raw_state_in_lists = True
    (other,) = refs(scnet, 1)
    states = ("RUNNING", "PENDING", "PENDING")
    first, *rest = [scnet.add_job(state, job_id=f"500_{member}") for member, state in enumerate(states)]
    array, client = JobRef(SCHEDULER, scnet.user, "500"), client_of(scnet)

    async def look(poller: Poller, ref: JobRef) -> Glance:
        scnet.clock.advance(60)
        return await poller.look({ref: None}, 0)

    async def main() -> list[str]:
        with shared_poller(SUBJECT, lambda: client, [other]) as poller, ExitStack() as held:
            if holds:
                held.enter_context(shared_poller(SUBJECT, lambda: client, [array]))
            await look(poller, array)
            for job in rest:
                job.become("VANISHED")
            first.become("COMPLETED")
            await look(poller, other)
            glances = [await look(poller, array) for _ in range(3)]
            return [outcome.ending.name for glance in glances for outcome in glance.outcomes.values()]

    ended = asyncio.run(main())
    assert ended == (["CANCELLED"] if holds else ["COMPLETED"] * 3)


def test_deletes_are_gathered(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = refs(scnet, 100)

    async def delete(ref: JobRef) -> None:
        with shared_poller(SUBJECT, lambda: client_of(scnet), []) as poller:
            await poller.delete([ref])

    async def main() -> None:
        await asyncio.gather(*map(delete, jobs))

    asyncio.run(main())
    assert scnet.calls == {"delete": 2}
    assert not scnet.active_jobs
