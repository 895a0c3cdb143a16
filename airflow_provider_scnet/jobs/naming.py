"""Names of jobs that say which task instance of Airflow each belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_scnet.api.reference import is_nothing
from airflow_provider_scnet.exceptions import ScnetRequestError

LONGEST_OWN_PART = 32
"""Characters of the user's own name that are kept; schedulers and their tables cut long ones."""
_TAG_BITS = 60
_TAG_LENGTH = _TAG_BITS // 5
_TASK = rf"[a-z2-7]{{{_TAG_LENGTH}}}"
_ITERATION_LENGTH = 8
_NAME = re.compile(
    rf"(?:.*_)?(?P<tag>{_TASK})(?:_l(?P<iteration>[a-z2-7]{{{_ITERATION_LENGTH}}}))?(?:_m(?P<map_index>\d{{1,9}}))?_g(?P<generation>\d{{1,9}})"
)


@dataclass(frozen=True)
class JobTag:
    """
    What the name of a job says of where it comes from. Map index and generation are legible in it, so that jobs of
    other generations of a task instance are recognised.

    :param task: stands for DAG, run and task; 60 bits of a hash.
    :param map_index: which one of a mapped task, or -1.
    :param generation: stays the same over retries, and is another one after a clear.
    :param iteration: stands for one pass of a loop; 40 bits of a hash, empty outside of loops.
    """

    task: str
    map_index: int
    generation: int
    iteration: str = ""

    @classmethod
    def of(
        cls, *, dag_id: str, run_id: str, task_id: str, map_index: int, generation: int, iteration: str | None = None
    ) -> Self:
        """
        Return the tag of a task instance.

        :param task_id: with the groups it is in.
        :param generation: ``max_tries`` of the task instance.
        :param iteration: what tells one pass of a loop from the others; ``None`` outside of loops.
        """
        passed = _hashed(iteration, _ITERATION_LENGTH) if iteration is not None else ""
        return cls(task_tag(dag_id, run_id, task_id), map_index, generation, passed)

    @classmethod
    def read(cls, name: str) -> Self | None:
        """
        Return the tag in the name of a job, if it is one of ours.

        :param name: as a list shows it.
        """
        match = _NAME.fullmatch(name.strip())
        if not match:
            return None
        return cls(match["tag"], int(match["map_index"] or -1), int(match["generation"]), match["iteration"] or "")

    def name(self, own: str) -> str:
        """
        Return the name of the job.

        :param own: what the user calls it.
        """
        safe = re.sub(r"[^A-Za-z0-9-]+", "_", own).strip("_")[:LONGEST_OWN_PART].strip("_")
        iteration = f"_l{self.iteration}" if self.iteration else ""
        member = f"_m{self.map_index}" if self.map_index >= 0 else ""
        return f"{safe or 'job'}_{self.task}{iteration}{member}_g{self.generation}"

    def is_of_same_instance(self, other: JobTag) -> bool:
        """
        Tell whether another job is of the same task instance, of whatever generation.

        :param other: its tag.
        """
        return self.instance == other.instance

    @property
    def instance(self) -> tuple[str, str, int]:
        """The task instance, whatever generation."""
        return self.task, self.iteration, self.map_index


def task_tag(dag_id: str, run_id: str, task_id: str) -> str:
    """Return what stands for a task of a run in the names of its jobs, whatever map index and generation."""
    return _hashed(json.dumps([dag_id, run_id, task_id]), _TAG_LENGTH)


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
        raise ScnetRequestError(f"job_tags={value!r}: must be texts such as 'k3m2x4a7pq5t'.")
    tags = list(dict.fromkeys(tag for text in texts for tag in re.split(r"[\s,]+", text) if tag))
    for tag in tags:
        if not re.fullmatch(_TASK, tag):
            named = JobTag.read(tag)
            hint = f" In this name it is {named.task!r}, which stands for all jobs of the task." if named else ""
            raise ScnetRequestError(
                f"job_tags: {tag!r} is no tag, which has {_TAG_LENGTH} letters a-z and digits 2-7.{hint}"
            )
    return tags


def _hashed(what: str, length: int) -> str:
    return base64.b32encode(hashlib.sha256(what.encode()).digest()).decode().lower()[:length]
