"""What a DAG may hand over as ``jobs`` -> validated references -> ``strJobInfoMap``; and job states."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from airflow_provider_scnet.exceptions import ScnetJobReferenceError, quote

Default: TypeAlias = "str | int | Callable[[], str] | None"
"""A default for plain job ids, or how to find it; asked only when it is needed."""

_SEPARATORS = frozenset(",:;")
_WIRE_ENTRY = re.compile(r"(?P<scheduler_id>[^,:;]*),(?P<user>[^,:;]*):(?P<job_id>[^,:;]*):")
_LAZY_SEQUENCE = re.compile(r"Lazy\w*Sequence\(")
_JOB_ID = re.compile(r"(0|[1-9][0-9]*)(_([0-9]+|\[[^\]]+\]))?")
"""A job, a member of an array, or the rest of an array as schedulers list it: ``197``, ``5_1``, ``5_[2-9]``."""
_NOTHING = frozenset({"", "None", "null"})
_KEYS = {
    "scheduler_id": ("scheduler_id", "jobManagerId", "strJobManagerID", "jobmanagerId"),
    "user": ("user", "clusterUserName", "userName"),
    "job_id": ("job_id", "jobId"),
}


class JobRef(str):
    """
    One job, unmistakably. It is text, its entry in ``strJobInfoMap`` (delete page of the API), so that XCom carries it
    like any other text.

    :param scheduler_id: the scheduler's id from ``GET /cluster`` (not the region's id), digits.
    :param user: the cluster user, i.e. the account on the cluster.
    :param job_id: the scheduler's job id, ``197`` or ``5_1`` for an array member.
    :raises ScnetJobReferenceError: if a part could not be told apart from its neighbours on the wire.
    """

    __slots__ = ()

    def __new__(cls, scheduler_id: str | int, user: str, job_id: str | int) -> JobRef:
        parts = check_scheduler_id(scheduler_id), check_user(user), _check_job_id(job_id)
        return super().__new__(cls, "{},{}:{}:".format(*parts))

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]
        return self.scheduler_id, self.user, self.job_id

    def __repr__(self) -> str:
        return f"JobRef{self.__getnewargs__()!r}"

    @property
    def scheduler_id(self) -> str:
        """The scheduler's id."""
        return self.partition(",")[0]

    @property
    def user(self) -> str:
        """The cluster user."""
        return self.partition(",")[2].partition(":")[0]

    @property
    def job_id(self) -> str:
        """The scheduler's job id."""
        return self.partition(":")[2].removesuffix(":")


def check_scheduler_id(value: object) -> str:
    """
    Return a scheduler id as text.

    :param value: digits, as text or number.
    :raises ScnetJobReferenceError: if it is anything else.
    """
    text = _text("scheduler_id", value)
    if not (text.isascii() and text.isdigit()):
        raise ScnetJobReferenceError(
            f"scheduler_id={_shown(text)}: a scheduler id is a number such as 1638523853 (`GET /cluster` lists it)."
        )
    return text


def check_user(value: object) -> str:
    """
    Return a cluster user as text.

    :param value: the user's name.
    :raises ScnetJobReferenceError: if it is not a name that fits into a reference.
    """
    text = _check_name("user", value)
    if text in _NOTHING:
        raise ScnetJobReferenceError(f"user={_shown(text)}: this is what an empty XCom looks like in a template.")
    return text


def _check_job_id(value: object) -> str:
    """Any other word is a mistake, and one that would pass for a job long gone."""
    text = _check_name("job_id", value)
    if not _JOB_ID.fullmatch(text):
        raise ScnetJobReferenceError(
            f"job_id={_shown(text)}: a job id is a number such as '197', or '5_1'. Hand over what the submission "
            f"returned."
        )
    return text


def _check_name(part: str, value: object) -> str:
    text = _text(part, value)
    if not text.isprintable() or any(c in _SEPARATORS or c.isspace() for c in text) or not re.match(r"\w", text):
        raise ScnetJobReferenceError(
            f"{part}={_shown(text)}: must be one word without blanks, control characters and , : ;"
        )
    return text


