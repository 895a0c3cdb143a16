from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_scnet.operators.instance import life_of, may_have_run
from tests.conftest import TaskInstance


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
