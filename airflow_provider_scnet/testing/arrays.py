"""Ids of jobs and of the members of an array."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

#: A comma may stand only inside brackets: ``5_[2-9,11%4]`` is one id.
JOB_ID = r"(?:[^,:;\s\[]|\[[^:;\s\]]*\])+"
BRACKETS = re.compile(r"(\w+)_\[([\d,-]+)(?:%\d+)?\]")
SPAN = re.compile(r"(\d+)(?:-(\d+))?")


def array_of(job_id: str) -> str:
    """
    Return the id of the array that a job belongs to; of a job of its own: its id.

    :param job_id: ``5``, ``5_1`` or ``5_[2-9,11%4]``.
    """
    return job_id.partition("_")[0]


def is_cancellable(job_id: str) -> bool:
    """
    Tell whether Slurm's cancel command takes an id. It does not take all that a list shows in brackets, and refuses
    what is named beside it, too.

    :param job_id: as a delete names it.
    """
    return "[" not in job_id or (bool(BRACKETS.fullmatch(job_id)) and "%" not in job_id)


def member_ids(job_id: str) -> Iterator[str]:
    """
    Yield the ids of the members that an id stands for.

    :param job_id: ``5_[2-4]`` gives ``5_2``, ``5_3``, ``5_4``; any other id only itself.
    """
    match = BRACKETS.fullmatch(job_id)
    spans = [SPAN.fullmatch(part) for part in match[2].split(",")] if match else []
    if not match or not all(spans):
        yield job_id
        return
    for span in filter(None, spans):
        for number in range(int(span[1]), int(span[2] or span[1]) + 1):
            yield f"{match[1]}_{number}"


def rest_id(job_ids: Iterable[str]) -> str:
    """
    Return the id under which the members of an array are listed that wait.

    :param job_ids: ``5_2``, ``5_3``, ``5_4`` and ``5_9`` give ``5_[2-4,9]``.
    """
    array, numbers = "", list[int]()
    for job_id in job_ids:
        array, _, number = job_id.partition("_")
        numbers.append(int(number))
    spans: list[list[int]] = []
    for one in sorted(numbers):
        if spans and one == spans[-1][-1] + 1:
            spans[-1].append(one)
        else:
            spans.append([one])
    told = (str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans)
    return f"{array}_[{','.join(told)}]"
