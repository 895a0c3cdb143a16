from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.jobs.naming import JobTag, read_task_tags, specification_tag, task_tag
from tests.tags import tag_of

TAG = tag_of(dag_id="flow", run_id="manual__2026-01-01", task_id="group.submit", map_index=-1, generation=2)
tags = st.builds(
    tag_of,
    dag_id=st.text(),
    run_id=st.text(),
    task_id=st.text(),
    map_index=st.integers(-1, 10**6),
    generation=st.integers(0, 10**4),
    iteration=st.none() | st.text(),
    specification=st.just("") | st.dictionaries(st.text(), st.text()).map(specification_tag),
    try_number=st.integers(1, 10**4),
    clears=st.integers(0, 10**4),
    array_size=st.integers(0, 10**4),
)


def test_name() -> None:
    assert re.fullmatch(r"channel_flow_[a-z2-7]{12}_g2", TAG.name("channel flow"))
    assert re.fullmatch(r"x_[a-z2-7]{12}_m0_g2", JobTag(TAG.task, 0, 2).name("x"))
    assert JobTag(TAG.task, 3, 2, "abcdefgh").name("x") == f"x_{TAG.task}_labcdefgh_m3_g2"
    array = JobTag(TAG.task, -1, 0, "", "abcdefgh", try_number=1, array_size=40)
    assert array.name("x") == f"x_{TAG.task}_g0_t1c0a40_sabcdefgh"


@given(tags, st.text(max_size=60))
def test_tag_is_read_from_whatever_name(tag: JobTag, own: str) -> None:
    name = tag.name(own)
    read = JobTag.read(name)
    assert read == tag
    told = (read.try_number, read.clears, read.array_size)
    assert not tag.specification or told == (tag.try_number, tag.clears, tag.array_size)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name)


@pytest.mark.parametrize("own", ["", "流场", "...", "_"])
def test_name_that_nothing_is_left_of(own: str) -> None:
    assert TAG.name(own).startswith("job_")


def test_long_name_is_cut() -> None:
    assert TAG.name("x" * 200).startswith(f"{'x' * 32}_{TAG.task}")


@pytest.mark.parametrize(
    "name", ["", "demo", "demo_g1", "STDIN_0910_094758", f"demo_{TAG.task}", f"demo_{TAG.task}_g2x", f"x{TAG.task}_g2"]
)
def test_name_of_somebody_elses(name: str) -> None:
    assert JobTag.read(name) is None


def test_each_task_of_each_run_of_each_dag_has_its_own() -> None:
    parts = [("a", "b", "c"), ("a", "b", "d"), ("a", "d", "c"), ("d", "b", "c"), ("a", "bc", ""), ("ab", "", "c")]
    assert len({task_tag(*three) for three in parts}) == len(parts)


def test_instance_is_the_same_whatever_generation() -> None:
    assert TAG.instance == JobTag(TAG.task, -1, 9).instance
    assert TAG.instance != JobTag(TAG.task, 0, 2).instance
    assert TAG.instance != JobTag(TAG.task, -1, 2, "abcdefgh").instance


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((5, 1), (1, 2)),  # retries were lowered before the clear
        ((1, 1), (5, 2)),
        ((1, 0), (2, 0)),  # named by 0.2.0
        ((1, 0), (2, 3)),
    ],
)
def test_life_is_later_by_its_try(earlier: tuple[int, int], later: tuple[int, int]) -> None:
    before, after = (
        JobTag(TAG.task, -1, generation, try_number=try_number) for generation, try_number in (earlier, later)
    )
    assert after.is_of_later_life(before)
    assert not before.is_of_later_life(after)
    assert not before.is_of_later_life(before)


@pytest.mark.parametrize(
    "value", ["abcdefghijkl, lkjihgfedcba", " abcdefghijkl\nlkjihgfedcba", ["abcdefghijkl", "lkjihgfedcba"]]
)
def test_tags_are_read(value: str | list[str]) -> None:
    assert read_task_tags(value) == ["abcdefghijkl", "lkjihgfedcba"]


@pytest.mark.parametrize("nothing", [None, "", " ", "None", (), []])
def test_no_tags(nothing: object) -> None:
    assert read_task_tags(nothing) == []


@pytest.mark.parametrize("strange", ["197", "ABCDEFGHIJKL", f"{TAG.task}x", [TAG.task, 5], 5, {TAG.task: 1}])
def test_what_is_no_tag(strange: object) -> None:
    with pytest.raises(ScnetRequestError, match="job_tags"):
        read_task_tags(strange)


def test_name_is_no_tag() -> None:
    """It is of one job, and its tag of all jobs of the task: which of them is meant has to be said."""
    with pytest.raises(ScnetRequestError, match=f"In this name it is '{TAG.task}', which stands for all jobs"):
        read_task_tags(TAG.name("flow"))
