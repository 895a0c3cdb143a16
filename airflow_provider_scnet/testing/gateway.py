"""The gateway of one region: from the parameters of its calls to answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_scnet.testing.arrays import JOB_ID, is_cancellable
from airflow_provider_scnet.testing.behaviour import Behaviour, finds_name
from airflow_provider_scnet.testing.dispatch import Route
from airflow_provider_scnet.testing.figures import job_counts, queue_record, storage_quota, user_limits
from airflow_provider_scnet.testing.history import History
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import Record, detail_record, listed_record, live_code, raw_attributes
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.submit import read_submission
from airflow_provider_scnet.testing.tokens import Claims, TokenOffice
from airflow_provider_scnet.testing.view import View
from airflow_provider_scnet.testing.wire import Answer, ApiError, RecordedRequest, envelope, require

PAGE_LINES = 1000
MAP_ENTRY = re.compile(rf"(\d+),([^,:;\s]+):({JOB_ID}):")
Entry = tuple[str, str, str]


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
        self._view = View(region.cluster, behaviour)
        self._history = History(region.cluster, behaviour)

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
            ("GET", "/historyjobs/([^/]+/[^/]+)", "history_detail", self._show_past_job),
            ("DELETE", "/jobs", "delete", self._delete_jobs),
            ("POST", "/apptemplates/BASIC/BASE/job", "submit", self._submit),
            ("POST", "/file/content", "content", self._show_file),
            ("GET", "/queuenames/users/([^/]+)", "queues", self._of_scheduler(self._list_queues)),
            ("GET", "/userquotas/queues", "queue_quota", self._of_scheduler(self._unrecorded)),
            ("GET", "/userquotas/userlimit", "user_limits", self._of_scheduler(lambda call: user_limits())),
            ("GET", "/view/jobs/state", "job_counts", self._count_jobs),
            ("GET", "/view/queue/jobs", "queue_jobs", self._unrecorded),
            ("GET", "/view/cpucore/state", "core_use", self._unrecorded),
            ("GET", "/view/walltime/users/([^/]+)", "machine_time", self._unrecorded),
            ("GET", "/parastor/quota/usernames/([^/]+)", "storage", self._show_storage),
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
        require(query, ["strClusterIDList"])
        scheduler_id = self._scheduler(query["strClusterIDList"])
        lookup, status = query.get("strJobId"), query.get("strJobStat")
        start, limit = self._slice(query)
        if self._behaviour.blank_lists:
            return None if self._behaviour.blank_lists == "null" else {"total": 0, "list": []}
        look = self._view.look
        jobs = [
            job
            for job in self._view.jobs(scheduler_id, lookup)
            if query.get("strJobOwner") in (None, "", job.user)
            and finds_name(self._behaviour, query.get("strJobName"), job.name)
            and query.get("strQueueName") in (None, "", job.queue)
            and (not status or status == live_code(job, look))
        ]
        # None is no cap.
        shown = jobs if lookup else jobs[: self._behaviour.list_cap]
        return self._page([self._listed(job) for job in shown[start : start + limit]], len(jobs))

    def _listed(self, job: Job) -> Record:
        look = self._view.look
        record = listed_record(job, look)
        if self._behaviour.raw_state_in_lists:
            record["jobInitAttr"] = raw_attributes(job, look)
        return record

    def _show_job(self, call: Call) -> object:
        job = self._view.job(call.argument)
        if job is None:
            return None
        record = detail_record(job, self._view.look, self._cluster.schedulers[job.scheduler_id])
        if not self._behaviour.words_in_details:
            record["jobInitAttr"] = {
                name: value for name, value in raw_attributes(job, self._view.look).items() if name != "JobState"
            }
        return self._with_id(record)

    def _list_history(self, call: Call) -> object:
        query = call.request.query
        scheduler_id = self._history.check(query)
        start, limit = self._slice(query)
        past = self._history.records(scheduler_id, query)
        return self._page([record() for record in past[start : start + limit]], len(past))

    def _show_past_job(self, call: Call) -> object:
        """The end that may be named is a hint that makes the call faster, and changes nothing else."""
        scheduler_id, _, job_id = call.argument.partition("/")
        record = self._history.record(self._scheduler(scheduler_id), job_id)
        return record and self._with_id(record)

    def _delete_jobs(self, call: Call) -> object:
        form = self._delete_form(call.request)
        require(form, ["jobMethod", "strJobInfoMap"])
        if form["jobMethod"] != "5":
            raise ApiError("10004")
        entries = _entries(form["strJobInfoMap"])
        for scheduler_id in {scheduler_id for scheduler_id, _, _ in entries}:
            self._scheduler(scheduler_id)
        if unreadable := [job_id for _, _, job_id in entries if not is_cancellable(job_id)]:
            raise ApiError("815007", f"scancel: error: Invalid job id {unreadable[0]}")
        named = [self._named(*entry) for entry in entries]
        for job in {id(job): job for jobs in named for job in jobs}.values():
            job.deletes += 1
        refusals = [job.refused for jobs in named for job in jobs if job.refused]
        if refusals and self._behaviour.refusal == "whole":
            raise ApiError(*refusals[0])
        good: dict[str, list[str]] = {scheduler_id: [] for scheduler_id, _, _ in entries}
        bad: dict[str, list[str]] = {scheduler_id: [] for scheduler_id, _, _ in entries}
        for (scheduler_id, user, job_id), jobs in zip(entries, named, strict=True):
            refused = any(job.refused for job in jobs)
            (bad if refused else good)[scheduler_id].append(f"{user}:{job_id}:")
            if not refused and user == call.claims["computeUser"]:
                self._cancel(jobs, is_whole="_" not in job_id)
        return {scheduler_id: _result(scheduler_id, good[scheduler_id], bad[scheduler_id]) for scheduler_id in good}

    def _delete_form(self, request: RecordedRequest) -> dict[str, str]:
        form, query = request.form, request.query
        if form.keys() & query.keys():
            # A servlet sees both values of such a parameter: "5,5".
            raise ApiError("10004")
        return query if self._behaviour.delete_by_query and not form else form

    def _named(self, scheduler_id: str, user: str, job_id: str) -> list[Job]:
        return [job for job in self._cluster.family(job_id, scheduler_id) if job.user == user]

    def _cancel(self, jobs: Iterable[Job], *, is_whole: bool) -> None:
        """Of what waits of an array, one record is left if all of it is cancelled."""
        keeps_record = is_whole
        for job in jobs:
            if self._view.knows(job) or not self._behaviour.lagging_deletes:
                waits = job.state == "PENDING"
                job.cancel(self._behaviour.cancel_delay, leaves_record=keeps_record)
                keeps_record &= not waits

    def _submit(self, call: Call) -> object:
        wanted = read_submission(call.request, self._cluster.schedulers, self._behaviour)
        options, life = wanted.options, wanted.life
        number = self._cluster.next_id()
        for count, job_id in enumerate(wanted.job_ids(number, self._behaviour)):
            job = self._cluster.add_job(
                call.claims["computeUser"],
                scheduler_id=wanted.scheduler_id,
                job_id=job_id,
                name=options["JOB_NAME"],
                queue=options["QUEUE"],
                runtime=life.runtime,
                outcome=life.outcome,
            )
            job.exit_code, job.work_dir, job.command = life.exit_code, options["WORK_DIR"], options["CMD_FILE"]
            job.nodes, job.node_string, job.procs = wanted.nodes, options.get("NODE_STRING", ""), wanted.procs
            job.gpus, job.dcus = wanted.gpus, wanted.dcus
            job.wall_time, job.script = wanted.wall_time, wanted.script
            job.logs, job.log_paths = wanted.logs, wanted.log_paths
            job.wait(count * self._behaviour.array_pace)
        return self._id(number)

    def _show_file(self, call: Call) -> object:
        """A page of a job's log, 1,000 lines long; a file that is missing has no text."""
        form = call.request.form
        require(form, ["dirPath", "triggerNum", "rollDirection"])
        if form["rollDirection"] not in ("UP", "DOWN") or not form["triggerNum"].isdecimal():
            raise ApiError("10004")
        lines = self._log(call.claims["computeUser"], form["dirPath"]).splitlines(keepends=True)
        pages = [lines[start : start + PAGE_LINES] for start in range(0, len(lines), PAGE_LINES)]
        if form["rollDirection"] == "UP":
            pages = [lines[max(0, end - PAGE_LINES) : end] for end in range(len(lines), 0, -PAGE_LINES)]
        number = int(form["triggerNum"]) - self._behaviour.first_page
        page = pages[number] if 0 <= number < len(pages) else []
        return {
            "data": "".join(page),
            "allLineTotal": len(lines),
            "totalTriggerTimes": len(pages),
            "success": "true",
            "errmsg": "",
        }

    def _log(self, user: str, path: str) -> str:
        for job in self._cluster.jobs:
            for stream, text in job.logs.items():
                if job.user == user and job.log_path(stream) == path:
                    return text
        return ""

    def _of_scheduler(self, work: Callable[[Call], object]) -> Callable[[Call], object]:
        def handle(call: Call) -> object:
            require(call.request.query, ["strJobManagerID"])
            self._scheduler(call.request.query["strJobManagerID"])
            return work(call)

        return handle

    def _list_queues(self, call: Call) -> object:
        self._own(call)
        return [queue_record(name) for name in sorted(self._behaviour.queues)]

    def _count_jobs(self, call: Call) -> object:
        require(call.request.query, ["userName"])
        user, look = call.request.query["userName"], self._view.look
        jobs = [job for scheduler_id in self._cluster.schedulers for job in self._view.jobs(scheduler_id)]
        codes = [live_code(job, look) for job in jobs if job.user == user]
        return job_counts(code for code in codes if code != "statC")

    def _show_storage(self, call: Call) -> object:
        return [storage_quota(self._own(call), self._region.home_path)]

    def _unrecorded(self, call: Call) -> object:
        """What it looks like where there is something to tell is recorded nowhere."""
        return None

    def _own(self, call: Call) -> str:
        """The cluster user of the path, who must be the token's."""
        if call.argument != call.claims["computeUser"]:
            raise ApiError("10004")
        return call.argument

    def _scheduler(self, scheduler_id: str) -> str:
        if scheduler_id not in self._cluster.schedulers:
            raise ApiError("10004")
        return scheduler_id

    def _slice(self, query: dict[str, str]) -> tuple[int, int]:
        start, limit = _number(query, "start", 0, 0), _number(query, "limit", 25, 1)
        largest, cap = self._behaviour.largest_limit, self._behaviour.page_cap
        if largest is not None and limit > largest:
            raise ApiError("10004")
        return start, limit if cap is None else min(limit, cap)

    def _page(self, records: list[Record], total: int) -> object:
        if not records and self._behaviour.null_empty_lists:
            return None
        lie = self._behaviour.total_lie
        reported = lie(total) if lie else total
        page: Record = {} if reported is None else {"total": reported}
        return {**page, "list": [self._with_id(record) for record in records]}

    def _with_id(self, record: Record) -> Record:
        record["jobId"] = self._id(str(record["jobId"]))
        return record

    def _id(self, job_id: str) -> str | int:
        return int(job_id) if self._behaviour.numeric_ids and job_id.isdecimal() else job_id


def _number(query: dict[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise ApiError("10004")
    return int(text)


def _entries(text: str) -> list[Entry]:
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
