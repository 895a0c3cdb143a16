"""Where a token may be sent to: addresses, and what to verify servers with."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from urllib.parse import urlsplit

from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.wording import quote


def gateway_address(url: str, *, field: str = "host", allow_http: bool = False) -> str:
    """
    Bring a gateway's address into the form ``https://host:port/hpc``.

    :param url: the address, with or without ``/hpc``, with or without a final slash: the platform and people write
        both.
    :param field: see :func:`service_address`.
    :param allow_http: see :func:`service_address`.
    :raises ScnetRequestError: if it is no such address.
    """
    address = service_address(url, field=field, allow_http=allow_http)
    return address.removesuffix("/openapi/v2").removesuffix("/hpc").rstrip("/") + "/hpc"


def service_address(url: str, *, field: str, allow_http: bool = False) -> str:
    """
    Check the address of a service and return it without a final slash.

    :param field: where it comes from, for messages: ``host``, ``extra `api_url```, ...
    :param allow_http: accept plain ``http://`` to other hosts than loopback.
    :raises ScnetRequestError: if it is no address that a token may be sent to.
    """
    # What stands before an @ may be a password, what follows a ? or # a token.
    shown = f"{field}={quote(re.split('[?#]', url)[0].rpartition('@')[2], 100)!r}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if port == 0 or not _is_host(host) or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise ScnetRequestError(f"{shown}: not an address such as https://hpc.example:65051 (host name, port).")
    if parts.username is not None or parts.query or parts.fragment:
        raise ScnetRequestError(f"{shown}: give only scheme, host name, port and path; credentials go elsewhere.")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ScnetRequestError(
            f"{shown}: plain http would send the token unencrypted. Use https, or set extra `allow_http` to true "
            f"if the network is trusted."
        )
    authority = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{authority}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_this_machine(url: str) -> bool:
    """
    Tell whether an address is this machine's own, which no proxy may come in between: on loopback nobody can listen.

    :param url: any address.
    """
    try:
        return _is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def holds_certificates(path: str) -> bool:
    """Tell whether a file or folder can be used to verify servers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**({"capath": path} if os.path.isdir(path) else {"cafile": path}))
    except OSError:
        return False
    return True


def _is_host(host: str) -> bool:
    return all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
