from __future__ import annotations

import pytest

from airflow_provider_scnet.exceptions import ScnetPermissionError, ScnetTransientError
from airflow_provider_scnet.jobs.backoff import LONGEST_PAUSE, MOST_REFUSALS, MOST_SURPRISES, Trouble


def test_trouble() -> None:
    trouble, error = Trouble(), ScnetTransientError("away")
    assert [trouble.pause_after(error, 30) for _ in range(6)] == [30, 60, 120, 240, LONGEST_PAUSE, LONGEST_PAUSE]
    assert Trouble().pause_after(error, 4000) == 4000
    assert Trouble().pause_after(ScnetTransientError("busy", retry_after=55), 5) == 55
    assert Trouble().pause_after(ScnetTransientError("busy", retry_after=86400), 5) == LONGEST_PAUSE


def test_airflow_may_be_away_for_a_while() -> None:
    trouble = Trouble()
    assert all(trouble.pause_after(OSError("away"), 1) for _ in range(MOST_SURPRISES - 1))
    with pytest.raises(OSError, match="away"):
        trouble.pause_after(OSError("away"), 1)


def test_refusal_that_stays_is_believed() -> None:
    trouble, error = Trouble(), ScnetPermissionError("no")
    assert [trouble.pause_after(error, 1) for _ in range(MOST_REFUSALS - 1)] == [1, 2]
    with pytest.raises(ScnetPermissionError):
        trouble.pause_after(error, 1)
