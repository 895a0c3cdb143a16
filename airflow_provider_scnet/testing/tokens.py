"""Region and platform tokens: HS256 JWTs with SCNet's claims, made and checked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets

from airflow_provider_scnet.testing.clock import Clock

Claims = dict[str, str]

#: ``clusterId`` of the platform's entry in the list of tokens.
PLATFORM_ID = "0"


class TokenOffice:
    """
    Issues tokens and knows which of them are good.

    :param clock: decides what has expired.
    :param user: platform login name.
    :param compute_user: cluster user of the tokens, unless told otherwise.
    :param region_id: region the tokens are for, unless told otherwise.
    :param lifetime: seconds a token is valid, unless told otherwise.
    """

    def __init__(self, clock: Clock, user: str, compute_user: str, region_id: str, lifetime: float) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)
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
        lifetime = self.lifetime if lifetime is None else lifetime
        expires = int((self._clock.now() + lifetime) * 1000)
        token = self._encode({**self._claims, "expireTime": str(expires), **claims})
        while token in self._issued and "expireTime" not in claims:
            expires += 1
            token = self._encode({**self._claims, **claims, "expireTime": str(expires)})
        self._issued[token] = PLATFORM_ID if platform else {**self._claims, **claims}["clusterId"]
        return token

    def holder(self, token: str) -> str:
        """
        Return whom a token was issued for: a region id, or ``0`` for the platform.

        :param token: one that was issued here.
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
        """Make all tokens invalid that there are."""
        self._key = secrets.token_bytes(32)  # with which none of them is signed

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
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(head).encode()):
            return None
        # The signature is ours, so what it covers is well-formed, whatever the claims say.
        claims: Claims = json.loads(_unpack(head.rpartition(".")[2]))
        expires = claims["expireTime"]
        alive = expires.isdecimal() and int(expires) > (self._clock.now() - grace) * 1000
        return claims if alive else None

    def _encode(self, claims: Claims) -> str:
        head = f"{_pack({'alg': 'HS256', 'typ': 'JWT'})}.{_pack(claims)}"
        return f"{head}.{self._sign(head)}"

    def _sign(self, head: str) -> str:
        return _text(hmac.digest(self._key, head.encode(), hashlib.sha256))


def _pack(part: Claims) -> str:
    return _text(json.dumps(part, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
