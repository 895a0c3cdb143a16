"""
Lives of tasks, drawn from a seed: tries, waits, kills, workers that die, edits, retries and clears, in one Airflow or
in two on one account, on a service that lags, loses answers and fails, until teardowns end what is left. Run by
``python -m tests.simulation.lives FIRST COUNT``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from typing import Any

import tests.conftest  # noqa: F401 - first of all: it gives the process a throw-away Airflow
from tests.simulation.doubles import Doubles
from tests.simulation.region import MoodyRegion
from tests.simulation.runs import Run
from tests.simulation.tasks import TASK_ID
from tests.tags import tag_of


class Life:
    """
    One life.

    :param seed: which all follows from.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._region = MoodyRegion(self.rng)
        self.story, self.violations = self._region.story, self._region.rules.violations
        for _ in range(self.rng.randint(0, 4)):
            self._region.scnet.add_job(name=self._others_name())
        names = self.rng.choice((("prod",), ("prod",), ("prod", "dev")))
        drawn: dict[str, Any] = {
            "indexes": self.rng.choice(((-1,), (-1,), (0, 1), (0, 1, 2))),
            "array_size": self.rng.choice((None, None, None, 1, 3, 3)),
            "most": 6 - 2 * len(names),
        }
        if self.rng.random() < 0.7:  # members begin one after the other
            self._region.scnet.waiting_rest, self._region.scnet.array_pace = True, self.rng.choice((20.0, 100.0, 400.0))
        self._region.scnet.first_member = self.rng.choice((0, 1))
        self._region.scnet.plain_single = self.rng.random() < 0.5
        self._runs = [Run(name, self._region, self.rng, **drawn) for name in names]

    def _others_name(self) -> str:
        tag = tag_of(dag_id="d", run_id="another", task_id=TASK_ID, map_index=0, generation=3)
        return self.rng.choice(("demo", tag.name("flow")))

    def live(self) -> None:
        """Let all runs go on at the same time."""
        with self._region.plugged_in():
            self._region.time.together(*(run.live for run in self._runs))


def live(seed: int) -> Life | Doubles:
    """Live one life to its end; every fourth is one of doubles."""
    life = Doubles(seed) if seed % 4 == 3 else Life(seed)
    life.live()
    return life


def main(seeds: Iterable[int]) -> int:
    """Live many, and tell the story of those in which something went wrong."""
    lives = {seed: live(seed) for seed in seeds}
    bad = {seed: life for seed, life in lives.items() if life.violations}
    for seed, life in bad.items():
        print(f"life {seed}", *life.story, sep="\n  ")
    print(f"{len(lives)} lives, {len(bad)} with defects")
    return 1 if bad else 0


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    sys.exit(main(range(first, first + count)))
