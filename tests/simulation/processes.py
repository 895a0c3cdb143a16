"""Processes in virtual time: they run at the same time, and may be struck between any two of their steps."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import requests
from airflow import __version__ as airflow_version

from airflow_provider_scnet.testing import ScnetEmulator
from tests.simulation.wire import VirtualTime, Wire, text_of

if TYPE_CHECKING:
    from tests.simulation.rules import Rules
    from tests.simulation.tasks import Airflow

TO_DIE = 5.0
"""Seconds that Airflow leaves a process which it kills."""
HERE = threading.local()
"""``airflow`` is the one whose process runs in this thread."""
IS_AIRFLOW_2 = airflow_version.startswith("2.")
COUNTS_CLEARS = not airflow_version.startswith(("2.", "3.0.", "3.1."))
"""Whether ``clear_number`` grows with clears in a run that has not ended."""
_START = threading.Thread.start  # which simulations replace
_HANGS_AFTER = 300.0


def live_in(airflow: Airflow) -> None:
    """
    Let what runs in this thread from now on be a process of an Airflow.

    :param airflow: which one.
    """
    HERE.airflow = airflow
    if IS_AIRFLOW_2:
        from airflow.models.baseoperator import ExecutorSafeguard

        ExecutorSafeguard._sentinel.callers = {}  # which only the main thread has


class DiedError(BaseException):
    """The worker's process is no more; nothing that comes after runs."""


class TimedOutError(BaseException):
    """As Airflow's ``execution_timeout`` strikes."""


class SharedTime(VirtualTime):
    """Time in which several processes live: whoever waits lets the one go on that wakes first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sleepers: list[tuple[float, int, threading.Semaphore]] = []
        self._beds = itertools.count()

    def sleep(self, seconds: float) -> None:
        """In place of ``time.sleep``; nothing else makes one process give way to another."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        wakes_at = self.elapsed() + seconds
        if self._sleepers and self._sleepers[0][0] < wakes_at:
            bed = self._lie_down(wakes_at)
            self._wake()
            assert bed.acquire(timeout=_HANGS_AFTER)
        self.go_to(wakes_at)

    def together(self, *works: Callable[[], None]) -> None:
        """
        Do things at the same time, each in a process of its own.

        :param works: what each process does.
        """
        errors: list[BaseException] = []
        is_over = threading.Semaphore(0)

        def run(work: Callable[[], None], bed: threading.Semaphore) -> None:
            assert bed.acquire(timeout=_HANGS_AFTER)
            try:
                work()
            except BaseException as error:
                errors.append(error)
            finally:
                self._wake() if self._sleepers else is_over.release()

        for work in works:
            _START(threading.Thread(target=run, args=(work, self._lie_down(self.elapsed())), daemon=True))
        self._wake()
        assert is_over.acquire(timeout=_HANGS_AFTER)
        if errors:
            raise errors[0]

    def _lie_down(self, wakes_at: float) -> threading.Semaphore:
        bed = threading.Semaphore(0)
        heapq.heappush(self._sleepers, (wakes_at, next(self._beds), bed))
        return bed

    def _wake(self) -> None:
        heapq.heappop(self._sleepers)[2].release()


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
        self.deleted: set[str] = set()
        """Numbers of jobs that this process has asked to end."""

    def begin(self, strike: Callable[[], None] | None = None, after: int = 0) -> None:
        """
        Begin a new process.

        :param strike: what strikes it.
        :param after: how many steps.
        """
        self._strike, self._steps, self._dies_at = strike, after, float("inf")
        self.deleted = set()

    def plan_strike(self, kind: str, after: int, on_kill: Callable[[], None]) -> str:
        """
        Begin a new process that something may strike.

        :param kind: "nothing", "dies", "is killed" or "times out".
        :param after: how many steps.
        :param on_kill: what it does when it is killed.
        :return: what will happen.
        """

        def kill() -> None:
            on_kill()
            self.die(TO_DIE)

        def time_out() -> None:
            raise TimedOutError

        self.begin({"dies": self.die, "is killed": kill, "times out": time_out}.get(kind), after)
        return f"{kind} after {after} steps"

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


class WireOfWorkers(Wire):
    """
    The wire of processes that may be struck; a submission may have its effect after the connection broke.

    :param rules: what nobody may do.
    """

    def __init__(self, scnet: ScnetEmulator, virtual: VirtualTime, door: str, rules: Rules) -> None:
        super().__init__(scnet, virtual, door)
        self._rules = rules
        self.submission_lasts: float | None = None
        """Seconds from the loss of the next submission's answer to its effect."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """As the wire does, in steps."""
        worker = HERE.airflow.worker
        worker.step()
        call = (request.method, (request.path_url or "").rpartition("/")[2])
        if call[0] == "DELETE":
            self._rules.check_delete(HERE.airflow, _refs_in(request.body))
        if call == ("POST", "job"):
            self._rules.check_submission(HERE.airflow)
            return self._submit(request, kwargs)
        answer = super().send(request, *args, **kwargs)
        worker.step()
        return answer

    def _submit(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> Any:
        asked, lasts, self.submission_lasts = HERE.airflow.asked, self.submission_lasts, None
        if lasts is not None:
            self._virtual.plan(self._virtual.elapsed() + lasts, partial(self._take_late, request, asked))
            raise requests.ConnectionError("broken", request=request)
        answer = self._take(request, asked, kwargs)
        HERE.airflow.worker.step()
        return answer

    def _take_late(self, request: requests.PreparedRequest, asked: Any) -> None:
        """Nobody waits for the answer any more."""
        with suppress(requests.RequestException):
            self._take(request, asked, {"timeout": None})

    def _take(self, request: requests.PreparedRequest, asked: Any, kwargs: dict[str, Any]) -> Any:
        known = len(self._scnet.jobs)
        try:
            return super().send(request, **kwargs)
        finally:
            for job in self._scnet.jobs[known:]:
                self._rules.note(job, asked)


def _refs_in(body: str | bytes | None) -> list[str]:
    (told,) = parse_qs(text_of(body)).get("strJobInfoMap", [""])
    return [entry for entry in told.split(";") if entry]
