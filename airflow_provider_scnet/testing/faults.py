"""Faults on demand: answers that go wrong when a test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from urllib.parse import unquote_plus

from airflow_provider_scnet.testing.wire import HTML_TYPE, Answer, RecordedRequest, envelope

#: The most seconds and requests a fault may wait for; more is a slip of the pen.
MOST = 1e9

#: Which requests a fault is for: those for which this is true, or whose path, query or body contains this.
Condition = Callable[[RecordedRequest], bool] | str


@dataclass(eq=False)
class Fault:
    """
    One planned fault.

    :param call: the call it is for, ``*`` for all.
    :param answer: what is answered instead of the real answer; None to leave that alone.
    :param drop: close the connection without an answer.
    :param latency: seconds to wait before answering.
    :param drip: seconds between one byte of the answer and the next.
    :param effect: do the real work although the answer is replaced.
    :param when: only for requests for which this is true, or that contain this text.
    :param times: how often it strikes; None for ever.
    :param after: how many matching requests pass first.
    :param hold: hold the answer until :meth:`release`.
    :param hits: how often it has struck.
    :param number: its number in the plan, from 1.
    :raises ValueError: a number is out of its range.
    """

    call: str
    answer: Answer | None = None
    drop: bool = False
    latency: float = 0.0
    effect: bool = False
    when: Condition | None = None
    times: int | None = 1
    after: int = 0
    drip: float = 0.0
    hold: bool = False
    number: int = 0
    hits: int = field(default=0, init=False)
    _released: bool = field(default=False, init=False)
    _gates: set[Event] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("latency", "drip", "after"):
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name} must be a number from 0 to {MOST:.0f}, not {getattr(self, name)!r}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be 1 or more, or none for ever, not {self.times!r}")

    @property
    def works(self) -> bool:
        """Whether the real work is done."""
        return self.effect or not (self.answer or self.drop)

    def matches(self, request: RecordedRequest) -> bool:
        """Tell whether a request is of the kind this fault is for."""
        if self.call not in ("*", request.call):
            return False
        if isinstance(self.when, str):
            return any(self.when in text for text in _texts(request))
        return self.when is None or bool(self.when(request))

    @property
    def due(self) -> bool:
        """Whether it would strike the next request that matches."""
        return not self._released and self.after == 0 and (self.times is None or self.hits < self.times)

    @property
    def held(self) -> int:
        """How many requests it holds now; what they asked for is done, unless the fault keeps it from being done."""
        return sum(not gate.is_set() for gate in list(self._gates))

    def gate(self) -> Event:
        """Return what a request that was struck has to wait for."""
        gate = Event()
        self._gates.add(gate)
        # After the line above: a release in between has seen the gate, or is seen here.
        if self._released:
            gate.set()
        return gate

    def release(self) -> None:
        """Let go what is held, now and for good: the fault strikes no more."""
        self._released = True
        for gate in list(self._gates):
            gate.set()


class FaultPlan:
    """
    The faults planned for an emulator.

    :param calls: names of the calls there are; more may be added to :attr:`calls`.
    """

    def __init__(self, calls: Collection[str]) -> None:
        self.calls = {*calls, "*"}
        self._faults: list[Fault] = []
        self._planned = 0

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults that are planned, the oldest first."""
        return iter(list(self._faults))

    def add(
        self,
        call: str,
        *,
        code: str | int | None = None,
        msg: str | None = None,
        data: object = None,
        status: int = 200,
        body: str | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        latency: float = 0.0,
        drip: float = 0.0,
        drop: bool = False,
        redirect: str | None = None,
        times: int | None = 1,
        after: int = 0,
        effect: bool = False,
        hold: bool = False,
        when: Condition | None = None,
    ) -> Fault:
        """
        Plan a fault.

        A request is struck by the oldest fault that is due; every fault counts every request that matches it.
        With nothing but ``latency`` or ``drip`` the real answer comes, late. The work is done before the waiting, so a
        client that gives up finds it done. So it is with ``hold``: the answer waits until :meth:`Fault.release`, or
        until the fault is forgotten; an emulator that stops closes the connection.

        :param call: one of :attr:`calls`, such as ``list``, ``delete`` or ``submit``; ``unknown`` for paths and verbs
            that do not exist; ``*`` for all.
        :param code: code of the envelope to answer with.
        :param msg: its text; by default the one known for the code. Neither it nor ``data`` without a code.
        :param data: its data; by default what is known for the code, else null.
        :param status: HTTP status; without ``code`` and ``body`` any other than 200 has an empty body.
        :param body: raw text to answer with instead of an envelope.
        :param content_type: of the raw text, HTML by default.
        :param headers: further header fields.
        :param latency: seconds to wait before answering.
        :param drip: seconds between one byte of the answer, header fields included, and the next.
        :param drop: close the connection without an answer.
        :param redirect: answer 302 (or ``status``) with this ``Location``.
        :param times: how often; None for ever.
        :param after: let so many matching requests pass first.
        :param effect: do the real work; only the answer is replaced or lost.
        :param hold: hold the answer, or its loss, until the fault is released.
        :param when: only for requests for which this is true; a text: that contain it, in path, query or body.
        :raises ValueError: there is no such call, a value is out of its range, or would say nothing.
        """
        if call not in self.calls:
            raise ValueError(f"no call {call!r}, only {sorted(self.calls)}")
        if not 100 <= status <= 599:
            raise ValueError(f"status must be a number from 100 to 599, not {status!r}")
        if redirect is not None:
            answer = _redirection(redirect, status, headers or {})
        elif code is not None:
            answer = envelope(code, msg, data, status, headers)
        elif body is not None or status != 200:
            answer = Answer((body or "").encode(), status, content_type or HTML_TYPE, headers or {})
        else:
            answer = None
        _check_use(code, answer, {"msg": msg, "data": data}, {"content_type": content_type, "headers": headers})
        _check_fields(answer)
        number = self._planned + 1
        fault = Fault(call, answer, drop, latency, effect, when, times, after, drip, hold, number)
        self._planned = number
        self._faults.append(fault)
        return fault

    def forget(self, fault: Fault) -> None:
        """
        Forget a fault, and let go what it holds.

        :param fault: one that is planned.
        """
        self._faults.remove(fault)
        fault.release()

    def clear(self) -> None:
        """Forget all faults, and let go what they hold."""
        for fault in self:
            self.forget(fault)

    def strike(self, request: RecordedRequest) -> Fault | None:
        """
        Return the fault that strikes this request, if any.

        :param request: a request that has just arrived.
        """
        struck: Fault | None = None
        for fault in self._faults:
            if not fault.matches(request):
                continue
            if fault.after > 0:
                fault.after -= 1
            elif struck is None and fault.due:
                struck = fault
        if struck:
            struck.hits += 1
        return struck


