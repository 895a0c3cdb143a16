"""Jobs that one task instance has submitted more than once: which of them counts, and which are to be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.search import TaggedJob


@dataclass(frozen=True)
class Origin:
    """
    The task instance that has submitted a job, and waits for it.

    :param tag: of the task instance, in its present life.
    :param dismissed: other jobs of it that are known not to count: they were submitted before a clear, have ended, or
        were deleted, whatever a list that lags may still show.
    :param array_size: how many members the job must have; ``None`` if that is not known.
    """

    tag: JobTag
    dismissed: frozenset[JobRef] = frozenset()
    array_size: int | None = None


Followed = Mapping[JobRef, Origin | None]
"""Jobs that are waited for, and where each comes from, if its duplicates are to be found."""


def choose(origin: Origin, ours: JobRef, jobs: Iterable[TaggedJob]) -> JobRef:
    """
    Return the job that a wait goes on with. Several waits with the same identity, a lost worker's beside that of its
    retry, or those of two copies of a metadata database, must come to the same choice: the oldest by its number, which
    a requeue does not move. They may have no state store in common, so that it is not asked.

    :param ours: the job that is waited for.
    :param jobs: of the same task instance that go on.
    """
    rivals = [job for job in jobs if job.tag == origin.tag and job.ref not in origin.dismissed]
    older = [job for job in rivals if job.number < number_of(ours) and not job.is_on_its_way_out]
    return min(older, key=lambda job: job.number).ref if older else ours


def surplus(origin: Origin, chosen: JobRef, jobs: Iterable[TaggedJob]) -> list[TaggedJob]:
    """
    Return the jobs that must not go on beside the chosen one. While that one goes on, these are all others; once it has
    ended, a younger one may be the next try's. One of a later generation never is: then it is the wait that has
    outlived its time.

    :param jobs: of the same task instance that go on, the chosen one among them if it does.
    """
    listed = list(jobs)
    goes_on = any(job.ref == chosen for job in listed)
    return [
        job
        for job in listed
        if job.ref != chosen
        and job.tag.generation <= origin.tag.generation
        and (goes_on or job.number < number_of(chosen) or job.tag.generation < origin.tag.generation)
    ]


def number_of(ref: JobRef) -> int:
    """Return the number of a job, or of the array that it is a member of."""
    return ref.number
