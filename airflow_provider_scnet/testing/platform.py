"""The platform's calls: tokens by AK/SK, their state and renewal, and where a region's gateways are."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.dispatch import Route
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.tokens import PLATFORM_ID, TokenOffice
from airflow_provider_scnet.testing.wire import Answer, ApiError, RecordedRequest, envelope

#: Seconds after its expiry for which a token can still be renewed.
RENEWAL_SECONDS = 24 * 3600.0


@dataclass(eq=False)
class Account:
    """
    The platform user; may be renamed or get other keys at any time.

    :param login: platform login name.
    :param access_key: its AK.
    :param secret_key: its SK.
    """

    login: str
    access_key: str
    secret_key: str = field(repr=False)


def sign(access_key: str, secret_key: str, timestamp: str, user: str) -> str:
    """
    Work out the signature that the token call expects.

    :param access_key: the AK.
    :param secret_key: the SK.
    :param timestamp: seconds since the epoch, as sent.
    :param user: platform login name.
    """
    signed = {"accessKey": access_key, "timestamp": timestamp, "user": user}
    text = json.dumps(signed, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()


class Platform:
    """
    The platform of one account.

    :param account: who may fetch tokens.
    :param regions: the account's regions; more may be added later.
    :param tokens: issues and checks tokens.
    :param clock: what a timestamp is compared with.
    :param behaviour: how it behaves where SCNet's documentation leaves room.
    """

    def __init__(
        self,
        account: Account,
        regions: Sequence[Region],
        tokens: TokenOffice,
        clock: Clock,
        behaviour: Behaviour,
    ) -> None:
        self._account = account
        self._regions = regions
        self._tokens = tokens
        self._clock = clock
        self._behaviour = behaviour

    def routes(self) -> list[Route]:
        """Return the calls the platform answers."""
        calls: list[tuple[str, str, str, Callable[[Message], object]]] = [
            ("POST", "/api/user/v3/tokens", "tokens", self._issue),
            ("GET", "/ac/openapi/v2/tokens/state", "state", self._state),
            ("POST", "/ac/openapi/v2/tokens/next", "renew", self._renew),
            ("GET", "/ac/openapi/v2/center", "center", self._center),
            ("GET", "/ac/openapi/v2/user", "user", self._user),
        ]
        return [Route(verb, re.compile(re.escape(path)), name, _handler(work)) for verb, path, name, work in calls]

    def _issue(self, headers: Message) -> object:
        self._verify(headers)
        entries = [
            _entry(region.name, region.region_id, None if region.stopped else self._mint(region))
            for region in self._regions
        ]
        positions = {"first": 0, "middle": len(entries) // 2, "last": len(entries), None: None}
        position = positions[self._behaviour.platform_entry]
        if position is not None:
            entries.insert(position, _entry("ac", PLATFORM_ID, self._mint(None)))
        return entries

    def _verify(self, headers: Message) -> None:
        user, access_key, signature, timestamp = (
            _unicode(headers.get(name, "")) for name in ("user", "accessKey", "signature", "timestamp")
        )
        if not (user and access_key and signature and timestamp):
            raise ApiError("10003")
        if user != self._account.login:
            raise ApiError("10009", "用户不存在")
        if access_key != self._account.access_key:
            raise ApiError("10009", "AccessKey不存在")
        # Undocumented: the tolerance, and that there is a message of its own.
        is_number = timestamp.isascii() and timestamp.isdecimal()
        if not is_number or abs(float(timestamp) - self._clock.now()) > self._behaviour.clock_skew:
            raise ApiError("10009", "时间戳校验失败")
        expected = sign(access_key, self._account.secret_key, timestamp, user)
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise ApiError("10009", "AK/SK签名校验失败")

    def _mint(self, region: Region | None) -> str:
        if self._behaviour.new_tokens_revoke:
            self._tokens.revoke_all(region.region_id if region else PLATFORM_ID)
        if region:
            return region.mint_token(user=self._account.login)
        # In a sample of the documentation the platform's token names a real region and an ordinary user.
        login, user = self._account.login, self._behaviour.platform_user
        return self._regions[0].mint_token(platform=True, user=login, computeUser=login if user is None else user)

    def _holder(self, headers: Message, grace: float = 0.0) -> Region | None:
        """Return the region that a good token is for; None for the platform."""
        token = headers.get("token", "")
        if self._tokens.inspect(token, grace) is None:
            raise ApiError("10008")
        holder = self._tokens.holder(token)
        if holder == PLATFORM_ID:
            return None
        for region in self._regions:
            # "Frozen" is not among the codes documented for platform calls.
            if region.region_id == holder and not region.stopped:
                return region
        raise ApiError("10008")

    def _state(self, headers: Message) -> object:
        self._holder(headers)
        return "token is valid"

    def _renew(self, headers: Message) -> object:
        token = self._mint(self._holder(headers, RENEWAL_SECONDS))
        shapes = {"text": token, "object": {"token": token}, "list": [{"token": token}]}
        return shapes[self._behaviour.renewal_shape]

    def _center(self, headers: Message) -> object:
        region = self._holder(headers)
        if region is None:
            # Seen with some text as data; which one is not recorded.
            raise ApiError("10001", data="cluster user of the platform token not found")
        efile = {
            "nodeName": "n1",
            "enable": "true",
            "fastTransEnable": "false",
            "udpPort": "",
            "version": "5.2.2",
            "url": region.url,
        }
        return {
            "id": int(region.region_id),
            "name": region.name,
            "description": "",
            "clusterUserInfo": {"userName": region.user, "homePath": region.home_path},
            "hpcUrls": region.gateway_entries(),
            "efileUrls": [efile],
            "eshellUrls": [],
            "ingressUrls": [],
            "aiUrls": [],
        }

    def _user(self, headers: Message) -> object:
        self._holder(headers)
        return {
            "userName": self._account.login,
            "fullName": self._account.login,
            "country": "",
            "timeZone": "",
            "language": "",
            "address": "",
            "accountName": self._account.login,
            "accountStatus": "Normal",
            "accountBalance": "0.00",
            "computerCenter": "",
        }


def _handler(work: Callable[[Message], object]) -> Callable[[RecordedRequest, str], Answer]:
    # No platform call has parameters of its own; the bodies that clients send mean nothing.
    return lambda request, argument: envelope("0", data=work(request.headers))


def _entry(name: str, region_id: str, token: str | None) -> dict[str, str | None]:
    return {"clusterName": name, "clusterId": region_id, "token": token}


def _unicode(value: str) -> str:
    # http.server reads header fields as Latin-1; a user name outside ASCII is sent as UTF-8, if at all.
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
