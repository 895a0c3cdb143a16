from __future__ import annotations

import time

import pytest

from airflow_provider_scnet.testing import Clock


def test_the_wall_clock_can_be_moved():
    clock = Clock()
    assert clock.now() == pytest.approx(time.time(), abs=60)
    clock.advance(3600)
    assert clock.now() == pytest.approx(time.time() + 3600, abs=60)


def test_a_clock_that_stands():
    clock = Clock(start=1_800_000_000.0)
    assert [clock.now(), clock.now()] == [1_800_000_000.0] * 2
    clock.advance(0.5)
    assert clock.now() == 1_800_000_000.5
