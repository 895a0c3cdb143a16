"""Waiting for jobs, and deleting them, without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_scnet.jobs.threads import in_thread
from airflow_provider_scnet.triggers import events
from airflow_provider_scnet.triggers.kills import is_killed

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_scnet.api.gateway import ScnetClient
    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.jobs.deletion import Deletion
    from airflow_provider_scnet.jobs.duplicates import Origin
    from airflow_provider_scnet.jobs.outcome import Outcome
    from airflow_provider_scnet.jobs.poller import Poller
    from airflow_provider_scnet.jobs.sweep import Sweep

LAST_LOOK = 10.0
"""Seconds for a look that begins at the deadline."""
_IS_LOADED = Event()
"""From then on, triggers that begin or end together do so in one turn of the loop, and share what they send."""


class ScnetJobTrigger(BaseTrigger):
    """
    Wait until jobs have ended. All triggers of a triggerer that wait for jobs of one scheduler, through one Connection,
    share each look.

    Yields one event: the jobs have ended, the deadline has passed, or an error that no further look would mend. Looks
    that fail for now are repeated, with growing pauses.

    :param scnet_conn_id: the Airflow Connection.
    :param jobs: references as text.
    :param poll_interval: seconds between two looks.
    :param deadline: in seconds since the epoch; ``None`` for none.
    :param fail_fast: whether the wait is over as soon as one job has ended badly.
    :param job_name: of the one job, if it was submitted by the task that waits: of duplicates, which carry the same
        task in their names, only the oldest is gone on with.
    :param dismissed: jobs of the same task instance that are known not to count, as text.
    :param keeps: whether a job of before a clear counts as well, if command and resources are the same.
    :param cancel_on_kill: whether the jobs are deleted if the task is marked or cleared meanwhile.
    :param try_number: of the task that waits; the event tells it back.
    """

    def __init__(
        self,
        *,
        scnet_conn_id: str,
        jobs: Sequence[str],
        poll_interval: float,
        deadline: float | None = None,
        fail_fast: bool = True,
        job_name: str | None = None,
        dismissed: Sequence[str] = (),
        keeps: bool = False,
        cancel_on_kill: bool = False,
        try_number: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.scnet_conn_id = scnet_conn_id
        self.jobs = list(jobs)
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.fail_fast = fail_fast
        self.job_name = job_name
        self.dismissed = list(dismissed)
        self.keeps = keeps
        self.cancel_on_kill = cancel_on_kill
        self.try_number = try_number
        self._chosen: dict[str, str] = {}  # of jobs that were submitted twice, the one that is gone on with

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes this trigger of; nothing in it is secret."""
        names = ("scnet_conn_id", "jobs", "poll_interval", "deadline", "fail_fast", "job_name", "dismissed")
        more = ("keeps", "cancel_on_kill", "try_number")
        arguments = {name: getattr(self, name) for name in (*names, *more)}
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        event = {**await self._wait(), "try_number": self.try_number}
        if self._chosen:
            event["asked"] = self.jobs
        yield _event(event)  # outside of any `try`: `dag.test()` cancels a trigger here

    async def on_kill(self) -> None:
        """Delete the jobs: somebody has marked or cleared the task. Many at once need few requests."""
        if not self.cancel_on_kill:
            return
        jobs = list(dict.fromkeys([*self.jobs, *self._chosen.values()]))
        self.log.warning("The task was ended: deleting %s. Not verified.", ", ".join(jobs))
        await _loaded(self.scnet_conn_id)
        with ExitStack() as stack:
            pollers = self._pollers(stack, jobs)
            await asyncio.gather(*(poller.delete(refs) for poller, refs in pollers))

    async def _wait(self) -> dict[str, Any]:
        bound = asyncio.timeout(None if self.deadline is None else self._left + LAST_LOOK)
        try:
            async with bound:
                return await self._watch()
        except asyncio.CancelledError:
            if self.cancel_on_kill and await is_killed(self):
                await self.on_kill()
            raise
        except Exception as error:
            return events.timeout(self._watched) if bound.expired() else events.failed(error)

    async def _watch(self) -> dict[str, Any]:
        await _loaded(self.scnet_conn_id)
        outcomes: dict[JobRef, Outcome] = {}
        with ExitStack() as stack:
            pollers = self._pollers(stack, self.jobs)
            while True:
                within, is_last = min(self.poll_interval, self._left), self._left < self.poll_interval
                looks = [
                    poller.look({ref: one for ref, one in jobs.items() if ref not in outcomes}, within, is_last=is_last)
                    for poller, jobs in pollers
                    if any(ref not in outcomes for ref in jobs)
                ]
                for glance in await asyncio.gather(*looks):
                    outcomes.update(glance.outcomes)
                    self._chosen.update({str(ref): str(chosen) for ref, chosen in glance.chosen.items()})
                    if glance.trouble:
                        self.log.warning("Could not look at the jobs: %s", events.text_of(glance.trouble))
                is_over = self.fail_fast and any(not outcome.is_good for outcome in outcomes.values())
                if is_over or all(ref in outcomes for _, jobs in pollers for ref in jobs):
                    return events.ended(self._watched, outcomes.values())
                if self._left <= 0:
                    return events.timeout(self._watched)

    @property
    def _watched(self) -> list[str]:
        return [self._chosen.get(job, job) for job in self.jobs]

    @property
    def _left(self) -> float:
        """Seconds until the deadline."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - time.time())

    def _pollers(self, stack: ExitStack, jobs: Sequence[str]) -> list[tuple[Poller, dict[JobRef, Origin | None]]]:
        """One for each scheduler, with the jobs it is asked about."""
        from airflow_provider_scnet.jobs.duplicates import Origin
        from airflow_provider_scnet.jobs.evidence import group_by
        from airflow_provider_scnet.jobs.naming import JobTag
        from airflow_provider_scnet.jobs.parsing import parse_jobs
        from airflow_provider_scnet.jobs.poller import Subject, shared_poller

        tag = JobTag.read(self.job_name) if self.job_name else None
        dismissed = frozenset(parse_jobs(self.dismissed))
        origin = Origin(tag, dismissed, self.job_name or "", self.keeps) if tag else None
        make_client = partial(_client, self.scnet_conn_id)
        return [
            (
                stack.enter_context(shared_poller(Subject(self.scnet_conn_id, scheduler_id), make_client, refs)),
                dict.fromkeys(refs, origin),
            )
            for scheduler_id, refs in group_by(parse_jobs(jobs), "scheduler_id").items()
        ]


class ScnetDeleteJobsTrigger(BaseTrigger):
    """
    Delete jobs until each was seen not to be active any more.

    Yields one event: what became of them, or the error that the deletion ended with. It begins anew when the triggerer
    is restarted, until the same deadline.

    :param scnet_conn_id: the Airflow Connection.
    :param jobs: references as text.
    :param deadline: in seconds since the epoch.
    :param options: the other fields of :class:`airflow_provider_scnet.jobs.options.DeleteOptions`, times in seconds.
    :param sought: whose jobs to look for, besides: the fields of :class:`airflow_provider_scnet.jobs.sweep.Sought`.
    :param try_number: of the task that deletes; the event tells it back.
    """

    def __init__(
        self,
        *,
        scnet_conn_id: str,
        jobs: Sequence[str],
        deadline: float,
        options: Mapping[str, Any],
        sought: Mapping[str, Any] | None = None,
        try_number: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.scnet_conn_id = scnet_conn_id
        self.jobs = list(jobs)
        self.deadline = deadline
        self.options = dict(options)
        self.sought = None if sought is None else dict(sought)
        self.try_number = try_number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes this trigger of; nothing in it is secret."""
        names = ("scnet_conn_id", "jobs", "deadline", "options", "sought", "try_number")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Delete, and yield the one event."""
        yield _event({**await self._delete(), "try_number": self.try_number})

    async def _delete(self) -> dict[str, Any]:
        await _loaded(self.scnet_conn_id)
        from airflow_provider_scnet.hooks.scnet import ScnetHook

        hook = ScnetHook(self.scnet_conn_id)
        try:
            engine = await in_thread(self.scnet_conn_id, partial(self._begin, hook))
            rounds = engine.rounds()
            while (pause := await in_thread(self.scnet_conn_id, partial(next, rounds, None))) is not None:
                await _pause(rounds, pause)
            return events.deleted(engine.report().as_xcom())
        except asyncio.CancelledError:
            hook.stop()  # a round that is under way in a thread ends within a second
            raise
        except Exception as error:
            return events.failed(error)

    def _begin(self, hook: ScnetHook) -> Deletion | Sweep:
        from airflow_provider_scnet.jobs.deletion import Deletion
        from airflow_provider_scnet.jobs.options import DeleteOptions
        from airflow_provider_scnet.jobs.parsing import parse_jobs
        from airflow_provider_scnet.jobs.sweep import LAST_ROUND, Sought, Sweep

        refs = parse_jobs(self.jobs)
        left = max(LAST_ROUND, self.deadline - time.time())
        options = DeleteOptions(**{**self.options, "timeout": left})
        if self.sought is None:
            return Deletion(hook.client, refs, options, logger=self.log)
        return Sweep(hook.client, refs, Sought(**self.sought), options, logger=self.log)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


async def _pause(rounds: Generator[float], seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:  # where the generator waits, so that it leaves its account
        rounds.throw(error)


async def _loaded(conn_id: str) -> None:
    """Import in a thread what takes a quarter of a second for the first time."""
    if not _IS_LOADED.is_set():
        await in_thread(conn_id, _load)


def _load() -> None:
    import airflow_provider_scnet.hooks.scnet
    import airflow_provider_scnet.jobs.poller  # noqa: F401

    _IS_LOADED.set()


def _client(conn_id: str) -> ScnetClient:
    """Runs in a thread."""
    from airflow_provider_scnet.hooks.scnet import ScnetHook

    return ScnetHook(conn_id).client
