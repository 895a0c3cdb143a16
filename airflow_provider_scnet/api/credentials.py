"""Where tokens come from, how they are replaced in time, and the cache that holds them meanwhile."""

from __future__ import annotations

import logging
import math
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_scnet.api.exchange import forget_frames
from airflow_provider_scnet.api.forks import Renewed
from airflow_provider_scnet.api.patience import SLICE, Patience
from airflow_provider_scnet.api.platform import AccessKeys, PlatformClient
from airflow_provider_scnet.api.tokens import RegionToken, Token, utc
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.wording import Secret, sentences

RENEWAL_MARGIN = 300.0
"""Seconds before its end from which on a token is replaced."""
PAUSE_AFTER_FAILURE = 60.0
"""Seconds for which a token that is still alive is used after it could not be replaced."""
RENEWAL_WINDOW = 24 * 3600.0
"""Seconds after its end during which a token can still be renewed."""
MINTS = 3
"""How often a token is fetched anew, with keys, because SCNet has refused one."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class _Entry(Renewed):
    """The tokens that one credential has yielded in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.token: Token | None = None
        self.quiet_until = 0.0  # no replacement is tried before, because one has just failed
        self.margin: dict[Token, float] = {}  # of new tokens: they may live for less than RENEWAL_MARGIN
        self.regions: list[RegionToken] = []
        self.next_mint: tuple[Token | None, float] = (None, 0.0)  # a token that was refused, and when to replace it


class TokenCache:
    """
    The tokens of many sources, by credential. Share one, and what one hook or thread has renewed serves all: a
    triggerer with a thousand tasks renews once.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str | Secret, ...], _Entry] = {}

    def entry(self, *credential: str | Secret) -> _Entry:
        """
        Return what is known of a credential.

        :param credential: all that tells it from others, the service that takes it included.
        """
        return self._entries.setdefault(credential, _Entry())


class TokenSource(ABC):
    """
    Where tokens come from.

    :param entry: the tokens that are known already; shared by the sources of one credential.
    :param now: seconds since the epoch.
    :param patience: how to wait.
    """

    def __init__(self, entry: _Entry, now: Callable[[], float], patience: Patience | None) -> None:
        self._entry = entry
        self._now = now
        self.patience = patience or Patience()

    def token(self) -> Token:
        """
        Return a token that is good for some minutes, new if need be.

        :raises ScnetCredentialError: if there is none to be had.
        """
        with self._alone():
            old = self._known()
            alive = old is not None and (old.ends_at or 0) > self._now()
            if old and alive and self._now() < self._entry.quiet_until:
                return old
            try:
                return self._get(lambda token: not self._ends_soon(token))
            except ScnetError as error:
                if not (old and alive):
                    raise
                self._entry.quiet_until = self._now() + PAUSE_AFTER_FAILURE
                log.warning("No new token yet, going on with the old one: %s", error)
                return old

    def renewed(self, stale: Token) -> Token:
        """
        Return another token than one that SCNet has refused.

        :raises ScnetCredentialError: if there is none to be had.
        """
        return self._get(lambda token: token != stale and not self._ends_soon(token))

    def pause_after(self, refusals: int, refused: Token) -> float | None:
        """
        Return the seconds to wait before another token is fetched; ``None`` if that would not help.

        :param refusals: how many tokens SCNet has refused for this call.
        :param refused: the last of them.
        """
        return 0.0 if refusals == 1 else None

    def _get(self, is_good: Callable[[Token], bool]) -> Token:
        with self._alone():
            token = self._known()
            if token and is_good(token):
                return token
            new = self._replace(token)
            lifetime = (new.ends_at or 0) - self._now()
            # Ended already, says a clock that is wrong: SCNet's word counts.
            self._entry.margin[new] = min(RENEWAL_MARGIN, lifetime / 10) if lifetime > 0 else -math.inf
            return new

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Whoever fetches a token may take minutes, and who is told to stop does not wait for that."""
        lock = self._entry.lock
        while not lock.acquire(timeout=SLICE):
            self.patience.check()
        try:
            yield
        finally:
            lock.release()

    def _ends_soon(self, token: Token) -> bool:
        margin = self._entry.margin.get(token, RENEWAL_MARGIN)
        return token.ends_at is not None and token.ends_at - self._now() < margin

    def explain(self, error: ScnetCredentialError) -> ScnetError:
        """Say of a new token's refusal what it means for this kind of credential."""
        return error

    @abstractmethod
    def _known(self) -> Token | None:
        """Return the token we have, good or not."""

    @abstractmethod
    def _replace(self, token: Token | None) -> Token:
        """Get a new token in place of one that is not good any more."""


