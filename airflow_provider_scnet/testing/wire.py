"""What goes over the wire: recorded requests, answers, the SCNet envelope, Beijing time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

BEIJING = timezone(timedelta(hours=8))
JSON_TYPE = "application/json;charset=UTF-8"
HTML_TYPE = "text/html;charset=UTF-8"
FORM_TYPE = "application/x-www-form-urlencoded"

#: What SCNet was seen to write into ``msg`` and ``data``; for all other codes nothing is recorded.
WIRE_TEXTS: dict[str, tuple[str, object]] = {
    "0": ("success", None),
    "404": ("Not Found", None),
    "405": ("Method Not Allowed", None),
    "10001": ("internal_error", None),
    "10003": ("param_incomplete", None),
    "10004": ("param_invalid", None),
    "10008": ("auth_fail", "token is invalid"),
}


@dataclass(frozen=True)
class RecordedRequest:
    """
    One request as it arrived.

    :param call: name of the call, e.g. ``delete``; or ``unknown``. The guide lists them.
    :param path: path as sent, without the query string.
    :param query: query parameters; a parameter sent twice reads ``"a,b"``, as in a servlet.
    :param headers: header fields; ``get`` ignores case.
    :param body: body as text.
    :param form: parameters of a form body; empty for any other content type.
    :param region: id of the region on whose gateway an HPC call arrived; empty for all others.
    """

    call: str
    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: str
    form: dict[str, str]
    region: str = ""


@dataclass(frozen=True)
class Answer:
    """
    One HTTP answer.

    :param content_type: value of ``Content-Type``.
    :param headers: further header fields.
    :param then: what to do once it has been sent.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Callable[[], None] | None = None


class ApiError(Exception):
    """
    A call that SCNet answers with an error code.

    :param code: SCNet code.
    :param msg: text of ``msg``; by default the one seen on the real service.
    :param data: its data; by default what was seen on the real service, else null.
    """

    def __init__(self, code: str, msg: str | None = None, data: object = None) -> None:
        super().__init__(code)
        self.code = code
        self.msg = msg
        self.data = data


def envelope(
    code: str | int,
    msg: str | None = None,
    data: object = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """
    Wrap a result into SCNet's envelope.

    :param code: SCNet code, usually text.
    :param msg: by default the text known for this code.
    :param data: by default what is known for this code, else null.
    :param status: HTTP status; business errors are 200 too.
    :param headers: further header fields.
    """
    usual_msg, usual_data = WIRE_TEXTS.get(str(code), (f"error_{code}", None))
    content = {
        "msg": usual_msg if msg is None else msg,
        "code": code,
        "data": usual_data if data is None else data,
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(body, status, headers=headers or {})


def parameters(text: str) -> dict[str, str]:
    """
    Parse a query string or a form body.

    :param text: ``a=1&b=2``; a parameter given twice becomes ``"1,2"``.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def require(given: Mapping[str, str], names: Iterable[str]) -> None:
    """
    Check that parameters are there.

    :param given: parameters of a request.
    :param names: those that it must have.
    :raises ApiError: 10003, one is missing or empty.
    """
    if any(not given.get(name) for name in names):
        raise ApiError("10003")


def recorded(
    call: str, method: str, target: str, headers: Message, body: bytes, *, region: str = ""
) -> RecordedRequest:
    """
    Make the record of a request.

    :param call: name of the call.
    :param target: path and query as sent.
    :param region: region whose gateway it is.
    """
    parts = urlsplit(target)
    text = body.decode(errors="replace")
    form = parameters(text) if media_type(headers) == FORM_TYPE else {}
    return RecordedRequest(call, method, parts.path, parameters(parts.query), headers, text, form, region)


def media_type(headers: Message) -> str:
    """
    Return the content type of a request without its parameters, in lower case.

    :param headers: header fields of the request.
    """
    # Not Message.get_content_type(): that one answers "text/plain" for a missing header.
    return str(headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def beijing(moment: float | None, separator: str = "T") -> str:
    """
    Write a moment the way SCNet does: Beijing time, without a zone.

    :param moment: seconds since the epoch; None gives an empty text.
    :param separator: between date and time; the live calls use ``T``, the history a blank.
    """
    if moment is None:
        return ""
    return datetime.fromtimestamp(int(moment), BEIJING).strftime(f"%Y-%m-%d{separator}%H:%M:%S")


def from_beijing(text: str) -> float:
    """
    Read ``YYYY-MM-DD HH:MM:SS`` in Beijing time.

    :param text: the text of a request parameter.
    :raises ApiError: 10004 for any other text.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).timestamp()
    except ValueError:
        raise ApiError("10004") from None
