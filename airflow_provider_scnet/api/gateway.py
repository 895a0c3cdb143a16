"""A region's gateway: one method for each call that is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote as url_quote

from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.credentials import TokenSource, call_with_token
from airflow_provider_scnet.api.records import JOB_ID, JobRecord, beijing_time
from airflow_provider_scnet.api.reference import JobRef, check_scheduler_id, to_wire
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import ScnetError, ScnetTransientError
from airflow_provider_scnet.wording import quote

PAGE_SIZE = 100


@dataclass(frozen=True)
class JobListing:
    """
    A list of jobs, read to its end.

    :param records: the jobs, each once.
    :param complete: as many records were read as the service says there are. If not, a job that is missing here
        may still exist.
    """

    records: list[JobRecord]
    complete: bool


class ScnetClient:
    """
    Talk to the gateways of one region. Every method raises :class:`ScnetError` and its subclasses only.

    :param gateways: addresses of the region's gateways, see
        :func:`airflow_provider_scnet.api.addresses.gateway_address`. The next one is tried where one cannot be
        connected to, so that nothing is ever sent twice.
    :param tokens: where the region's token comes from.
    :param transport: how to send requests.
    :raises ValueError: if there is no gateway; requests would go nowhere and their answers look empty.
    """

    def __init__(self, gateways: Sequence[str], tokens: TokenSource, transport: Transport) -> None:
        if not gateways or isinstance(gateways, str):
            raise ValueError(f"gateways={gateways!r}: name at least one address of an HPC gateway, in a list.")
        self._gateways = list(gateways)
        self._tokens = tokens
        self._transport = transport

    def __repr__(self) -> str:
        return f"ScnetClient({self._gateways!r}, connection={self._transport.connection!r})"

    @property
    def base_url(self) -> str:
        """The gateway in use."""
        return self._gateways[0]

    def list_schedulers(self) -> dict[str, str]:
        """Return the schedulers of the region, id -> name (API page list-cluster)."""
        data = self._call("GET", "/cluster")
        clusters = [data] if isinstance(data, Mapping) else data
        if not isinstance(clusters, Sequence) or isinstance(clusters, str):
            raise self._transport.unusable("GET", self._url("/cluster"), "no list of schedulers")
        return {
            quote(cluster["id"]): str(cluster.get("text") or "")
            for cluster in clusters
            if isinstance(cluster, Mapping) and cluster.get("id") is not None
        }

    @cached_property
    def schedulers(self) -> dict[str, str]:
        """What :meth:`list_schedulers` said first."""
        return self.list_schedulers()

    @property
    def own_user(self) -> str:
        """The cluster user the token names; empty if it names none."""
        return self._tokens.token().user

    def list_jobs(self, scheduler_id: str, *, user: str | None = None, job_id: str | None = None) -> JobListing:
        """
        Read the live list to its end (API page query-job): active jobs, and those that ended up to 5 minutes ago.

        :param scheduler_id: whose jobs.
        :param user: only this cluster user's.
        :param job_id: only this job.
        """
        filters = {"strClusterIDList": scheduler_id, "strJobOwner": user, "strJobId": job_id}
        records: dict[str, JobRecord] = {}
        totals: list[int] = []
        for page, total in self._pages("/jobs", filters, scheduler_id):
            records.update(page)
            totals += [] if total is None else [total]
        # The largest total counts: a list that shrinks while it is read has skipped what moved up.
        return JobListing(list(records.values()), bool(totals) and len(records) >= max(totals))

    def get_job(self, job_id: str) -> JobRecord | None:
        """
        Read one live job with the scheduler's own attributes (API page query-job-detail).

        :param job_id: the job; the call knows no scheduler, so compare what comes back.
        :return: the job, or ``None`` if it is not (any more) known.
        """
        path = f"/jobs/{url_quote(job_id, safe='')}"
        data = self._call("GET", path)
        if data is not None and not isinstance(data, Mapping):
            raise self._transport.unusable("GET", self._url(path), "no job")
        return JobRecord.read(data)

    def iter_history(self, scheduler_id: str, *, user: str, since: datetime, until: datetime) -> Iterator[JobRecord]:
        """
        Read the jobs that ended between two times, newest id first (API page query-history-job).

        :param scheduler_id: whose jobs.
        :param user: only this cluster user's.
        :param since: start of the window, with a time zone.
        :param until: end of the window, with a time zone.
        """
        filters = {
            "strClusterNameList": scheduler_id,
            "strUser": user,
            "startTime": beijing_time(since),
            "endTime": beijing_time(until),
            "timeType": "CUSTOM",
            "isQueryByQueueTime": "false",
            "sort": "DESC",
            "orderBy": JOB_ID,
        }
        for page, _ in self._pages("/historyjobs", filters, scheduler_id):
            yield from page.values()

    def delete_jobs(self, refs: Sequence[JobRef]) -> dict[str, str]:
        """
        Send one batch delete (API page control-job). An answer proves nothing yet: look at the jobs afterwards.

        :return: scheduler id -> SCNet's sentence; empty if it said nothing.
        """
        form = {"jobMethod": "5", "strJobInfoMap": to_wire(refs)}
        data = self._call("DELETE", "/jobs", data=form)
        if isinstance(data, str):
            return dict.fromkeys((ref.scheduler_id for ref in refs), data)
        if not isinstance(data, Mapping):
            return {}
        return {str(scheduler).strip(): str(text) for scheduler, text in data.items()}

    def submit_job(self, scheduler_id: str, parameters: Mapping[str, Any]) -> str:
        """
        Submit a job (API page job). There is no idempotency key: never repeat it blindly.

        :param scheduler_id: where to.
        :param parameters: the ``GAP_...`` members of ``mapAppJobInfo``; values are sent as text.
        :return: the job id.
        """
        path = "/apptemplates/BASIC/BASE/job"
        job_info = {name: "" if value is None else str(value) for name, value in parameters.items()}
        body = {"strJobManagerID": int(check_scheduler_id(scheduler_id)), "mapAppJobInfo": job_info}
        data = self._call("POST", path, json=body)
        job_id = str(data).strip()
        if not re.fullmatch(r"[0-9]+(_[0-9]+)?", job_id):
            raise ScnetError(
                f"SCNet accepted the job but gave no job id (connection {self._transport.connection}). Look for "
                f"{quote(job_info.get('GAP_JOB_NAME', ''))!r} in the job list before submitting it again.",
                data=data,
            )
        return job_id

    def _pages(
        self, path: str, filters: Mapping[str, str | None], scheduler_id: str
    ) -> Iterator[tuple[dict[str, JobRecord], int | None]]:
        """
        Yield (new records by id, total) of each page. The service may cap ``limit`` and misreport ``total``, so only
        a page that brings nothing new is the end.
        """
        seen: set[str] = set()
        start = 0
        while True:
            data = self._call("GET", path, params={**filters, "start": str(start), "limit": str(PAGE_SIZE)})
            listed, total = self._page(path, data)
            records = (JobRecord.read(wire, scheduler_id=scheduler_id) for wire in listed)
            page = {record.job_id: record for record in records if record}
            new = {job_id: record for job_id, record in page.items() if job_id not in seen}
            seen.update(new)
            yield new, total
            start += len(listed)
            if not new:
                return

    def _page(self, path: str, data: Any) -> tuple[list[Any], int | None]:
        if data is None:
            return [], None
        if isinstance(data, list):
            return data, None
        if not isinstance(data, Mapping) or not isinstance(data.get("list", []), list | None):
            raise self._transport.unusable("GET", self._url(path), "no list of jobs")
        total = str(data.get("total")).strip()
        return data.get("list") or [], int(total) if re.fullmatch(r"[0-9]{1,12}", total) else None

    def _call(self, method: str, path: str, **content: Any) -> Any:
        def attempt(token: Token) -> Any:
            return self._transport.repeat(lambda: self._send(method, path, token, content), harmless=method == "GET")

        return call_with_token(self._tokens, attempt)

    def _send(self, method: str, path: str, token: Token, content: Mapping[str, Any]) -> Any:
        """
        Send to the gateway in use; where nothing was sent, to the next one at once. A gateway that fails otherwise is
        left for the next request: this one may have had an effect.
        """
        for gateways_left in reversed(range(len(self._gateways))):
            gateway = self._gateways[0]
            try:
                return self._transport.send(method, self._url(path, gateway), headers={"token": token}, **content)
            except ScnetTransientError as error:
                if not error.answered and gateway == self._gateways[0]:  # no other thread has left it yet
                    self._gateways = [*self._gateways[1:], self._gateways[0]]
                if not gateways_left or not isinstance(error, NeverSentError):
                    raise

    def _url(self, path: str, gateway: str = "") -> str:
        return f"{gateway or self.base_url}/openapi/v2{path}"
