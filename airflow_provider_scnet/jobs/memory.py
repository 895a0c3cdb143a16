"""What a task instance remembers of its submission, where Airflow (3.3 and later) has a state store for tasks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.jobs.lives import Life
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.parsing import parse_jobs

KEY = "scnet_submission"


@dataclass(frozen=True)
class Memory:
    """
    What is remembered of one life.

    :param sent_at: when a submission was about to be sent last, in seconds since the epoch; ``None`` if none was.
    :param ref: what came of it; ``None`` if that is not known.
    :param killed: what deletes were sent of because the task was told to stop: no later try goes on with these.
    :param is_done: the try had nothing left to do but to succeed.
    """

    sent_at: float | None
    ref: JobRef | None = None
    killed: frozenset[JobRef] = frozenset()
    is_done: bool = False


def read_since(store: Any, tag: JobTag) -> int:
    """
    Return the try that is known to have begun the present life of a task instance; 0 if none is. Every submission is
    noted before it is sent, so that an empty store was dropped by a clear, as Airflow 3.4 does; and what was done needs
    no retry. Both count only if something in the run was cleared meanwhile.

    :param store: ``context["task_state_store"]``, or ``None``.
    :param tag: of what would be submitted now.
    """
    noted = _noted(store)
    named = JobTag.read(str(noted.get("name")))
    if store is not None and not noted and tag.clears:
        return tag.try_number
    if named is None or (named.instance, named.generation) != (tag.instance, tag.generation):
        return 0
    if noted.get("done") is True and named.clears != tag.clears:
        return tag.try_number
    since = noted.get("since")
    return since if isinstance(since, int) else 0


class Notebook:
    """
    Read and write it. Another life's notes are none of ours: Airflow keeps them over a clear, and may hand a mapped
    task those of another item.

    :param store: ``context["task_state_store"]``; ``None`` where there is none, and then nothing is remembered.
    :param life: of the task instance.
    :param logger: where to tell that what has happened cannot be written down.
    """

    def __init__(self, store: Any, life: Life, *, logger: Any) -> None:
        self._store = store
        self._life = life
        self._log = logger

    def read(self) -> Memory | None:
        """Return what is remembered of this life, if anything; whatever the store raises fails the try."""
        noted = _noted(self._store)
        named = JobTag.read(str(noted.get("name")))
        if named is None or not self._life.owns(named):
            return None
        sent_at = noted.get("sent_at")
        return Memory(
            float(sent_at) if isinstance(sent_at, int | float) else None,
            _ref(noted.get("ref")),
            frozenset(_refs(noted.get("killed"))),
            noted.get("done") is True,
        )

    def note_before(self, memory: Memory) -> None:
        """
        Take down what is to be known before anything is sent; whatever the store raises keeps it from being sent.

        :param memory: nothing sent yet, or about to be.
        """
        self._write(memory)

    def note_after(self, memory: Memory) -> None:
        """
        Take down what has happened, which nothing can undo: that it cannot be written is no reason to fail.

        :param memory: what came of it.
        """
        try:
            self._write(memory)
        except Exception as error:
            what = f"job {memory.ref}" if memory.ref else "what came of the submission"
            self._log.warning("Could not note %s in Airflow's state store (%s).", what, type(error).__name__)

    def note_killed(self, ref: JobRef) -> None:
        """
        Take down that a delete of the job was sent: whatever old lists say, no later try goes on with it.

        :param ref: the job.
        """
        self.note_after(Memory(time.time(), ref, self._killed() | {ref}))

    def note_done(self, ref: JobRef) -> None:
        """
        Take down that the task has nothing left to do but to succeed.

        :param ref: its job.
        """
        if self._store is not None:
            self.note_after(Memory(time.time(), ref, self._killed(), is_done=True))

    def _killed(self) -> frozenset[JobRef]:
        try:
            known = self.read()
        except Exception:  # as in `note_after`: then what was killed before that is forgotten
            known = None
        return known.killed if known else frozenset()

    def _write(self, memory: Memory) -> None:
        if self._store is not None:
            noted = {
                "sent_at": memory.sent_at,
                "ref": str(memory.ref or ""),
                "killed": sorted(str(ref) for ref in memory.killed),
                "done": memory.is_done,
            }
            self._store.set(KEY, {"name": self._life.tag.name("job"), "since": self._life.since, **noted})


def _noted(store: Any) -> dict[str, Any]:
    noted = store.get(KEY) if store is not None else None
    return noted if isinstance(noted, dict) else {}


def _refs(noted: Any) -> list[JobRef]:
    try:
        return parse_jobs(noted)
    except ScnetJobReferenceError:
        return []


def _ref(noted: Any) -> JobRef | None:
    refs = _refs(noted)
    return refs[0] if len(refs) == 1 else None
