"""Every request passes here: routing, recording, faults."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import Message
from threading import Event, RLock
from urllib.parse import unquote, urlsplit

from airflow_provider_scnet.testing.faults import Fault, FaultPlan
from airflow_provider_scnet.testing.wire import Answer, ApiError, RecordedRequest, envelope, recorded

UNKNOWN = "unknown"
#: How many of the last requests the page shows.
LAST = 20
#: The code in an envelope, which begins with a short text.
CODE = re.compile(rb'"code":"?(\w+)')


@dataclass(frozen=True)
class Route:
    """
    One call.

    :param pattern: the whole path; may have one group.
    :param call: name of the call; an empty name is neither recorded nor struck by faults.
    :param handle: takes the request and the group's text.
    :param region: region whose gateway this is; empty for the platform.
    """

    method: str
    pattern: re.Pattern[str]
    call: str
    handle: Callable[[RecordedRequest, str], Answer]
    region: str = ""


@dataclass(frozen=True)
class Reply:
    """
    What the HTTP server is to do.

    :param answer: what to send; None closes the connection without an answer.
    :param delay: seconds to wait before.
    :param drip: seconds between one byte and the next; 0 to send all at once.
    :param gate: to be waited for, after ``delay``; None to go on at once.
    """

    answer: Answer | None
    delay: float
    drip: float = 0.0
    gate: Event | None = None


@dataclass(frozen=True)
class Exchange:
    """
    What is remembered of a request and its answer, for a person to look at.

    :param path: path without the query string.
    :param answered: HTTP status and SCNet's code, as far as there are any.
    :param moment: when it came, seconds since the epoch, by the wall clock.
    """

    call: str
    method: str
    path: str
    answered: str
    moment: float


class Dispatcher:
    """
    Takes each request to its call, one at a time, whichever door it comes through.

    :param latency: seconds before each answer, asked for each time.
    """

    def __init__(self, latency: Callable[[], float]) -> None:
        self.lock = RLock()
        self.requests: list[RecordedRequest] = []
        self.signatures: set[str] = set()
        self.last: deque[Exchange] = deque(maxlen=LAST)
        self.faults = FaultPlan({UNKNOWN})
        self._routes: dict[str, list[Route]] = {}
        self._latency = latency

    def add(self, door: str, routes: Sequence[Route]) -> None:
        """
        Serve calls.

        :param door: where they can be reached.
        """
        self._routes.setdefault(door, []).extend(routes)
        self.faults.calls.update(route.call for route in routes if route.call)

    def reply(self, door: str, method: str, target: str, headers: Message, body: bytes) -> Reply:
        """
        Work out what is answered to a request.

        :param door: where it arrived.
        :param target: path and query as sent.
        """
        route, argument = self._route(door, method, urlsplit(target).path)
        request = recorded(route.call, method, target, headers, body, region=route.region)
        with self.lock:
            if not route.call:
                return Reply(route.handle(request, argument), 0.0)
            self.requests.append(request)
            if signature := headers.get("signature"):
                self.signatures.add(signature)
            fault = self.faults.strike(request)
            answer = _run(route, request, argument) if fault is None or fault.works else None
            reply = self._reply(answer, fault)
            self.last.append(Exchange(request.call, method, request.path, _answered(reply), time.time()))
        return reply

    def _reply(self, answer: Answer | None, fault: Fault | None) -> Reply:
        if fault is None:
            return Reply(answer, self._latency())
        answer = None if fault.drop else fault.answer or answer
        return Reply(answer, self._latency() + fault.latency, fault.drip, fault.gate() if fault.hold else None)

    def _route(self, door: str, method: str, path: str) -> tuple[Route, str]:
        verbs = []
        for route in self._routes[door]:
            if match := route.pattern.fullmatch(path):
                if route.method == method:
                    return route, unquote("".join(match.groups()))
                verbs.append(route.method)
        status = 405 if verbs else 404
        answer = envelope(str(status), status=status, headers={"Allow": ", ".join(verbs)} if verbs else None)
        return Route(method, re.compile(""), UNKNOWN, lambda request, argument: answer), ""


def _run(route: Route, request: RecordedRequest, argument: str) -> Answer:
    try:
        return route.handle(request, argument)
    except ApiError as error:
        return envelope(error.code, error.msg, error.data)


def _answered(reply: Reply) -> str:
    held = "held, then " if reply.gate else ""
    if reply.answer is None:
        return f"{held}none"
    code = CODE.search(reply.answer.body[:1000])
    return f"{held}{reply.answer.status}" + (f", code {code[1].decode()}" if code else "")