class StoredToken(TokenSource):
    """
    A token from the Connection's password: used while it lives, then renewed, or replaced with the help of keys.

    :param platform: how to renew it.
    :param cache: where the hooks of this process keep their tokens.
    :param keys: where to turn to when it has ended, instead of renewing it.
    :param connection: the Airflow connection id, for messages.
    :param now: seconds since the epoch.
    :param patience: how to wait.
    """

    def __init__(
        self,
        token: Token,
        platform: PlatformClient,
        *,
        cache: TokenCache,
        keys: KeyTokens | None = None,
        connection: str = "scnet_default",
        now: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(cache.entry("token", platform.platform_url, token), now, patience)
        self._stored = token
        self._platform = platform
        self._keys = keys
        self._connection = connection

    def explain(self, error: ScnetCredentialError) -> ScnetError:
        """See the base class."""
        return self._keys.explain(error) if self._keys else error

    def pause_after(self, refusals: int, refused: Token) -> float | None:
        """See the base class; the token of the password, once refused, needs no pause before the keys are tried."""
        if self._keys and refused != self._stored:
            return self._keys.pause_after(refusals, refused)
        return super().pause_after(refusals, refused)

    def _known(self) -> Token:
        return self._entry.token or self._stored

    def _replace(self, token: Token | None) -> Token:
        stale = token or self._stored
        self._entry.token = self._keys.renewed(stale) if self._keys else self._renew(stale)
        return self._entry.token

    def _renew(self, stale: Token) -> Token:
        if stale.ends_at is not None and self._now() - stale.ends_at > RENEWAL_WINDOW:
            raise self._ended(stale, "too long ago to be renewed")
        try:
            token = self._platform.renew_token(stale)
        except (ScnetCredentialError, ScnetPermissionError):
            raise self._ended(stale, "SCNet does not renew it") from None
        except ScnetTransientError as error:
            helps = "A current token of this gateway's region, stored in the Connection's password, helps as well."
            raise error.advise(sentences(error.remedy, helps)) from None
        _mask(token)
        return token

    def _ended(self, stale: Token, why: str) -> ScnetCredentialError:
        when = "is not accepted"
        if stale.ends_at is not None:
            alive = stale.ends_at > self._now()
            when = "is not accepted, or is of another region" if alive else f"ended at {utc(stale.ends_at)}"
        return ScnetCredentialError(
            f"[10008] Connection {self._connection!r}, password: the token {when}; {why}.",
            remedy="Store a current token of this gateway's region, or an AK/SK pair (`login`, extra `access_key` and "
            "`secret_key`), which does not end.",
            code="10008",
        )


class KeyTokens(TokenSource):
    """
    Tokens minted with an AK/SK pair; one call yields those of all regions.

    :param platform: how to mint.
    :param cache: where the hooks of this process keep their tokens.
    :param region: the region's id, or its name; may be empty if the account has just one.
    :param connection: the Airflow connection id, for messages.
    :param now: seconds since the epoch.
    :param patience: how to wait.
    """

    def __init__(
        self,
        keys: AccessKeys,
        platform: PlatformClient,
        *,
        cache: TokenCache,
        region: str = "",
        connection: str = "scnet_default",
        now: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        entry = cache.entry("keys", platform.api_url, keys.login, keys.access_key, keys.secret_key)
        super().__init__(entry, now, patience)
        self._keys = keys
        self._platform = platform
        self._region = region
        self._connection = connection

    def explain(self, error: ScnetCredentialError) -> ScnetError:
        """See the base class. Which of the two causes it is, SCNet does not tell; one of them passes."""
        return ScnetTransientError(
            sentences(error.message, "It refuses even tokens that were just fetched with the AK/SK pair."),
            remedy="Either another task or process fetches tokens with the same pair, and each new one ends the older "
            "ones: limit how many run at once (an Airflow pool), or give each a pair of its own. Or `host` is no "
            "gateway of the region in extra `region`: correct it, or leave it empty.",
            code=error.code,
            msg=error.msg,
            data=error.data,
            call=error.call,
            without_effect=error.without_effect,
        )

    def pause_after(self, refusals: int, refused: Token) -> float | None:
        """
        See the base class; growing, and at random, so that two processes which end each other's tokens get out of
        step. The threads of one process wait for the same moment: else the first of many would always be early.
        """
        if refusals > MINTS:
            return None
        with self._alone():
            if self._known() not in (None, refused):  # another thread has got one meanwhile
                return 0.0
            now = self.patience.now()
            if self._entry.next_mint[0] != refused:
                self._entry.next_mint = (refused, now + random.uniform(0, 2 * 3 ** (refusals - 1)))  # noqa: S311
            return max(0.0, self._entry.next_mint[1] - now)

    def _known(self) -> Token | None:
        try:
            return self.choose(self._entry.regions).token
        except ScnetPermanentError:  # the list may be out of date: the account was recharged, a region added
            return None

    def _replace(self, token: Token | None) -> Token:
        regions = self._platform.mint_tokens(self._keys)
        for region in regions:
            if region.token:
                _mask(region.token)
        self._entry.regions = regions
        return cast(Token, self.choose(regions).token)

    def choose(self, regions: Sequence[RegionToken]) -> RegionToken:
        """
        Pick the Connection's region, or the only one.

        :param regions: the account's regions, without the platform's own entry.
        :raises ScnetRequestError: if the region is unknown, or several have that name; or none is named and there are
            several.
        :raises ScnetAccountError: if the account is stopped there.
        """
        where = f"Connection {self._connection!r}, extra `region`"
        listed = ", ".join(map(str, regions)) or "none"
        named = self._named(regions)
        if self._region and not named:
            raise ScnetRequestError(f"{where}={self._region!r}: no such region. The account has: {listed}.")
        if len({region.region_id for region in named}) > 1:
            raise ScnetRequestError(
                f"{where}={self._region!r}: several regions have this name. Give the number of one: "
                f"{', '.join(map(str, named))}."
            )
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

    def _named(self, regions: Sequence[RegionToken]) -> list[RegionToken]:
        """A number is a number first, whatever regions are called."""
        by_id = [region for region in regions if region.region_id == self._region]
        return by_id or [region for region in regions if self._region and region.name == self._region]


def _mask(token: Token) -> None:
    outer = sys.exception()
    try:
        mask_secret(token.text)
    except BaseException as error:  # a time-out, say, which strikes while Airflow passes it on
        forget_frames(error, outer)
        raise
