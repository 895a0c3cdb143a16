"""Tokens: what they say about themselves, where they come from, and how they are replaced in time."""

from __future__ import annotations

import base64
import json
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
    ScnetTransientError,
    without_frames,
)
from airflow_provider_scnet.platform_client import AccessKeys, PlatformClient, RegionToken

PLATFORM_COMPUTE_USER = "root"
"""``computeUser`` of the platform's own token, which is of no use for job calls."""
RENEWAL_MARGIN = 300.0
"""Seconds before its end from which on a token is replaced."""
LATEST_END = 1e11
"""Seconds since the epoch; a claim beyond that is in another unit."""
PAUSE_AFTER_FAILURE = 60.0
"""Seconds for which a token that is still alive is used after it could not be replaced."""
RENEWAL_WINDOW = 24 * 3600.0
"""Seconds after its end during which a token can still be renewed."""

T = TypeVar("T")
log = logging.getLogger(__name__)


def read_claims(token: str) -> dict[str, Any]:
    """
    Read the payload of a token, unverified (the key is the server's): a convenience, never a proof.

    :param token: the token; one that is no JWT has no claims.
    :return: e.g. ``{"computeUser": "acexample01", "clusterId": "11112", "expireTime": "1700003600000"}``.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def read_expiry(token: str) -> float | None:
    """
    Tell when a token ends, in seconds since the epoch (the claim has milliseconds); ``None`` if it does not say.

    :param token: the token.
    """
    try:
        seconds = float(str(read_claims(token).get("expireTime")).strip()) / 1000
    except ValueError:
        return None
    return seconds if 0 < seconds < LATEST_END else None


class _Vault:
    """The tokens that one credential has yielded in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.token: str | None = None
        self.quiet_until = 0.0
        self.margin: dict[str, float] = {}  # of new tokens: they may live for less than ours
        self.regions: list[RegionToken] = []


_vaults: dict[tuple[str, ...], _Vault] = {}
"""For all hooks of this process, so that a triggerer's many threads renew once and not once each."""


def _vault_of(*credential: str) -> _Vault:
    return _vaults.setdefault(credential, _Vault())


class TokenSource(ABC):
    """
    Where tokens come from.

    :param vault: the tokens that are known already; shared by the sources of one credential.
    :param now: seconds since the epoch.
    """

    def __init__(self, vault: _Vault, now: Callable[[], float]) -> None:
        self._vault = vault
        self._now = now

    @without_frames
    def token(self) -> str:
        """
        Return a token that is good for some minutes, new if need be.

        :raises ScnetCredentialError: if there is none to be had.
        """
        with self._vault.lock:
            old = self._known()
            alive = old is not None and (read_expiry(old) or 0) > self._now()
            if old and alive and self._now() < self._vault.quiet_until:
                return old
            try:
                return self._get(lambda token: not self._ends_soon(token))
            except ScnetError as error:
                if not (old and alive):
                    raise
                self._vault.quiet_until = self._now() + PAUSE_AFTER_FAILURE
                log.warning("No new token yet, going on with the old one: %s", error)
                return old

    @without_frames
    def renewed(self, stale: str) -> str:
        """
        Return another token than one that SCNet has refused.

        :param stale: the refused token.
        :raises ScnetCredentialError: if there is none to be had.
        """
        return self._get(lambda token: token != stale and not self._ends_soon(token))

    def _get(self, is_good: Callable[[str], bool]) -> str:
        with self._vault.lock:
            token = self._known()
            if token and is_good(token):
                return token
            new = self._replace(token)
            lifetime = (read_expiry(new) or 0) - self._now()
            # Ended already, says a clock that is wrong: SCNet's word counts.
            self._vault.margin[new] = min(RENEWAL_MARGIN, lifetime / 10) if lifetime > 0 else -math.inf
            return new

    def _ends_soon(self, token: str) -> bool:
        expiry = read_expiry(token)
        return expiry is not None and expiry - self._now() < self._vault.margin.get(token, RENEWAL_MARGIN)

    def explain(self, error: ScnetCredentialError) -> ScnetCredentialError:
        """
        Say of a new token's refusal what it means for this kind of credential.

        :param error: the refusal.
        """
        return error

    @abstractmethod
    def _known(self) -> str | None:
        """Return the token we have, good or not."""

    @abstractmethod
    def _replace(self, token: str | None) -> str:
        """Get a new token in place of one that is not good any more."""


