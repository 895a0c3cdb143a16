"""A region's gateway: one method for each call that is used."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self
from urllib.parse import quote as url_quote

from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.credentials import TokenSource
from airflow_provider_scnet.api.job_ids import is_job_or_member
from airflow_provider_scnet.api.listing import (
    REFUSED_PARAMETER,
    Answer,
    JobListing,
    Page,
    Pager,
    never,
    read_to_the_end,
)
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.records import JOB_ID, JobRecord, beijing_time
from airflow_provider_scnet.api.reference import JobRef, check_scheduler_id, to_wire
from airflow_provider_scnet.api.refusals import call_with_token
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    LOOK_FIRST,
    ScnetError,
    ScnetRequestError,
    ScnetSubmitRejectedError,
    ScnetTransientError,
)
from airflow_provider_scnet.wording import quote, sentences

COMMAND = "GAP_CMD_FILE"
"""The one member of a submission that may be long, and hold what is nobody's business."""
HARMLESS = "/cluster"
"""A call that changes nothing, needs no right of its own and is short."""
ACCEPTED_FOR = 10.0
"""Seconds for which a token that was just accepted by it is not tried again; another task may end it at any time."""


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
        self._pager = Pager()
        self._accepted: tuple[Token | None, float] = (None, 0.0)
        self._schedulers: dict[str, dict[str, str]] = {}  # by gateway

    def tried_once(self) -> Self:
        """Return a client that makes one attempt of each call: for whoever comes back anyway."""
        once = copy.copy(self)
        once._transport = self._transport.tried_once()
        return once

    def __repr__(self) -> str:
        return f"ScnetClient({self._gateways!r}, connection={self._transport.connection!r})"

    @property
    def base_url(self) -> str:
        """The gateway in use."""
        return self._gateways[0]

    @property
    def patience(self) -> Patience:
        """How it waits."""
        return self._transport.patience

    def list_schedulers(self) -> dict[str, str]:
        """Return the schedulers of the region, id -> name (API page list-cluster)."""
        data = self._call("GET", HARMLESS)
        clusters = [data] if isinstance(data, Mapping) else data
        if not isinstance(clusters, Sequence) or isinstance(clusters, str):
            raise self._transport.unusable("GET", self._url(HARMLESS), "no list of schedulers")
        return {
            quote(cluster["id"]): str(cluster.get("text") or "")
            for cluster in clusters
            if isinstance(cluster, Mapping) and cluster.get("id") is not None
        }

    def known_schedulers(self) -> dict[str, str]:
        """Return what :meth:`list_schedulers` said; another gateway is asked again, and so is one that named none."""
        known = self._schedulers.get(self.base_url)
        if not known:
            known = self.list_schedulers()
            self._schedulers[self.base_url] = known
        return known

    def all_schedulers(self) -> dict[str, str]:
        """
        Return the schedulers that any of the gateways names, id -> name; each is asked, unless it is known.

        :raises ScnetError: if none of them answers.
        """
        error: ScnetError | None = None
        for gateway in list(self._gateways):
            try:
                self.known_schedulers()
            except ScnetTransientError as failure:
                error = failure
            self._leave(gateway)
        if error and not self._schedulers:
            raise error
        return {scheduler_id: name for names in self._schedulers.values() for scheduler_id, name in names.items()}

    @property
    def silent_gateways(self) -> list[str]:
        """The gateways that have not said yet which schedulers they know."""
        return [gateway for gateway in self._gateways if gateway not in self._schedulers]

    def find_scheduler(self, scheduler_id: str) -> dict[str, str]:
        """
        Go on with a gateway that names a scheduler, if there is one; each is asked, unless it is known to.

        :return: what the last of them names, id -> name.
        """
        names = self._schedulers.get(self.base_url, {})
        for _ in self._gateways:
            if scheduler_id in names:
                break
            gateway = self.base_url
            try:
                names = self._schedulers[self.base_url] = self.list_schedulers()
            except ScnetError:
                self._leave(gateway)
                raise
            if scheduler_id not in names:
                self._leave(gateway)
        return names

    def turn_to(self, scheduler_id: str) -> None:
        """Go on with a gateway that is known to name a scheduler. Nothing is asked."""
        for gateway in list(self._gateways):
            if scheduler_id in self._schedulers.get(self.base_url, (scheduler_id,)):
                return
            self._leave(gateway)

    def own_user(self) -> str:
        """Return the cluster user that the token names; empty if it names none. May fetch a token."""
        return self._tokens.token().user

    def list_jobs(
        self,
        scheduler_id: str,
        *,
        user: str | None = None,
        job_id: str | None = None,
        is_late: Callable[[], bool] = never,
    ) -> JobListing:
        """
        Read the live list to its end (API page query-job): active jobs, and those that ended up to 5 minutes ago.

        :param scheduler_id: whose jobs.
        :param user: only this cluster user's.
        :param job_id: only this job.
        :param is_late: whether to stop in the middle; asked before each further page.
        """
        filters = {"strClusterIDList": scheduler_id, "strJobOwner": user, "strJobId": job_id}
        pages = self._pages("/jobs", filters, scheduler_id)
        return read_to_the_end(pages, is_late, is_alone=job_id is not None)

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

    def list_history(
        self,
        scheduler_id: str,
        *,
        user: str,
        since: datetime,
        until: datetime,
        job_id: str | None = None,
        wanted: Collection[str] = (),
        is_late: Callable[[], bool] = never,
    ) -> JobListing:
        """
        Read the jobs that ended between two times, newest id first (API page query-history-job).

        :param scheduler_id: whose jobs.
        :param user: only this cluster user's.
        :param since: start of the window, with a time zone.
        :param until: end of the window, with a time zone.
        :param job_id: only this job.
        :param wanted: job ids; once all of them were read, the rest does not matter.
        :param is_late: whether to stop in the middle; asked before each further page.
        """
        filters = {
            "strClusterNameList": scheduler_id,
            "strUser": user,
            "jobId": job_id,
            "startTime": beijing_time(since),
            "endTime": beijing_time(until),
            "timeType": "CUSTOM",
            "isQueryByQueueTime": "false",
            "sort": "DESC",
            "orderBy": JOB_ID,
        }
        pages = self._pages("/historyjobs", filters, scheduler_id, past=True)
        return read_to_the_end(pages, is_late, wanted, is_alone=job_id is not None)

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
        self.turn_to(scheduler_id)
        try:
            data = self._post_where_it_is_known(scheduler_id, path, body)
        except ScnetTransientError as error:
            if error.answered or error.without_effect:
                raise
            raise error.advise(sentences(LOOK_FIRST, error.remedy)) from None
        except (ScnetSubmitRejectedError, ScnetRequestError) as error:
            sent = ", ".join(f"{name}={quote(text, 60)}" for name, text in job_info.items() if name != COMMAND)
            remedy = error.remedy if error.code != REFUSED_PARAMETER else "Check scheduler, queue, paths and numbers."
            raise error.advise(sentences(remedy, f"Sent: {sent}.")) from None
        job_id = str(data).strip()
        if not is_job_or_member(job_id):
            raise ScnetError(
                f"SCNet accepted the job but gave no job id (connection {self._transport.connection}). Look for "
                f"{quote(job_info.get('GAP_JOB_NAME', ''))!r} in the job list before submitting it again.",
                data=data,
            )
        return job_id

    def read_end(self, path: str) -> str:
        """
        Read the end of a file on the cluster, 1,000 lines at most (API page file content). A file that is missing has
        no text.

        :param path: absolute.
        """
        # Whether the first page is called 0 or 1 is not documented. Where it is 1, there is none called 0.
        try:
            if text := self._read_page_of_file(path, 0):
                return text
        except ScnetRequestError as error:
            if not error.answered:
                raise
        return self._read_page_of_file(path, 1)

    def _read_page_of_file(self, path: str, number: int) -> str:
        form = {"hostName": "", "dirPath": path, "triggerNum": str(number), "rollDirection": "UP"}
        data = self._call("POST", "/file/content", data=form)
        return str(data.get("data") or "") if isinstance(data, Mapping) else ""

    def _post_where_it_is_known(self, scheduler_id: str, path: str, body: Mapping[str, Any]) -> Any:
        """A gateway that does not know the scheduler refuses what another one may take; a refusal has no effect."""
        gateway = self.base_url
        try:
            return self._call("POST", path, json=body)
        except ScnetRequestError as error:
            if error.code != REFUSED_PARAMETER or len(self._gateways) == 1:
                raise
            if scheduler_id not in self.find_scheduler(scheduler_id) or self.base_url == gateway:
                raise
        return self._call("POST", path, json=body)

    def _pages(
        self, path: str, filters: Mapping[str, str | None], scheduler_id: str, *, past: bool = False
    ) -> Iterator[Page]:
        def get(part: dict[str, str]) -> Answer:
            answer = Answer.read(self._call("GET", path, params={**filters, **part}), self.base_url)
            if answer is None:
                raise self._transport.unusable("GET", self._url(path), "no list of jobs")
            return answer

        return self._pager.pages(get, partial(JobRecord.read, scheduler_id=scheduler_id, past=past))

    def _call(self, method: str, path: str, **content: Any) -> Any:
        def attempt(token: Token) -> Any:
            return self._transport.repeat(lambda: self._send(method, path, token, content), harmless=method == "GET")

        return call_with_token(self._tokens, attempt, is_accepted=None if path == HARMLESS else self._is_accepted)

    def _is_accepted(self, token: Token) -> bool:
        """Find out with a harmless read whether a token is good: 10008 may also be about a single call."""
        accepted, until = self._accepted
        if token == accepted and self.patience.now() < until:
            return True
        try:
            self._send("GET", HARMLESS, token, {})
        except ScnetError:
            return False
        self._accepted = token, self.patience.now() + ACCEPTED_FOR
        return True

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
                if not error.answered:
                    self._leave(gateway)
                if not gateways_left or not isinstance(error, NeverSentError):
                    raise

    def _leave(self, gateway: str) -> None:
        if gateway == self._gateways[0]:  # no other thread has left it yet
            self._gateways = [*self._gateways[1:], self._gateways[0]]

    def _url(self, path: str, gateway: str = "") -> str:
        return f"{gateway or self.base_url}/openapi/v2{path}"
