"""Waiting and deleting in an event loop; on a real triggerer in `tests/deployment`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.triggers import scnet as module
from airflow_provider_scnet.triggers.scnet import ScnetDeleteJobsTrigger, ScnetJobTrigger
from tests.conftest import SECOND_SCHEDULER
from tests.tags import tag_of

OPTIONS = {"poll_interval": 0.1, "absent_for": 1.0}
TAG = tag_of(dag_id="d", run_id="r", task_id="t", map_index=-1, generation=0)
NAME = TAG.name("flow")


def waiting(*jobs: Any, **options: Any) -> ScnetJobTrigger:
    refs = [str(getattr(job, "ref", job)) for job in jobs]
    return ScnetJobTrigger(**{"scnet_conn_id": "scnet_default", "jobs": refs, "poll_interval": 0.1, **options})


def deleting(*jobs: Any, within: float = 60, **arguments: Any) -> ScnetDeleteJobsTrigger:
    refs = [job.ref for job in jobs]
    arguments = {"options": OPTIONS, **arguments}
    return ScnetDeleteJobsTrigger(scnet_conn_id="scnet_default", jobs=refs, deadline=time.time() + within, **arguments)


async def events_of(trigger: BaseTrigger) -> list[dict[str, Any]]:
    """As the triggerer stores them."""
    run: AsyncIterator[Any] = trigger.run()
    events = [json.loads(json.dumps(event.payload)) async for event in run]
    assert [event.pop("try_number") for event in events] == [None]
    return events


def fire(
    trigger: BaseTrigger, meanwhile: Callable[[], Any] = lambda: None, when: Callable[[], Any] = lambda: True
) -> dict[str, Any]:
    """Run a trigger, and do something meanwhile, as soon as something is so; its one event."""

    async def main() -> list[dict[str, Any]]:
        events = asyncio.ensure_future(events_of(trigger))
        await asyncio.sleep(0.4)
        while not when():
            await asyncio.sleep(0.05)
        meanwhile()
        return await events

    (event,) = asyncio.run(main())
    return event


def test_end_is_waited_for(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    event = fire(waiting(job), lambda: job.become("COMPLETED"))
    assert (event["status"], event["jobs"]) == ("ended", [job.ref])
    assert [told["ending"] for told in event["outcomes"]] == ["COMPLETED"]


@pytest.mark.parametrize("fail_fast", [True, False])
def test_bad_end(scnet_default: ScnetEmulator, fail_fast: bool) -> None:
    bad, other = scnet_default.add_job("FAILED", ended_ago=5), scnet_default.add_job(scheduler_id=SECOND_SCHEDULER)
    event = fire(waiting(bad, other, fail_fast=fail_fast), lambda: fail_fast or other.become("COMPLETED"))
    endings = {told["ref"]: told["ending"] for told in event["outcomes"]}
    assert endings == {bad.ref: "FAILED"} | ({} if fail_fast else {other.ref: "COMPLETED"})


def test_deadline_is_an_event(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    event = fire(waiting(job, poll_interval=30, deadline=time.time() + 0.6))
    assert event == {"status": "timeout", "jobs": [job.ref]}
    assert scnet_default.calls["list"] == 1  # one last look
    assert job.active


def test_deadline_while_nothing_answers(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_LOOK", 0.5)
    scnet_default.fail("list", hold=True, times=None)
    assert fire(waiting(scnet_default.add_job(), deadline=time.time() + 0.5))["status"] == "timeout"


def test_trouble_is_waited_out(scnet_default: ScnetEmulator) -> None:
    scnet_default.fail("list", code="10012", times=6)
    job = scnet_default.add_job("COMPLETED", ended_ago=5)
    assert fire(waiting(job))["status"] == "ended"


def test_refusal_that_stays_is_an_error(scnet_default: ScnetEmulator) -> None:
    scnet_default.fail("list", code="10009", times=None)
    event = fire(waiting(scnet_default.add_job()))
    assert (event["status"], event["kind"], event["code"]) == ("error", "ScnetPermissionError", "10009")


def test_connection_that_is_missing_is_an_error(scnet_default: ScnetEmulator) -> None:
    event = fire(waiting(scnet_default.add_job(), scnet_conn_id="nowhere"))
    assert event["status"] == "error"
    assert "there is no such Connection" in event["message"]


def test_twin_is_deleted_while_waiting(scnet_default: ScnetEmulator) -> None:
    job, twin = (scnet_default.add_job(name=NAME) for _ in range(2))
    event = fire(waiting(job, job_name=NAME), lambda: job.become("COMPLETED"), when=lambda: twin.deletes)
    assert event["status"] == "ended"
    assert (twin.state, job.deletes) == ("CANCELLED", 0)


def test_many_triggers_cost_the_requests_of_one(scnet_default: ScnetEmulator) -> None:
    jobs = [scnet_default.add_job() for _ in range(20)]
    triggers = [waiting(job, poll_interval=0.5) for job in jobs]

    async def main() -> list[Any]:
        running = [asyncio.ensure_future(events_of(trigger)) for trigger in triggers]
        await asyncio.sleep(1.8)
        for job in jobs:
            job.become("COMPLETED")
        return await asyncio.gather(*running)

    events = asyncio.run(main())
    assert [event["status"] for (event,) in events] == ["ended"] * 20
    assert scnet_default.calls["list"] < len(jobs)  # that of a slow machine, too; a look of each would be twice that


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_kill(scnet_default: ScnetEmulator, cancel_on_kill: bool) -> None:
    job = scnet_default.add_job()
    asyncio.run(waiting(job, cancel_on_kill=cancel_on_kill).on_kill())
    assert job.active is not cancel_on_kill


def test_many_kills_are_few_requests(scnet_default: ScnetEmulator) -> None:
    triggers = [waiting(scnet_default.add_job(), cancel_on_kill=True) for _ in range(200)]
    module._load()  # else they come one by one, as threads do

    async def main() -> None:
        await asyncio.gather(*(trigger.on_kill() for trigger in triggers))

    asyncio.run(main())
    assert not scnet_default.active_jobs
    assert scnet_default.calls["delete"] == 4


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "shut down"])
def test_cancelled_trigger_asks_why(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Below Airflow 3.3."""

    async def answer(trigger: BaseTrigger) -> bool:
        return killed

    monkeypatch.setattr(module, "is_killed", answer)
    job = scnet_default.add_job()
    trigger = waiting(job, cancel_on_kill=True)

    async def main() -> None:
        running = asyncio.ensure_future(events_of(trigger))
        await asyncio.sleep(0.3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert job.active is not killed


def test_deletion_is_awaited(scnet_default: ScnetEmulator) -> None:
    scnet_default.cancel_delay = 0.5
    job = scnet_default.add_job()
    event = fire(deleting(job))
    assert event == {"status": "deleted", "report": {"deleted": [job.ref], "gone": [], "accepted": []}}
    assert not job.active


def test_deletion_that_fails_says_what_is_left(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    job.ignores_delete = True
    event = fire(deleting(job, within=1))
    assert (event["status"], event["kind"]) == ("error", "ScnetJobsNotDeletedError")
    assert job.ref in event["message"]


def test_sweep_is_awaited(scnet_default: ScnetEmulator) -> None:
    untold, other = scnet_default.add_job(name=NAME), scnet_default.add_job()
    sought = {"tasks": [TAG.task], "user": scnet_default.user, "all_told": False, "map_index": None}
    event = fire(deleting(sought=sought))
    assert event["report"]["deleted"] == [untold.ref]
    assert other.active


def test_cancelled_deletion_stops(scnet_default: ScnetEmulator, caplog: pytest.LogCaptureFixture) -> None:
    job = scnet_default.add_job()
    job.ignores_delete = True

    async def main() -> None:
        running = asyncio.ensure_future(events_of(deleting(job)))
        await asyncio.sleep(0.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    sent = sum(scnet_default.calls.values())
    time.sleep(0.5)
    assert sum(scnet_default.calls.values()) == sent


@pytest.mark.parametrize("trigger", [waiting("1638523853,u:1:", deadline=5.0), deleting(sought={"tasks": ["t"]})])
def test_trigger_is_made_again_out_of_what_is_stored(trigger: Any) -> None:
    path, arguments = trigger.serialize()
    assert path == f"{module.__name__}.{type(trigger).__name__}"
    again = type(trigger)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


def test_trigger_of_an_older_version_is_made_again() -> None:
    path, arguments = waiting("1638523853,u:1:").serialize()
    assert path == f"{module.__name__}.ScnetJobTrigger"
    older = {name: value for name, value in arguments.items() if name != "dismissed"}
    assert module.ScnetJobTrigger(**older).serialize()[1] == {**arguments, "dismissed": []}
