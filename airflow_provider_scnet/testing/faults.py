"""Faults on demand: answers that go wrong when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from airflow_provider_scnet.testing.wire import HTML_TYPE, Answer, RecordedRequest, envelope


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
    :param when: only for requests for which this is true.
    :param times: how often it strikes; None for ever.
    :param after: how many matching requests pass first.
    :param hits: how often it has struck.
    """

    call: str
    answer: Answer | None = None
    drop: bool = False
    latency: float = 0.0
    effect: bool = False
    when: Callable[[RecordedRequest], bool] | None = None
    times: int | None = 1
    after: int = 0
    drip: float = 0.0
    hits: int = field(default=0, init=False)

    @property
    def works(self) -> bool:
        """Whether the real work is done."""
        return self.effect or not (self.answer or self.drop)

    def matches(self, request: RecordedRequest) -> bool:
        """Tell whether a request is of the kind this fault is for."""
        return self.call in ("*", request.call) and (self.when is None or bool(self.when(request)))


class FaultPlan:
    """
    The faults planned for an emulator.

    :param calls: names of the calls there are; more may be added to :attr:`calls`.
    """

    def __init__(self, calls: Collection[str]) -> None:
        self.calls = {*calls, "*"}
        self._faults: list[Fault] = []

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
        when: Callable[[RecordedRequest], bool] | None = None,
    ) -> Fault:
        """
        Plan a fault.

        A request is struck by the oldest fault that is due; every fault counts every request that matches it.
        With nothing but ``latency`` or ``drip`` the real answer comes, late. The work is done before the waiting, so a
        client that gives up finds it done.

        :param call: ``tokens``, ``state``, ``renew``, ``center``, ``user``; ``clusters``, ``list``,
            ``detail``, ``history``, ``delete``, ``submit``; ``unknown`` (paths and verbs that do not exist);
            or ``*``.
        :param code: code of the envelope to answer with.
        :param msg: its text; by default the one known for the code.
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
        :param when: only for requests for which this is true.
        """
        if call not in self.calls:
            raise ValueError(f"no call {call!r}, only {sorted(self.calls)}")
        answer: Answer | None = None
        if redirect is not None:
            location = {"Location": redirect, **(headers or {})}
            answer = Answer(b"", 302 if status == 200 else status, HTML_TYPE, location)
        elif code is not None:
            answer = envelope(code, msg, data, status, headers)
        elif body is not None or status != 200:
            answer = Answer((body or "").encode(), status, content_type or HTML_TYPE, headers or {})
        fault = Fault(call, answer, drop, latency, effect, when, times, after, drip)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

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
            elif struck is None and (fault.times is None or fault.hits < fault.times):
                struck = fault
        if struck:
            struck.hits += 1
        return struck
