"""Time and the wire, replaced: time passes only where somebody waits, and requests end in an emulator in process."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import RemoteDisconnected
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from airflow_provider_scnet.testing import Clock, RecordedRequest, ScnetEmulator
from airflow_provider_scnet.testing.wire import Answer

MOST_REQUESTS = 20_000
LONGEST_RUN = 4 * 3600.0


class Endless(BaseException):
    """What is simulated does not come to an end; nothing that handles errors may hold this one back."""


class VirtualTime:
    """
    Time that passes only where somebody waits, and what happens in it.

    :param clock: the emulator's clock, which stands still by itself.
    :param start: the moment that is called 0.
    :param longest: seconds after which there is no end in sight.
    """

    def __init__(self, clock: Clock, start: float, *, longest: float = LONGEST_RUN) -> None:
        self._clock = clock
        self._longest = longest
        self.start = start
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        """In place of ``time.time``."""
        return self._clock.now()

    def monotonic(self) -> float:
        """In place of ``time.monotonic``."""
        return self._clock.now() - self.start + 1000.0

    def sleep(self, seconds: float) -> None:
        """In place of ``time.sleep``."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.go_to(self.elapsed() + seconds)

    def elapsed(self) -> float:
        """Seconds since the moment 0; negative before."""
        return self._clock.now() - self.start

    def plan(self, moment: float, happening: Callable[[], object]) -> None:
        """Let something happen at a moment, seconds from 0; at once if that is over."""
        heapq.heappush(self._plan, (moment, next(self._order), happening))
        self.go_to(self.elapsed())

    def go_to(self, moment: float) -> None:
        """Let time pass, and happen what was planned, each at its own moment."""
        while self._plan and self._plan[0][0] <= moment:
            due, _, happening = heapq.heappop(self._plan)
            self._advance_to(due)
            happening()
        self._advance_to(moment)
        if moment > self._longest:
            raise Endless(f"{moment:.0f} s and no end")

    def _advance_to(self, moment: float) -> None:
        self._clock.advance(max(0.0, moment - self.elapsed()))

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Let the process live by this time."""
        with (
            patch.object(time, "time", self.time),
            patch.object(time, "monotonic", self.monotonic),
            patch.object(time, "sleep", self.sleep),
            # Nothing happens at the same time here: a thread that waits for another costs more than all the rest.
            patch.object(threading.Thread, "start", threading.Thread.run),
        ):
            yield


@dataclass(frozen=True)
class Exchange:
    """
    One request and what came of it.

    :param asked_at: seconds from the moment 0.
    :param answered_at: likewise.
    :param target: path and query.
    :param outcome: the answer, or what broke.
    """

    asked_at: float
    answered_at: float
    request: RecordedRequest
    target: str
    outcome: Answer | str

    @property
    def named(self) -> set[str]:
        """The references in a delete."""
        return refs_in(self.request)

    @property
    def answered(self) -> str:
        """The body of the answer, and where it leads to; or what broke."""
        outcome = self.outcome
        return outcome if isinstance(outcome, str) else outcome.body.decode() + outcome.headers.get("Location", "")

    def __str__(self) -> str:
        target = unquote(self.target.partition("/openapi/v2")[2] or self.target)
        sent = self.request.form.get("strJobInfoMap", "")
        outcome = self.outcome if isinstance(self.outcome, str) else _in_short(self.outcome)
        return f"{self.asked_at:8.1f}  {self.request.method} {target} {_cut(sent, 300)} -> {outcome}"


def refs_in(request: RecordedRequest) -> set[str]:
    """Return the references that a delete names."""
    entries = request.form.get("strJobInfoMap", "").split(";")
    return {f"{entry.rstrip(':')}:" for entry in entries if entry}


def _in_short(answer: Answer) -> str:
    """Of lists only ids and states."""
    try:
        envelope = json.loads(answer.body)
        records = envelope["data"]["list"]
        jobs = [_state_of(record) for record in records]
        return f"total {envelope['data'].get('total')}: {_cut(', '.join(jobs), 600) or 'nobody'}"
    except (ValueError, TypeError, KeyError):
        return f"{answer.status} {_cut(answer.body.decode(), 300)}"


def _state_of(record: dict[str, Any]) -> str:
    words = record.get("jobInitAttr") or record.get("initContentAttr") or ""
    word = words.get("JobState", "") if isinstance(words, dict) else words
    return f"{record['jobId']} {record.get('jobStatus') or record.get('jobState')} {word}".strip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def text_of(body: str | bytes | None) -> str:
    """Return the body of a request."""
    return body.decode() if isinstance(body, bytes) else body or ""


class Wire(HTTPAdapter):
    """
    Take requests to an emulator in process. Any thread may send.

    :param scnet: the emulator, not started.
    :param virtual: what passes while it answers.
    :param door: the emulator's region whose gateway is asked.
    """

    def __init__(self, scnet: ScnetEmulator, virtual: VirtualTime, door: str) -> None:
        super().__init__()
        self.change: Callable[[RecordedRequest, Answer], Answer] = lambda request, answer: answer
        """What becomes of an answer on its way."""
        self._virtual = virtual
        self._door = door
        self._scnet = scnet
        self.exchanges: list[Exchange] = []
        self.story: list[object] = []

    def send(self, request: requests.PreparedRequest, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
        """Ask the emulator; raise what ``requests`` would where no answer comes in time."""
        if len(self.exchanges) >= MOST_REQUESTS:
            raise Endless(f"{MOST_REQUESTS} requests and no end")
        asked_at = self._virtual.elapsed()
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        body = text_of(request.body).encode()
        reply = self._scnet._dispatcher.reply(
            self._door, request.method or "", request.path_url, _fields(request), body
        )
        answer = reply.answer and self.change(self._scnet.requests[-1], reply.answer)
        late = patience is not None and reply.delay >= patience
        self._virtual.sleep(patience if late else reply.delay)
        self._note(request, asked_at, "no answer in time" if late else answer or "connection broken")
        if late:
            raise requests.ReadTimeout("Read timed out.", request=request)
        if answer is None:
            broken = ProtocolError("Connection aborted.", RemoteDisconnected("closed without response"))
            raise requests.ConnectionError(broken, request=request)
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
        raw = HTTPResponse(
            body=BytesIO(answer.body), headers=headers, status=answer.status, reason="", preload_content=False
        )
        return self.build_response(request, raw)

    def _note(self, request: requests.PreparedRequest, asked_at: float, outcome: Answer | str) -> None:
        recorded = self._scnet.requests[-1]
        exchange = Exchange(asked_at, self._virtual.elapsed(), recorded, request.path_url, outcome)
        self.exchanges.append(exchange)
        self.story.append(exchange)

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Let every session of ``requests`` send here."""
        with patch.object(requests.Session, "get_adapter", lambda session, url: self):
            yield


def _fields(request: requests.PreparedRequest) -> Message:
    fields = Message()
    for name, value in request.headers.items():
        fields[name] = value.decode() if isinstance(value, bytes) else value
    fields["Host"] = urlsplit(request.url or "").netloc
    return fields
