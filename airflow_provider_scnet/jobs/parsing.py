"""What a DAG may hand over as ``jobs`` -> references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from airflow_provider_scnet.api.records import REFERENCE_NAMES, JobRecord, member_of
from airflow_provider_scnet.api.reference import JobRef, check_job_id, check_scheduler_id, check_user, is_nothing
from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.jobs.literals import read_literal
from airflow_provider_scnet.wording import shown

Default: TypeAlias = "str | int | Callable[[], str] | None"
"""A default for plain job ids, or how to find it; asked only when it is needed."""

_WIRE_ENTRY = re.compile(r"(?P<scheduler_id>[^,:;]*),(?P<user>[^,:;]*):(?P<job_id>[^,:;\[]*(?:\[[^;]*)?):")
_BRACKET = re.compile(r"\[[^\]]*\]?")
_COMMA = re.compile(r",(?![^\[]*\])")
"""Between ids, and not between members: ``197, 5_[2,9-11]``."""
_LAZY_SEQUENCE = re.compile(r"Lazy\w*Sequence\(")
_CHECKS = {"scheduler_id": check_scheduler_id, "user": check_user, "job_id": check_job_id}


def parse_jobs(jobs: Any, *, scheduler_id: Default = None, user: Default = None) -> list[JobRef]:
    """
    Turn whatever a DAG hands over into references, each once, in order.

    Accepted: a :class:`JobRef`; a ``JobRecord`` out of a list; a mapping with ``scheduler_id``/``user``/``job_id`` or
    SCNet's own field names; a wire string ``"1638523853,test:197:;1638523853,test:196:"``; a bare id (``"197"``,
    ``197``, ``"5_1"``, ``"5_[2,9-11]"``); comma-separated bare ids; JSON or Python-literal text of these, of which
    numbers are taken as they are spelt; any nesting of sequences and sets. ``None``, ``""``, ``"None"`` and ``[]``
    stand for nothing.

    :param scheduler_id: default for elements without one; a callable is asked at most once, and only
        after everything was understood.
    :param user: default cluster user, likewise.
    :raises ScnetJobReferenceError: naming the element that is none of these.
    """
    try:
        drafts = list(_drafts(jobs))
    except RecursionError:
        raise ScnetJobReferenceError("jobs: nested too deeply; hand over a flat list.") from None
    needed = {
        part: default
        for part, default in (("scheduler_id", scheduler_id), ("user", user))
        if any(part not in draft for draft in drafts)
    }
    # What is given is checked before anything is asked for: asking is a request.
    given = {part: _check_default(part, value) for part, value in needed.items() if not callable(value)}
    asked = {part: _check_default(part, value()) for part, value in needed.items() if callable(value)}
    return list(dict.fromkeys(JobRef(**{**given, **asked, **draft}) for draft in drafts))


def _check_default(part: str, value: object) -> str:
    if is_nothing(value):
        raise ScnetJobReferenceError(
            f"jobs: a plain job id needs `{part}`. Pass {part}=... or hand over full references "
            f"such as '1638523853,test:197:'."
        )
    return _CHECKS[part](value)


def _drafts(element: Any) -> Iterator[dict[str, str]]:
    """Yield the checked parts of each job in ``element``; parts that are not given are left out."""
    if element is None:
        return
    if isinstance(element, JobRef):
        yield {"scheduler_id": element.scheduler_id, "user": element.user, "job_id": element.job_id}
    elif isinstance(element, str):
        yield from _drafts_of_text(element.strip())
    elif isinstance(element, int):
        yield {"job_id": check_job_id(element)}
    elif isinstance(element, Mapping):
        yield _draft_of_mapping(element)
    elif isinstance(element, JobRecord):  # what SCNet left out of a list is no part that is empty
        yield _checked({part: value for part in _CHECKS if (value := getattr(element, part))})
    elif isinstance(element, Sequence | Set) and not isinstance(element, bytes | bytearray | memoryview):
        for item in element:
            yield from _drafts(item)
    else:
        raise ScnetJobReferenceError(
            f"jobs: {shown(element)} ({type(element).__name__}) is no job reference. Give ids, "
            f"'schedulerId,user:jobId:' strings, mappings or lists of them."
        )


def _drafts_of_text(text: str) -> Iterator[dict[str, str]]:
    if is_nothing(text):
        return
    if _LAZY_SEQUENCE.match(text):
        raise ScnetJobReferenceError(
            f"jobs: {shown(text)} is the name of a lazy sequence, not its content: Jinja cannot pass on the "
            f"output of a mapped task. Use jobs=<task>.output (XComArg), or '{{{{ ... | list }}}}' in the template."
        )
    if text[0] in "[{(\"'":
        yield from _drafts(_literal(text))
        return
    outside = _BRACKET.sub("", text)
    if ":" in outside or ";" in outside:
        yield from map(_draft_of_entry, _entries(text))
    elif "," in outside:
        for part in _COMMA.split(text):
            yield from _drafts_of_text(part.strip())
    else:
        yield {"job_id": check_job_id(text)}


def _literal(text: str) -> Any:
    """JSON, or what Jinja makes of a list or dict: its Python ``repr``."""
    try:
        return read_literal(text)
    except ValueError as error:
        raise ScnetJobReferenceError(f"jobs: {shown(text)} looks like a list or mapping but {error}.") from None


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.removesuffix(";").split(";")]


def _draft_of_entry(entry: str) -> dict[str, str]:
    match = _WIRE_ENTRY.fullmatch(entry)
    if match is None:
        raise ScnetJobReferenceError(
            f"jobs: {shown(entry)} is not 'schedulerId,user:jobId:' (several are separated by ';')."
        )
    return _checked(match.groupdict())


def _draft_of_mapping(mapping: Mapping[Any, Any]) -> dict[str, str]:
    """A part that is there but empty is a mistake somewhere upstream; a default in its place might be another's job."""
    found = {}
    for part in _CHECKS:
        names = [name for name in (part, *REFERENCE_NAMES[part]) if name in mapping]
        given = [mapping[name] for name in names if not is_nothing(mapping[name])]
        if names and not given and part != "job_id":
            raise ScnetJobReferenceError(
                f"jobs: `{names[0]}` is {shown(mapping[names[0]])} in the mapping with the keys "
                f"{shown(list(mapping))}. Fill it, or leave it out to use the default."
            )
        if given:
            found[part] = given[0]
    if member := member_of(mapping):
        found["job_id"] = member
    if "job_id" not in found:
        raise ScnetJobReferenceError(
            f"jobs: the mapping with the keys {shown(list(mapping))} names no job; it needs `job_id` (or `jobId`)."
        )
    return _checked(found)


def _checked(parts: Mapping[str, Any]) -> dict[str, str]:
    return {part: _CHECKS[part](value) for part, value in parts.items()}
