"""From settings to one region of SCNet: tokens, gateways, scheduler and cluster user, each found when it is needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from airflow_provider_scnet.api.addresses import gateway_address
from airflow_provider_scnet.api.credentials import KeyTokens, StoredToken, TokenCache, TokenSource
from airflow_provider_scnet.api.forks import cached_property
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.platform import Center, PlatformClient
from airflow_provider_scnet.api.reference import check_user
from airflow_provider_scnet.api.refusals import call_with_token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.connection.settings import Settings
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetJobReferenceError,
    ScnetRequestError,
)
from airflow_provider_scnet.wording import quote, sentences

log = logging.getLogger(__name__)


class Region:
    """
    What a Connection leads to. Nothing is sent before it is needed, and what a task needs is asked for once.

    :param token_cache: where to keep tokens; default: one for all regions of this process.
    :param patience: shared by all that waits for this region; stop it, and no request is sent or waited for any more.
    :param logger: where to tell what is left out.
    """

    shared_tokens: ClassVar[TokenCache] = TokenCache()

    def __init__(
        self,
        settings: Settings,
        *,
        token_cache: TokenCache | None = None,
        patience: Patience | None = None,
        logger: Any = log,
    ) -> None:
        self._settings = settings
        self._token_cache = token_cache or self.shared_tokens
        self._log = logger
        self.patience = patience or Patience()

    @cached_property
    def client(self) -> ScnetClient:
        """
        The client for the region's gateways. Without ``host``, these are discovered through the platform.

        :raises ScnetCredentialError: if there is no token to be had.
        :raises ScnetRequestError: if the region or its gateways cannot be told.
        """
        self.tokens.token()  # an end that is final, or a region that is unknown, shows before any other request
        given = self._settings.gateway
        gateways = [given] if given else self._discover_gateways()
        field = "`host`" if given else "the gateway's address (SCNet named it; `host` outranks it)"
        return ScnetClient(gateways, self.tokens, self._transport(field))

    @cached_property
    def scheduler_id(self) -> str:
        """
        The scheduler of plain job ids: the Connection's extra ``scheduler_id``, else the region's only one.

        :raises ScnetRequestError: if the region has none or several.
        """
        if self._settings.scheduler_id:
            return self._settings.scheduler_id
        schedulers = self.client.known_schedulers()
        if len(schedulers) != 1:
            raise ScnetRequestError(
                f"scheduler_id: SCNet lists {len(schedulers)} schedulers for connection {self._conn_id!r}: "
                f"{_listed(schedulers)}. Name one in extra `scheduler_id` of the Connection, or as scheduler_id=... "
                f"of the task."
            )
        return next(iter(schedulers))

    @cached_property
    def user(self) -> str:
        """
        The cluster user of plain job ids: the Connection's extra ``user``, else the token's ``computeUser``, else what
        the platform says.

        :raises ScnetCredentialError: if none of them says it.
        """
        try:
            return check_user(self._settings.user or self.tokens.token().user or self._ask_center_for_user())
        except ScnetJobReferenceError as error:
            raise ScnetCredentialError(
                f"SCNet names a strange cluster user for connection {self._conn_id!r}: {error} Set extra `user`."
            ) from None

    @cached_property
    def tokens(self) -> TokenSource:
        """
        The stored token while it lives, then the keys; or just the one that is given.

        :raises ScnetCredentialError: if the stored token seems to be the platform's, or is of another region.
        :raises ScnetError: if extra ``region`` is a name, and the platform does not say whether it is that of the
            stored token's region.
        """
        stored, wanted = self._settings.token, self._settings.region
        if stored.looks_like_the_platforms:
            raise ScnetCredentialError(
                f"Connection {self._conn_id!r}, password: this looks like the platform's token. Job calls need the "
                f"token of the region (the list entry whose clusterId is not 0)."
            )
        if stored and wanted and not wanted.isdecimal():
            self._compare_names()
        elif stored.region and wanted not in ("", stored.region):
            raise self._of_another_region(stored.region)
        return self._source

    @cached_property
    def _source(self) -> TokenSource:
        settings = self._settings
        stored = settings.token
        region = stored.region or settings.region
        shared: dict[str, Any] = {
            "cache": self._token_cache,
            "connection": self._conn_id,
            "patience": self.patience,
        }
        keys = KeyTokens(settings.keys, self._platform, region=region, **shared) if settings.keys else None
        return keys if keys and not stored else StoredToken(stored, self._platform, keys=keys, **shared)

    def _compare_names(self) -> None:
        """A token knows only the number of its region; the platform knows the name, too."""
        try:
            center = self._center
        except ScnetError as error:
            by_number = "Or give extra `region` as the region's number (clusterId), which no request has to confirm."
            raise error.advise(sentences(error.remedy, by_number)) from None
        if self._settings.region not in (center.region_id, center.name):
            raise self._of_another_region(str(center))

    def _of_another_region(self, region: str) -> ScnetCredentialError:
        return ScnetCredentialError(
            f"Connection {self._conn_id!r}, password: the token is of region {region}, but extra `region` is "
            f"{self._settings.region!r}. Store a token of that region, or correct `region`."
        )

    def describe(self, doubts: list[str]) -> Iterator[str]:
        """
        Find out everything a task would, and say it in one sentence each: token and region, gateway and schedulers,
        cluster user. What the Connection says of the latter two is compared with what is there; where that cannot be
        decided, that is a doubt.

        :param doubts: gets the doubts, which a reader has to know first.
        :raises ScnetError: at the first thing that cannot be found, or is not what the Connection says.
        """
        token = self.tokens.token()
        kind = "AK/SK pair, token" if self._settings.keys else "Token"
        yield f"{kind} valid {token.until}; region {token.region or 'of the token'}."
        schedulers = self.client.known_schedulers()
        yield f"Gateway {self.client.base_url} accepts it; schedulers: {_listed(schedulers)}."
        doubts += self._check_scheduler_id()
        doubts += self._check_user()
        yield f"Cluster user: {self.user}."

    def _check_scheduler_id(self) -> list[str]:
        wanted = self._settings.scheduler_id
        if not wanted or wanted in self.client.known_schedulers():
            return []
        listed = self.client.all_schedulers()
        if wanted in listed:
            return []
        if silent := self.client.silent_gateways:
            return [
                f"Not checked: extra `scheduler_id`={wanted!r}. The gateways that answer list only {_listed(listed)}, "
                f"but no answer came from {', '.join(silent)}."
            ]
        raise ScnetRequestError(
            f"Connection {self._conn_id!r}, extra `scheduler_id`={wanted!r}: no gateway lists it; they list: "
            f"{_listed(listed)}. Correct it, or leave it empty if there is only one."
        )

    def _check_user(self) -> list[str]:
        wanted = self._settings.user
        if not wanted:
            return []
        try:
            there, why = self.tokens.token().user or self._center.user, "neither the token nor the platform names one."
        except ScnetError as error:
            there, why = "", f"the token names none, and the platform does not answer: {error}"
        if not there:
            return [f"Not checked: whether extra `user`={wanted!r} is the token's cluster user: {why}"]
        if there != wanted:
            raise ScnetRequestError(
                f"Connection {self._conn_id!r}, extra `user`={wanted!r}: the token's cluster user is "
                f"{quote(there)!r}. Correct it, or leave it empty."
            )
        return []

    @property
    def _conn_id(self) -> str:
        return self._settings.conn_id

    @cached_property
    def _platform(self) -> PlatformClient:
        return PlatformClient(
            self._settings.api_url,
            self._settings.platform_url,
            api=self._transport("extra `api_url`"),
            platform=self._transport("extra `platform_url`"),
        )

    @cached_property
    def _center(self) -> Center:
        return call_with_token(self._source, self._platform.get_center)

    def _ask_center_for_user(self) -> str:
        if not self._center.user:
            raise ScnetCredentialError(
                f"user: neither the token of connection {self._conn_id!r} nor the platform names its cluster "
                f"user. Set extra `user` of the Connection, or user=... of the task, to the account on the cluster."
            )
        return self._center.user

    def _discover_gateways(self) -> list[str]:
        urls = self._center.gateways
        if not urls:
            raise ScnetRequestError(
                f"Connection {self._conn_id!r}, extra `region`: the region {self._center.name!r} offers no HPC "
                f"gateway that is enabled, so no jobs can run there. Name another region, or the gateway in `host`."
            )
        gateways: list[str] = []
        errors: list[ScnetRequestError] = []
        for url in dict.fromkeys(urls):
            try:
                gateway = gateway_address(url, field="address from the platform", allow_http=self._settings.allow_http)
                gateways.append(gateway)
            except ScnetRequestError as error:
                self._log.warning("Leaving out a gateway of connection %s: %s", self._conn_id, error)
                errors.append(error)
        if not gateways:
            raise errors[0]
        return list(dict.fromkeys(gateways))

    def _transport(self, field: str) -> Transport:
        return Transport(
            connection=self._conn_id,
            field=field,
            timeout=self._settings.timeout,
            verify=self._settings.verify,
            patience=self.patience,
        )


def _listed(schedulers: Mapping[str, str]) -> str:
    return ", ".join(f"{scheduler_id} ({quote(name, 40)})" for scheduler_id, name in schedulers.items()) or "none"