def _text(part: str, value: object) -> str:
    """Numbers come as text or as int from SCNet, from JSON and from native rendering alike."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**30:
        return str(value)
    raise ScnetJobReferenceError(f"{part}={_shown(value)}: must be text or a whole number, 0 or more.")


def _shown(value: object) -> str:
    """With ``repr``, so that blanks show; but that of a number of thousands of digits is an error in Python."""
    try:
        return quote(repr(value))
    except ValueError:
        return f"a huge {type(value).__name__}"


def to_wire(refs: Iterable[JobRef]) -> str:
    """
    Write references as ``strJobInfoMap``: entries joined by ``;``, none at the end.

    :param refs: the references, in order.
    """
    return ";".join(map(str, refs))


def parse_jobs(jobs: Any, *, scheduler_id: Default = None, user: Default = None) -> list[JobRef]:
    """
    Turn whatever a DAG hands over into references, each once, in order.

    Accepted: a :class:`JobRef`; a mapping with ``scheduler_id``/``user``/``job_id`` or SCNet's own field
    names; a wire string ``"1638523853,test:197:;1638523853,test:196:"``; a bare id (``"197"``, ``197``,
    ``"5_1"``); comma-separated bare ids; JSON or Python-literal text of these; any nesting of sequences
    and sets. ``None``, ``""``, ``"None"`` and ``[]`` stand for nothing.

    :param jobs: the value.
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
    if _is_nothing(value):
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
        yield {"job_id": _check_job_id(element)}
    elif isinstance(element, Mapping):
        yield _draft_of_mapping(element)
    elif isinstance(element, Sequence | Set) and not isinstance(element, bytes | bytearray | memoryview):
        for item in element:
            yield from _drafts(item)
    else:
        raise ScnetJobReferenceError(
            f"jobs: {_shown(element)} ({type(element).__name__}) is no job reference. Give ids, "
            f"'schedulerId,user:jobId:' strings, mappings or lists of them."
        )


def _drafts_of_text(text: str) -> Iterator[dict[str, str]]:
    if text in _NOTHING:
        return
    if _LAZY_SEQUENCE.match(text):
        raise ScnetJobReferenceError(
            f"jobs: {_shown(text)} is the name of a lazy sequence, not its content: Jinja cannot pass on the "
            f"output of a mapped task. Use jobs=<task>.output (XComArg), or '{{{{ ... | list }}}}' in the template."
        )
    if text[0] in "[{(\"'":
        yield from _drafts(_literal(text))
    elif ":" in text or ";" in text:
        yield from map(_draft_of_entry, _entries(text))
    elif "," in text:
        for part in text.split(","):
            yield from _drafts_of_text(part.strip())
    else:
        yield {"job_id": _check_job_id(text)}


def _literal(text: str) -> Any:
    """Read JSON, or what Jinja makes of a list or dict: its Python ``repr``."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError):
            continue
    raise ScnetJobReferenceError(f"jobs: {_shown(text)} looks like a list or mapping but is neither JSON nor Python.")


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.removesuffix(";").split(";")]


def _draft_of_entry(entry: str) -> dict[str, str]:
    match = _WIRE_ENTRY.fullmatch(entry)
    if match is None:
        raise ScnetJobReferenceError(
            f"jobs: {_shown(entry)} is not 'schedulerId,user:jobId:' (several are separated by ';')."
        )
    return _checked(match.groupdict())


def _draft_of_mapping(mapping: Mapping[Any, Any]) -> dict[str, str]:
    found = {
        part: value
        for part, keys in _KEYS.items()
        if (value := next((mapping[key] for key in keys if mapping.get(key) not in (None, "")), None)) is not None
    }
    if "job_id" not in found:
        raise ScnetJobReferenceError(
            f"jobs: the mapping with the keys {_shown(list(mapping))} names no job; it needs `job_id` (or `jobId`)."
        )
    return _checked(found)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in _NOTHING)


def _checked(parts: Mapping[str, Any]) -> dict[str, str]:
    return {part: _CHECKS[part](value) for part, value in parts.items()}


_CHECKS = {"scheduler_id": check_scheduler_id, "user": check_user, "job_id": _check_job_id}


class Phase(Enum):
    """What can be said of a job's life, as far as stopping it is concerned."""

    ACTIVE = "active"
    DOUBTFUL = "not known to be finished"
    ENDED = "ended"
    NOT_LISTED = "not listed"


