"""SCNet's platform: one method for each call that is used to find tokens and gateways."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_scnet.api.tokens import PLATFORM_REGION, RegionToken, Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetTransientError,
)
from airflow_provider_scnet.wording import Secret, quote

API_URL = "https://api.scnet.cn"
PLATFORM_URL = "https://www.scnet.cn"
NOT_OF_THE_CREDENTIAL = (ScnetTransientError, ScnetAccountError, ScnetAddressError)
"""What the token call answers if what we gave it is not to blame; all other refusals speak of the credential."""


@dataclass(frozen=True)
class AccessKeys:
    """
    What the portal's access control (访问控制) hands out, and whose it is.

    :param login: the platform login name.
    :param access_key: column ``Accesskey`` of the downloaded file.
    :param secret_key: column ``Secretkey``.
    """

    login: str
    access_key: Secret
    secret_key: Secret

    def headers(self, now: float) -> dict[str, str | Secret]:
        """
        Sign a token call (API page get-user-tokens-aksk).

        :param now: seconds since the epoch.
        """
        timestamp = str(int(now))
        signed = {"accessKey": self.access_key.text, "timestamp": timestamp, "user": self.login}
        text = json.dumps(signed, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        signature = hmac.new(self.secret_key.text.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {**signed, "accessKey": self.access_key, "signature": Secret(signature)}


@dataclass(frozen=True)
class Center:
    """
    What the platform says of a token's region.

    :param region_id: its number, the ``clusterId`` of tokens.
    :param user: the cluster user; empty if it is not said.
    :param gateways: addresses of the enabled HPC gateways, as they were given.
    """

    region_id: str
    name: str
    user: str
    gateways: list[str]

    def __str__(self) -> str:
        return f"{self.region_id} ({quote(self.name, 40)})"


class PlatformClient:
    """
    Talk to SCNet's platform.

    :param api_url: where tokens are minted.
    :param platform_url: where tokens are renewed and regions are described.
    :param api: how to send requests to ``api_url``.
    :param platform: how to send requests to ``platform_url``.
    :param now: seconds since the epoch, for signatures.
    """

    def __init__(
        self,
        api_url: str = API_URL,
        platform_url: str = PLATFORM_URL,
        *,
        api: Transport,
        platform: Transport,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.api_url = api_url
        self.platform_url = platform_url
        self._api = api
        self._platform = platform
        self._now = now

    def mint_tokens(self, keys: AccessKeys) -> list[RegionToken]:
        """
        Fetch a token for each region (API page get-user-tokens-aksk). Each attempt is signed anew: nobody knows
        whether a signature may be used twice.

        :raises ScnetCredentialError: naming the field that is wrong, as far as SCNet tells.
        """
        url = f"{self.api_url}/api/user/v3/tokens"
        try:
            regions: list[RegionToken] | None = self._api.repeat(
                lambda: self._api.send(
                    "POST",
                    url,
                    headers=lambda: keys.headers(self._now()),
                    quotable=False,
                    read=_read_regions,
                    json={},
                ),
                harmless=True,
            )
        except ScnetError as error:
            raise self._explained(error, keys) from None
        if regions is None:
            raise self._api.unusable("POST", url, "no list of regions")
        return regions

    def renew_token(self, token: Token) -> Token:
        """
        Exchange a token, valid or expired less than 24 hours ago, for a new one (API page renewal-token).

        :param token: the old token; its region counts, should the answer list several.
        """
        url = f"{self.platform_url}/ac/openapi/v2/tokens/next"
        renewed: Token | None = self._platform.repeat(
            lambda: self._platform.send(
                "POST",
                url,
                headers={"token": token},
                quotable=False,
                read=lambda data: _read_renewal(data, token.region),
                json={},
            ),
            harmless=True,
        )
        if renewed is None:
            raise self._platform.unusable("POST", url, "no token")
        return renewed

    def get_center(self, token: Token) -> Center:
        """
        Describe the region of a token (API page get-center-info).

        :param token: a region's token; the platform's own gets 10001.
        """
        url = f"{self.platform_url}/ac/openapi/v2/center"
        data = self._platform.request("GET", url, headers={"token": token})
        if not isinstance(data, Mapping):
            raise self._platform.unusable("GET", url, "no region")
        user = data.get("clusterUserInfo")
        listed = data.get("hpcUrls")
        gateways = [entry for entry in (listed if isinstance(listed, list) else []) if isinstance(entry, Mapping)]
        return Center(
            region_id=quote(data.get("id") or ""),
            name=quote(data.get("name") or ""),
            user=str(user.get("userName") or "") if isinstance(user, Mapping) else "",
            gateways=[str(entry["url"]).strip() for entry in gateways if entry.get("url") and _is_enabled(entry)],
        )

    def _explained(self, error: ScnetError, keys: AccessKeys) -> ScnetError:
        """SCNet says what is wrong only in Chinese prose; say which field of the Connection it speaks of."""
        if not error.answered or isinstance(error, NOT_OF_THE_CREDENTIAL):
            return error
        said = f"{error.msg or ''} {error.data or ''}"
        moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._now()))
        clock = f"the time of the signature was refused. Set this machine's clock: it says {moment}."
        reasons = {
            "用户不存在": "`login`: the platform knows no such user. Use the portal's login name (it may have been "
            "renamed), not the cluster user.",
            "timestamp": clock,
            "时间": clock,
            "非本人": "extra `access_key`: the key belongs to another user than `login`.",
            "签名": "extra `secret_key` does not belong to `access_key`, or `login` is not their owner.",
            "不存在": "extra `access_key`: SCNet does not know this key. It may have been deleted on the portal "
            "(个人中心, 访问控制).",
        }
        what = next((reason for word, reason in reasons.items() if word in said), "")
        if not what and not isinstance(error, ScnetPermanentError):
            return error
        what = what or "check `login`, extra `access_key` and extra `secret_key`."
        return ScnetCredentialError(
            f"[{error.code}] 校验失败 · verification failed (POST /api/user/v3/tokens, connection "
            f"{self._api.connection}): {what} (login={keys.login!r}; SCNet said: {quote(said)!r})",
            code=error.code,
            msg=error.msg,
            call=error.call,
            answered=True,
        )


# These two see new tokens as they came; both run where no log draws local variables, see `Transport.send`.


def _read_regions(data: object) -> list[RegionToken] | None:
    if not isinstance(data, list):
        return None
    return [
        RegionToken(region_id, quote(entry.get("clusterName") or ""), _token_of(entry))
        for entry in data
        if (region_id := _region_of(entry)) not in ("", PLATFORM_REGION)
    ]


def _read_renewal(data: object, region_id: str) -> Token | None:
    """The page speaks of a "region list"; the token alone is what was seen."""
    entries = data if isinstance(data, list) else [{"token": data} if isinstance(data, str) else data]
    renewed = [(_region_of(entry), token) for entry in entries if (token := _token_of(entry))]
    for wanted in (lambda region: region == region_id, lambda region: region != PLATFORM_REGION, lambda region: True):
        for region, token in renewed:
            if wanted(region):
                return token
    return None


def _region_of(entry: object) -> str:
    value = entry.get("clusterId") if isinstance(entry, Mapping) else None
    return "" if value is None else quote(value)


def _token_of(entry: object) -> Token | None:
    token = entry.get("token") if isinstance(entry, Mapping) else None
    return Token.read(token.strip()) if isinstance(token, str) and token.strip() else None


def _is_enabled(entry: Mapping[str, Any]) -> bool:
    """A missing flag counts as enabled; SCNet writes booleans as text."""
    return str(entry.get("enable", "true")).strip().lower() == "true"
