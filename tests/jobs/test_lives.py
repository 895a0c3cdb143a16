from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_scnet.jobs.naming import JobTag, task_tag
from tests.tags import life_of, tag_of

TAG = tag_of(dag_id="d", run_id="r", task_id="t", generation=1, specification="abcdefgh", try_number=2, clears=1)


@pytest.mark.parametrize(
    ("retries", "since", "try_number", "clears", "is_ours"),
    [
        (1, 0, 1, 0, True),  # a retry, and another task was cleared
        (0, 0, 1, 1, True),  # a retry after an edit, for nothing was cleared
        (0, 0, 1, 0, False),  # cleared after try 1, with retries=0: 1 + 0
        (0, 0, 2, 1, True),  # of this very try
        (1, 2, 1, 1, False),  # Airflow says that try 1 has succeeded
        (1, 2, 2, 1, True),
        (1, 0, 0, 0, True),  # of 0.2.0, which told neither
    ],
)
def test_jobs_of_this_life(retries: int, since: int, try_number: int, clears: int, is_ours: bool) -> None:
    life = life_of(TAG, retries=retries, since=since)
    assert life.owns(replace(TAG, try_number=try_number, clears=clears)) is is_ours


@pytest.mark.parametrize("max_tries", range(4))
@pytest.mark.parametrize("retries", range(4))
def test_clear_is_told_from_a_retry_whatever_the_numbers(max_tries: int, retries: int) -> None:
    """As Airflow counts: a clear sets ``max_tries`` to the try it follows plus ``retries``."""
    for submitted_in in range(1, max_tries + 2):
        before = replace(TAG, generation=max_tries, try_number=submitted_in, clears=0)
        for cleared_after in range(submitted_in, max_tries + 2):
            now = replace(before, generation=cleared_after + retries, try_number=cleared_after + 1, clears=1)
            assert not life_of(now, retries=retries).owns(before)
        for retried_in in range(submitted_in + 1, max_tries + 2):
            now = replace(before, try_number=retried_in, clears=1)
            assert life_of(now, retries=max_tries).owns(before)


def test_name_of_0_2_0_stands_for_the_same_task() -> None:
    earlier = JobTag(task_tag("d", "r", "t"), -1, 1)
    assert life_of(TAG, earlier_task=earlier.task).owns(earlier)
    assert life_of(TAG, earlier_task=earlier.task).is_of_same_instance(replace(earlier, generation=0))
    assert not life_of(TAG).is_of_same_instance(earlier)


def test_what_may_be_kept() -> None:
    assert life_of(TAG).may_keep(replace(TAG, generation=0))
    assert not life_of(TAG).may_keep(replace(TAG, specification="hgfedcba"))
    assert not life_of(TAG).may_keep(replace(TAG, map_index=3))
    earlier = JobTag(task_tag("d", "r", "t"), -1, 0)  # of 0.2.0, which did not say
    assert not life_of(TAG, earlier_task=earlier.task).may_keep(earlier)


def test_nothing_was_cleared_where_airflow_counts_no_clear() -> None:
    """It names what the try before has returned after a clear, but also if that try was lost just then."""
    life = life_of(TAG, since=2, counts_clears=True)
    assert life.owns(replace(TAG, try_number=1))
    assert not life.owns(replace(TAG, try_number=1, clears=0))
