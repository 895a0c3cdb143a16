"""Many services: ``python -m tests.simulation [--seeds N] [--first S] [--seed ONE] [--trait NAME]``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import tests.conftest  # noqa: F401 - first of all: it gives the process a throw-away Airflow
from tests.simulation.drawing import draw_service
from tests.simulation.run import simulate
from tests.simulation.traits import TRAITS

SHOWN = 3
"""Runs with a defect that are told in full."""
LISTED = 20
PROGRESS_SECONDS = 20.0


@dataclass(frozen=True)
class Verdict:
    """What is kept of a run."""

    seed: int
    traits: tuple[str, ...]
    is_green: bool
    defects: tuple[str, ...]
    story: str


def try_seed(seed: int, trait: str | None = None) -> Verdict:
    """Run one service."""
    run = simulate(draw_service(seed, trait))
    defects = tuple(violation.name for violation in run.violations)
    return Verdict(seed, tuple(run.service.traits), run.is_green, defects, str(run) if defects else "")


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if any run has a defect."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50_000, help="how many services (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one service, told in full")
    parser.add_argument("--trait", choices=sorted(TRAITS), help="a trait that each service is to have")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args(arguments)
    if given.seed is not None:
        run = simulate(draw_service(given.seed, given.trait))
        print(run)
        return bool(run.violations)
    seeds = range(given.first, given.first + given.seeds)
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        verdicts = _told(pool.imap_unordered(partial(try_seed, trait=given.trait), seeds, chunksize=20), len(seeds))
    print(table(verdicts))
    for defect in sorted({defect for verdict in verdicts for defect in verdict.defects}):
        found = sorted(verdict.seed for verdict in verdicts if defect in verdict.defects)
        print(f"{defect}: seeds {' '.join(map(str, found[:LISTED]))}{' ...' if len(found) > LISTED else ''}")
    return any(verdict.defects for verdict in verdicts)


def _told(verdicts: Iterable[Verdict], expected: int) -> list[Verdict]:
    """Collect verdicts, and say now and then how far that is."""
    collected: list[Verdict] = []
    shown = Counter[str]()
    started = told = time.monotonic()
    for verdict in verdicts:
        collected.append(verdict)
        if any(shown[defect] < SHOWN for defect in verdict.defects):
            shown.update(verdict.defects)
            print(f"{verdict.story}\n", flush=True)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            defects = sum(bool(verdict.defects) for verdict in collected)
            print(f"{len(collected)} of {expected}, {told - started:.0f} s, {defects} with defects", flush=True)
    print(f"{len(collected)} services in {time.monotonic() - started:.0f} s")
    return collected


def table(verdicts: list[Verdict]) -> str:
    """Count, by trait, how the runs ended."""
    lines = [f"{'trait':<18}{'runs':>8}{'green':>8}{'red':>8}  defects"]
    groups = [("(honest)", [v for v in verdicts if not v.traits])]
    groups += [(name, [v for v in verdicts if name in v.traits]) for name in TRAITS]
    lines += [_row(name, group) for name, group in [*groups, ("all", verdicts)]]
    return "\n".join(lines)


def _row(name: str, verdicts: list[Verdict]) -> str:
    green = sum(verdict.is_green for verdict in verdicts)
    defects = Counter(defect for verdict in verdicts for defect in set(verdict.defects))
    told = ", ".join(f"{count} {defect}" for defect, count in defects.most_common()) or "none"
    return f"{name:<18}{len(verdicts):>8}{green:>8}{len(verdicts) - green:>8}  {told}"


if __name__ == "__main__":
    sys.exit(main())
