"""Hostile services: green means gone on each of them, and what is red is told."""

from __future__ import annotations

import airflow
import pytest

from tests.simulation import lives
from tests.simulation.drawing import draw_service
from tests.simulation.run import simulate
from tests.simulation.scenarios import SCENARIOS

CHUNK = 100
NEWEST = "3.3."
# The deletion does not depend on Airflow's version; what does (Connection, operator, log) shows in a few runs.
SEEDS = 2_000 if airflow.__version__.startswith(NEWEST) else 200


@pytest.mark.parametrize("name", SCENARIOS)
def test_services_made_by_hand(name: str) -> None:
    service, expected = SCENARIOS[name]
    run = simulate(service)
    assert not run.violations, f"\n{run}"
    assert expected in ("any", "green" if run.is_green else "red"), f"\n{run}"


@pytest.mark.no_cover  # which would take longer than the runs
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_random_services(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run = simulate(draw_service(seed))
        assert not run.violations, f"\n{run}"


@pytest.mark.no_cover
@pytest.mark.parametrize("first", range(0, SEEDS // 10, CHUNK // 5))
def test_random_lives_of_a_task_instance(first: int) -> None:
    for seed in range(first, first + CHUNK // 5):
        life = lives.live(seed)
        assert not life.violations, "\n".join([f"life {seed}", *life.story])
