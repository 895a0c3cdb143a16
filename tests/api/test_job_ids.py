"""How ids are taken apart: as lists show them, and as deletes name them."""

from __future__ import annotations

import pytest

from airflow_provider_scnet.api.job_ids import LONGEST_WHOLE, MOST_WRITTEN_OUT, is_one_member, name_of, read_listed

ALL, CUT = True, False
CUT_BY_SQUEUE = "64_[1,7,9,11,13,15,17,19,21,23,"
"""As Slurm 22.05 prints it: 31 characters, and nothing says that there is more."""


def members(text: str) -> list[int]:
    listed = read_listed(text)
    assert listed
    assert listed.members is not None
    return [number for numbers in listed.members for number in numbers]


@pytest.mark.parametrize(
    ("text", "named", "is_whole"),
    [
        ("5_0", [0], ALL),
        ("5_17", [17], ALL),
        ("5_[7]", [7], ALL),
        ("5_[2-4]", [2, 3, 4], ALL),
        ("5_[2,9-11]", [2, 9, 10, 11], ALL),
        ("5_[2-3%4]", [2, 3], ALL),
        ("5_[2,5-6%40]", [2, 5, 6], ALL),
        ("5_[1-5:2]", [1, 3, 5], ALL),
        ("5_[0-9:4%2]", [0, 4, 8], ALL),
        ("17_[1-3,7,9,11,13,15,17,19%1]", [1, 2, 3, 7, 9, 11, 13, 15, 17, 19], ALL),
        # Cut, and one sees it.
        ("5_[7,9,...]", [7, 9], CUT),
        ("5_[7,9...", [7], CUT),
        ("5_[7,9,", [7, 9], CUT),
        ("5_[7,9", [7], CUT),
        ("5_[7,9-1", [7, 9], CUT),
        ("5_[1-9:", [1], CUT),
        ("5_[7", [], CUT),
        ("5_[", [], CUT),
        ("5_[7,9%", [7, 9], CUT),
        (CUT_BY_SQUEUE, [1, 7, 9, 11, 13, 15, 17, 19, 21, 23], CUT),
        # Cut, perhaps, and nothing tells: the last number may have been 23.
        ("5_[1,3,5,7,9,11,13,15,17,19,2]", [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 2], ALL),
        ("64_[1,3,5,7,9,11,13,15,17,19,2]", [1, 3, 5, 7, 9, 11, 13, 15, 17, 19], CUT),
        ("64_[1,3,5,7,9,11,13,15,17,19-2]", [1, 3, 5, 7, 9, 11, 13, 15, 17, 19], CUT),
        # What stands behind the members was not cut, and so they were not.
        ("64_[1,3,5,7,9,11,13,15,17,19,23%4]", [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 23], ALL),
        # What nobody can read may be anything.
        ("5_[]", [], CUT),
        ("5_[a]", [], CUT),
        ("5_[3,x]", [3], CUT),
        ("5_[9-2]", [], CUT),
        ("5_[1-99999999999]", [], CUT),
    ],
)
def test_members_that_a_list_names(text: str, named: list[int], is_whole: bool) -> None:
    listed = read_listed(text)
    assert listed
    assert (members(text), listed.is_whole, listed.rest) == (named, is_whole, "")


def test_what_is_31_characters_long() -> None:
    assert len(CUT_BY_SQUEUE) == LONGEST_WHOLE + 1


@pytest.mark.parametrize(
    ("text", "array", "rest"),
    [
        ("5", "5", ""),
        ("5.batch", "5", ".batch"),
        ("1+0", "1", "+0"),
        ("1.server01", "1", ".server01"),
        ("5_1-3", "5", "_1-3"),
        ("5_07", "5", "_07"),
        ("5_1234567890", "5", "_1234567890"),
    ],
)
def test_what_stands_for_the_job_itself(text: str, array: str, rest: str) -> None:
    listed = read_listed(text)
    assert listed
    assert (listed.array, listed.members, listed.rest) == (array, None, rest)


def test_step_of_a_member() -> None:
    listed = read_listed("5_1.batch")
    assert listed
    assert (members("5_1.batch"), listed.rest) == ([1], ".batch")
    assert [is_one_member(text) for text in ("5_1", "5_1.batch", "5_[1]", "5", "x")] == [True, *[False] * 4]


@pytest.mark.parametrize("text", ["", "x", "_1", "007", "-5", "²", "٣", "5" * 31, "5" * 4_301])
def test_what_is_no_job(text: str) -> None:
    assert read_listed(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("197", "197"),
        ("5_1", "5_1"),
        ("5_[7]", "5_[7]"),
        ("5_[2-9]", "5_[2-9]"),
        ("5_[2,9-11]", "5_[2,9-11]"),
        ("5_[2-3%2]", "5_[2-3]"),
        ("5_[2-9,11%4]", "5_[2-9,11]"),
        ("5_[1-5:2]", "5_[1,3,5]"),
        ("5_[1-6:5,8-9%1]", "5_[1,6,8-9]"),
        ("5_[1-4:1]", "5_[1,2,3,4]"),
        ("5_[3-3]", "5_[3-3]"),
        ("5_[1,3,5,7,9,11,13,15,17,19,21,23,25]", "5_[1,3,5,7,9,11,13,15,17,19,21,23,25]"),  # somebody has written it
    ],
)
def test_name_that_a_cancel_command_takes(text: str, name: str) -> None:
    assert name_of(text) == name
    assert name_of(name) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5_[7,9,...]", "Name the array, '5'"),
        ("5_[7,9", "Name the array, '5'"),
        ("5_[7,9,", "Name the array, '5'"),
        (CUT_BY_SQUEUE, "Name the array, '64'"),
        ("5_[...]", "Name the array, '5'"),
        ("5_[", "Name the array, '5'"),
        ("5_[]", "are written as '5_"),
        ("5_[1]2]", "are written as '5_"),
        ("5_[1-3%]", "are written as '5_"),
        ("5_[1-3%x]", "are written as '5_"),
        ("5_[9-2]", "are written as '5_"),
        ("5_[1-3:0]", "are written as '5_"),
        ("5_[01]", "are written as '5_"),
        ("5_[1, 2]", "are written as '5_"),
        ("5_[1;2]", "are written as '5_"),
        (f"5_[1-{2 * MOST_WRITTEN_OUT + 1}:2]", "too many"),
        ("5_01", "a job id is a number"),
        ("5_1.batch", "a job id is a number"),
        ("5_", "a job id is a number"),
        ("0x33", "a job id is a number"),
        ("1_000", "a job id is a number"),
        ("5\n", "a job id is a number"),
        ("5" * 4_301, "a job id is a number"),
    ],
)
def test_what_no_delete_may_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z].*\.$") as caught:
        name_of(text)
    assert said in str(caught.value)


def test_a_whole_array_is_not_written_out() -> None:
    listed = read_listed("5_[1-999999999]")
    assert listed
    assert listed.member_ids() == []
