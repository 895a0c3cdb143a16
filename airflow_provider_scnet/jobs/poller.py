"""One look at a scheduler's jobs serves everybody in the process who waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.backoff import Trouble
from airflow_provider_scnet.jobs.deletion import delete_at_once
from airflow_provider_scnet.jobs.duplicates import Followed, Origin
from airflow_provider_scnet.jobs.outcome import Outcome
from airflow_provider_scnet.jobs.threads import in_thread
from airflow_provider_scnet.jobs.waiting import Watch

GATHERING_TIME = 0.5
"""Seconds for which deletes are gathered, so that a thousand tasks that are killed at once need few requests."""

log = logging.getLogger(__name__)


class Subject(NamedTuple):
    """What one poller looks at: a scheduler, with the token and the gateway of one Connection."""

    connection: str
    scheduler_id: str


@dataclass(frozen=True)
class Glance:
    """
    What one look has told.

    :param outcomes: how those of the jobs ended that have, by the job that was asked for.
    :param chosen: the job that is watched instead, by the job that was asked for, where that was submitted twice.
    :param trouble: why it told nothing more, if it failed.
    """

    outcomes: Mapping[JobRef, Outcome]
    chosen: Mapping[JobRef, JobRef]
    trouble: Exception | None = None


@dataclass(frozen=True, eq=False)
class _Request:
    """
    What somebody waits for.

    :param jobs: to look at.
    :param within: seconds after which the look has to begin.
    :param due: the same on the loop's clock.
    :param is_last: whether time is up then, so that it begins even while looks fail.
    """

    jobs: Followed
    within: float
    due: float
    is_last: bool
    answer: asyncio.Future[Glance]


class Poller:
    """
    Look at one scheduler's jobs for all who wait for some of them. Whoever asks gets a look that began after that.

    :param make_client: makes the client, in a thread; again after a look that failed, for the Connection may have been
        corrected.
    """

    def __init__(self, subject: Subject, make_client: Callable[[], ScnetClient]) -> None:
        self._subject = subject
        self._make_client = make_client
        self._watch: Watch | None = None
        self._needs_client = True
        self._trouble = Trouble()
        self._not_before = 0.0
        self._requests: set[_Request] = set()
        self._is_asked = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._doomed: set[JobRef] = set()
        self._reaping: asyncio.Task[None] | None = None
        self._is_closed = False
        self.holders: dict[object, Collection[JobRef]] = {}
        """Who holds on to this poller, and the jobs that each asks for, though perhaps not in every look."""

    async def look(self, jobs: Followed, within: float, *, is_last: bool = False) -> Glance:
        """
        Return what the next look tells of some jobs.

        :param jobs: which ones.
        :param within: seconds after which it has to begin; it begins earlier if somebody else needs one.
        :param is_last: whether it has to begin then although looks fail and pauses have grown.
        :raises Exception: why looks fail, if no further one will help.
        """
        loop = asyncio.get_running_loop()
        request = _Request(jobs, within, loop.time() + within, is_last, loop.create_future())
        self._requests.add(request)
        self._is_asked.set()
        if self._serving is None:
            # What it logs is no single task's, and its log not that of whoever came first.
            self._serving = loop.create_task(self._serve(), context=Context())
        try:
            return await request.answer
        finally:
            self._requests.discard(request)

    async def delete(self, refs: Iterable[JobRef]) -> None:
        """
        Delete jobs, together with those that others want deleted at this moment, without a look whether they end.

        :param refs: the jobs.
        """
        self._doomed.update(refs)
        if self._reaping is None:
            self._reaping = asyncio.get_running_loop().create_task(self._reap(), context=Context())
        await asyncio.shield(self._reaping)

    def close(self) -> None:
        """End the looks that are under way: nobody waits for them any more."""
        self._is_closed = True
        if self._serving:
            self._serving.cancel()
        for request in self._requests:
            request.answer.cancel()
        if self._watch:
            self._watch.client.patience.stop()

    async def _serve(self) -> None:
        while not self._is_closed:
            await self._wait_until_due()
            requests, self._requests = self._requests, set()
            try:
                held = [ref for refs in self.holders.values() for ref in refs]
                trouble = await in_thread(self._subject.connection, partial(self._look, _union(requests), held))
                self._pace(trouble, max(request.within for request in requests))
            except Exception as error:  # no look will help: for each to tell
                for request in requests:
                    _settle(request.answer, error)
                continue
            for request in requests:
                _settle(request.answer, _glance(self._watch, request.jobs, trouble))

    async def _wait_until_due(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            self._is_asked.clear()
            due = min((self._due(request) for request in self._requests), default=None)
            if due is not None and due <= now():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._is_asked.wait()

    def _due(self, request: _Request) -> float:
        return request.due if request.is_last else max(request.due, self._not_before)

    def _look(self, jobs: Followed, held: Iterable[JobRef]) -> Exception | None:
        """Runs in a thread, and nowhere twice at a time. Who asks now knows of no outcome that was told before."""
        try:
            if self._watch:
                self._watch.forget_outcomes()
            if self._needs_client:
                client = self._make_client()
                if self._is_closed:
                    return None
                self._watch = self._watch or Watch(client, {}, logger=log)
                self._watch.client, self._needs_client = client, False
            watch = cast("Watch", self._watch)
            watch.follow(jobs, held=held)
            watch.look()
        except Exception as error:  # of SCNet, or of Airflow, which holds the Connection
            self._needs_client = True
            return error
        return None

    def _pace(self, trouble: Exception | None, poll_interval: float) -> None:
        if trouble is None:
            self._trouble = Trouble()
        else:
            self._not_before = asyncio.get_running_loop().time() + self._trouble.pause_after(trouble, poll_interval)

    async def _reap(self) -> None:
        await asyncio.sleep(GATHERING_TIME)
        refs, self._doomed, self._reaping = sorted(self._doomed), set(), None
        work = partial(_delete, self._make_client, refs)
        await in_thread(self._subject.connection, work)


_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Subject, Poller]] = WeakKeyDictionary()


@contextmanager
def shared_poller(
    subject: Subject, make_client: Callable[[], ScnetClient], jobs: Collection[JobRef]
) -> Iterator[Poller]:
    """
    Return the poller of all who look at the same scheduler in this event loop. It lives as long as somebody holds on to
    it, and what it knows of a job as long as somebody does who asks for that job.

    :param make_client: how whoever is first makes the client.
    :param jobs: that will be asked for.
    """
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.setdefault(subject, Poller(subject, make_client))
    holder = object()
    poller.holders[holder] = jobs
    try:
        yield poller
    finally:
        del poller.holders[holder]
        if not poller.holders:
            del pollers[subject]
            poller.close()


def _union(requests: Iterable[_Request]) -> Followed:
    jobs: dict[JobRef, Origin | None] = {}
    for request in requests:
        for ref, origin in request.jobs.items():
            jobs[ref] = jobs.get(ref) or origin
    return jobs


def _glance(watch: Watch | None, jobs: Iterable[JobRef], trouble: Exception | None) -> Glance:
    if watch is None:
        return Glance({}, {}, trouble)
    outcomes = {ref: outcome for ref in jobs if (outcome := watch.outcome_of(ref))}
    chosen = {ref: watch.current(ref) for ref in jobs if watch.current(ref) != ref}
    return Glance(outcomes, chosen, trouble)


def _settle(answer: asyncio.Future[Glance], told: Glance | Exception) -> None:
    """Whoever waited may have been cancelled."""
    if answer.done():
        return
    if isinstance(told, Exception):
        answer.set_exception(told)
    else:
        answer.set_result(told)


def _delete(make_client: Callable[[], ScnetClient], refs: Iterable[JobRef]) -> None:
    delete_at_once(make_client(), refs, logger=log)
