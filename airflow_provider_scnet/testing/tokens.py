"""Region and platform tokens: HS256 JWTs with SCNet's claims, made and checked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets

from airflow_provider_scnet.testing.clock import Clock

Claims = dict[str, str]

#: ``clusterId`` of the platform's entry in the list of tokens.
PLATFORM_ID = "0"

#: The latest end that can be written as a date wherever it is read: the year 9000, in milliseconds since the epoch.
LATEST_END = 221_845_392_000_000

JWT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")


def derived(seed: str, purpose: str) -> bytes:
    """
    Return 32 bytes that are always the same for a seed and a purpose.

    :param seed: any text.
    :param purpose: any text; another one gives other bytes.
    """
    return hmac.digest(seed.encode(), purpose.encode(), hashlib.sha256)


def read_claims(token: str) -> Claims:
    """
    Read a token that was made elsewhere; only who made it could check its signature.

    :param token: a JWT with the claims that calls need: ``user``, ``computeUser``, ``clusterId``, ``expireTime``.
    :raises ValueError: it is none; the text says what is wrong and does not show it.
    """
    if not JWT.fullmatch(token):
        raise ValueError("it is no JWT, which has three parts of letters, digits, '-' and '_', joined by dots")
    try:
        claims = json.loads(_unpack(token.split(".")[1]))
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise ValueError("it is no JWT: its second part is no JSON object in base64url")
    for name in ("user", "computeUser", "clusterId", "expireTime"):
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise ValueError(f"it has no claim {name!r} that is a text")
    return claims


class TokenOffice:
    """
    Issues tokens and knows which of them are good.

    :param clock: decides what has expired.
    :param user: platform login name.
    :param compute_user: cluster user of the tokens, unless told otherwise.
    :param region_id: region the tokens are for, unless told otherwise.
    :param lifetime: seconds a token is valid, unless told otherwise.
    :param seed: makes tokens outlast the office: one with the same seed issues the same token again, and accepts
        those issued before. They are valid for up to twice their lifetime. None for tokens of this office only.
    """

    def __init__(
        self, clock: Clock, user: str, compute_user: str, region_id: str, lifetime: float, *, seed: str | None = None
    ) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._seeded = seed is not None
        self._key = secrets.token_bytes(32) if seed is None else derived(seed, "key that signs tokens")
        # Claims do not tell whether a token is the platform's: it has a key of its own.
        self._platform_key = derived(self._key.hex(), "key that signs the platform's")
        self._adopted: set[str] = set()
        self._issued: dict[str, str] = {}
        self._revoked: set[str] = set()
        self._claims: Claims = {
            "computeUser": compute_user,
            "accountStatus": "Trial",
            "creator": "ac",
            "role": "1",
            "expireTime": "",
            "clusterId": region_id,
            "invoker": "0123456789abcdef0123456789abcdef",
            "user": user,
            "userId": "1000000001",
        }

    def mint(self, lifetime: float | None = None, *, platform: bool = False, **claims: str) -> str:
        """
        Issue a token; no two are equal.

        :param lifetime: seconds from now; negative for one that has expired already.
        :param platform: it is the platform's; its claims do not tell.
        :param claims: claims that differ from the usual ones.
        """
        expires = int((self._usual_end() if lifetime is None else self._clock.now() + lifetime) * 1000)
        key = self._platform_key if platform else self._key
        token = _signed({**self._claims, "expireTime": str(expires), **claims}, key)
        while token in self._issued and "expireTime" not in claims:
            expires += 1
            token = _signed({**self._claims, **claims, "expireTime": str(expires)}, key)
        self._issued[token] = PLATFORM_ID if platform else {**self._claims, **claims}["clusterId"]
        return token

    def holder(self, token: str) -> str:
        """
        Return whom a token was issued for: a region id, or ``0`` for the platform.

        :param token: one that is good.
        """
        return self._issued[token]

    @property
    def issued(self) -> set[str]:
        """All tokens ever issued."""
        return set(self._issued)

    def revoke(self, token: str) -> None:
        """Make a token invalid from now on."""
        self._revoked.add(token)

    def revoke_everything(self) -> None:
        """Make all tokens invalid that there are, wherever they were issued."""
        self._key, self._platform_key = secrets.token_bytes(32), secrets.token_bytes(32)  # none is signed with these
        self._adopted.clear()

    def adopt(self, token: str) -> None:
        """
        Accept a token that was made elsewhere, whatever its signature.

        :param token: its claims decide what it is good for.
        :raises ValueError: it cannot be used; the text does not show it.
        """
        claims = read_claims(token)
        if not self._alive(claims):
            raise ValueError("its end (claim 'expireTime', milliseconds since the epoch) has passed")
        if int(claims["expireTime"]) > LATEST_END:
            raise ValueError("its end (claim 'expireTime', milliseconds since the epoch) comes after the year 9000")
        self._adopted.add(token)
        self._issued[token] = claims["clusterId"]

    def revoke_all(self, holder: str) -> None:
        """
        Make all tokens invalid that have been issued for a region so far.

        :param holder: region id, or ``0`` for the platform.
        """
        self._revoked.update(token for token, whose in list(self._issued.items()) if whose == holder)

    def check(self, token: str | None, holder: str) -> Claims | None:
        """
        Return a token's claims, or None if it is not good here and now.

        :param token: value of the ``token`` header.
        :param holder: id of the region that asks, or ``0`` for the platform.
        """
        claims = self.inspect(token)
        return claims if token and claims is not None and self.holder(token) == holder else None

    def inspect(self, token: str | None, grace: float = 0.0) -> Claims | None:
        """
        Return a token's claims, or None if it is no good anywhere.

        :param token: value of the ``token`` header.
        :param grace: seconds for which it may have expired.
        """
        if not token or token in self._revoked:
            return None
        is_platforms = _is_signed(token, self._platform_key)
        if not (is_platforms or _is_signed(token, self._key) or token in self._adopted):
            return None
        # The signature is ours, or it was read before: what it covers is well-formed, whatever the claims say.
        claims: Claims = json.loads(_unpack(token.split(".")[1]))
        # An office with the same seed may have issued it.
        self._issued.setdefault(token, PLATFORM_ID if is_platforms else claims["clusterId"])
        return claims if self._alive(claims, grace) else None

    def _alive(self, claims: Claims, grace: float = 0.0) -> bool:
        expires = claims["expireTime"]
        return expires.isdecimal() and int(expires) > (self._clock.now() - grace) * 1000

    def _usual_end(self) -> float:
        now = self._clock.now()
        if self._seeded and self.lifetime > 0:
            # The same moment for all offices of a while, so that they issue the same token.
            return (now // self.lifetime + 2) * self.lifetime
        return now + self.lifetime


def _signed(claims: Claims, key: bytes) -> str:
    head = f"{_pack({'alg': 'HS256', 'typ': 'JWT'})}.{_pack(claims)}"
    return f"{head}.{_signature(head, key)}"


def _is_signed(token: str, key: bytes) -> bool:
    head, _, signature = token.rpartition(".")
    return hmac.compare_digest(signature.encode(), _signature(head, key).encode())


def _signature(head: str, key: bytes) -> str:
    return _text(hmac.digest(key, head.encode(), hashlib.sha256))


def _pack(part: Claims) -> str:
    return _text(json.dumps(part, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
