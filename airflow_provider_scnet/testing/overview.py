"""The platform's lists of the account's jobs in all regions. They are not documented, but seen on the real service."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.dispatch import Route
from airflow_provider_scnet.testing.history import History
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import (
    Look,
    Record,
    accounted_at,
    elapsed_seconds,
    history_code,
    live_code,
    raw_attributes,
)
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.tokens import PLATFORM_ID, TokenOffice
from airflow_provider_scnet.testing.view import View
from airflow_provider_scnet.testing.wire import Answer, ApiError, RecordedRequest, envelope, from_beijing
from airflow_provider_scnet.testing.words import first_word

PAGE_SIZE = 10

#: What the body asks for; an empty text is no filter.
Wanted = Mapping[str, Any]
Listing = Callable[[Region, Wanted], Iterator[tuple[Job, Record]]]


class Overview:
    """
    The lists of all regions.

    :param regions: the account's regions; more may be added later.
    :param tokens: checks tokens; only the platform's are good here.
    :param behaviour: how it behaves where there is a choice.
    """

    def __init__(self, regions: Sequence[Region], tokens: TokenOffice, behaviour: Behaviour) -> None:
        self._regions = regions
        self._tokens = tokens
        self._behaviour = behaviour

    def routes(self) -> list[Route]:
        """Return the calls that are answered here."""
        calls = [
            ("/jobs/monitor/page-list", "all_jobs", self._live),
            ("/jobs/history/page-list", "all_history", self._past),
        ]
        return [
            Route("POST", re.compile(re.escape(f"/ac/openapi/v2{path}")), name, self._handler(path, listing))
            for path, name, listing in calls
        ]

    def _handler(self, path: str, listing: Listing) -> Callable[[RecordedRequest, str], Answer]:
        def handle(request: RecordedRequest, argument: str) -> Answer:
            if self._tokens.check(request.headers.get("token"), PLATFORM_ID) is None:
                raise ApiError("10008")
            try:
                wanted = json.loads(request.body)
                number, size = _whole(wanted, "page", self._behaviour.first_page), _whole(wanted, "size", PAGE_SIZE)
            except (ValueError, AttributeError):
                return _bad_request(path)
            records = list(self._records(listing, wanted))
            start = (number - self._behaviour.first_page) * size
            shown = records[start : start + size] if start >= 0 else []
            return envelope("0", data={"total": len(records), "pages": -(-len(records) // size), "records": shown})

        return handle

    def _records(self, listing: Listing, wanted: Wanted) -> Iterator[Record]:
        user = wanted.get("clusterUserName")
        for region in self._regions:
            if str(wanted.get("clusterId") or region.region_id) != region.region_id:
                continue
            for job, record in listing(region, wanted):
                is_ours = job.user == region.user or wanted.get("showGroupJobs") is True
                if (
                    (job.user == user if user else is_ours)
                    and wanted.get("queue") in (None, "", job.queue)
                    and str(wanted.get("jobId") or record["jobId"]) == record["jobId"]
                    and wanted.get("jobState") in (None, "", record["jobState"])
                ):
                    yield record

    def _live(self, region: Region, wanted: Wanted) -> Iterator[tuple[Job, Record]]:
        # What startTime and endTime mean here is not recorded.
        view = View(region.cluster, self._behaviour)
        for scheduler_id in region.cluster.schedulers:
            for job in view.jobs(scheduler_id):
                yield job, _record(region, job, job.job_id, live_code(job, view.look), view.look)

    def _past(self, region: Region, wanted: Wanted) -> Iterator[tuple[Job, Record]]:
        first, last = (wanted.get(name) and from_beijing(str(wanted[name])) for name in ("startTime", "endTime"))
        history = History(region.cluster, self._behaviour)
        look = Look(region.cluster.clock.now(), word_style=self._behaviour.word_style)
        for scheduler_id in region.cluster.schedulers:
            for job_id, job in history.ended(scheduler_id):
                ended_at = int(job.ended_at or 0)
                if (first and ended_at < first) or (last and ended_at > last):
                    continue
                state = first_word(job.state) if wanted.get("showAllData") is True else history_code(job)
                accounted = {"acctTime": _utc(accounted_at(job)), "jobWalltimeUsed": elapsed_seconds(job)}
                yield job, {**_record(region, job, job_id, state, look), **accounted}


def _record(region: Region, job: Job, job_id: str, state: str, look: Look) -> Record:
    attributes = raw_attributes(job, look)
    return {
        "clusterId": int(region.region_id),
        "jobManagerId": int(job.scheduler_id),
        "clusterUserName": job.user,
        "jobId": job_id,
        "jobState": state,
        "reason": attributes["Reason"],
        "initContentAttr": json.dumps(attributes),
    }


def _whole(wanted: Wanted, name: str, default: int) -> int:
    """
    Read a number.

    :raises ValueError: it is none, or less than it can be.
    """
    text = str(wanted.get(name, default))
    if not text.isdecimal() or (name == "size" and int(text) == 0):
        raise ValueError(text)
    return int(text)


def _bad_request(path: str) -> Answer:
    """A body that cannot be read was seen answered by the framework, without SCNet's envelope."""
    content = {"timestamp": _utc(time.time()), "status": 400, "error": "Bad Request", "path": f"/v2{path}"}
    return Answer(json.dumps(content).encode(), 400)


def _utc(moment: float | None) -> str | None:
    """Nowhere else is there a time with an offset."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