_STATUS = {
    "statR": ("运行 running", Phase.ACTIVE),
    "statQ": ("排队 queued", Phase.ACTIVE),
    "statH": ("保留 held", Phase.ACTIVE),
    "statS": ("挂起 suspended", Phase.ACTIVE),
    "statW": ("等待 waiting", Phase.ACTIVE),
    "statRQ": ("重新运行 requeued", Phase.ACTIVE),
    "statE": ("退出 exiting", Phase.DOUBTFUL),
    "statX": ("其他 other", Phase.DOUBTFUL),
    "statT": ("超时 timed out or in transit", Phase.DOUBTFUL),
    "statN": ("节点异常 node failure", Phase.DOUBTFUL),
    "statEX": ("异常 abnormal", Phase.DOUBTFUL),
    "statC": ("完成 completed, failed or cancelled", Phase.ENDED),
    "statDE": ("取消 cancelled", Phase.ENDED),
    "statD": ("失败 failed", Phase.ENDED),
}
_TERMINAL_WORDS = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "BOOT_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "DEADLINE",
)


@dataclass(frozen=True)
class JobState:
    """
    What SCNet last said of one job.

    :param phase: what follows for us.
    :param status: SCNet's ``stat*`` code; empty if the job is not listed.
    :param word: the scheduler's own word (``JobState``), if it was given.
    :param owner: the cluster user the job is listed under, if it was given.
    """

    phase: Phase
    status: str = ""
    word: str = ""
    owner: str = ""

    def __str__(self) -> str:
        label = _STATUS.get(self.status, ("",))[0]
        return " ".join(filter(None, (self.status, label, self.word))) or self.phase.value

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> JobState:
        """
        Read the state out of a record of the live list, the live detail or the history (API pages
        query-job, query-job-detail, query-history-job).

        The scheduler's own word outranks the ``stat*`` code, which lags behind it. A code that is unknown or
        whose meaning is disputed is no proof that the job ended.

        :param record: one job as SCNet describes it.
        """
        raw = record.get("jobInitAttr")
        word = str(raw.get("JobState") or "").strip() if isinstance(raw, Mapping) else ""
        status = str(record.get("jobStatus") or record.get("jobState") or "").strip()
        if not status.startswith("stat"):
            status, word = "", word or status
        if word:
            phase = Phase.ENDED if word.upper().startswith(_TERMINAL_WORDS) else Phase.ACTIVE
        else:
            phase = _STATUS.get(status, ("", Phase.DOUBTFUL))[1]
        owner = str(record.get("user") or record.get("userName") or "")
        return cls(phase, quote(status, 20), quote(word, 40), quote(owner, 40))


NOT_LISTED = JobState(Phase.NOT_LISTED)
"""SCNet does not list the job: it ended a while ago, or never existed there."""


def concerns(listed_id: str, job_id: str) -> bool:
    """
    Tell whether a listed id says something about ``job_id``: the job itself, a member of its array, or the array it
    belongs to (schedulers list the waiting rest of an array as ``5`` or ``5_[2-9]``).

    :param listed_id: an id from a list.
    :param job_id: the id we look for.
    """
    if listed_id == job_id:
        return True
    array, _, member = job_id.partition("_")
    if not member or member.startswith("["):
        return listed_id == array or listed_id.startswith(f"{array}_")
    return listed_id == array or listed_id.startswith(f"{array}_[")
