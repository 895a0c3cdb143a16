"""Names of jobs that say which task instance of Airflow each belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from airflow_provider_scnet.api.reference import is_nothing
from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.jobs.namespace import Namespace
from airflow_provider_scnet.wording import shown

LONGEST_OWN_PART = 32
"""Characters of the user's own name that are kept; schedulers and their tables cut long ones."""
_TAG_BITS = 60
_TAG_LENGTH = _TAG_BITS // 5
_TASK = rf"[a-z2-7]{{{_TAG_LENGTH}}}"
_HASH_LENGTH = 8
_HASH = rf"[a-z2-7]{{{_HASH_LENGTH}}}"
_NUMBER = r"\d{1,9}"
"""Bounded: a name of somebody else's job may hold digits without end, which Python refuses to read as a number."""
_NAME = re.compile(
    rf"(?:.*_)?(?P<tag>{_TASK})(?:_l(?P<iteration>{_HASH}))?(?:_m(?P<map_index>{_NUMBER}))?_g(?P<generation>{_NUMBER})"
    rf"(?:_t(?P<try_number>{_NUMBER})c(?P<clears>{_NUMBER})(?:a(?P<array_size>{_NUMBER}))?"
    rf"_s(?P<specification>{_HASH}))?",
    re.ASCII,
)
JOB_NAME = "GAP_JOB_NAME"
"""The member of a submission that holds the name."""


@dataclass(frozen=True)
class JobTag:
    """
    What the name of a job says of where it comes from. Map index and generation are legible in it, so that jobs of
    other generations of a task instance are recognised.

    :param task: stands for Airflow, DAG, run and task; 60 bits of a hash.
    :param map_index: which one of a mapped task, or -1.
    :param generation: stays the same over retries, and is nearly always another one after a clear.
    :param iteration: stands for one pass of a loop; 40 bits of a hash, empty outside of loops.
    :param specification: stands for command and resources; 40 bits of a hash, empty in names made by 0.2.0.
    :param try_number: the try that has submitted it; 0 in names made by 0.2.0. It makes no other tag.
    :param clears: how often any task of the run had been cleared by then. It makes no other tag.
    :param array_size: how many members the job has, for whoever waits and knows nothing else of it; 0 if it is no array
        or has a name made by 0.2.0. It makes no other tag.
    """

    task: str
    map_index: int
    generation: int
    iteration: str = ""
    specification: str = ""
    try_number: int = field(default=0, compare=False)
    clears: int = field(default=0, compare=False)
    array_size: int = field(default=0, compare=False)

    @classmethod
    def read(cls, name: str) -> Self | None:
        """
        Return the tag in the name of a job, if it is one of ours.

        :param name: as a list shows it.
        """
        match = _NAME.fullmatch(name.strip())
        if not match:
            return None
        return cls(
            match["tag"],
            int(match["map_index"] or -1),
            int(match["generation"]),
            match["iteration"] or "",
            match["specification"] or "",
            int(match["try_number"] or 0),
            int(match["clears"] or 0),
            int(match["array_size"] or 0),
        )

    def name(self, own: str) -> str:
        """
        Return the name of the job.

        :param own: what the user calls it.
        """
        safe = re.sub(r"[^A-Za-z0-9-]+", "_", own).strip("_")[:LONGEST_OWN_PART].strip("_")
        iteration = f"_l{self.iteration}" if self.iteration else ""
        member = f"_m{self.map_index}" if self.map_index >= 0 else ""
        size = f"a{self.array_size}" if self.array_size else ""
        submitted = f"_t{self.try_number}c{self.clears}{size}_s{self.specification}" if self.specification else ""
        return f"{safe or 'job'}_{self.task}{iteration}{member}_g{self.generation}{submitted}"

    def is_of_later_life(self, other: JobTag) -> bool:
        """
        Tell whether a clear lies between another job of the same task instance and this one. Tries only grow, but not
        so the generation: a clear makes a smaller one if ``retries`` were lowered before. It is all that 0.2.0 told.

        :param other: its tag.
        """
        if self.generation == other.generation:
            return False
        if self.try_number and other.try_number:
            return (self.try_number, self.generation) > (other.try_number, other.generation)
        return self.generation > other.generation

    @property
    def instance(self) -> tuple[str, str, int]:
        """The task instance, whatever generation."""
        return self.task, self.iteration, self.map_index


@dataclass(frozen=True)
class TaskTags:
    """
    What stands for a task of a run in the names of its jobs, whatever map index and generation.

    :param current: in those that are submitted now.
    :param earlier: in those that 0.2.0 has submitted; empty for runs that began since.
    """

    current: str
    earlier: str = ""

    @classmethod
    def of(cls, namespace: Namespace, *, dag_id: str, run_id: str, task_id: str, began: datetime | None) -> Self:
        """
        Return the tags of a task.

        :param began: when the DAG run began, with a time zone; ``None`` if that is not known.
        """
        earlier = task_tag(dag_id, run_id, task_id) if namespace.is_younger_than(began) else ""
        return cls(task_tag(dag_id, run_id, task_id, namespace.text), earlier)

    def __iter__(self) -> Iterator[str]:
        return iter(filter(None, (self.current, self.earlier)))


def task_tag(dag_id: str, run_id: str, task_id: str, namespace: str = "") -> str:
    """
    Return what stands for a task of a run in the names of its jobs.

    :param namespace: what the Airflow Variable ``scnet_namespace`` holds; empty: as 0.2.0 named jobs.
    """
    return _hashed(json.dumps([*filter(None, [namespace]), dag_id, run_id, task_id]), _TAG_LENGTH)


def iteration_tag(iteration: str) -> str:
    """Return what stands for one pass of a loop in the names of its jobs."""
    return _hashed(iteration, _HASH_LENGTH)


def specification_tag(members: Mapping[str, str]) -> str:
    """
    Return what stands for command and resources in the names of jobs.

    :param members: of a submission; the name among them does not count.
    """
    described = {member: text for member, text in members.items() if member != JOB_NAME}
    return _hashed(json.dumps(described, sort_keys=True), _HASH_LENGTH)


def read_task_tags(value: Any) -> list[str]:
    """
    Return what stands for tasks in the names of jobs.

    :param value: a text, separated by commas or blanks, or a sequence of them; nothing at all is none.
    :raises ScnetRequestError: if any of it is something else.
    """
    if is_nothing(value):
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise ScnetRequestError(f"job_tags={shown(value)}: must be texts such as 'k3m2x4a7pq5t'.")
    tags = list(dict.fromkeys(tag for text in texts for tag in re.split(r"[\s,]+", text) if tag))
    for tag in tags:
        if not re.fullmatch(_TASK, tag):
            named = JobTag.read(tag)
            hint = f" In this name it is {named.task!r}, which stands for all jobs of the task." if named else ""
            raise ScnetRequestError(
                f"job_tags: {shown(tag)} is no tag, which has {_TAG_LENGTH} letters a-z and digits 2-7.{hint}"
            )
    return tags


def _hashed(what: str, length: int) -> str:
    return base64.b32encode(hashlib.sha256(what.encode()).digest()).decode().lower()[:length]
