"""Queues, limits and statistics. What SCNet says there of a real cluster an emulated one does not have: it is null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from airflow_provider_scnet.testing.records import Record

QUEUE_FIGURES = (
    "queNodes",
    "queFreeNodes",
    "queNcpus",
    "queFreeNcpus",
    "queMaxNcpus",
    "queMaxPPN",
    "queMaxNodect",
    "queMinNodect",
    "queMaxWalltime",
    "queMaxNgpus",
    "queMaxGpuPN",
    "queMaxDcuPN",
    "queChargeRate",
)
USER_LIMITS = (
    "userMaxCpu",
    "userMaxGpu",
    "userMaxDcu",
    "userMaxMlu",
    "userMaxMem",
    "userMaxNode",
    "userMaxSubmitJob",
    "userMaxRunJob",
    "maxWallTime",
)
#: Names as seen on the wire; the documentation has Chinese ones.
BUCKETS = {
    "statR": "jobview_status_run",
    "statQ": "jobview_status_queue",
    "statH": "jobview_status_reserve",
    "statS": "jobview_status_hung",
}
OTHER = "jobview_status_other"


def queue_record(name: str) -> Record:
    """
    Describe a queue.

    :param name: its name.
    """
    return {"id": name, "text": name, "queueName": name, "aclHosts": None, **dict.fromkeys(QUEUE_FIGURES)}


def user_limits() -> Record:
    """Return the limits of a user, of which there are none here."""
    return dict.fromkeys(USER_LIMITS)


def job_counts(codes: Iterable[str]) -> list[Record]:
    """
    Count jobs in SCNet's five buckets.

    :param codes: the ``jobStatus`` of each job.
    """
    counts = Counter(BUCKETS.get(code, OTHER) for code in codes)
    return [{"name": name, "y": counts[name]} for name in (*BUCKETS.values(), OTHER)]


def storage_quota(user: str, home_path: str) -> Record:
    """
    Describe the storage of a user.

    :param user: cluster user.
    :param home_path: where it is.
    """
    return {"quotaId": None, "username": user, "path": home_path, "threshold": None, "usage": None}
