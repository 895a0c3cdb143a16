from __future__ import annotations

import re

import pytest

from airflow_provider_scnet.testing.arrays import JOB_ID, array_of, member_ids, rest_id


@pytest.mark.parametrize(
    ("job_id", "array", "members"),
    [
        ("5", "5", "5"),
        ("5_1", "5", "5_1"),
        ("5_[2-4]", "5", "5_2 5_3 5_4"),
        ("5_[2-4,11%4]", "5", "5_2 5_3 5_4 5_11"),
        ("5_[7]", "5", "5_7"),
        ("5_[2-]", "5", "5_[2-]"),
        ("5_[1,...]", "5", "5_[1,...]"),
    ],
)
def test_ids(job_id, array, members):
    assert re.fullmatch(JOB_ID, job_id)
    assert (array_of(job_id), list(member_ids(job_id))) == (array, members.split())


@pytest.mark.parametrize(
    "wrong", ["", "1,2", "1:2", "1;2", "1 2", "5_[0-9:4]", "5_[1;2]", "5_[1 2]", "5_[2-9", "5_[1],2"]
)
def test_what_is_no_id(wrong):
    assert not re.fullmatch(JOB_ID, wrong)


@pytest.mark.parametrize(
    ("members", "rest"),
    [(["5_2"], "5_[2]"), (["5_2", "5_3", "5_4"], "5_[2-4]"), (["5_9", "5_0", "5_1"], "5_[0-1,9]")],
)
def test_the_row_of_what_waits(members, rest):
    assert rest_id(members) == rest
