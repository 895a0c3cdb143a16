"""Which records are of the job that is waited for; how members are counted is in the tests of the wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.known import PROVEN_AFTER, Known
from airflow_provider_scnet.jobs.naming import JobTag

NOW = datetime(2024, 1, 2, tzinfo=UTC)
TAG = JobTag("k3m2x4a7pq5t", -1, 0, specification="abcdefgh")
OTHER = JobTag("a" * 12, -1, 0, specification="abcdefgh")
LEGACY = JobTag("a" * 12, -1, 0)


def known(job_id: str = "5", size: int = 0) -> Known:
    job = Known(JobRef("1", "u", job_id), NOW)
    job.expect(replace(TAG, array_size=size))
    return job


def past(name: str, *, ago: float = 600.0, job_id: str = "5") -> JobRecord:
    return JobRecord(job_id, name=name, word="COMPLETED", ended_at=NOW - timedelta(seconds=ago), past=True)


@pytest.mark.parametrize(
    ("name", "is_own", "may_be_another"),
    [
        (TAG.name("flow"), True, False),
        (OTHER.name("flow"), False, False),
        ("flow", False, False),
        ("", True, True),
        ("flow_k3m2+", True, True),  # cut by a table
        (LEGACY.name("flow"), True, True),
    ],
)
def test_name_tells_whose_end_it_is(name: str, is_own: bool, may_be_another: bool) -> None:
    own = known().own([past(name)])
    assert bool(own) is is_own
    assert known().may_be_another(own) is may_be_another


def test_name_that_was_cut_without_a_sign_tells_nothing() -> None:
    name = TAG.name("channel_flow")
    job = known()
    job.expect(TAG, name)
    for length in (10, 40):
        assert job.own([past(name[:length])])
    assert not job.own([past("channel_other")])


def test_end_since_the_wait_began_is_no_other_jobs() -> None:
    assert not known().may_be_another([past("", ago=-1)])
    assert not known().may_be_another([])


def test_job_that_a_list_has_shown_is_no_other() -> None:
    job = known()
    job.note_listed([JobRecord("5", word="RUNNING", started_at=NOW)], 0.0, NOW)
    assert not job.may_be_another([past("")])
    assert not job.own([past("")])  # it had ended before this one began
    assert job.own([past("", ago=-1)])


def test_absence_has_no_break() -> None:
    job = known()
    assert not job.has_been_absent(0.0)
    job.note_listed([], 0.0, NOW)
    assert job.has_been_absent(PROVEN_AFTER)
    job.note_listed([JobRecord("5", word="RUNNING")], 50.0, NOW)
    job.note_listed([], 60.0, NOW)
    assert not job.has_been_absent(PROVEN_AFTER)


def test_step_of_a_job_is_no_member() -> None:
    records = [past("", job_id=job_id) for job_id in ("5_1", "5_2", "5_1.batch", "5.extern")]
    assert not known(size=3).has_all(records)
    assert known(size=3).missing(records).startswith("1 of 3 members")
    assert known(size=2).has_all(records)
    assert known(size=3).has_all([*records[:2], past("")])  # the member that starts last has the array's own number


def test_many_members_that_are_missing_are_not_all_named() -> None:
    job = known()
    job.note_listed([JobRecord("5_[1-7]", word="PENDING")], 0.0, NOW)
    assert job.missing([]) == ("7 members (5_1, 5_2, 5_3, 5_4, 5_5, ...) cancelled while waiting: they left no record")
