"""What a job has used of the cluster, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_scnet.api.records import JobRecord


def usage_of(records: Sequence[JobRecord]) -> dict[str, Any]:
    """
    Return what a job has used; ``None`` where SCNet does not tell. Counts and core-hours of an array are those of all
    its members together; its times reach from the first submission and start to the last end.

    :param records: of the job, or of the members of an array, at least one.
    :return: ``name``, ``queue``, ``nodes``, ``cores``, ``gpus``, ``dcus``, ``submitted_at``, ``started_at`` and
        ``ended_at`` (ISO 8601, UTC), ``seconds_queued``, ``seconds_run``, ``core_hours``.
    """
    submitted = _first(min, (record.submitted_at for record in records))
    started = _first(min, (record.started_at for record in records))
    ended = _first(max, (record.ended_at for record in records))
    alone = records[0] if len(records) == 1 else None
    ran = alone.run_time.total_seconds() if alone and alone.run_time is not None else _between(started, ended)
    return {
        "name": records[0].name or None,
        "queue": records[0].queue or None,
        "nodes": _sum(record.node_count for record in records),
        "cores": _sum(record.cores for record in records),
        "gpus": _sum(record.gpus for record in records),
        "dcus": _sum(record.dcus for record in records),
        "submitted_at": _iso(submitted),
        "started_at": _iso(started),
        "ended_at": _iso(ended),
        "seconds_queued": _between(submitted, started or ended),
        "seconds_run": ran if started or ran else None,
        "core_hours": _core_hours(records),
    }


def _core_hours(records: Sequence[JobRecord]) -> float | None:
    seconds = _sum(_core_seconds(record) for record in records)
    return None if seconds is None else round(seconds / 3600, 4)


def _core_seconds(record: JobRecord) -> float | None:
    ran = _between(record.started_at, record.ended_at)
    if record.run_time is not None:
        ran = record.run_time.total_seconds()
    return None if ran is None or record.cores is None else ran * record.cores


def _sum(numbers: Iterable[Any]) -> Any:
    told = list(numbers)
    return None if None in told else sum(told)


def _first(order: Callable[..., datetime], moments: Iterable[datetime | None]) -> datetime | None:
    told = [moment for moment in moments if moment]
    return order(told) if told else None


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - start).total_seconds()) if start and end else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
