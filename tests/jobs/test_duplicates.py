from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.duplicates import Origin, choose, surplus
from airflow_provider_scnet.jobs.search import TaggedJob
from tests.tags import tag_of

TAG = tag_of(dag_id="d", run_id="r", task_id="t", generation=2)


def ref(number: int) -> JobRef:
    return JobRef("1638523853", "test", number)


def job(number: int, word: str = "RUNNING", **tag: object) -> TaggedJob:
    return TaggedJob(ref(number), replace(TAG, **tag), (JobRecord(str(number), word=word),))  # type: ignore[arg-type]


def test_all_come_to_the_same_choice() -> None:
    jobs = [job(9), job(10), job(8)]
    assert {choose(Origin(TAG), one.ref, jobs) for one in jobs} == {ref(8)}


@pytest.mark.parametrize(
    "other",
    [job(5, "COMPLETING"), job(5, generation=1), job(5, generation=3), job(5, specification="abcdefgh")],
    ids=lambda other: str(other.tag),
)
def test_what_is_not_gone_on_with(other: TaggedJob) -> None:
    assert choose(Origin(TAG), ref(8), [other, job(8)]) == ref(8)


def test_dismissed_job_is_not_gone_on_with() -> None:
    assert choose(Origin(TAG, frozenset({ref(5)})), ref(8), [job(5), job(8)]) == ref(8)


def test_job_that_has_ended_leaves_the_choice_to_older_ones() -> None:
    assert choose(Origin(TAG), ref(8), [job(9)]) == ref(8)
    assert choose(Origin(TAG), ref(8), [job(5)]) == ref(5)


def test_kept_job_of_an_earlier_life_counts_for_all() -> None:
    kept = replace(TAG, specification="abcdefgh")
    jobs = [job(5, generation=1, specification="abcdefgh"), job(8, specification="abcdefgh")]
    assert {choose(Origin(kept, keeps=True), one.ref, jobs) for one in jobs} == {ref(5)}
    assert choose(Origin(kept), ref(8), jobs) == ref(8)
    other = [job(5, generation=1, specification="hgfedcba"), jobs[1]]
    assert choose(Origin(kept, keeps=True), ref(8), other) == ref(8)


def test_job_that_is_about_to_end_takes_no_other_with_it() -> None:
    """Its wait cannot know whether it ends well; that of the other one has chosen the other."""
    jobs = [job(5, "COMPLETING"), job(8)]
    assert [choose(Origin(TAG), one.ref, jobs) for one in jobs] == [ref(5), ref(8)]
    assert surplus(Origin(TAG), ref(5), jobs) == []


def test_surplus() -> None:
    jobs = [job(5), job(9), job(3, generation=1), job(12, generation=3)]
    assert [one.number for one in surplus(Origin(TAG), ref(5), jobs)] == [9, 3]
    assert [one.number for one in surplus(Origin(TAG), ref(5), jobs[1:])] == [3]  # the younger may be the next try's


def test_clear_after_retries_were_lowered() -> None:
    """The generation falls then; tries only grow."""
    origin = Origin(replace(TAG, generation=1, try_number=2, specification="abcdefgh"), keeps=True)
    earlier, later = (
        job(number, generation=generation, try_number=try_number, specification="abcdefgh")
        for number, generation, try_number in ((9, 5, 1), (12, 0, 3))
    )
    assert [one.number for one in surplus(origin, ref(8), [job(8), earlier, later])] == [9]
    assert choose(origin, ref(10), [earlier, later]) == ref(9)
