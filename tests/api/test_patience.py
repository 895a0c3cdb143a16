from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_scnet.api.patience import SLICE, Patience
from airflow_provider_scnet.exceptions import ScnetError, ScnetStoppedError


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept, on a clock that only moves by that."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1000 + sum(slept))
    return slept


@pytest.mark.parametrize("seconds", [0, -1, 0.1, SLICE, 0.6, 5])
def test_sleep_in_slices(slept: list[float], seconds: float) -> None:
    patience = Patience()
    patience.sleep(seconds)
    assert sum(slept) == pytest.approx(max(0, seconds))
    assert all(0 < slice_ <= SLICE for slice_ in slept)
    assert patience.now() == pytest.approx(1000 + max(0, seconds))


@pytest.mark.parametrize(
    ("deadline", "seconds", "allowed"), [(None, 1e9, True), (1010, 10, True), (1010, 10.1, False), (900, 0, False)]
)
def test_deadline(slept: list[float], deadline: float | None, seconds: float, allowed: bool) -> None:
    patience = Patience()
    patience.deadline = deadline
    assert patience.allows(seconds) is allowed


@pytest.mark.parametrize(
    "wait", [lambda patience: patience.sleep(60), lambda patience: patience.sleep(0), Patience.check]
)
def test_who_was_stopped_waits_for_nothing(slept: list[float], wait: Callable[[Patience], Any]) -> None:
    patience = Patience()
    patience.stop()
    with pytest.raises(ScnetStoppedError) as caught:
        wait(patience)
    assert not isinstance(caught.value, ScnetError)
    assert slept == []


def test_one_who_is_stopped_stops_nobody_else() -> None:
    Patience().stop()
    Patience().check()


def test_stop_in_the_middle_of_a_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    patience, slept = Patience(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            patience.stop()

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(ScnetStoppedError):
        patience.sleep(60)
    assert slept == [SLICE] * 3


def test_stop_by_a_signal_handler() -> None:
    patience = Patience()
    before = signal.signal(signal.SIGTERM, lambda *_: patience.stop())
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(ScnetStoppedError):
            patience.sleep(60)
    finally:
        signal.signal(signal.SIGTERM, before)
