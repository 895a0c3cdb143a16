"""Every request passes here: routing, recording, faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import Message
from threading import Event, RLock
from urllib.parse import unquote, urlsplit

from airflow_provider_scnet.testing.faults import FaultPlan
from airflow_provider_scnet.testing.wire import Answer, ApiError, RecordedRequest, envelope, recorded

UNKNOWN = "unknown"


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


class Dispatcher:
    """
    Takes each request to its call, one at a time, whichever door it comes through.

    :param latency: seconds before each answer, asked for each time.
    """

    def __init__(self, latency: Callable[[], float]) -> None:
        self.lock = RLock()
        self.requests: list[RecordedRequest] = []
        self.signatures: set[str] = set()
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
            gate = fault.gate() if fault is not None and fault.hold else None
        if fault is None:
            return Reply(answer, self._latency())
        answer = None if fault.drop else fault.answer or answer
        return Reply(answer, self._latency() + fault.latency, fault.drip, gate)

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
