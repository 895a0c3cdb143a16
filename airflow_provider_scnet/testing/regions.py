"""A region: its cluster account, its jobs, its tokens, and where its HPC gateways are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from airflow_provider_scnet.testing.cluster import Cluster
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.server import Listener
from airflow_provider_scnet.testing.tokens import TokenOffice, read_claims

#: A URL, or the members of an entry of ``hpcUrls`` that differ from the usual ones; None leaves one out.
GatewayEntry = str | Mapping[str, object]


class Region:
    """
    One computing centre of the account. Its attributes may be changed at any time.

    :param region_id: its ``clusterId``, a number as text.
    :param user: cluster user (``computeUser``).
    :param cluster: its schedulers and jobs.
    :param tokens: issues its tokens.
    :param listener: serves its gateway.
    :param stopped: the account is stopped here: ``token: null``, and older tokens do not work.
    :param gateways: see :attr:`gateways`.
    """

    def __init__(
        self,
        region_id: str,
        name: str,
        user: str,
        cluster: Cluster,
        *,
        tokens: TokenOffice,
        listener: Listener,
        stopped: bool = False,
        gateways: Iterable[GatewayEntry] | None = None,
    ) -> None:
        if not re.fullmatch(r"[1-9]\d*", region_id):
            raise ValueError(f"region id {region_id!r} is not a number above 0")
        self.region_id = region_id
        self.name = name
        self.user = user
        self.home_path = f"/public/home/{user}"
        self.stopped = stopped
        self.cluster = cluster
        self.listener = listener
        self._tokens = tokens
        self._token = ""
        self._gateways = None if gateways is None else list(gateways)

    def __repr__(self) -> str:
        """Return id and name."""
        return f"Region({self.region_id!r}, {self.name!r})"

    @property
    def url(self) -> str:
        """Base URL of its gateway, without ``/hpc``; known once the emulator has been started."""
        return self.listener.url

    @property
    def gateways(self) -> list[GatewayEntry]:
        """
        What center lists as ``hpcUrls``; by default one enabled gateway, its address without ``/hpc``.

        An entry is a URL, or members such as ``{"url": ..., "enable": False, "version": None}``: booleans
        become text, as SCNet sends them, and None leaves a member out.
        """
        if self._gateways is None:
            self._gateways = [self.url]
        return self._gateways

    @gateways.setter
    def gateways(self, gateways: Iterable[GatewayEntry]) -> None:
        self._gateways = list(gateways)

    @property
    def jobs(self) -> list[Job]:
        """All jobs of this region, in the order in which they came."""
        return list(self.cluster.jobs)

    @property
    def token(self) -> str:
        """A token of this region that is valid now; stays the same until it expires or is revoked."""
        if self._tokens.check(self._token, self.region_id) is None:
            self._token = self.mint_token()
        return self._token

    def mint_token(self, lifetime: float | None = None, *, platform: bool = False, **claims: str) -> str:
        """
        Issue a token of this region.

        :param lifetime: seconds from now; negative for one that has expired already.
        :param platform: it is the platform's, and only names this region.
        :param claims: claims that differ from the usual ones.
        """
        usual = {"computeUser": self.user, "clusterId": self.region_id}
        return self._tokens.mint(lifetime, platform=platform, **{**usual, **claims})

    def adopt_token(self, token: str) -> None:
        """
        Accept a token that was made elsewhere, and hand it out as :attr:`token` while it is good.

        :param token: a token of this region and its cluster user.
        :raises ValueError: it is none; the text does not show it.
        """
        claims = read_claims(token)
        if (claims["clusterId"], claims["computeUser"]) != (self.region_id, self.user):
            raise ValueError(
                f"it is for region {claims['clusterId']!r} and cluster user {claims['computeUser']!r},"
                f" not for {self.region_id!r} and {self.user!r}"
            )
        self._tokens.adopt(token)
        self._token = token

    def revoke_tokens(self) -> None:
        """Make all tokens of this region invalid that have been issued so far."""
        self._tokens.revoke_all(self.region_id)

    def gateway_entries(self) -> list[dict[str, object]]:
        """Return the gateways as center lists them."""
        entries = []
        for number, gateway in enumerate(self.gateways):
            given = {"url": gateway} if isinstance(gateway, str) else gateway
            entry = {"enable": True, "isManagerNode": number == 0, "version": "5.2.2", **given}
            entries.append({name: _text(value) for name, value in entry.items() if value is not None})
        return entries


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
