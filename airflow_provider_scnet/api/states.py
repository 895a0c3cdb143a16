"""What SCNet's ``stat*`` codes and the scheduler's words say of a job's life."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What can be said of a job's life, as far as stopping it is concerned."""

    ACTIVE = "active"
    DOUBTFUL = "not known to be finished"
    ENDED = "ended"
    NOT_LISTED = "not listed"


_STATUS = {
    "statR": ("运行 running", Phase.ACTIVE),
    "statQ": ("排队 queued", Phase.ACTIVE),
    "statH": ("保留 held", Phase.ACTIVE),
    "statS": ("挂起 suspended", Phase.ACTIVE),
    "statW": ("等待 waiting", Phase.ACTIVE),
    "statRQ": ("重新运行 requeued", Phase.ACTIVE),
    # Clients disagree about these: exiting or failed, in transit or timed out, ...
    "statE": ("退出 exiting", Phase.DOUBTFUL),
    "statX": ("其他 other", Phase.DOUBTFUL),
    "statT": ("超时 timed out or in transit", Phase.DOUBTFUL),
    "statN": ("节点异常 node failure", Phase.DOUBTFUL),
    "statEX": ("异常 abnormal", Phase.DOUBTFUL),
    "statC": ("完成 completed, failed or cancelled", Phase.ENDED),
    "statDE": ("取消 cancelled", Phase.ENDED),
    "statD": ("失败 failed", Phase.ENDED),
}
"""Code -> label and phase (API pages query-job and query-history-job; field reports for those beyond the eight)."""
_TERMINAL_WORDS = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "BOOT_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "DEADLINE",
)


@dataclass(frozen=True)
class JobState:
    """
    What SCNet last said of one job.

    :param phase: what follows for us.
    :param status: SCNet's ``stat*`` code; empty if the job is not listed.
    :param word: the scheduler's own word (``JobState``), if it was given.
    :param owner: the cluster user the job is listed under, if it was given.
    """

    phase: Phase
    status: str = ""
    word: str = ""
    owner: str = ""

    def __str__(self) -> str:
        label = _STATUS.get(self.status, ("",))[0]
        return " ".join(filter(None, (self.status, label, self.word))) or self.phase.value


NOT_LISTED = JobState(Phase.NOT_LISTED)
"""SCNet does not list the job: it ended a while ago, or never existed there."""


def phase_of(status: str, word: str) -> Phase:
    """
    Judge a job by what SCNet says of it. The scheduler's own word outranks the ``stat*`` code, which lags behind it. A
    code that is unknown or whose meaning is disputed is no proof that the job ended.

    :param status: SCNet's ``stat*`` code, or nothing.
    :param word: the scheduler's own word, or nothing.
    """
    if word:
        return Phase.ENDED if word.upper().startswith(_TERMINAL_WORDS) else Phase.ACTIVE
    return _STATUS.get(status, ("", Phase.DOUBTFUL))[1]
