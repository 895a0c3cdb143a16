"""One job, unmistakably: ``JobRef``, and how a delete request and its answer name jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow_provider_scnet.api.job_ids import JobId, name_of, read_named
from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.wording import shown

_SEPARATORS = frozenset(",:;")
_NOTHING = frozenset({"", "None", "null"})


class JobRef(str):
    """
    One job, unmistakably. It is text, its entry in ``strJobInfoMap`` (API page control-job), so that XCom carries it
    like any other text.

    :param scheduler_id: the scheduler's id from ``GET /cluster`` (not the region's id), digits.
    :param user: the cluster user, i.e. the account on the cluster.
    :param job_id: the scheduler's job id, ``197``, or ``5_1`` and ``5_[2,9-11]`` for members of an array. What a list
        puts into brackets beside members is written so that a delete takes it: ``5_[1-5:2%4]`` is ``5_[1,3,5]``.
    :raises ScnetJobReferenceError: if a part could not be told apart from its neighbours on the wire.
    """

    __slots__ = ()

    def __new__(cls, scheduler_id: str | int, user: str, job_id: str | int) -> JobRef:
        parts = check_scheduler_id(scheduler_id), check_user(user), check_job_id(job_id)
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

    @property
    def number(self) -> int:
        """The number of the job, or of the array that it is a member of."""
        return int(self.id.array)

    @property
    def id(self) -> JobId:
        """The scheduler's job id, taken apart."""
        return read_named(self.job_id)


def is_nothing(value: object) -> bool:
    """
    Tell whether a value was not given: ``None``, blanks, or what a template makes of an XCom that is not there.

    :param value: a job, or a part of its reference.
    """
    return value is None or (isinstance(value, str) and value.strip() in _NOTHING)


def check_scheduler_id(value: object) -> str:
    """
    Return a scheduler id as text.

    :param value: digits, as text or number.
    :raises ScnetJobReferenceError: if it is anything else.
    """
    text = _text("scheduler_id", value)
    if not (text.isascii() and text.isdigit()):
        raise ScnetJobReferenceError(
            f"scheduler_id={shown(text)}: a scheduler id is a number such as 1638523853 (`GET /cluster` lists it)."
        )
    return text


def check_user(value: object) -> str:
    """
    Return a cluster user as text.

    :raises ScnetJobReferenceError: if it is not a name that fits into a reference.
    """
    text = _check_name("user", value)
    if is_nothing(text):
        raise ScnetJobReferenceError(f"user={shown(text)}: this is what an empty XCom looks like in a template.")
    return text


def check_job_id(value: object) -> str:
    """
    Return a job id as text. Any other word is a mistake, and one that would pass for a job long gone.

    :param value: ``197``, ``5_1`` or ``5_[2-9]``; a number is fine.
    :raises ScnetJobReferenceError: if it is anything else.
    """
    text = _text("job_id", value)
    try:
        return name_of(text)
    except ValueError as error:
        raise ScnetJobReferenceError(f"job_id={shown(text)}: {error}") from None


def _check_name(part: str, value: object) -> str:
    text = _text(part, value)
    if not text.isprintable() or any(c in _SEPARATORS or c.isspace() for c in text) or not re.match(r"\w", text):
        raise ScnetJobReferenceError(
            f"{part}={shown(text)}: must be one word without blanks, control characters and , : ;"
        )
    return text


def _text(part: str, value: object) -> str:
    """Numbers come as text or as int from SCNet, from JSON and from native rendering alike."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**30:
        return str(value)
    raise ScnetJobReferenceError(f"{part}={shown(value)}: must be text or a whole number, 0 or more.")


def to_wire(refs: Iterable[JobRef]) -> str:
    """Write references as ``strJobInfoMap``: entries joined by ``;``, none at the end."""
    return ";".join(map(str, refs))


def confirmed(refs: Iterable[JobRef], text: str) -> set[JobRef]:
    """
    Tell of which jobs SCNet's sentence about a delete speaks. Code "0" alone says nothing: the sentence must say
    ``[...] successfully`` and name the job there (API page control-job).

    :param refs: jobs of one scheduler.
    :param text: the sentence about that scheduler.
    """
    names = " ".join(_names_in_brackets(text))
    return {ref for ref in refs if re.search(rf"(?<![\w.@-]){re.escape(f'{ref.user}:{ref.job_id}:')}", names)}


def _names_in_brackets(text: str) -> Iterator[str]:
    """Without a regular expression over the whole: thousands of brackets would take it minutes."""
    for part in text.split("successfully")[:-1]:
        before, closed, blanks = part.rpartition("]")
        if closed and not blanks.strip():
            yield before[_opening(before) :]


def _opening(text: str) -> int:
    """Where the bracket was opened that ends after ``text``; ids such as ``5_[2-9]`` have brackets of their own."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += {"]": 1, "[": -1}.get(text[position], 0)
        if depth < 0:
            return position + 1
    return len(text)
