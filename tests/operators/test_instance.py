from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_scnet.jobs.namespace import namespace
from airflow_provider_scnet.operators.instance import began_of, life_of, may_have_run
from tests.conftest import TaskInstance

COUNTS_CLEARS = not __version__.startswith(("2.", "3.0.", "3.1."))


def life(run: Any = None, **ti: Any) -> Any:
    context: Any = {"ti": TaskInstance(**ti), "dag_run": run}
    return life_of(context, retries=1, specification="abcdefgh")


def test_who_it_is() -> None:
    one = life(SimpleNamespace(start_date=None, clear_number=3), map_index=4, max_tries=2, try_number=5)
    assert one.tag.name("flow") == f"flow_{one.tag.task}_m4_g2_t5c3_sabcdefgh"
    assert (one.earlier_task, one.since) == ("", 0)


@pytest.mark.parametrize(("try_number", "reschedules", "may"), [(1, 0, False), (2, 0, True), (1, 1, True)])
def test_second_start_looks_first_whatever_retries_says(try_number: int, reschedules: int, may: bool) -> None:
    """With ``retries=0``, a scheduler that is started again may start a task as try 2, and ``max_tries`` stays 0."""
    context: Any = {"ti": TaskInstance(try_number=try_number, max_tries=0), "task_reschedule_count": reschedules}
    assert may_have_run(context) is may


@pytest.mark.parametrize(("keys", "since"), [(["job", "return_value"], 2), (["job"], 0), ([], 0), (None, 0)])
def test_try_after_one_that_has_succeeded_begins_a_life(keys: Any, since: int) -> None:
    pytest.importorskip("airflow.sdk")
    told = SimpleNamespace(xcom_keys_to_clear=keys)
    assert life(try_number=2, _ti_context_from_server=told).since == since
    assert life(try_number=1, _ti_context_from_server=told).since == 0


def test_try_that_was_lost_after_it_had_returned_is_retried() -> None:
    """Airflow keeps what a try has returned before it learns that it has succeeded."""
    pytest.importorskip("airflow.sdk")
    told = SimpleNamespace(xcom_keys_to_clear=["job", "return_value"])
    for clears in (0, 1):
        run = SimpleNamespace(start_date=None, clear_number=clears)
        one = life(run, try_number=2, max_tries=1, _ti_context_from_server=told)
        assert not one.owns(replace(one.tag, try_number=1, clears=clears + 1))
        assert one.owns(replace(one.tag, try_number=1)) is COUNTS_CLEARS


def test_run_that_is_cleared_after_its_end_begins_anew() -> None:
    due, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert began_of(SimpleNamespace(start_date=now, run_after=due, clear_number=0)) == now
    assert began_of(SimpleNamespace(start_date=now, run_after=due, clear_number=1)) == due
    assert began_of(SimpleNamespace(start_date=now, data_interval_end=due, clear_number=1)) == due  # Airflow 2
    assert began_of(SimpleNamespace(start_date=due, run_after=now + timedelta(days=1), clear_number=1)) == due
    assert began_of(None) is None


def test_jobs_of_0_2_0_are_looked_for_after_a_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SCNET_NAMESPACE", "abc-20260115T000000Z")
    namespace.cache_clear()
    due, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert life(SimpleNamespace(start_date=now, run_after=due, clear_number=1)).earlier_task
    assert not life(SimpleNamespace(start_date=now, run_after=due, clear_number=0)).earlier_task
    namespace.cache_clear()
