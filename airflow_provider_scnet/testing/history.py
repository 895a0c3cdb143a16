"""The history of a cluster: jobs that have ended, the members of an array one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from airflow_provider_scnet.testing.arrays import array_of, member_ids
from airflow_provider_scnet.testing.behaviour import Behaviour, finds_name
from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import APP_TYPE, Record, history_code, history_record
from airflow_provider_scnet.testing.wire import ApiError, from_beijing, require
from airflow_provider_scnet.testing.words import VANISHED

REQUIRED = (
    "strClusterNameList",
    "startTime",
    "endTime",
    "timeType",
    "start",
    "limit",
    "isQueryByQueueTime",
)
BY_QUEUE_TIME = {"true": True, "false": False}

#: The id that a record is about, and the job.
Past = tuple[str, Job]


class History:
    """
    The jobs of a cluster that have ended.

    :param cluster: all its jobs.
    :param behaviour: how late the history is, if there is one.
    """

    def __init__(self, cluster: Cluster, behaviour: Behaviour) -> None:
        self._cluster = cluster
        self._behaviour = behaviour

    def check(self, query: Mapping[str, str]) -> str:
        """
        Check a request.

        :param query: its parameters.
        :return: the scheduler it asks for.
        :raises ApiError: what the service would answer.
        """
        require(query, REQUIRED)
        scheduler_id = query["strClusterNameList"]
        if scheduler_id not in self._cluster.schedulers:
            raise ApiError("10004")
        _window(query)
        return scheduler_id

    def records(self, scheduler_id: str, query: Mapping[str, str]) -> list[Callable[[], Record]]:
        """
        Return what is found, as functions that write the records: a page needs few of them.

        :param scheduler_id: the scheduler.
        :param query: parameters that have been checked.
        """
        first, last, by_queue_time = _window(query)

        def in_window(job: Job) -> bool:
            moment = job.submitted_at if by_queue_time else job.ended_at
            # Whole seconds: that is what the window is made of, and what the records say.
            return moment is not None and first <= int(moment) <= last

        past = [
            (job_id, job)
            for job_id, job in self.ended(scheduler_id, query.get("jobId"))
            if in_window(job)
            and query.get("strUser") in (None, "", job.user)
            and finds_name(self._behaviour, query.get("jobName"), job.name)
            and query.get("queue") in (None, "", job.queue)
            and query.get("appType") in (None, "", APP_TYPE)
            and query.get("hostName") in (None, "", *(job.node_names.split(",") if job.started_at else ()))
            and query.get("jobState") in (None, "", history_code(job))
        ]
        if order := ORDERS.get(query.get("orderBy", "")):
            past.sort(key=order, reverse=query.get("sort", "").upper() == "DESC")
        name = self._cluster.schedulers[scheduler_id]
        return [partial(history_record, job, name, job_id) for job_id, job in past]

    def record(self, scheduler_id: str, job_id: str) -> Record | None:
        """
        Return the record of one job, or None.

        :param scheduler_id: its scheduler.
        :param job_id: its whole id, or that of a member.
        """
        name = self._cluster.schedulers[scheduler_id]
        past = self.ended(scheduler_id, job_id)
        return next((history_record(job, name, its_id) for its_id, job in past if its_id == job_id), None)

    def ended(self, scheduler_id: str, wanted: str | None = None) -> Iterator[Past]:
        """
        Yield the jobs that the history knows, the members of an array one by one.

        :param scheduler_id: the scheduler.
        :param wanted: only this job.
        """
        if not self._behaviour.has_history:
            return
        array = array_of(wanted) if wanted else ""
        jobs = self._cluster.family(array, scheduler_id) if array else self._cluster.select(scheduler_id)
        whole = wanted == array and self._behaviour.members_by_lookup
        before = self._cluster.clock.now() - self._behaviour.history_lag
        for job in jobs:
            ended_at = job.ended_at
            if ended_at is None or ended_at > before or job.state == VANISHED:
                continue
            for job_id in member_ids(job.job_id):
                if whole or wanted in (None, "", job.job_id, job_id):
                    yield job_id, job


def _window(query: Mapping[str, str]) -> tuple[float, float, bool]:
    first, last = from_beijing(query["startTime"]), from_beijing(query["endTime"])
    by_queue_time = BY_QUEUE_TIME.get(query["isQueryByQueueTime"].lower())
    if query["timeType"] != "CUSTOM" or by_queue_time is None:
        raise ApiError("10004")
    return first, last, by_queue_time


def _by_id(past: Past) -> tuple[list[int], str]:
    job_id, _ = past
    return [int(digits) for digits in re.findall(r"\d+", job_id)], job_id


def _by_end(past: Past) -> tuple[list[int], str]:
    job_id, job = past
    return [int(job.ended_at or 0)], job_id


ORDERS: dict[str, Callable[[Past], tuple[list[int], str]]] = {"jobId": _by_id, "acctTime": _by_end}
