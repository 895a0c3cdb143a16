"""What the benchmarks promise in requests holds, and they run: nobody starts them for every change."""

from __future__ import annotations

from types import ModuleType

import pytest

from benchmarks import budgets, submissions


@pytest.mark.parametrize("benchmark", [budgets, submissions], ids=lambda module: module.__name__)
def test_promises_in_requests_are_kept(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_SCNET_NAMESPACE")  # a user's own process has none
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", "")  # which they set, and leave
    assert benchmark.run(), "see what is BROKEN above"
