"""What the fields of an Airflow Connection mean: read and checked once, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_scnet.api.addresses import gateway_address, holds_certificates, service_address
from airflow_provider_scnet.api.platform import API_URL, PLATFORM_URL, AccessKeys
from airflow_provider_scnet.api.reference import check_scheduler_id, check_user
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import DEFAULT_TIMEOUT
from airflow_provider_scnet.exceptions import ScnetCredentialError, ScnetJobReferenceError, ScnetRequestError
from airflow_provider_scnet.wording import Secret, quote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


LONGEST_TIMEOUT = 3600.0


@dataclass(frozen=True)
class Settings:
    """
    A checked Connection.

    :param conn_id: its id.
    :param gateway: address of the HPC gateway; empty: to be discovered.
    :param token: the token in its password; empty if there are keys only.
    :param keys: the AK/SK pair, if there is one.
    :param region: id or name of the region, scheduler id and cluster user if they are given, else empty.
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
    token: Token
    keys: AccessKeys | None
    region: str
    scheduler_id: str
    user: str
    api_url: str
    platform_url: str
    timeout: float
    verify: bool | str
    allow_http: bool


class ConnectionFields:
    """
    The fields of a Connection as they were typed. The ``repr`` of Airflow's own class shows the password, and a log of
    local variables would draw it; that of this one shows nothing.

    :param conn_id: its id.
    """

    def __init__(self, conn_id: str, connection: Connection) -> None:
        extra = connection.extra_dejson
        self.conn_id = conn_id
        self.host = (connection.host or "").strip()
        self.port = connection.port
        self.schema = connection.schema or ""
        self.login = (connection.login or "").strip()
        self.password = Token.read((connection.password or "").strip())
        self._extra = extra if isinstance(extra, dict) else {}

    def text(self, name: str) -> str:
        """Return an extra as text. An untouched field of the form may be missing, empty or null."""
        value = self._extra.get(name)
        return "" if value is None else str(value).strip()

    def secret(self, name: str) -> Secret:
        """Return an extra that must not be shown."""
        return Secret(self.text(name))

    def flag(self, name: str, *, default: bool) -> bool:
        """
        Return a yes or no. Forms and URIs give them as text, and ``bool("false")`` is true.

        :param default: what an empty field means.
        """
        text = self.text(name).lower()
        if text not in ("", "true", "false"):
            raise ScnetRequestError(f"{self.named(name)}={quote(text)!r}: must be true or false.")
        return text == "true" if text else default

    def named(self, name: str) -> str:
        """Name an extra for a message."""
        return f"{self.where}extra `{name}`"

    @property
    def where(self) -> str:
        """How each message about a field begins."""
        return f"Connection {self.conn_id!r}, "


def read_settings(fields: ConnectionFields) -> Settings:
    """
    Read and check the fields of a Connection.

    :raises ScnetRequestError: naming the field that cannot be.
    :raises ScnetCredentialError: if it is one of the credential.
    """
    allow_http = fields.flag("allow_http", default=False)
    token, keys = _token(fields), _keys(fields)
    if not token and keys is None:
        raise ScnetCredentialError(
            f"{fields.where}password: empty. Store the region's token there, or an AK/SK pair in `login`, extra "
            f"`access_key` and extra `secret_key`."
        )
    return Settings(
        conn_id=fields.conn_id,
        gateway=_gateway(fields, allow_http),
        token=token,
        keys=keys,
        region=fields.text("region"),
        scheduler_id=_checked(fields, "scheduler_id", check_scheduler_id),
        user=_checked(fields, "user", check_user),
        api_url=_url(fields, "api_url", API_URL, allow_http),
        platform_url=_url(fields, "platform_url", PLATFORM_URL, allow_http),
        timeout=_timeout(fields),
        verify=_verify(fields),
        allow_http=allow_http,
    )


def _token(fields: ConnectionFields) -> Token:
    if not _fits_a_header(fields.password):
        raise ScnetCredentialError(
            f"{fields.where}password: not a token (it has blanks or other characters that no token has). Copy it "
            f"again, without quotes and line breaks."
        )
    return fields.password


def _keys(fields: ConnectionFields) -> AccessKeys | None:
    pair = {name: fields.secret(name) for name in ("access_key", "secret_key")}
    if not any(pair.values()):
        return None
    for name, value in pair.items():
        if not value:
            raise ScnetCredentialError(
                f"{fields.named(name)}: empty, but the other key of the pair is given. The portal's file has both "
                f"(个人中心, 访问控制)."
            )
        if not _fits_a_header(value):
            raise ScnetCredentialError(f"{fields.named(name)}: not a key (it has blanks or other foreign characters).")
    if not fields.login:
        raise ScnetCredentialError(
            f"{fields.where}login: empty, but needed with AK/SK. It is the login name of the portal."
        )
    if not fields.login.isprintable():
        raise ScnetCredentialError(f"{fields.where}login: has characters that no name has. Type it again.")
    return AccessKeys(fields.login, pair["access_key"], pair["secret_key"])


def _fits_a_header(secret: Secret) -> bool:
    return secret.text.isascii() and secret.text.isprintable() and " " not in secret.text


def _gateway(fields: ConnectionFields, allow_http: bool) -> str:
    """The host may be a name, or a whole address; a port of its own counts where the host names none."""
    if not fields.host:
        return ""
    scheme, _, rest = fields.host.rpartition("://")
    authority, slash, path = rest.partition("/")
    named = ["host"]
    if fields.port and not re.search(r":\d+$", authority):
        authority = f"{authority}:{fields.port}"
        named.append("port")
    if fields.schema and not scheme:
        named.append("schema")
    address = f"{scheme or fields.schema or 'https'}://{authority}{slash}{path}"
    return gateway_address(address, field=f"{fields.where}{' + '.join(named)}", allow_http=allow_http)


def _url(fields: ConnectionFields, name: str, default: str, allow_http: bool) -> str:
    return service_address(fields.text(name) or default, field=fields.named(name), allow_http=allow_http)


def _checked(fields: ConnectionFields, name: str, check: Callable[[object], str]) -> str:
    text = fields.text(name)
    try:
        return check(text) if text else ""
    except ScnetJobReferenceError as error:
        raise ScnetRequestError(f"{fields.named(name)}: {error}") from None


def _timeout(fields: ConnectionFields) -> float:
    text = fields.text("timeout")
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = 0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ScnetRequestError(
            f"{fields.named('timeout')}={quote(text)!r}: must be a positive number of seconds, {LONGEST_TIMEOUT:g} "
            f"at most."
        )
    return seconds


def _verify(fields: ConnectionFields) -> bool | str:
    text = fields.text("verify")
    if text.lower() in ("", "true", "false"):
        return fields.flag("verify", default=True)
    if not holds_certificates(text):
        raise ScnetRequestError(
            f"{fields.named('verify')}={quote(text)!r}: no such file, or no certificates in it. Give true, false or "
            f"the path of a CA file on the machine that runs the task."
        )
    return text
