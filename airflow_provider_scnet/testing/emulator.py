"""The emulator as a test sees it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from airflow_provider_scnet.testing.cluster import Clock, Cluster, Job
from airflow_provider_scnet.testing.dispatch import Dispatcher, Route
from airflow_provider_scnet.testing.hpc import Behaviour, HpcGateway
from airflow_provider_scnet.testing.page import jobs_page
from airflow_provider_scnet.testing.server import HOST, HttpServer
from airflow_provider_scnet.testing.tokens import TokenOffice
from airflow_provider_scnet.testing.wire import HTML_TYPE, Answer, RecordedRequest

CONNECTION_FIELDS = {"conn_type", "description", "host", "login", "password", "schema", "port"}


class ScnetEmulator(Behaviour):
    """
    An SCNet region on loopback, as a context manager or with :meth:`start` and :meth:`stop`.

    Attributes of :class:`~airflow_provider_scnet.testing.hpc.Behaviour` (``cancel_delay``, ``refusal``,
    ``page_cap`` ...) may be set at any time. ``fail`` plans faults, see
    :meth:`~airflow_provider_scnet.testing.faults.FaultPlan.add`; ``clear_faults`` forgets them.

    :param port: port to listen on; 0 for any free one. A restart listens on the same port again.
    :param user: cluster user (``computeUser``) of the tokens.
    :param login: platform login name (``user``) of the tokens.
    :param region_id: region (``clusterId``) of the tokens.
    :param schedulers: scheduler id -> display name.
    :param latency: seconds before each answer.
    :param cancel_delay: seconds on the clock in COMPLETING before a deleted job is CANCELLED.
    :param token_lifetime: seconds for which tokens are valid.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        user: str = "acexample01",
        login: str = "alice",
        region_id: str = "11112",
        schedulers: Mapping[str, str] | None = None,
        latency: float = 0.0,
        cancel_delay: float = 0.0,
        token_lifetime: float = 12 * 3600,
    ) -> None:
        super().__init__(latency=latency, cancel_delay=cancel_delay)
        self.clock = Clock()
        self.user = user
        self._port = port
        self._server: HttpServer | None = None
        self._cluster = Cluster(self.clock, schedulers or {"1638523853": "Cluster"})
        self._tokens = TokenOffice(self.clock, login, user, region_id, token_lifetime)
        self._token = ""
        self._region_id = region_id
        gateway = HpcGateway(region_id, self._cluster, self._tokens, self)
        page = Route("GET", re.compile("/"), "", self._page)
        self._dispatcher = Dispatcher([*gateway.routes(), page], lambda: self.latency)
        self.fail = self._dispatcher.faults.add
        self.clear_faults = self._dispatcher.faults.clear

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """
        Stop.

        :param kind: not used.
        :param error: not used.
        :param trace: not used.
        """
        self.stop()

    def start(self) -> Self:
        """
        Begin to serve.

        :raises OSError: the port is in use.
        """
        if self._server is None:
            self._server = HttpServer(self._port, self._dispatcher.reply)
            self._port = self._server.server_port
        return self

    def stop(self) -> None:
        """Stop serving and close all connections. Jobs, tokens and records stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def url(self) -> str:
        """Base URL, without ``/hpc``; known once the emulator has been started."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        return f"http://{HOST}:{self._port}"

    @property
    def token(self) -> str:
        """A region token that is valid now; stays the same until it expires or is revoked."""
        if self._tokens.check(self._token, self._region_id) is None:
            self._token = self.mint_token()
        return self._token

    def mint_token(self, lifetime: float | None = None, **claims: str) -> str:
        """
        Issue a token.

        :param lifetime: seconds from now, by default ``token_lifetime``; negative: already expired.
        :param claims: claims that differ from the usual ones, e.g. ``clusterId="11113"``.
        """
        return self._tokens.mint(lifetime, **claims)

    def revoke(self, token: str) -> None:
        """
        Make a token invalid from now on.

        :param token: the token.
        """
        self._tokens.revoke(token)

    def connection(self, **overrides: Any) -> str:
        """
        Return an Airflow connection as JSON text, fit for an ``AIRFLOW_CONN_...`` variable.

        :param overrides: fields of the connection; any other name goes into ``extra``, and a dict given
            as ``extra`` is merged into it. None leaves a field out.
        """
        fields: dict[str, Any] = {"conn_type": "scnet", "host": self.url, "password": self.token}
        extra: dict[str, Any] = dict(overrides.pop("extra", None) or {})
        for name, value in overrides.items():
            (fields if name in CONNECTION_FIELDS else extra)[name] = value
        fields["extra"] = {name: value for name, value in extra.items() if value is not None}
        return json.dumps({name: value for name, value in fields.items() if value is not None})

    def add_job(
        self,
        state: str = "RUNNING",
        *,
        user: str | None = None,
        scheduler_id: str | None = None,
        job_id: str | int | None = None,
        name: str = "demo",
        queue: str = "debug",
        runtime: float | None = None,
        outcome: str = "COMPLETED",
        ended_ago: float = 0.0,
    ) -> Job:
        """
        Put a job on the cluster, as if somebody had submitted it.

        :param state: Slurm's word; with a terminal one the job has ended already.
        :param user: cluster user that owns it; by default the tokens' one.
        :param scheduler_id: by default the first scheduler.
        :param job_id: by default the next free number from 101.
        :param name: job name.
        :param queue: queue name.
        :param runtime: seconds until it ends by itself, whatever its state; None for never.
        :param outcome: Slurm's word for it after ``runtime``.
        :param ended_ago: for a terminal ``state``: how many seconds ago it ended.
        """
        with self._dispatcher.lock:
            return self._cluster.add_job(
                self.user if user is None else user,
                state=state,
                scheduler_id=scheduler_id,
                job_id=job_id,
                name=name,
                queue=queue,
                runtime=runtime,
                outcome=outcome,
                ended_ago=ended_ago,
            )

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order in which they came."""
        return list(self._cluster.jobs)

    @property
    def active_jobs(self) -> list[Job]:
        """All jobs that have not ended."""
        return [job for job in self.jobs if job.active]

    def job(self, job_id: str | int, scheduler_id: str | None = None) -> Job:
        """
        Return a job.

        :param job_id: its id.
        :param scheduler_id: its scheduler; None for the first job with this id.
        :raises KeyError: there is none.
        """
        job = self._cluster.find(str(job_id), scheduler_id)
        if job is None:
            raise KeyError(job_id)
        return job

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests so far, except for the page; may be cleared."""
        return self._dispatcher.requests

    @property
    def calls(self) -> Counter[str]:
        """How many requests there were of each call."""
        return Counter(request.call for request in list(self.requests))

    def _page(self, request: RecordedRequest, argument: str) -> Answer:
        return Answer(jobs_page(self.jobs).encode(), content_type=HTML_TYPE)
