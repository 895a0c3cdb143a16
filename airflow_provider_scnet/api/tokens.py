"""Tokens: what they say about themselves, read once."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_scnet.wording import QUOTE_LIMIT, Secret, quote

PLATFORM_REGION = "0"
"""``clusterId`` of the platform's own entry among the regions; its token is of no use for job calls."""
PLATFORM_COMPUTE_USER = "root"
"""``computeUser`` of the platform's own token as documented; some were seen with an ordinary name."""
LATEST_END = 1e11
"""Seconds since the epoch; a claim beyond that is in another unit."""


@dataclass(frozen=True, repr=False)
class Token(Secret):
    """
    A token, which is a JWT, and its claims. The claims are unverified, for the key is the server's:
    a convenience, never a proof. A token that is no JWT has none.

    :param text: the token itself; its ``repr`` and ``str`` do not show it.
    :param platform_user: the portal's login name (claim ``user``).
    :param user: the cluster user (``computeUser``).
    :param region: the region's id (``clusterId``).
    :param ends_at: when it ends, in seconds since the epoch (``expireTime``, milliseconds); ``None`` if unknown.
    """

    platform_user: str = ""
    user: str = ""
    region: str = ""
    ends_at: float | None = None

    @classmethod
    def read(cls, text: str) -> Token:
        """
        Read a token.

        :param text: as it was stored or came from SCNet, without blanks around it.
        """
        claims = read_claims(text)
        return cls(
            text,
            platform_user=_claim(claims, "user"),
            user=_claim(claims, "computeUser"),
            region=_claim(claims, "clusterId"),
            ends_at=_end(claims),
        )

    def __repr__(self) -> str:
        return f"Token(***, user={self.user!r}, region={self.region!r}, {self.until})"

    @property
    def until(self) -> str:
        """When it ends, for messages."""
        return "with no known end" if self.ends_at is None else f"until {utc(self.ends_at)}"

    @property
    def looks_like_the_platforms(self) -> bool:
        """Whether it seems to be the platform's own. Only its entry in the list of regions is a sure sign."""
        return self.user == PLATFORM_COMPUTE_USER or self.region == PLATFORM_REGION


@dataclass(frozen=True)
class RegionToken:
    """
    One region the account may use, as the token call lists it.

    :param region_id: ``clusterId``.
    :param token: its token; ``None`` while the account is stopped there.
    """

    region_id: str
    name: str
    token: Token | None

    def __str__(self) -> str:
        return f"{self.region_id} ({quote(self.name, 40)})"


def read_claims(text: str) -> dict[str, Any]:
    """
    Read the payload of a token.

    :param text: the token; one that is no JWT has no claims.
    :return: e.g. ``{"computeUser": "acexample01", "clusterId": "11112", "expireTime": "1700003600000"}``.
    """
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def utc(moment: float) -> str:
    """
    Write a time for people.

    :param moment: seconds since the epoch.
    """
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _claim(claims: dict[str, Any], name: str) -> str:
    """Whoever made the token wrote this, line breaks included, and it ends up in messages; half a name is none."""
    text = str(claims.get(name) or "")
    return quote(text) if len(text) <= QUOTE_LIMIT else ""


def _end(claims: dict[str, Any]) -> float | None:
    try:
        seconds = float(str(claims.get("expireTime")).strip()) / 1000
    except ValueError:
        return None
    return seconds if 0 < seconds < LATEST_END else None
