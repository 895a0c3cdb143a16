"""HTTP as SCNet speaks it: the envelope, time-outs, retries, and errors in our own words."""

from __future__ import annotations

import html
import ipaddress
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests
import tenacity
from urllib3.exceptions import HTTPError, NewConnectionError

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
SECRET_HEADERS = {"token", "accessKey", "signature"}
SHORTEST_REDACTED = 6
"""Characters; replacing anything shorter in an answer could change its meaning."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, even where ``Retry-After`` asks for more."""


T = TypeVar("T")


class _Session(requests.Session):
    """Where a redirect leads to is not even looked at: a ``Location`` that is no address would be an error."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class NeverSentError(ScnetTransientError):
    """The request surely never left this machine, so that repeating it cannot do anything twice."""


def hpc_base_url(url: str, *, field: str = "host", allow_http: bool = False) -> str:
    """
    Bring a gateway's address into the form ``https://host:port/hpc``.

    :param url: the address, with or without ``/hpc``, with or without a final slash.
    :param field: see :func:`base_url`.
    :param allow_http: see :func:`base_url`.
    :raises ScnetRequestError: if it is no such address.
    """
    address = base_url(url, field=field, allow_http=allow_http)
    return address.removesuffix("/openapi/v2").removesuffix("/hpc").rstrip("/") + "/hpc"


def base_url(url: str, *, field: str, allow_http: bool = False) -> str:
    """
    Check the address of a service and return it without a final slash.

    :param url: the address.
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


def holds_certificates(path: str) -> bool:
    """
    Tell whether a file or folder can be used to verify servers.

    :param path: the file or folder.
    """
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


