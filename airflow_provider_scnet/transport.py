"""HTTP as SCNet speaks it: the envelope, time-outs, retries, and errors in our own words."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from urllib3.exceptions import NewConnectionError

from airflow_provider_scnet import __version__
from airflow_provider_scnet.exceptions import (
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
    error_from_code,
    quote,
)

DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
ATTEMPTS = 4
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, even where ``Retry-After`` asks for more."""


class NeverSentError(ScnetTransientError):
    """The request surely never left this machine, so that repeating it cannot do anything twice."""


def hpc_base_url(url: str, *, allow_http: bool = False) -> str:
    """
    Bring a gateway's address into the form ``https://host:port/hpc``.

    :param url: the address, with or without ``/hpc``, with or without a final slash.
    :param allow_http: accept plain ``http://`` to other hosts than loopback.
    :raises ScnetRequestError: if it is no such address; the message speaks of the field ``host``.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or any(c.isspace() for c in url):
        raise ScnetRequestError(
            f"host={_without_userinfo(url)!r}: not an address such as https://hpc.example:65051 (host name, port)."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ScnetRequestError(
            f"host={_without_userinfo(url)!r}: give only scheme, host name, port and path; credentials go elsewhere."
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ScnetRequestError(
            f"host={_without_userinfo(url)!r}: plain http would send the token unencrypted. Use https, or set "
            f"extra `allow_http` to true if the network is trusted."
        )
    path = parts.path.rstrip("/").removesuffix("/openapi/v2").removesuffix("/hpc").rstrip("/")
    authority = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{authority}{f':{port}' if port else ''}{path}/hpc"


def _without_userinfo(url: str) -> str:
    return quote(url.rpartition("@")[2] if "@" in url else url, 100)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Transport:
    """
    Send requests and open the envelopes that come back.

    Reads are tried up to four times. A call that changes something is repeated only where it surely never left this
    machine; whoever sent it has to look before sending it again. Redirects are never followed: they would carry the
    token to another host. Nothing that was sent as a header appears in what comes out of here.

    :param connection: the Airflow connection id, for messages.
    :param timeout: seconds to wait for an answer.
    :param verify: whether to verify the server's certificate, or the path of a CA file.
    :param sleep: how to wait between attempts.
    """

    def __init__(
        self,
        *,
        connection: str = "scnet_default",
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._verify = verify
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers.update(
            {"User-Agent": f"airflow-provider-scnet/{__version__}", "Accept": "application/json"}
        )

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **content: Any) -> Any:
        """
        Send a request, again where that is safe and may help, and return the envelope's ``data``.

        :param method: the HTTP verb.
        :param url: the address, without a query.
        :param headers: what identifies us to SCNet: secrets.
        :param content: ``params``, ``data`` or ``json`` as in ``requests``.
        :raises ScnetError: in the class that stands for what went wrong.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ScnetTransientError if method == "GET" else NeverSentError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._send, method, url, headers, content)

    def unusable(self, method: str, url: str, what: str) -> ScnetTransientError:
        """
        Build the error for an answer that cannot be used although its code is ``"0"``.

        :param method: the HTTP verb.
        :param url: the address.
        :param what: what is wrong with it, e.g. ``no list of jobs``.
        """
        return ScnetTransientError(f"SCNet's answer has {what} ({self._where(method, url)}).", call=_call(method, url))

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: Mapping[str, Any]) -> Any:
        def authenticate(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers.update(headers)  # as an `auth`, so that requests leaves .netrc alone
            return request

        try:
            response = self._session.request(
                method,
                url,
                auth=authenticate,
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
                **content,
            )
        except requests.RequestException as error:
            raise self._transport_error(error, method, url) from None
        text = response.content.decode("utf-8-sig", "replace")
        for secret in headers.values():
            text = text.replace(secret, "***")
        return self._open(response, text, method, url)

    def _open(self, response: requests.Response, text: str, method: str, url: str) -> Any:
        """An envelope may come with any HTTP status, so the body is read before the status is judged."""
        try:
            envelope = json.loads(text)
        except (ValueError, RecursionError):
            envelope = None
        code = envelope.get("code") if isinstance(envelope, dict) else None
        if code is None or isinstance(code, dict | list | bool):
            raise self._not_an_envelope(response, text, method, url)
        code, msg, data = str(code).strip(), envelope.get("msg"), envelope.get("data")
        if code != "0":
            raise error_from_code(
                code,
                msg=None if msg is None else str(msg),
                data=data,
                call=_call(method, url),
                connection=self.connection,
                retry_after=_retry_after(response),
            )
        if not response.ok:
            raise self._not_an_envelope(response, text, method, url)
        return data

    def _not_an_envelope(self, response: requests.Response, text: str, method: str, url: str) -> ScnetError:
        status = response.status_code
        kind = "a web page" if "html" in response.headers.get("Content-Type", "") else "no SCNet answer"
        details: dict[str, Any] = {"code": str(status), "call": _call(method, url)}
        what = f"[HTTP {status}] {kind} from {_origin(url)} ({self._where(method, url)})"
        said = f" It begins: {quote(text)!r}." if text.strip() else ""
        check_host = "Check that `host` of the Connection is the region's HPC gateway."
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2]
            return ScnetAddressError(f"{what}: a redirect to {quote(target)!r}, not followed. {check_host}", **details)
        if status in (404, 405):
            return ScnetAddressError(f"{what}.{said} {check_host}", **details)
        if status == 401:
            return ScnetCredentialError(f"{what}.{said} Store a current token of this gateway's region.", **details)
        if status in (408, 429) or status >= 500 or response.ok:
            return ScnetTransientError(
                f"{what}.{said} If it stays: {check_host}", retry_after=_retry_after(response), **details
            )
        return ScnetError(f"{what}.{said} {check_host}", **details)

    def _transport_error(self, error: requests.RequestException, method: str, url: str) -> ScnetError:
        """Say in our own words what failed: a library's text may hold URLs and headers."""
        if isinstance(error, ValueError):
            return ScnetRequestError(f"{_origin(url)}: not an address that can be used. Check `host` and HTTPS_PROXY.")
        cause = error.args[0] if error.args else None
        reason = getattr(cause, "reason", cause)
        kind: type[ScnetTransientError] = NeverSentError
        if isinstance(error, requests.ConnectTimeout):
            what = f"no connection within {self._timeout[0]:g} s. Check `host`, its port, and that the firewall lets it out"
        elif isinstance(error, requests.exceptions.ProxyError):
            what, kind = "the proxy failed. Check HTTPS_PROXY and NO_PROXY", ScnetTransientError
        elif type(reason).__name__ == "NameResolutionError":  # unknown to urllib3 1.26
            what = "the host name is unknown. Check `host` of the Connection for a typo"
        elif isinstance(reason, NewConnectionError):
            what = "nothing answers at this address. Check `host` and its port"
        elif "CERTIFICATE_VERIFY_FAILED" in str(reason):
            what = "the server's certificate cannot be verified. Check `host`, or set extra `verify` to your CA file"
        elif isinstance(error, requests.exceptions.SSLError):
            what, kind = (
                "TLS failed. Check that port and scheme (https or http) of `host` are right",
                ScnetTransientError,
            )
        elif isinstance(error, requests.Timeout):
            what, kind = f"no answer within {self._timeout[1]:g} s", ScnetTransientError
        else:
            what, kind = "the connection broke before an answer came", ScnetTransientError
        return kind(f"{_origin(url)}: {what} ({self._where(method, url)}).", call=_call(method, url))

    def _where(self, method: str, url: str) -> str:
        return f"{_call(method, url)}, connection {self.connection}"


def _call(method: str, url: str) -> str:
    return f"{method} {urlsplit(url).path}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


_backoff = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ScnetTransientError) else None
    return _backoff(state) if asked is None else min(asked, LONGEST_PAUSE)


def _retry_after(response: requests.Response) -> float | None:
    """Read ``Retry-After``: seconds, or an HTTP date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