def _redirection(target: str, status: int, headers: Mapping[str, str]) -> Answer:
    return Answer(b"", 302 if status == 200 else status, HTML_TYPE, {"Location": target, **headers})


def _check_use(
    code: str | int | None, answer: Answer | None, in_envelopes: Mapping[str, object], in_answers: Mapping[str, object]
) -> None:
    """A fault that leaves the answer alone would look as if the client could cope with what it was to say."""
    for name, value in in_envelopes.items():
        if value is not None and code is None:
            raise ValueError(f"{name} needs a code: without one there is no envelope to put it in")
    for name, value in in_answers.items():
        if value is not None and answer is None:
            raise ValueError(f"{name} needs an answer to go with: code, body, redirect or another status than 200")


def _check_fields(answer: Answer | None) -> None:
    fields = {} if answer is None else {"Content-Type": answer.content_type, **answer.headers}
    for name, value in fields.items():
        field_line = f"{name}: {value}"
        if any(letter > "\xff" for letter in field_line) or not field_line.isprintable():
            raise ValueError(f"header field {field_line!r} must be printable Latin-1")


def _texts(request: RecordedRequest) -> list[str]:
    """Return all that a request says, as sent and as meant."""
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    texts = [f"{request.path}?{query}" if query else request.path, request.body, unquote_plus(request.body)]
    try:
        return [*texts, json.dumps(json.loads(request.body), ensure_ascii=False)]
    except (ValueError, RecursionError):
        return texts