class StoredToken(TokenSource):
    """
    A token from the Connection's password: used while it lives, then renewed, or replaced with the help of keys.

    :param token: the token.
    :param platform: how to renew it.
    :param keys: where to turn to when it has ended, instead of renewing it.
    :param connection: the Airflow connection id, for messages.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        token: str,
        platform: PlatformClient,
        *,
        keys: KeyTokens | None = None,
        connection: str = "scnet_default",
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(_vault_of("token", platform.platform_url, token), now)
        self._stored = token
        self._platform = platform
        self._keys = keys
        self._connection = connection

    def explain(self, error: ScnetCredentialError) -> ScnetCredentialError:
        """See the base class."""
        return self._keys.explain(error) if self._keys else error

    def _known(self) -> str:
        return self._vault.token or self._stored

    def _replace(self, token: str | None) -> str:
        stale = token or self._stored
        self._vault.token = self._keys.renewed(stale) if self._keys else self._renew(stale)
        return self._vault.token

    def _renew(self, stale: str) -> str:
        expiry = read_expiry(stale)
        if expiry is not None and self._now() - expiry > RENEWAL_WINDOW:
            raise self._ended(expiry, "too long ago to be renewed")
        try:
            token = self._platform.renew_token(stale, str(read_claims(stale).get("clusterId") or ""))
        except (ScnetCredentialError, ScnetPermissionError):
            raise self._ended(expiry, "SCNet does not renew it") from None
        except ScnetTransientError as error:
            if expiry is not None and self._ends_soon(stale):
                raise
            raise self._ended(expiry, f"renewing it failed: {error}") from None
        mask_secret(token)
        return token

    def _ended(self, expiry: float | None, why: str) -> ScnetCredentialError:
        when = f"ended at {datetime.fromtimestamp(expiry, UTC):%Y-%m-%d %H:%M} UTC" if expiry else "is not accepted"
        if expiry and expiry > self._now():
            when = "is not accepted, or is of another region"
        return ScnetCredentialError(
            f"[10008] Connection {self._connection!r}, password: the token {when}; {why}. Store a current token of "
            f"this gateway's region, or an AK/SK pair (`login`, extra `access_key` and `secret_key`), which does "
            f"not end.",
            code="10008",
        )


class KeyTokens(TokenSource):
    """
    Tokens minted with an AK/SK pair; one call yields those of all regions.

    :param keys: the pair.
    :param platform: how to mint.
    :param region: the region's id; may be empty if the account has just one.
    :param connection: the Airflow connection id, for messages.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        keys: AccessKeys,
        platform: PlatformClient,
        *,
        region: str = "",
        connection: str = "scnet_default",
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(_vault_of("keys", platform.api_url, keys.login, keys.access_key, keys.secret_key), now)
        self._keys = keys
        self._platform = platform
        self._region = region
        self._connection = connection

    def explain(self, error: ScnetCredentialError) -> ScnetCredentialError:
        """See the base class."""
        return ScnetCredentialError(
            f"[{error.code}] SCNet refuses a token that was just fetched with the AK/SK pair ({error.call}, connection "
            f"{self._connection}). Check that `host` is a gateway of the region in extra `region`, or leave it empty.",
            code=error.code,
            msg=error.msg,
            call=error.call,
            answered=error.answered,
        )

    def _known(self) -> str | None:
        try:
            return self.choose(self._vault.regions).token
        except ScnetPermanentError:  # the list may be out of date: the account was recharged, a region added
            return None

    def _replace(self, token: str | None) -> str:
        regions = self._platform.mint_tokens(self._keys)
        for region in regions:
            if region.token:
                mask_secret(region.token)
        self._vault.regions = regions
        return self.choose(regions).token or ""

    def choose(self, regions: Sequence[RegionToken]) -> RegionToken:
        """
        Pick the Connection's region, or the only one.

        :param regions: the account's regions, without the platform's own entry.
        :raises ScnetRequestError: if the region is unknown, or none is named and there are several.
        :raises ScnetAccountError: if the account is stopped there.
        """
        where = f"Connection {self._connection!r}, extra `region`"
        listed = ", ".join(map(str, regions)) or "none"
        named = [region for region in regions if region.region_id == self._region]
        if self._region and not named:
            raise ScnetRequestError(f"{where}={self._region!r}: no such region. The account has: {listed}.")
        if not regions:
            raise ScnetAccountError(f"Connection {self._connection!r}: the account may use no region at all.")
        usable = [region for region in named or regions if region.token]
        if not usable:
            raise ScnetAccountError(
                f"Connection {self._connection!r}: the account is stopped (停用) in "
                f"{', '.join(map(str, named)) or 'every region it has'}; it has: {listed}. It works again after a "
                f"recharge; no other credential helps."
            )
        if len(usable) > 1:
            choices = ", ".join(map(str, usable))
            raise ScnetRequestError(f"{where}: name one, the account can use several: {choices}.")
        return usable[0]


def call_with_token(source: TokenSource, call: Callable[[str], T]) -> T:
    """
    Make a call; if SCNet refuses the token, once more with a new one.

    :param source: where tokens come from.
    :param call: what to do with a token.
    :raises ScnetCredentialError: if the new token is refused as well, or there is none.
    """
    token = source.token()
    try:
        return call(token)
    except ScnetCredentialError:
        renewed = source.renewed(token)
    try:
        return call(renewed)
    except ScnetCredentialError as error:
        raise source.explain(error) from None
