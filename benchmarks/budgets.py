"""What deletions cost in requests, each against what is promised for an honest service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_scnet.testing import ScnetEmulator
from benchmarks.measure import LATENCY, Measured, measure

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True)
class Budget:
    """
    One promise.

    :param most: requests at most.
    :param outcome: what has to become of the jobs.
    :param prepare: fills an emulator and returns the references to delete.
    :param knobs: attributes of the emulator.
    :param options: of the deletion.
    :param waits: whether waiting is part of the proof; else none is allowed.
    """

    title: str
    most: int
    outcome: str
    prepare: Callable[[ScnetEmulator], list[str]]
    knobs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    waits: bool = True

    def measure(self) -> Measured:
        with ScnetEmulator(latency=LATENCY) as scnet:
            for name, value in self.knobs.items():
                setattr(scnet, name, value)
            return measure(scnet, self.prepare(scnet), **self.options)

    def flaw(self, measured: Measured) -> str:
        """Say which part of the promise is broken, if any."""
        if measured.outcome != self.outcome:
            return f"outcome is not {self.outcome!r}"
        if measured.requests > self.most:
            return "too many requests"
        return "waits without need" if measured.waits and not self.waits else ""


def run() -> bool:
    """Print a line for each promise; tell whether all are kept."""
    print(f"Deleting jobs, {LATENCY * 1000:.0f} ms for each request; beside the time, the waits that proof demands")
    print(f"  {'':<56}{'requests':>8}  {'promise':>7}  {'time':>8}  {'waits':>6}  outcome")
    flaws = [_show(budget, budget.measure()) for budget in BUDGETS]
    print()
    return not any(flaws)


def _show(budget: Budget, measured: Measured) -> str:
    flaw = budget.flaw(measured)
    promise, seconds, waits = f"<= {budget.most}", f"{measured.seconds:.2f} s", f"{measured.waits:.0f} s"
    figures = f"{measured.requests:8d}  {promise:>7}  {seconds:>8}  {waits:>6}"
    print(f"  {budget.title:<56}{figures}  {measured.outcome}{f'  BROKEN: {flaw}' if flaw else ''}", flush=True)
    return flaw


def _running(count: int) -> Callable[[ScnetEmulator], list[str]]:
    return lambda scnet: [scnet.add_job().ref for _ in range(count)]


def _ended(count: int) -> Callable[[ScnetEmulator], list[str]]:
    return lambda scnet: [scnet.add_job("COMPLETED", ended_ago=6 * HOUR).ref for _ in range(count)]


def _below_a_long_history(scnet: ScnetEmulator) -> list[str]:
    """The wanted job is the oldest of 20,001, and lists of the history begin with the newest."""
    wanted = scnet.add_job("COMPLETED", ended_ago=20 * DAY)
    for age in range(20_000, 0, -1):
        scnet.add_job("COMPLETED", ended_ago=age * 60.0)
    return [wanted.ref]


def _among_others(own: Callable[[ScnetEmulator], list[str]]) -> Callable[[ScnetEmulator], list[str]]:
    def prepare(scnet: ScnetEmulator) -> list[str]:
        for number in range(5_000):
            scnet.add_job(user=f"acother{number % 50:02}")
        return own(scnet)

    return prepare


def _never_existed(scnet: ScnetEmulator) -> list[str]:
    return [f"{scnet.jobs[0].scheduler_id},{scnet.user}:999999:"]


def _frozen(*calls: str) -> Callable[[ScnetEmulator], list[str]]:
    """1,000 running jobs of an account that is frozen as far as these calls are concerned."""

    def prepare(scnet: ScnetEmulator) -> list[str]:
        for call in calls:
            scnet.fail(call, code="10007", times=None)
        return _running(1_000)(scnet)

    return prepare


WORDS, NULL = {"raw_state_in_lists": True}, {"null_empty_lists": True}
BUDGETS = (
    Budget("1 running, its detail gives the word", 4, "1 deleted", _running(1), waits=False),
    Budget("1,000 running, lists carry the word", 60, "1000 deleted", _running(1_000), WORDS),
    Budget("1,000 running, lists do not", 100, "1000 deleted", _running(1_000)),
    Budget("1,000 ended hours ago", 60, "1000 gone", _ended(1_000)),
    Budget("1,000 ended hours ago, empty lists are null", 60, "1000 gone", _ended(1_000), NULL),
    Budget(
        "1 ended long ago, 20,000 in the history, missing_ok=False",
        20,
        "1 gone",
        _below_a_long_history,
        options={"missing_ok": False},
    ),
    Budget("1 ended hours ago, 5,000 jobs of others", 20, "1 gone", _among_others(_ended(1))),
    Budget("1 that never existed, 5,000 jobs of others", 40, "1 gone", _among_others(_never_existed)),
    Budget("1,000 running, all deletes refused with 10007", 50, "1000 left", _frozen("delete")),
    Budget("1,000 running, everything refused with 10007", 50, "1000 left", _frozen("*")),
)
