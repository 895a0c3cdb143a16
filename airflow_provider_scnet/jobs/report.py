"""What became of the jobs of a deletion, for the task's XCom and for the reader of its error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_scnet.api.reference import JobRef, to_wire
from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.wording import counted

NAMED_JOBS = 20
"""Jobs that are given a line of their own in a message."""


@dataclass(frozen=True)
class LeftJob:
    """
    A job that is not known to have ended.

    :param state: what it was last seen as.
    :param error: the last error that concerned it, if there was one.
    """

    ref: JobRef
    state: JobState
    error: ScnetError | None

    def __str__(self) -> str:
        owner = f", listed under user {self.state.owner}" if self.state.owner not in ("", self.ref.user) else ""
        return f"{self.ref}  {self.state}{owner}{f'; last error: {self.error}' if self.error else ''}"


@dataclass
class DeletionReport:
    """
    What became of the jobs, in the order they were given.

    :param deleted: seen in the live list, and seen to have ended.
    :param gone: not in the live list (any more): its end is in the history, or SCNet knows nothing of it.
    :param accepted: SCNet accepted the request; nobody looked (``verify=False``).
    :param left: not known to have ended; empty unless the deletion raised an error.
    """

    deleted: list[JobRef] = field(default_factory=list)
    gone: list[JobRef] = field(default_factory=list)
    accepted: list[JobRef] = field(default_factory=list)
    left: list[LeftJob] = field(default_factory=list)

    def as_xcom(self) -> dict[str, list[str]]:
        """Return the report in JSON types, without ``left``."""
        return {
            "deleted": [str(ref) for ref in self.deleted],
            "gone": [str(ref) for ref in self.gone],
            "accepted": [str(ref) for ref in self.accepted],
        }

    def __str__(self) -> str:
        counts = {
            "deleted": len(self.deleted),
            "gone": len(self.gone),
            "accepted": len(self.accepted),
            "left": len(self.left),
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no job"


def report_of_nothing(refs: Iterable[JobRef]) -> DeletionReport:
    """Return the report of a deletion that could not even begin."""
    return DeletionReport(left=[LeftJob(ref, JobState(Phase.DOUBTFUL), None) for ref in refs])


def account_of_left(report: DeletionReport, total: int, elapsed: float, *, advice: str) -> str:
    """
    Write the message of an error about jobs that are left. Its first line alone says how many and what to do; every one
    is named, the first with state and reason.

    :param total: how many jobs were to be deleted.
    :param elapsed: seconds the deletion took.
    :param advice: what the reader should do.
    """
    left = report.left
    are = f"of {counted(total, 'job')} {'is' if len(left) == 1 else 'are'}"
    lines = [
        f"{len(left)} {are} not known to have ended after {elapsed:.0f} s ({report}) and may burn core-hours. {advice}",
        *(f"  {job}" for job in left[:NAMED_JOBS]),
    ]
    if len(left) > NAMED_JOBS:
        lines.append(f"  and {len(left) - NAMED_JOBS} more: {to_wire(job.ref for job in left[NAMED_JOBS:])}")
    return "\n".join(lines)
