"""Ids of jobs, of arrays and of their members: the one place where an id is taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LONGEST_WHOLE = 30
"""Characters of a bracket id that surely was not cut: some tools cut after 31, in the middle of a number (squeue)."""
MOST_WRITTEN_OUT = 1_000
"""Members of a range with a step that are written one by one; longer ones are refused."""
MOST_MEMBERS = 100_000
"""Members that are told one by one; schedulers allow no array near this size."""
_NUMBER = r"0|[1-9][0-9]{0,29}"
_MEMBER = r"0|[1-9][0-9]{0,8}"
_NAMED = re.compile(rf"(?P<array>{_NUMBER})(?:_(?:(?P<member>{_MEMBER})|\[(?P<inside>.*)))?", re.DOTALL)
_LISTED = re.compile(
    rf"(?P<array>{_NUMBER})(?![0-9])"
    rf"(?:_(?P<member>{_MEMBER})(?![0-9:-])|_\[(?P<inside>[^\]]*)(?P<end>\]?))?(?P<rest>.*)",
    re.DOTALL,
)
_RANGE = re.compile(rf"(?P<first>{_MEMBER})(?:-(?P<last>{_MEMBER})(?::(?P<step>[1-9][0-9]{{0,8}}))?)?")
"""``4``, ``2-9`` or ``1-9:2`` within ``5_[...]``."""


@dataclass(frozen=True)
class JobId:
    """
    An id, taken apart.

    :param array: the number of the job, or of the array.
    :param members: those that it names; ``None`` where it stands for the job, or the array, itself.
    :param is_bracket: whether it may name several: ``5_[2-9]``.
    :param is_whole: whether it names all members that it stands for. One that was cut, or may have been, does not.
    :param rest: what follows in a spelling that nobody has announced: ``.batch``, ``+0``, ``.server01``.
    """

    array: str
    members: tuple[range, ...] | None = None
    is_bracket: bool = False
    is_whole: bool = True
    rest: str = ""

    @property
    def is_one_member(self) -> bool:
        """Whether it is a single member of an array."""
        return self.members is not None and not self.is_bracket

    def overlaps(self, other: JobId) -> bool:
        """
        Tell whether two ids may be about the same job: the array stands for all of its members, and a bracket that may
        have been cut may hold any member.

        :param other: another id.
        """
        if self.array != other.array:
            return False
        if self.members is None or other.members is None or not (self.is_whole and other.is_whole):
            return True
        return any(_meet(ours, theirs) for ours in self.members for theirs in other.members)

    def member_ids(self) -> list[str]:
        """Return the ids of the members that it surely names, one by one; nothing if it stands for an array."""
        if self.members is None or sum(map(len, self.members)) > MOST_MEMBERS:
            return []
        return [f"{self.array}_{number}" for numbers in self.members for number in numbers]


@lru_cache(maxsize=2**14)
def read_listed(text: str) -> JobId | None:
    """
    Read an id as a list or the history shows it.

    :param text: ``5``, ``5_1``, ``5_[2-9,11%4]``, ``5_[1-9:2]``, cut forms such as ``5_[7,9,...]`` and ``5_[7,9``, and
        any of them with something behind it.
    :return: ``None`` for what begins with no number, or with one that is no job's.
    """
    match = _LISTED.fullmatch(text)
    if not match:
        return None
    if match["member"]:
        number = int(match["member"])
        return JobId(match["array"], (range(number, number + 1),), rest=match["rest"])
    if match["inside"] is None:
        return JobId(match["array"], rest=match["rest"])
    # What stands behind the members was not cut off, and so they were not.
    is_short = len(text) - len(match["rest"]) <= LONGEST_WHOLE or "%" in match["inside"]
    members, is_whole = _surely_in(match["inside"], is_closed=bool(match["end"]) and is_short)
    return JobId(match["array"], members, is_bracket=True, is_whole=is_whole, rest=match["rest"])


@lru_cache(maxsize=2**14)
def read_named(text: str) -> JobId:
    """
    Read an id by which a job is to be deleted or waited for.

    :param text: ``5``, ``5_1`` or ``5_[2,9-11]``; also with what lists put into brackets, ``%4`` and ``1-9:2``.
    :raises ValueError: saying why it is none, and what to write instead.
    """
    match = _NAMED.fullmatch(text)
    if not match:
        raise ValueError("a job id is a number such as '197', or '5_1'. Hand over what the submission returned.")
    if match["member"]:
        number = int(match["member"])
        return JobId(match["array"], (range(number, number + 1),))
    if match["inside"] is None:
        return JobId(match["array"])
    return JobId(match["array"], _all_in(match["inside"], match["array"]), is_bracket=True)


def is_job_or_member(text: str) -> bool:
    """
    Tell whether a text is the id of a job, or of one member of an array, that can be deleted by it.

    :param text: what a submission was answered with.
    """
    match = _NAMED.fullmatch(text)
    return match is not None and match["inside"] is None


def is_one_member(text: str) -> bool:
    """
    Tell whether a list shows a single member of an array.

    :param text: its id there.
    """
    listed = read_listed(text)
    return listed is not None and listed.is_one_member and not listed.rest


def name_of(text: str) -> str:
    """
    Write an id as a scheduler's cancel command takes it: that refuses ``%4`` and ``1-9:2`` although lists show them,
    and everything else that is named beside them.

    :param text: an id, see :func:`read_named`.
    :raises ValueError: likewise.
    """
    if not read_named(text).is_bracket:
        return text
    array, _, inside = text.partition("_[")
    return f"{array}_[{','.join(map(_written, inside.rstrip(']').partition('%')[0].split(',')))}]"


def _all_in(inside: str, array: str) -> tuple[range, ...]:
    if not inside.endswith("]") or "..." in inside:
        raise ValueError(f"this list of members was cut. Name the array, '{array}', or the members, '{array}_7'.")
    numbers, percent, throttle = inside[:-1].partition("%")
    ranges = [_range(part) for part in numbers.split(",")]
    known = [numbers for numbers in ranges if numbers]
    if len(known) < len(ranges) or (percent and not throttle.isdecimal()):
        raise ValueError(f"members are written as '{array}_[2,9-11]'.")
    if sum(len(one) for one, part in zip(known, numbers.split(","), strict=True) if ":" in part) > MOST_WRITTEN_OUT:
        raise ValueError(f"these are too many members to be written out. Name the array, '{array}', or ranges.")
    return tuple(known)


def _surely_in(inside: str, *, is_closed: bool) -> tuple[tuple[range, ...], bool]:
    """The members that a bracket names for certain, and whether these are all. The last number may have been cut."""
    numbers, percent, throttle = inside.partition("%")
    parts = [part.strip() for part in numbers.split(",")]
    is_whole = is_closed and (not percent or throttle.isdecimal())
    if not is_closed and not percent:
        parts, last = parts[:-1], parts[-1]
        parts += [first] if (first := last.partition("-")[0]) != last else []
    ranges = [_range(part) for part in parts]
    return tuple(numbers for numbers in ranges if numbers), is_whole and None not in ranges


def _range(part: str) -> range | None:
    match = _RANGE.fullmatch(part)
    if not match:
        return None
    first = int(match["first"])
    return range(first, int(match["last"] or first) + 1, int(match["step"] or 1)) or None


def _meet(one: range, other: range) -> bool:
    """Whether they have a number in common; of two that go in steps, whether they may have."""
    if 1 not in (len(one), len(other)):
        return one[0] <= other[-1] and other[0] <= one[-1]
    return other[0] in one if len(other) == 1 else one[0] in other


def _written(part: str) -> str:
    return ",".join(map(str, _range(part) or ())) if ":" in part else part
