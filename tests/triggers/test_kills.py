"""A trigger that is cancelled asks Airflow why; what it hears on a running one is in `tests/deployment`."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_scnet.triggers import kills
from airflow_provider_scnet.triggers.kills import is_killed

TI = SimpleNamespace(dag_id="d", run_id="r", task_id="group.t", map_index=-1)


class Trigger:
    def __init__(self, ti: Any = TI) -> None:
        self.task_instance, self.trigger_id = ti, 7


@pytest.fixture
def silent_airflow(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One that does not answer; when it was asked."""
    asked: list[float] = []

    def never_answer(ti: Any, trigger_id: Any) -> bool:
        asked.append(time.monotonic())
        time.sleep(0.5)
        return True

    monkeypatch.setattr(kills, "AIRFLOW_SAYS_SO", False)
    monkeypatch.setattr(kills, "LONGEST_ANSWER", 0.1)
    monkeypatch.setattr(kills, "_has_left", never_answer)
    return asked


def test_nobody_is_asked_where_airflow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "AIRFLOW_SAYS_SO", True)
    monkeypatch.setattr(kills, "_has_left", lambda ti, trigger_id: True)
    assert asyncio.run(is_killed(Trigger())) is False  # type: ignore[arg-type]


def test_trigger_without_a_task_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "AIRFLOW_SAYS_SO", False)
    assert asyncio.run(is_killed(Trigger(None))) is False  # type: ignore[arg-type]


def test_no_answer_is_no_kill_and_is_not_waited_for_again_and_again(silent_airflow: list[float]) -> None:
    async def main() -> list[bool]:
        return await asyncio.gather(*(is_killed(Trigger()) for _ in range(1000)))  # type: ignore[arg-type]

    assert not any(asyncio.run(main()))
    assert len(silent_airflow) <= 8


def test_silence_ends(silent_airflow: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "SILENCE", 0.5)

    async def main() -> bool:
        assert not await is_killed(Trigger())  # type: ignore[arg-type]
        monkeypatch.setattr(kills, "_has_left", lambda ti, trigger_id: True)
        for _ in range(10):
            if await is_killed(Trigger()):  # type: ignore[arg-type]
                return True
            await asyncio.sleep(0.1)
        return False

    assert asyncio.run(main())


def test_answer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "AIRFLOW_SAYS_SO", False)
    for answer in (True, False):
        monkeypatch.setattr(kills, "_has_left", lambda ti, trigger_id, answer=answer: answer)
        assert asyncio.run(is_killed(Trigger())) is answer  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("map_index", "told", "has_left"),
    [
        (-1, {"r": {"group.t": "failed"}}, True),
        (-1, {"r": {"group.t": "success"}}, True),
        (-1, {"r": {"group.t": "deferred"}}, False),
        (-1, {"r": {"group.t": None}}, False),
        (-1, {"r": {}}, False),
        (-1, {}, False),
        (3, {"r": {"group.t_3": "failed"}}, True),
        (3, {"r": {"group.t_3": "deferred"}}, False),
        (3, {"r": {"group.t": "failed"}}, False),  # somebody else
    ],
)
def test_what_airflow_3_says(
    monkeypatch: pytest.MonkeyPatch, map_index: int, told: dict[str, Any], has_left: bool
) -> None:
    runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    monkeypatch.setattr(runner.RuntimeTaskInstance, "get_task_states", staticmethod(lambda **question: told))
    ti = SimpleNamespace(**{**vars(TI), "map_index": map_index})
    assert kills._has_left(ti, 7) is has_left
