"""What the fields of an Airflow Connection mean: read and checked once, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetJobReferenceError,
    ScnetPermanentError,
    ScnetRequestError,
    quote,
)
from airflow_provider_scnet.jobs import check_scheduler_id, check_user
from airflow_provider_scnet.platform_client import API_URL, PLATFORM_URL, AccessKeys
from airflow_provider_scnet.transport import DEFAULT_TIMEOUT, base_url, holds_certificates, hpc_base_url

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


LONGEST_TIMEOUT = 3600.0


@dataclass(frozen=True)
class Settings:
    """
    A checked Connection.

    :param conn_id: its id.
    :param gateway: address of the HPC gateway; empty: to be discovered.
    :param token: the token in its password; may be empty if there are keys.
    :param keys: the AK/SK pair, if there is one.
    :param region: region id, scheduler id and cluster user if they are given, else empty.
    :param scheduler_id: see ``region``.
    :param user: see ``region``.
    :param api_url: where tokens are minted.
    :param platform_url: where tokens are renewed and regions are described.
    :param timeout: seconds to wait for an answer.
    :param verify: whether to verify certificates, or a CA file.
    :param allow_http: whether plain http may be used to other hosts than loopback.
    """

    conn_id: str
    gateway: str
    token: str = field(repr=False)
    keys: AccessKeys | None
    region: str
    scheduler_id: str
    user: str
    api_url: str
    platform_url: str
    timeout: float
    verify: bool | str
    allow_http: bool


def read_settings(conn_id: str, connection: Connection) -> Settings:
    """
    Read a Connection.

    :param conn_id: its id, for messages.
    :param connection: the Connection.
    :raises ScnetRequestError: naming the field that cannot be.
    :raises ScnetCredentialError: if it is one of the credential.
    """
    extra = connection.extra_dejson
    extra = extra if isinstance(extra, dict) else {}
    try:
        allow_http = _flag(extra, "allow_http", default=False)
        token, keys = _token(connection), _keys(connection, extra)
        if not token and keys is None:
            raise ScnetCredentialError(
                "password: empty. Store the region's token there, or an AK/SK pair in `login`, extra `access_key` and "
                "extra `secret_key`."
            )
        return Settings(
            conn_id=conn_id,
            gateway=_gateway(connection, allow_http),
            token=token,
            keys=keys,
            region=_text(extra, "region"),
            scheduler_id=_checked("scheduler_id", check_scheduler_id, extra),
            user=_checked("user", check_user, extra),
            api_url=_url(extra, "api_url", API_URL, allow_http),
            platform_url=_url(extra, "platform_url", PLATFORM_URL, allow_http),
            timeout=_timeout(extra),
            verify=_verify(extra),
            allow_http=allow_http,
        )
    except ScnetPermanentError as error:
        error.args = (f"Connection {conn_id!r}, {error}",)
        raise


def _token(connection: Connection) -> str:
    token = (connection.password or "").strip()
    if not _fits_a_header(token):
        raise ScnetCredentialError(
            "password: not a token (it has blanks or other characters that no token has). Copy it again, without "
            "quotes and line breaks."
        )
    return token


def _keys(connection: Connection, extra: Mapping[str, Any]) -> AccessKeys | None:
    login = (connection.login or "").strip()
    pair = {name: _text(extra, name) for name in ("access_key", "secret_key")}
    if not any(pair.values()):
        return None
    for name, value in pair.items():
        if not value:
            raise ScnetCredentialError(
                f"extra `{name}`: empty, but the other key of the pair is given. The portal's file has both "
                f"(个人中心, 访问控制)."
            )
        if not _fits_a_header(value):
            raise ScnetCredentialError(f"extra `{name}`: not a key (it has blanks or other foreign characters).")
    if not login:
        raise ScnetCredentialError("login: empty, but needed with AK/SK. It is the login name of the portal.")
    if not login.isprintable():
        raise ScnetCredentialError("login: has characters that no name has. Type it again.")
    return AccessKeys(login, pair["access_key"], pair["secret_key"])


def _fits_a_header(secret: str) -> bool:
    return secret.isascii() and secret.isprintable() and " " not in secret


def _gateway(connection: Connection, allow_http: bool) -> str:
    """The host may be a name, or a whole address; a port of its own counts where the host names none."""
    host = (connection.host or "").strip()
    if not host:
        return ""
    scheme, _, rest = host.rpartition("://")
    authority, slash, path = rest.partition("/")
    fields = ["host"]
    if connection.port and not re.search(r":\d+$", authority):
        authority = f"{authority}:{connection.port}"
        fields.append("port")
    if connection.schema and not scheme:
        fields.append("schema")
    address = f"{scheme or connection.schema or 'https'}://{authority}{slash}{path}"
    return hpc_base_url(address, field=" + ".join(fields), allow_http=allow_http)


def _url(extra: Mapping[str, Any], name: str, default: str, allow_http: bool) -> str:
    return base_url(_text(extra, name) or default, field=f"extra `{name}`", allow_http=allow_http)


def _checked(name: str, check: Any, extra: Mapping[str, Any]) -> str:
    text = _text(extra, name)
    try:
        return check(text) if text else ""
    except ScnetJobReferenceError as error:
        raise ScnetRequestError(f"extra `{name}`: {error}") from None


def _timeout(extra: Mapping[str, Any]) -> float:
    text = _text(extra, "timeout")
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = 0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ScnetRequestError(
            f"extra `timeout`={quote(text)!r}: must be a positive number of seconds, {LONGEST_TIMEOUT:g} at most."
        )
    return seconds


def _verify(extra: Mapping[str, Any]) -> bool | str:
    text = _text(extra, "verify")
    if text.lower() in ("", "true", "false"):
        return _flag(extra, "verify", default=True)
    if not holds_certificates(text):
        raise ScnetRequestError(
            f"extra `verify`={quote(text)!r}: no such file, or no certificates in it. Give true, false or the path "
            f"of a CA file on the machine that runs the task."
        )
    return text


def _flag(extra: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Forms and URIs give booleans as text, and ``bool("false")`` is true."""
    text = _text(extra, name).lower()
    if text not in ("", "true", "false"):
        raise ScnetRequestError(f"extra `{name}`={quote(text)!r}: must be true or false.")
    return text == "true" if text else default


def _text(extra: Mapping[str, Any], name: str) -> str:
    """An untouched field of the form may be missing, empty or null."""
    value = extra.get(name)
    return "" if value is None else str(value).strip()
