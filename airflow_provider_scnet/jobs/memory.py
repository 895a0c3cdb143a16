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
    """

    sent_at: float | None
    ref: JobRef | None = None
    killed: frozenset[JobRef] = frozenset()


def read_since(store: Any, tag: JobTag) -> int:
    """
    Return the try that is noted to have begun the present life of a task instance; 0 if none is.

    :param store: ``context["task_state_store"]``, or ``None``.
    :param tag: of the task instance.
    """
    noted = _noted(store)
    named = JobTag.read(str(noted.get("name")))
    since = noted.get("since")
    is_ours = named and (named.instance, named.generation) == (tag.instance, tag.generation)
    return since if is_ours and isinstance(since, int) else 0


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
        try:
            known = self.read()
        except Exception:  # as below: then what was killed before that is forgotten
            known = None
        self.note_after(Memory(time.time(), ref, frozenset({ref, *(known.killed if known else ())})))

    def _write(self, memory: Memory) -> None:
        if self._store is not None:
            noted = {
                "sent_at": memory.sent_at,
                "ref": str(memory.ref or ""),
                "killed": sorted(str(ref) for ref in memory.killed),
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
