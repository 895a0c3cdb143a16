from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_scnet.triggers.deadline import BACKSTOP, TO_RESUME, backstop_of, deadline_of

AIRFLOW_2: dict[str, Any] = {}
AIRFLOW_3: dict[str, Any] = {"get_ti_count": None}


def operator(seconds: float | None) -> Any:
    return SimpleNamespace(execution_timeout=None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("ti", "execution_timeout", "timeout", "left"),
    [
        (AIRFLOW_3, None, None, None),
        (AIRFLOW_3, None, 50, 50),
        (AIRFLOW_3, 300, None, None),  # which does not count there while a task is deferred
        (AIRFLOW_3, 300, 500, 500),
        (AIRFLOW_2, None, 50, 50),
        (AIRFLOW_2, 300, None, 300 - 100 - TO_RESUME),
        (AIRFLOW_2, 300, 50, 50),
        (AIRFLOW_2, 300, 500, 300 - 100 - TO_RESUME),
    ],
)
def test_deadline(ti: Any, execution_timeout: float | None, timeout: float | None, left: float | None) -> None:
    started = datetime.now(UTC) - timedelta(seconds=100)
    deadline = deadline_of(operator(execution_timeout), SimpleNamespace(start_date=started, **ti), timeout)
    assert deadline == (None if left is None else pytest.approx(time.time() + left, abs=2))


def test_airflows_own_bound_stands_behind() -> None:
    assert backstop_of(None) is None
    assert backstop_of(time.time() - 100) == BACKSTOP
    bound = backstop_of(time.time() + 100)
    assert bound is not None
    assert timedelta(seconds=99) < bound - BACKSTOP <= timedelta(seconds=100)
