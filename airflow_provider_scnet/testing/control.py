"""What another process may see and do: JSON over HTTP, beside the page."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.dispatch import Dispatcher, Route
from airflow_provider_scnet.testing.faults import Fault, FaultPlan
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.outage import Outage
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.tokens import TokenOffice
from airflow_provider_scnet.testing.wire import Answer, RecordedRequest
from airflow_provider_scnet.testing.words import SHORT_WORDS

#: The most seconds the clock is moved by at once, or an outage lasts; more is a slip of the pen.
MOST_SECONDS = 1e9

#: Whom a request is sent to that comes from this machine; a page may give its own host our address.
OURSELVES = {"127.0.0.1", "localhost"}

#: How the JSON values are called that a parameter takes.
WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Mapping: "an object with texts",
    NoneType: "null",
}

#: What a fault may be planned with, and the type of each.
FAULT = {name: kind for name, kind in get_type_hints(FaultPlan.add).items() if name != "return"}


class Control:
    """
    The control interface: looks at the emulator, and makes it go wrong.

    It is not part of SCNet: its requests are neither recorded nor struck by faults. A request that cannot be
    understood does nothing, and is answered with HTTP 400 (404 for an unknown path) and ``{"error": "..."}``.

    :param regions: whose jobs are shown.
    :param tokens: can refuse all tokens.
    :param dispatcher: has the requests so far, and the faults.
    :param clock: can be moved on.
    :param outage: can keep all ports away.
    :param secrets: returns what must not leak.
    """

    def __init__(
        self,
        regions: Sequence[Region],
        tokens: TokenOffice,
        dispatcher: Dispatcher,
        *,
        clock: Clock,
        outage: Outage,
        secrets: Callable[[], set[str]],
    ) -> None:
        self._regions = regions
        self._tokens = tokens
        self._dispatcher = dispatcher
        self._clock = clock
        self._outage = outage
        self._secrets = secrets

    def routes(self) -> list[Route]:
        """Return the requests that are understood, and one for all others."""
        known: dict[tuple[str, str], Callable[[RecordedRequest, str], Answer]] = {
            ("GET", "state"): self._state,
            ("GET", "secrets"): lambda request, argument: _json(sorted(self._secrets())),
            ("GET", "faults"): lambda request, argument: _json([_seen(fault) for fault in self._faults]),
            ("POST", "faults"): self._plan,
            ("DELETE", "faults"): self._forget_all,
            ("DELETE", "faults/([^/]+)"): self._forget,
            ("POST", "jobs"): self._become,
            ("POST", "clock"): self._advance,
            ("POST", "outage"): self._go_away,
            ("DELETE", "tokens"): self._revoke,
        }
        routes = [
            Route(method, re.compile(f"/emulator/{path}"), "", _explained(handle))
            for (method, path), handle in known.items()
        ]
        listed = ", ".join(f"{method} /emulator/{path.replace('([^/]+)', 'ID')}" for method, path in known)
        error = _json({"error": f"there is only: {listed}"}, status=404)
        verbs = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
        return routes + [Route(verb, re.compile("/emulator(?:/.*)?"), "", lambda *_: error) for verb in verbs]

    @property
    def _faults(self) -> FaultPlan:
        return self._dispatcher.faults

    def _state(self, request: RecordedRequest, argument: str) -> Answer:
        jobs = [_shown(job, region) for region in self._regions for job in region.jobs]
        calls = Counter(request.call for request in list(self._dispatcher.requests))
        active = sum(job["active"] for job in jobs)
        return _json({"now": self._clock.now(), "jobs": jobs, "active": active, "calls": calls})

    def _plan(self, request: RecordedRequest, argument: str) -> Answer:
        return _json({"id": self._faults.add(**_members(request, FAULT, "call")).number})

    def _forget(self, request: RecordedRequest, argument: str) -> Answer:
        for fault in self._faults:
            if str(fault.number) == argument:
                self._faults.forget(fault)
                return _json({"forgotten": [fault.number]})
        raise ValueError(f"no fault {argument!r}, only {[fault.number for fault in self._faults]}")

    def _forget_all(self, request: RecordedRequest, argument: str) -> Answer:
        forgotten = [fault.number for fault in self._faults]
        self._faults.clear()
        return _json({"forgotten": forgotten})

    def _become(self, request: RecordedRequest, argument: str) -> Answer:
        wanted = _members(request, {"state": str, "name": str}, "state")
        if wanted["state"] not in SHORT_WORDS:
            raise ValueError(f"no state {wanted['state']!r}, only {sorted(SHORT_WORDS)}")
        jobs = [job for region in self._regions for job in region.jobs if job.active]
        changed = [job for job in jobs if wanted.get("name", "") in job.name]
        for job in changed:
            job.become(wanted["state"])
        return _json({"jobs": [job.ref for job in changed]})

    def _advance(self, request: RecordedRequest, argument: str) -> Answer:
        self._clock.advance(_seconds(request, "advance"))
        return _json({"now": self._clock.now()})

    def _go_away(self, request: RecordedRequest, argument: str) -> Answer:
        seconds = _seconds(request, "seconds")
        return _json({"seconds": seconds}, then=lambda: self._outage.begin(seconds))

    def _revoke(self, request: RecordedRequest, argument: str) -> Answer:
        self._tokens.revoke_everything()
        return _json({})


def _json(content: object, status: int = 200, then: Callable[[], None] | None = None) -> Answer:
    return Answer(json.dumps(content, ensure_ascii=False).encode(errors="replace"), status, then=then)


def _explained(handle: Callable[[RecordedRequest, str], Answer]) -> Callable[[RecordedRequest, str], Answer]:
    """Make an answer of what is wrong with a request; refuse what a page of somebody else makes a browser send."""

    def answer(request: RecordedRequest, argument: str) -> Answer:
        if request.headers.get("Origin") or urlsplit(f"//{request.headers.get('Host', '')}").hostname not in OURSELVES:
            return _json({"error": "only for programs on this machine"}, status=403)
        try:
            return handle(request, argument)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)

    return answer


def _shown(job: Job, region: Region) -> dict[str, Any]:
    return {
        "ref": job.ref,
        "region_id": region.region_id,
        "scheduler_id": job.scheduler_id,
        "user": job.user,
        "job_id": job.job_id,
        "name": job.name,
        "state": job.state,
        "active": job.active,
        "will_run": job.will_run,
        "deletes": job.deletes,
    }


def _seen(fault: Fault) -> dict[str, Any]:
    return {"id": fault.number, "call": fault.call, "hits": fault.hits, "held": fault.held}


def _seconds(request: RecordedRequest, name: str) -> float:
    seconds: float = _members(request, {name: float}, name)[name]
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"{name!r} must be from 0 to {MOST_SECONDS:.0f} seconds, not {seconds}")
    return seconds


def _members(request: RecordedRequest, kinds: Mapping[str, Any], needed: str) -> dict[str, Any]:
    """
    Return the members of the JSON object in a request's body.

    :param kinds: name -> type of those there may be.
    :param needed: name of the one there must be.
    :raises ValueError: it is no JSON object, or a member is missing, unknown or of another type.
    """
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'the body must be JSON like {{"{needed}": ...}}: {error}') from None
    if not isinstance(given, dict) or needed not in given:
        raise ValueError(f'the body must be a JSON object with a member {needed!r}, like {{"{needed}": ...}}')
    for name, value in given.items():
        if name not in kinds:
            raise ValueError(f"no member {name!r}, only {sorted(kinds)}")
        if not _fits(value, kinds[name]):
            raise ValueError(f"{name!r} must be {_called(kinds[name])}, not {json.dumps(value, ensure_ascii=False)}")
    return given


def _fits(value: object, kind: Any) -> bool:
    """Tell whether a JSON value is of a type; a callable is one that JSON does not have."""
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is Mapping:
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if kind is float:
        return type(value) in (int, float)
    return kind is object or type(value) is kind


def _called(kind: Any) -> str:
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return " or ".join(WORDS[one] for one in (get_origin(one) or one for one in kinds) if one in WORDS)
