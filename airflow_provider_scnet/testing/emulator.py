"""The emulator as a test sees it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.control import Control
from airflow_provider_scnet.testing.dispatch import Dispatcher, Route
from airflow_provider_scnet.testing.elsewhere import Bystander, dead_port
from airflow_provider_scnet.testing.gateway import Gateway
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.outage import Outage
from airflow_provider_scnet.testing.overview import Overview
from airflow_provider_scnet.testing.page import View, page
from airflow_provider_scnet.testing.platform import Account, Platform
from airflow_provider_scnet.testing.regions import GatewayEntry, Region
from airflow_provider_scnet.testing.server import HOST, Listener
from airflow_provider_scnet.testing.tokens import TokenOffice
from airflow_provider_scnet.testing.wire import HTML_TYPE, Answer, RecordedRequest

CONNECTION_FIELDS = {"conn_type", "description", "host", "login", "password", "schema", "port"}


class ScnetEmulator(Behaviour):
    """
    An SCNet on loopback, as a context manager or with :meth:`start` and :meth:`stop`.

    One port serves the platform and the first region; each further region has a port of its own.
    Attributes of :class:`~airflow_provider_scnet.testing.behaviour.Behaviour` (``cancel_delay``, ``refusal``,
    ``page_cap`` ...) may be set at any time, and so may those of ``account``
    (:class:`~airflow_provider_scnet.testing.platform.Account`). ``fail`` plans faults, see
    :meth:`~airflow_provider_scnet.testing.faults.FaultPlan.add`; ``clear_faults`` forgets them.

    :param port: port to listen on; 0 for any free one. A restart listens on the same port again.
    :param user: cluster user (``computeUser``) in the first region.
    :param login: platform login name (``user``).
    :param region_id: id (``clusterId``) of the first region.
    :param schedulers: scheduler id -> display name, in the first region.
    :param latency: seconds before each answer.
    :param cancel_delay: seconds on the clock in COMPLETING before a deleted job is CANCELLED.
    :param token_lifetime: seconds for which tokens are valid.
    :param region_name: display name of the first region.
    :param access_key: AK with which tokens can be fetched.
    :param secret_key: its SK.
    :param clock: the clock that jobs and tokens live by; None for the wall clock, which a test can move.
    :param seed: text that makes tokens outlast the emulator: another one with the same seed has the same
        :attr:`token`, and accepts all tokens issued before. They are valid for up to twice ``token_lifetime``.
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
        region_name: str = "region-a",
        access_key: str = "ak-example-0001",
        secret_key: str = "sk-example-0001",
        clock: Clock | None = None,
        seed: str | None = None,
    ) -> None:
        super().__init__(latency=latency, cancel_delay=cancel_delay)
        self.clock = clock or Clock()
        self.account = Account(login, access_key, secret_key)
        self._regions: list[Region] = []
        self._elsewhere = ExitStack()
        self._tokens = TokenOffice(self.clock, login, user, region_id, token_lifetime, seed=seed)
        self._dispatcher = Dispatcher(lambda: self.latency)
        self.fail = self._dispatcher.faults.add
        self.clear_faults = self._dispatcher.faults.clear
        self._front = Listener(partial(self._dispatcher.reply, region_id), port)
        self._open_region(region_id, region_name, user, schedulers, self._front)
        platform = Platform(self.account, self._regions, self._tokens, self.clock, self)
        overview = Overview(self._regions, self._tokens, self)
        self._outage = Outage(lambda: [region.listener for region in self._regions])
        control = Control(
            self._regions,
            self._tokens,
            self._dispatcher,
            clock=self.clock,
            outage=self._outage,
            secrets=lambda: self.secrets,
        )
        self._dispatcher.add(region_id, [*platform.routes(), *overview.routes(), *control.routes()])
        self._dispatcher.add(region_id, [Route("GET", re.compile("/"), "", self._page)])

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> Self:
        """
        Begin to serve.

        :raises OSError: the port is in use.
        """
        try:
            with self._outage.ended(serving=True):
                for region in self._regions:
                    region.listener.start()
        except Exception:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop serving and close all connections, bystanders too. Jobs, tokens and records stay."""
        with self._outage.ended(serving=False):
            for region in self._regions:
                region.listener.stop()
        self._elsewhere.close()

    @property
    def url(self) -> str:
        """
        Base URL of the platform and, without ``/hpc``, of the first region's gateway.

        :raises RuntimeError: the emulator has never been started.
        """
        return self._front.url

    @property
    def regions(self) -> list[Region]:
        """All regions, the constructor's first."""
        return list(self._regions)

    def add_region(
        self,
        region_id: str,
        name: str,
        *,
        user: str | None = None,
        schedulers: Mapping[str, str] | None = None,
        stopped: bool = False,
        gateways: Iterable[GatewayEntry] | None = None,
    ) -> Region:
        """
        Give the account another region, with a port, a cluster user, schedulers and jobs of its own.

        :param region_id: its ``clusterId``, a number as text.
        :param user: cluster user; by default ``acexample02`` and so on.
        :param schedulers: scheduler id -> display name; by default one with an id of its own.
        :param stopped: the account is stopped there.
        :param gateways: what center lists, see
            :attr:`~airflow_provider_scnet.testing.regions.Region.gateways`; by default its own port.
        """
        number = len(self._regions) + 1
        if any(region.region_id == region_id for region in self._regions):
            raise ValueError(f"there is a region {region_id} already")
        return self._open_region(
            region_id,
            name,
            user or f"acexample{number:02}",
            schedulers or {str(1638523852 + number): "Cluster"},
            Listener(partial(self._dispatcher.reply, region_id)),
            stopped=stopped,
            gateways=gateways,
        )

    def _open_region(
        self,
        region_id: str,
        name: str,
        user: str,
        schedulers: Mapping[str, str] | None,
        listener: Listener,
        **options: Any,
    ) -> Region:
        cluster = Cluster(self.clock, schedulers or {"1638523853": "Cluster"}, self)
        region = Region(region_id, name, user, cluster, tokens=self._tokens, listener=listener, **options)
        self._dispatcher.add(region_id, Gateway(region, self._tokens, self).routes())
        if self._front.server is not None:
            listener.start()
        self._regions.append(region)
        return region

    def _region(self, region: Region | str | None) -> Region:
        wanted = region.region_id if isinstance(region, Region) else region
        for known in self._regions:
            if wanted in (None, known.region_id):
                return known
        raise ValueError(f"no region {wanted!r}, only {[known.region_id for known in self._regions]}")

    @property
    def user(self) -> str:
        """Cluster user in the first region."""
        return self._regions[0].user

    @property
    def token(self) -> str:
        """A token of the first region that is valid now; stays the same until it expires or is revoked."""
        return self._regions[0].token

    def mint_token(self, lifetime: float | None = None, *, platform: bool = False, **claims: str) -> str:
        """
        Issue a token, of the first region unless ``claims`` say otherwise.

        :param lifetime: seconds from now, by default ``token_lifetime``; negative: already expired.
        :param platform: a token of the platform, which claims do not tell from others.
        :param claims: claims that differ from the usual ones, e.g. ``clusterId="11113"``.
        """
        return self._regions[0].mint_token(lifetime, platform=platform, **claims)

    def revoke(self, token: str) -> None:
        """Make a token invalid from now on."""
        self._tokens.revoke(token)

    @property
    def secrets(self) -> set[str]:
        """What must not leak: the keys, every token ever issued, every signature received."""
        keys = {self.account.access_key, self.account.secret_key}
        return keys | self._tokens.issued | set(self._dispatcher.signatures)

    def connection(self, **overrides: Any) -> str:
        """
        Return an Airflow connection with a token, as JSON text fit for an ``AIRFLOW_CONN_...`` variable.

        It names this server as the platform, too: an emulated token must never reach the real one.

        :param overrides: fields of the connection; any other name goes into ``extra``, and a dict given
            as ``extra`` is merged into it. None leaves a field out.
        """
        extra = {"api_url": self.url, "platform_url": self.url}
        return _connection({"host": self.url, "password": self.token}, extra, overrides)

    def aksk_connection(self, **overrides: Any) -> str:
        """
        Return an Airflow connection with AK/SK, as JSON text fit for an ``AIRFLOW_CONN_...`` variable.

        :param overrides: as for :meth:`connection`, e.g. ``region="11112"``.
        """
        extra = {
            "access_key": self.account.access_key,
            "secret_key": self.account.secret_key,
            "api_url": self.url,
            "platform_url": self.url,
        }
        return _connection({"login": self.account.login}, extra, overrides)

    def bystander(self) -> Bystander:
        """Start a server that is not SCNet and records all it receives; stopped with the emulator."""
        return self._elsewhere.enter_context(Bystander())

    def dead_url(self) -> str:
        """Return the base URL of a port that nobody listens on until the emulator stops."""
        return f"http://{HOST}:{self._elsewhere.enter_context(dead_port()).getsockname()[1]}"

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
        region: Region | str | None = None,
    ) -> Job:
        """
        Put a job on a cluster, as if somebody had submitted it.

        :param state: Slurm's word; with a terminal one the job has ended already.
        :param user: cluster user that owns it; by default the region's one.
        :param scheduler_id: by default the first scheduler.
        :param job_id: by default the next free number from 101.
        :param runtime: seconds until it ends by itself, whatever its state; None for never.
        :param outcome: Slurm's word for it after ``runtime``.
        :param ended_ago: for a terminal ``state``: how many seconds ago it ended.
        :param region: the region or its id; by default the first.
        """
        home = self._region(region)
        with self._dispatcher.lock:
            return home.cluster.add_job(
                home.user if user is None else user,
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
        """All jobs, region by region, in the order in which they came."""
        return [job for region in self._regions for job in region.jobs]

    @property
    def active_jobs(self) -> list[Job]:
        """All jobs that have not ended."""
        return [job for job in self.jobs if job.active]

    def job(self, job_id: str | int, scheduler_id: str | None = None, region: Region | str | None = None) -> Job:
        """
        Return a job.

        :param scheduler_id: its scheduler; None for the first job with this id.
        :param region: the region or its id; None for the first region that has such a job.
        :raises KeyError: there is none.
        """
        for place in self._regions if region is None else [self._region(region)]:
            if job := place.cluster.find(str(job_id), scheduler_id):
                return job
        raise KeyError(job_id)

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests so far, except for the page and the control interface; may be cleared."""
        return self._dispatcher.requests

    @property
    def calls(self) -> Counter[str]:
        """How many requests there were of each call."""
        return Counter(request.call for request in list(self.requests))

    def _page(self, request: RecordedRequest, argument: str) -> Answer:
        text = page(View.read(request.query), self.jobs, self._dispatcher.last, time.time(), self.secrets)
        return Answer(text.encode(errors="replace"), content_type=HTML_TYPE)


def _connection(fields: dict[str, Any], extra: dict[str, Any], overrides: dict[str, Any]) -> str:
    fields = {"conn_type": "scnet", **fields}
    extra = {**extra, **(overrides.pop("extra", None) or {})}
    for name, value in overrides.items():
        (fields if name in CONNECTION_FIELDS else extra)[name] = value
    fields["extra"] = {name: value for name, value in extra.items() if value is not None}
    return json.dumps({name: value for name, value in fields.items() if value is not None})
