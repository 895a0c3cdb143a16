from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.jobs.usage import usage_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def hours(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def test_what_one_job_has_used() -> None:
    record = JobRecord(
        "197",
        name="flow",
        queue="debug",
        node_count=2,
        cores=64,
        gpus=0,
        dcus=8,
        submitted_at=hours(0),
        started_at=hours(0.5),
        ended_at=hours(2.5),
    )
    assert usage_of([record]) == {
        "name": "flow",
        "queue": "debug",
        "nodes": 2,
        "cores": 64,
        "gpus": 0,
        "dcus": 8,
        "submitted_at": "2026-01-01T12:00:00+00:00",
        "started_at": "2026-01-01T12:30:00+00:00",
        "ended_at": "2026-01-01T14:30:00+00:00",
        "seconds_queued": 1800.0,
        "seconds_run": 7200.0,
        "core_hours": 128.0,
    }


def test_run_time_outranks_the_clock() -> None:
    """A job that was suspended has not run all the time."""
    record = JobRecord("1", cores=2, started_at=hours(0), ended_at=hours(5), run_time=timedelta(hours=1))
    assert (usage_of([record])["seconds_run"], usage_of([record])["core_hours"]) == (3600.0, 2.0)


def test_what_an_array_has_used() -> None:
    members = [JobRecord(f"5_{n}", cores=4, started_at=hours(n), ended_at=hours(n + 1)) for n in range(3)]
    used = usage_of(members)
    assert (used["cores"], used["core_hours"], used["seconds_run"]) == (12, 12.0, 3 * 3600.0)


def test_what_scnet_does_not_tell_is_none() -> None:
    assert {key for key, value in usage_of([JobRecord("1")]).items() if value is not None} == set()


def test_job_that_never_ran() -> None:
    used = usage_of([JobRecord("1", cores=4, submitted_at=hours(0), ended_at=hours(1), run_time=timedelta(0))])
    assert (used["seconds_queued"], used["seconds_run"], used["core_hours"]) == (3600.0, None, 0.0)
