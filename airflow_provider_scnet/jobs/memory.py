"""What a task instance remembers of its submission, where Airflow (3.3 and later) has a state store for tasks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.parsing import parse_jobs

KEY = "scnet_submission"


@dataclass(frozen=True)
class Memory:
    """
    What is remembered of one generation.

    :param sent_at: when a submission was about to be sent last, in seconds since the epoch; ``None`` if none was.
    :param ref: what came of it; ``None`` if that is not known.
    :param killed: what deletes were sent of because the task was told to stop: no later try goes on with these.
    """

    sent_at: float | None
    ref: JobRef | None = None
    killed: frozenset[JobRef] = frozenset()


class Notebook:
    """
    Read and write it. Another generation's notes are none of ours: Airflow keeps them over a clear, and may hand a
    mapped task those of another item.

    :param store: ``context["task_state_store"]``; ``None`` where there is none, and then nothing is remembered.
    :param name: the job's, which tells task instance and generation.
    :param logger: where to tell that what has happened cannot be written down.
    """

    def __init__(self, store: Any, name: str, *, logger: Any) -> None:
        self._store = store
        self._name = name
        self._log = logger

    def read(self) -> Memory | None:
        """Return what is remembered of this generation, if anything; whatever the store raises fails the try."""
        noted = self._store.get(KEY) if self._store is not None else None
        if not isinstance(noted, dict) or JobTag.read(str(noted.get("name"))) != JobTag.read(self._name):
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
            self._store.set(KEY, {"name": self._name, **noted})


def _refs(noted: Any) -> list[JobRef]:
    try:
        return parse_jobs(noted)
    except ScnetJobReferenceError:
        return []


def _ref(noted: Any) -> JobRef | None:
    refs = _refs(noted)
    return refs[0] if len(refs) == 1 else None
