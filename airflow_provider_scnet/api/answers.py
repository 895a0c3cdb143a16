"""What came back from a request, or did not: data out of SCNet's envelope, or an error in our own words."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from airflow_provider_scnet.api.addresses import holds_certificates, is_this_machine
from airflow_provider_scnet.exceptions import (
    ERROR_CODES,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
    error_from_code,
)
from airflow_provider_scnet.wording import Secret, may_repeat, quote, redact, sentences, without_tokens

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer, decompressed, beyond which it is not read."""
CHUNK = 16 << 10
"""Bytes of an answer that are read or decompressed at a time."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_GZIP = b"\x1f"


NOT_TAKEN = frozenset({301, 307, 308, 401, 404, 405, 407, 411, 413, 414, 415, 421, 426, 429, 431})
"""
Statuses of HTTP by which a server or gateway refuses a request as such, before anybody looks into it. Missing on
purpose: 302 and 303, which also follow what was done; 400, 403 and 406, which also replace an answer; and 408.
"""


class NeverSentError(ScnetTransientError):
    """The request surely never left this machine, so that repeating it cannot do anything twice."""

    def __init__(self, message: str, **kwargs: Any) -> None:
        super().__init__(message, **{**kwargs, "without_effect": True})


@dataclass(frozen=True)
class Call:
    """
    One request, as messages speak of it.

    :param url: the address, without a query.
    :param connection: the Airflow connection id.
    :param field: the field of the Connection that holds the address.
    """

    method: str
    url: str
    connection: str
    field: str

    @property
    def name(self) -> str:
        """Verb and path."""
        return f"{self.method} {urlsplit(self.url).path}"

    @property
    def where(self) -> str:
        """Verb, path and connection."""
        return f"{self.name}, connection {self.connection}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def unusable(self, what: str) -> ScnetTransientError:
        """
        Build the error for an answer that cannot be used although its code is ``"0"``.

        :param what: what is wrong with it, e.g. ``no list of jobs``.
        """
        return ScnetTransientError(f"SCNet's answer has {what} ({self.where}).", call=self.name)


@dataclass(frozen=True, repr=False)
class Received:
    """
    What came back from a request; may hold tokens.

    :param status: of HTTP.
    :param body: decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status tells of no error."""
        return self.status < 400


def read_body(response: requests.Response, call: Call) -> bytes:
    """
    Read the body of an answer, unless it is too large.

    :param response: an answer whose body has not been read.
    :raises ScnetTransientError: if it is.
    """
    try:
        return _read_bounded(response, call)
    except ScnetTransientError:
        if response.status_code in NOT_TAKEN:  # which says enough
            return b""
        raise


def _read_bounded(response: requests.Response, call: Call) -> bytes:
    body = bytearray()
    for part in _decompressed(response, call):
        body += part
        if len(body) > LARGEST_ANSWER:
            raise ScnetTransientError(
                f"{call.origin} - the answer is larger than {LARGEST_ANSWER >> 20} MB and was cut off ({call.where}).",
                remedy=f"If it stays: Check that {call.field} of the Connection is SCNet's address.",
                call=call.name,
            )
    return bytes(body)


def _decompressed(response: requests.Response, call: Call) -> Iterator[bytes]:
    """Decompress no more than is bounded: older HTTP libraries make all of it that a chunk becomes."""
    parts = response.raw.stream(CHUNK, decode_content=False)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from parts
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _garbled(call, f"compressed as {quote(encoding, 20)!r}, which was not asked for")
    decoder = None
    try:
        for part in parts:
            data = part
            while data:
                if decoder is None or (decoder.eof and data.startswith(_GZIP)):  # a file may have several members
                    decoder = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
                if decoder.eof:
                    break  # what follows the last one is padding
                yield from _bounded(decoder, data)
                data = decoder.unused_data
    except zlib.error:
        raise _garbled(call, "not compressed as it says") from None
    if decoder and not decoder.eof:
        raise _garbled(call, "compressed and not complete")


def _bounded(decoder: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while True:
        text = decoder.decompress(data, CHUNK)
        yield text
        data = decoder.unconsumed_tail
        if not data and len(text) < CHUNK:  # else it may hold back more
            return


def _garbled(call: Call, how: str) -> ScnetTransientError:
    return ScnetTransientError(f"{call.origin} - the answer is {how} ({call.where}).", call=call.name)


class _Answer:
    """An answer, read as far as that is possible without an error."""

    def __init__(self, received: Received) -> None:
        self.status = received.status
        self.text = received.body.decode("utf-8-sig", "replace")
        try:
            envelope = json.loads(self.text)
        except (ValueError, RecursionError):
            envelope = None
        envelope = envelope if isinstance(envelope, dict) else {}
        code = envelope.get("code")
        self.code = None if code is None or isinstance(code, dict | list | bool) else str(code).strip()
        self.msg = None if envelope.get("msg") is None else str(envelope["msg"])
        self.data = envelope.get("data")


def open_envelope(received: Received, call: Call, secrets: Sequence[Secret], *, quotable: bool) -> Any:
    """
    Return the ``data`` of an envelope, which may come with any HTTP status: the body is read before that is judged.

    :param secrets: what was sent and must not be shown, should the answer repeat it.
    :param quotable: ``False`` if the answer may hold a new token: then no error quotes the body, and the data is
        returned as it is.
    :raises ScnetError: in the class that stands for the code, or for what came instead of an envelope.
    """
    answer = _Answer(received)
    echoed = secrets if may_repeat(answer.text, secrets) else ()
    if answer.code is None or (answer.code == "0" and not 200 <= answer.status < 300):
        text = redact(answer.text, echoed) if quotable else ""
        raise _not_an_envelope(received, call, text, secrets, is_taken=answer.code == "0")
    if answer.code == "0":
        return redact(answer.data, echoed) if quotable else answer.data
    msg = answer.msg and redact(answer.msg if quotable else without_tokens(answer.msg), echoed)
    error = error_from_code(
        redact(answer.code, echoed),
        msg=msg,
        data=redact(answer.data, echoed) if quotable else None,
        call=call.name,
        connection=call.connection,
        field=call.field,
        overloaded=_is_overloaded(received),
        retry_after=_retry_after(received),
    )
    if received.status == 429 and answer.code not in ERROR_CODES and isinstance(error, ScnetTransientError):
        error.too_many = error.without_effect = True
    raise error


def _not_an_envelope(
    received: Received, call: Call, text: str, secrets: Sequence[Secret], *, is_taken: bool
) -> ScnetError:
    status = received.status
    page = "html" in received.headers.get("Content-Type", "")
    said = f"It begins: {quote(text)!r}." if text.strip() else ""
    answer = f"[HTTP {status}] {'a web page' if page else 'no SCNet answer'} from {call.origin} ({call.where})"
    check = f"Check that {call.field} of the Connection is SCNet's address."
    details: dict[str, Any] = {"remedy": check, "code": str(status), "call": call.name}
    details["without_effect"] = status in NOT_TAKEN and not is_taken
    if 300 <= status < 400:
        target = quote(redact(_target_of(received), secrets), 100)
        return ScnetAddressError(f"{answer}: a redirect to {target!r}, not followed.", **details)
    message = sentences(f"{answer}.", said)
    if status in (404, 405):
        return ScnetAddressError(message, **details)
    if status == 401 and not is_taken:  # whoever meets this error sends the call once more
        details["remedy"] = "Store a current token of this gateway's region."
        return ScnetCredentialError(message, **details)
    if _is_overloaded(received) or received.ok:
        details["remedy"] = f"If it stays: {check}"
        too_many = status == 429 and not is_taken
        return ScnetTransientError(message, retry_after=_retry_after(received), too_many=too_many, **details)
    return ScnetError(message, **details)


def too_long(call: Call, seconds: float, *, never_sent: bool) -> ScnetTransientError:
    """
    Build the error for a request that was given up because it took too long.

    :param seconds: how long that was.
    :param never_sent: whether not even a connection had been made by then.
    """
    what = f"no complete answer within {seconds:g} s, so it was cut off"
    if never_sent:
        return NeverSentError(f"{call.origin} - no connection within {seconds:g} s ({call.where}).", call=call.name)
    return ScnetTransientError(f"{call.origin} - {what} ({call.where}).", call=call.name)


def error_on_the_way(
    error: Exception, call: Call, *, timeout: tuple[float, float], verify: bool | str, has_left: bool | None
) -> ScnetError:
    """
    Say in our own words why no answer came: a library's text may hold URLs and headers.

    :param error: what the HTTP library raised.
    :param timeout: seconds to wait for a connection and for an answer.
    :param verify: whether certificates are verified, or the CA file.
    :param has_left: whether anything of the request may have left this machine; ``None`` if no connection was sought.
    """
    kind: type[ScnetError]
    if has_left:
        kind, (what, remedy) = ScnetTransientError, _after_it_left(error, timeout)
    # What requests raises for URLs and proxies that cannot be; all that happens on the network is an OSError.
    elif isinstance(error, ValueError) or not isinstance(error, OSError):
        kind, what = ScnetRequestError, "not an address that can be used"
        remedy = f"Check {call.field} and HTTPS_PROXY."
    else:
        kind, what, remedy = _why(error, call.field, timeout, verify)
        if has_left is False and kind is ScnetTransientError:
            kind = NeverSentError
    is_proxied = not is_this_machine(call.url) and _proxy_of(call.url)
    hint = "A proxy is set: check HTTPS_PROXY and NO_PROXY, too." if is_proxied and "PROXY" not in remedy else ""
    return kind(
        f"{call.origin} - {what} ({call.where}).",
        remedy=sentences(remedy, hint),
        call=call.name,
        without_effect=kind is not ScnetTransientError,
    )


def _proxy_of(url: str) -> str | None:
    return requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))


def _after_it_left(error: Exception, timeout: tuple[float, float]) -> tuple[str, str]:
    """What happened and what to do, where nobody knows whether the request arrived."""
    cause = error.args[0] if error.args else None
    timeouts = (requests.Timeout, ReadTimeoutError)
    if isinstance(error, timeouts) or isinstance(cause, timeouts):
        return f"no answer within {timeout[1]:g} s", ""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed before the answer was complete", ""
    if isinstance(error, ValueError) or not isinstance(error, OSError | HTTPError | HTTPException):
        return "the answer breaks the rules of HTTP", ""
    return "the connection broke before an answer came", ""


def _why(
    error: OSError, field: str, timeout: tuple[float, float], verify: bool | str
) -> tuple[type[ScnetError], str, str]:
    """The class, what happened and what to do. Only what fails before anything was sent may be sent again."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(error, requests.ConnectTimeout):
        remedy = f"Check {field}, its port, and that the firewall lets it out."
        return NeverSentError, f"no connection within {timeout[0]:g} s", remedy
    if isinstance(error, requests.exceptions.ProxyError):
        return ScnetTransientError, "the proxy failed", ""
    if type(reason).__name__ == "NameResolutionError":  # unknown to urllib3 1.26
        return NeverSentError, "the host name is unknown", f"Check {field} of the Connection for a typo."
    if isinstance(reason, NewConnectionError):
        return NeverSentError, "nothing answers at this address", f"Check {field} and its port."
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        remedy = f"Check {field}, or set extra `verify` to your CA file."
        return NeverSentError, "the server's certificate cannot be verified", remedy
    # A bare OSError is the CA file's: requests opens it before it connects.
    if not isinstance(error, requests.RequestException) or (isinstance(verify, str) and not holds_certificates(verify)):
        remedy = "Check extra `verify`, and REQUESTS_CA_BUNDLE if set."
        return ScnetRequestError, "the CA file cannot be read", remedy
    if isinstance(error, requests.exceptions.SSLError):
        remedy = f"Check that port and scheme (https or http) of {field} are right."
        return ScnetTransientError, "TLS failed", remedy
    return ScnetTransientError, _after_it_left(error, timeout)[0], ""


def _target_of(received: Received) -> str:
    """Name the host a redirect leads to, or the path of a relative one; a query may hold a secret."""
    try:
        parts = urlsplit(received.headers.get("Location", ""))
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2] or parts.path


def _is_overloaded(received: Received) -> bool:
    return received.status in (408, 429) or received.status >= 500


def _retry_after(received: Received) -> float | None:
    """Read ``Retry-After``: seconds, or an HTTP date."""
    value = received.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