class Transport:
    """
    Send requests and open the envelopes that come back.

    Reads are tried up to four times. A call that changes something is repeated only where it surely never left this
    machine; whoever sent it has to look before sending it again. Redirects are never followed: they would carry the
    token to another host. A token or key that was sent does not appear in what comes out of here.

    :param connection: the Airflow connection id, for messages.
    :param field: the field of the Connection that holds the address, for messages.
    :param timeout: seconds to wait for an answer.
    :param verify: whether to verify the server's certificate, or the path of a CA file.
    :param sleep: how to wait between attempts.
    """

    def __init__(
        self,
        *,
        connection: str = "scnet_default",
        field: str = "`host`",
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._field = field
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._verify = verify
        self._sleep = sleep
        self._session = _Session()
        self._session.headers.update(
            {"User-Agent": f"airflow-provider-scnet/{__version__}", "Accept": "application/json"}
        )

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **content: Any) -> Any:
        """
        Send a request, again where that is safe and may help, and return the envelope's ``data``.

        :param method: the HTTP verb.
        :param url: the address, without a query.
        :param headers: what identifies us to SCNet.
        :param content: ``params``, ``data`` or ``json`` as in ``requests``.
        :raises ScnetError: in the class that stands for what went wrong.
        """
        return self.repeat(lambda: self.send(method, url, headers=headers, **content), harmless=method == "GET")

    def repeat(self, attempt: Callable[[], T], *, harmless: bool) -> T:
        """
        Make an attempt, and up to three more with growing pauses.

        :param attempt: what to do; raises :class:`ScnetError`.
        :param harmless: whether doing it twice does no harm. If not, it is repeated only if nothing was sent.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ScnetTransientError if harmless else NeverSentError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)

    def send(self, method: str, url: str, *, headers: Mapping[str, str], quotable: bool = True, **content: Any) -> Any:
        """
        Send a request once; see :meth:`request`.

        :param method: the HTTP verb.
        :param url: the address, without a query.
        :param headers: what identifies us to SCNet.
        :param quotable: whether an error may quote the answer's body; ``False`` where it may hold a new token.
        :param content: ``params``, ``data`` or ``json`` as in ``requests``.
        """

        def authenticate(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As an `auth`, so that requests leaves .netrc alone; as bytes, for a login name may be Chinese.
            for name, value in headers.items():
                request.headers[name] = value.encode()  # type: ignore[assignment]
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
        except (OSError, ValueError, TypeError, HTTPError) as error:  # requests lets some through unwrapped
            raise self._transport_error(error, method, url) from None
        secrets = [headers[name] for name in SECRET_HEADERS & headers.keys()]
        return self._open(response, [s for s in secrets if len(s) >= SHORTEST_REDACTED], quotable, method, url)

    def unusable(self, method: str, url: str, what: str) -> ScnetTransientError:
        """
        Build the error for an answer that cannot be used although its code is ``"0"``.

        :param method: the HTTP verb.
        :param url: the address.
        :param what: what is wrong with it, e.g. ``no list of jobs``.
        """
        return ScnetTransientError(f"SCNet's answer has {what} ({self._where(method, url)}).", call=_call(method, url))

    def _open(self, response: requests.Response, secrets: list[str], quotable: bool, method: str, url: str) -> Any:
        """An envelope may come with any HTTP status, so the body is read before the status is judged."""
        text = response.content.decode("utf-8-sig", "replace")
        shown = text if quotable else ""
        try:
            envelope = json.loads(text)
        except (ValueError, RecursionError):
            envelope = None
        code = envelope.get("code") if isinstance(envelope, dict) else None
        if code is None or isinstance(code, dict | list | bool):
            raise self._not_an_envelope(response, shown, secrets, method, url)
        code, msg, data = redact(str(code).strip(), secrets), envelope.get("msg"), envelope.get("data")
        if code != "0":
            raise error_from_code(
                code,
                msg=None if msg is None else redact(str(msg) if quotable else _without_tokens(str(msg)), secrets),
                data=redact(data, secrets) if quotable else None,
                call=_call(method, url),
                connection=self.connection,
                field=self._field,
                overloaded=_is_overloaded(response),
                retry_after=_retry_after(response),
            )
        if not 200 <= response.status_code < 300:
            raise self._not_an_envelope(response, shown, secrets, method, url)
        return data

    def _not_an_envelope(
        self, response: requests.Response, text: str, secrets: list[str], method: str, url: str
    ) -> ScnetError:
        status = response.status_code
        kind = "a web page" if "html" in response.headers.get("Content-Type", "") else "no SCNet answer"
        details: dict[str, Any] = {"code": str(status), "call": _call(method, url)}
        what = f"[HTTP {status}] {kind} from {_origin(url)} ({self._where(method, url)})"
        said = f" It begins: {quote(redact(text, secrets))!r}." if text.strip() else ""
        check_host = f"Check that {self._field} of the Connection is SCNet's address."
        if 300 <= status < 400:
            target = redact(_target_of(response), secrets)
            return ScnetAddressError(
                f"{what}: a redirect to {quote(target, 100)!r}, not followed. {check_host}", **details
            )
        if status in (404, 405):
            return ScnetAddressError(f"{what}.{said} {check_host}", **details)
        if status == 401:
            return ScnetCredentialError(f"{what}.{said} Store a current token of this gateway's region.", **details)
        if _is_overloaded(response) or response.ok:
            return ScnetTransientError(
                f"{what}.{said} If it stays: {check_host}", retry_after=_retry_after(response), **details
            )
        return ScnetError(f"{what}.{said} {check_host}", **details)

    def _transport_error(self, error: Exception, method: str, url: str) -> ScnetError:
        """Say in our own words what failed: a library's text may hold URLs and headers."""
        if isinstance(error, ValueError) or not isinstance(error, OSError):
            return ScnetRequestError(
                f"{_origin(url)}: not an address that can be used. Check {self._field} and HTTPS_PROXY."
            )
        cause = error.args[0] if error.args else None
        reason = getattr(cause, "reason", cause)
        kind: type[ScnetTransientError] = NeverSentError
        if isinstance(error, requests.ConnectTimeout):
            what = (
                f"no connection within {self._timeout[0]:g} s. Check {self._field}, its port, and that the firewall "
                f"lets it out"
            )
        elif isinstance(error, requests.exceptions.ProxyError):
            what, kind = "the proxy failed", ScnetTransientError
        elif type(reason).__name__ == "NameResolutionError":  # unknown to urllib3 1.26
            what = f"the host name is unknown. Check {self._field} of the Connection for a typo"
        elif isinstance(reason, NewConnectionError):
            what = f"nothing answers at this address. Check {self._field} and its port"
        elif "CERTIFICATE_VERIFY_FAILED" in str(reason):
            what = (
                f"the server's certificate cannot be verified. Check {self._field}, or set extra `verify` to your "
                f"CA file"
            )
        elif not isinstance(error, requests.RequestException) or (
            isinstance(self._verify, str) and not holds_certificates(self._verify)
        ):
            return ScnetRequestError(
                f"{_origin(url)}: the CA file cannot be read. Check extra `verify`, and REQUESTS_CA_BUNDLE if set."
            )
        elif isinstance(error, requests.exceptions.SSLError):
            what, kind = (
                f"TLS failed. Check that port and scheme (https or http) of {self._field} are right",
                ScnetTransientError,
            )
        elif isinstance(error, requests.Timeout):
            what, kind = f"no answer within {self._timeout[1]:g} s", ScnetTransientError
        else:
            what, kind = "the connection broke before an answer came", ScnetTransientError
        proxied = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        hint = " A proxy is set: check HTTPS_PROXY and NO_PROXY, too." if proxied else ""
        return kind(f"{_origin(url)}: {what} ({self._where(method, url)}).{hint}", call=_call(method, url))

    def _where(self, method: str, url: str) -> str:
        return f"{_call(method, url)}, connection {self.connection}"


def redact(value: Any, secrets: Sequence[str]) -> Any:
    """
    Take secrets out of what SCNet said, for it may echo a request.

    :param value: text, or what JSON makes of it.
    :param secrets: what must not be shown.
    """
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, "***")
    plain = unquote(html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value)))
    return "(withheld: it repeats the credential)" if any(secret in plain for secret in secrets) else value


def _without_tokens(text: str) -> str:
    return re.sub(r"[\w.-]{24,}", "***", text, flags=re.ASCII)


def _target_of(response: requests.Response) -> str:
    """Name the host a redirect leads to, or the path of a relative one; a query may hold a secret."""
    try:
        parts = urlsplit(response.headers.get("Location", ""))
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2] or parts.path


def _is_overloaded(response: requests.Response) -> bool:
    return response.status_code in (408, 429) or response.status_code >= 500


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
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
