"""The gateway of one region: from the parameters of its calls to answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.cluster import Job
from airflow_provider_scnet.testing.dispatch import Route
from airflow_provider_scnet.testing.records import (
    Record,
    detail_record,
    history_code,
    history_record,
    listed_record,
    live_code,
    raw_attributes,
)
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.submit import read_submission
from airflow_provider_scnet.testing.tokens import Claims, TokenOffice
from airflow_provider_scnet.testing.wire import (
    Answer,
    ApiError,
    RecordedRequest,
    envelope,
    from_beijing,
)

HISTORY_REQUIRED = (
    "strClusterNameList",
    "startTime",
    "endTime",
    "timeType",
    "start",
    "limit",
    "isQueryByQueueTime",
)
MAP_ENTRY = re.compile(r"(\d+),([^,:;\s]+):([^,:;\s]+):")


@dataclass(frozen=True)
class Call:
    """
    A request that has passed the token check.

    :param argument: the variable part of the path.
    """

    request: RecordedRequest
    claims: Claims
    argument: str


class Gateway:
    """
    The gateway of one region.

    :param region: the region; only its tokens are good here.
    :param tokens: checks tokens.
    :param behaviour: how it behaves where SCNet's documentation leaves room.
    """

    def __init__(self, region: Region, tokens: TokenOffice, behaviour: Behaviour) -> None:
        self._region = region
        self._cluster = region.cluster
        self._tokens = tokens
        self._behaviour = behaviour

    def routes(self, prefix: str = "/hpc") -> list[Route]:
        """
        Return the calls this gateway answers.

        :param prefix: path before ``/openapi/v2``.
        """
        calls: list[tuple[str, str, str, Callable[[Call], object]]] = [
            ("GET", "/cluster", "clusters", self._list_clusters),
            ("GET", "/jobs", "list", self._list_jobs),
            ("GET", "/jobs/([^/]+)", "detail", self._show_job),
            ("GET", "/historyjobs", "history", self._list_history),
            ("DELETE", "/jobs", "delete", self._delete_jobs),
            ("POST", "/apptemplates/BASIC/BASE/job", "submit", self._submit),
        ]
        base = re.escape(f"{prefix}/openapi/v2")
        return [
            Route(verb, re.compile(base + path), name, self._guarded(work), self._region.region_id)
            for verb, path, name, work in calls
        ]

    def _guarded(self, work: Callable[[Call], object]) -> Callable[[RecordedRequest, str], Answer]:
        def handle(request: RecordedRequest, argument: str) -> Answer:
            claims = self._tokens.check(request.headers.get("token"), self._region.region_id)
            if claims is None:
                raise ApiError("10008")
            if self._region.stopped:
                raise ApiError(self._behaviour.stopped_code)
            return envelope("0", data=work(Call(request, claims, argument)))

        return handle

    def _list_clusters(self, call: Call) -> object:
        return [
            {
                "JobManagerType": "SLURM",
                "JobManagerAddr": "10.0.0.1",
                "id": int(scheduler_id),
                "text": name,
                "JobManagerPort": "9091",
            }
            for scheduler_id, name in self._cluster.schedulers.items()
        ]

    def _list_jobs(self, call: Call) -> object:
        query = call.request.query
        _require(query, ["strClusterIDList"])
        scheduler_id = self._scheduler(query["strClusterIDList"])
        jobs = [
            job
            for job in self._cluster.select(scheduler_id, query.get("strJobId"))
            if query.get("strJobOwner") in (None, "", job.user)
            and query.get("strJobName") in (None, "", job.name)
            and query.get("strQueueName") in (None, "", job.queue)
            and job.listed
            and query.get("strJobStat") in (None, "", live_code(job))
        ]
        return self._page(query, jobs, self._listed)

    def _listed(self, job: Job) -> Record:
        record = listed_record(job)
        if self._behaviour.raw_state_in_lists:
            record["jobInitAttr"] = raw_attributes(job)
        return record

    def _show_job(self, call: Call) -> object:
        job = self._cluster.find(call.argument)
        if job is None or not job.listed:
            return None
        return self._with_id(detail_record(job, self._cluster.schedulers[job.scheduler_id]))

    def _list_history(self, call: Call) -> object:
        query = call.request.query
        _require(query, HISTORY_REQUIRED)
        scheduler_id = self._scheduler(query["strClusterNameList"])
        first, last = from_beijing(query["startTime"]), from_beijing(query["endTime"])
        by_queue_time = {"true": True, "false": False}.get(query["isQueryByQueueTime"].lower())
        if query["timeType"] != "CUSTOM" or by_queue_time is None:
            raise ApiError("10004")

        def in_window(job: Job) -> bool:
            moment = job.submitted_at if by_queue_time else job.ended_at
            # Whole seconds: that is what the window is made of, and what the records say.
            return moment is not None and first <= int(moment) <= last

        jobs = [
            job
            for job in self._cluster.select(scheduler_id, query.get("jobId"))
            if not job.active
            and in_window(job)
            and query.get("strUser") in (None, "", job.user)
            and query.get("jobName") in (None, "", job.name)
            and query.get("queue") in (None, "", job.queue)
            and query.get("jobState") in (None, "", history_code(job))
        ]
        if order := ORDERS.get(query.get("orderBy", "")):
            jobs.sort(key=order, reverse=query.get("sort", "").upper() == "DESC")
        return self._page(query, jobs, lambda job: history_record(job, self._cluster.schedulers[scheduler_id]))

    def _delete_jobs(self, call: Call) -> object:
        form = call.request.form
        _require(form, ["jobMethod", "strJobInfoMap"])
        if form["jobMethod"] != "5":
            raise ApiError("10004")
        entries = _entries(form["strJobInfoMap"])
        for scheduler_id in {scheduler_id for scheduler_id, _, _ in entries}:
            self._scheduler(scheduler_id)
        named = [self._named(*entry) for entry in entries]
        for job in named:
            if job:
                job.deletes += 1
        refusals = [job.refused for job in named if job and job.refused]
        if refusals and self._behaviour.refusal == "whole":
            raise ApiError(*refusals[0])
        good: dict[str, list[str]] = {scheduler_id: [] for scheduler_id, _, _ in entries}
        bad: dict[str, list[str]] = {scheduler_id: [] for scheduler_id, _, _ in entries}
        for (scheduler_id, user, job_id), job in zip(entries, named, strict=True):
            refused = job is not None and job.refused is not None
            (bad if refused else good)[scheduler_id].append(f"{user}:{job_id}:")
            if job and not refused and job.user == call.claims["computeUser"]:
                job.cancel(self._behaviour.cancel_delay)
        return {scheduler_id: _result(scheduler_id, good[scheduler_id], bad[scheduler_id]) for scheduler_id in good}

    def _named(self, scheduler_id: str, user: str, job_id: str) -> Job | None:
        job = self._cluster.find(job_id, scheduler_id)
        return job if job and job.user == user else None

    def _submit(self, call: Call) -> object:
        wanted = read_submission(call.request, self._cluster.schedulers, self._behaviour.queues)
        options, life = wanted.options, wanted.life
        job = self._cluster.add_job(
            call.claims["computeUser"],
            scheduler_id=wanted.scheduler_id,
            name=options["JOB_NAME"],
            queue=options["QUEUE"],
            runtime=life.runtime,
            outcome=life.outcome,
        )
        job.exit_code, job.work_dir, job.command = life.exit_code, options["WORK_DIR"], options["CMD_FILE"]
        job.nodes, job.procs = wanted.nodes, wanted.procs
        return self._id(job.job_id)

    def _scheduler(self, scheduler_id: str) -> str:
        if scheduler_id not in self._cluster.schedulers:
            raise ApiError("10004")
        return scheduler_id

    def _page(self, query: dict[str, str], jobs: list[Job], describe: Callable[[Job], Record]) -> object:
        start, limit = _number(query, "start", 0, 0), _number(query, "limit", 25, 1)
        if self._behaviour.page_cap is not None:
            limit = min(limit, self._behaviour.page_cap)
        page = [self._with_id(describe(job)) for job in jobs[start : start + limit]]
        if not page and self._behaviour.null_empty_lists:
            return None
        total = len(jobs)
        lie = self._behaviour.total_lie
        return {"total": lie(total) if lie else total, "list": page}

    def _with_id(self, record: Record) -> Record:
        record["jobId"] = self._id(str(record["jobId"]))
        return record

    def _id(self, job_id: str) -> str | int:
        return int(job_id) if self._behaviour.numeric_ids and job_id.isdecimal() else job_id


def _require(given: dict[str, str], names: Iterable[str]) -> None:
    if any(not given.get(name) for name in names):
        raise ApiError("10003")


def _number(query: dict[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise ApiError("10004")
    return int(text)


def _entries(text: str) -> list[tuple[str, str, str]]:
    matches = [MAP_ENTRY.fullmatch(entry) for entry in text.removesuffix(";").split(";")]
    entries = [(match[1], match[2], match[3]) for match in matches if match]
    if len(entries) < len(matches):
        raise ApiError("10004")
    return entries


def _result(scheduler_id: str, good: list[str], bad: list[str]) -> str:
    # No text of a failure is published; this one names only what has been deleted.
    parts = []
    if good:
        parts.append(f"delete the jobs [{','.join(good)}] successfully!")
    if bad:
        parts.append(f"{len(bad)} failed!")
    return f"jobManagerId : {scheduler_id}, {' '.join(parts)}"


def _by_id(job: Job) -> tuple[list[int], str]:
    return [int(digits) for digits in re.findall(r"\d+", job.job_id)], job.job_id


def _by_end(job: Job) -> tuple[list[int], str]:
    return [int(job.ended_at or 0)], job.job_id


ORDERS = {"jobId": _by_id, "acctTime": _by_end}
