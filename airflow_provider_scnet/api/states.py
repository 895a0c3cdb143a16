"""What SCNet's ``stat*`` codes and the scheduler's words say of a job's life."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What one look says of a job's life, as far as stopping it is concerned; the least finished comes first."""

    ACTIVE = "active"
    DOUBTFUL = "not known to be finished"
    INTERRUPTED = "interrupted, the scheduler may start it again"
    CLAIMED = "finished, says a code that may run ahead of the scheduler"
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
    "statC": ("完成 completed, failed or cancelled", Phase.CLAIMED),
    "statDE": ("取消 cancelled", Phase.CLAIMED),
    "statD": ("失败 failed", Phase.CLAIMED),
}
"""Code -> label and phase in live calls (API pages query-job and query-history-job; field reports beyond the eight)."""
_PAST = {
    **dict.fromkeys(("statC", "statDE", "statD", "statT"), Phase.ENDED),
    **dict.fromkeys(("statR", "statQ", "statH", "statS", "statW"), Phase.ACTIVE),
}
"""The same in the history, which lists what has ended. Whatever else it says may be an end that is taken back."""
_FINAL = {
    "COMPLETED": "CD",
    "CANCELLED": "CA",
    "FAILED": "F",
    "TIMEOUT": "TO",
    "OUT_OF_MEMORY": "OOM",
    "DEADLINE": "DL",
}
_INTERRUPTED = {
    "PREEMPTED": "PR",
    "NODE_FAIL": "NF",
    "BOOT_FAIL": "BF",
    "LAUNCH_FAILED": "LF",
    "REVOKED": "RV",
    "RECONFIG_FAIL": "",
}
_GOING_ON = {
    "COMPLETING": "CG",
    "CONFIGURING": "CF",
    "PENDING": "PD",
    "REQUEUED": "RQ",
    "REQUEUE_FED": "RF",
    "REQUEUE_HOLD": "RH",
    "RESIZING": "RS",
    "RESV_DEL_HOLD": "RD",
    "RUNNING": "R",
    "SIGNALING": "SI",
    "SPECIAL_EXIT": "SE",
    "STAGE_OUT": "SO",
    "STOPPED": "ST",
    "SUSPENDED": "S",
}
"""Slurm's words, long and short."""
_WORDS = {
    **dict.fromkeys(_FINAL, Phase.ENDED),
    **dict.fromkeys(_INTERRUPTED, Phase.INTERRUPTED),
    **dict.fromkeys(_GOING_ON, Phase.ACTIVE),
}
_SHORTEST_CUT = 5
"""Letters that a word which was cut (``OUT_OF_ME+``) must have left."""


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

    @property
    def is_on_its_way_out(self) -> bool:
        """Whether the scheduler, or else the code, says that the job is just ending."""
        if not self.word:
            return self.status == "statE"
        return self.word.upper() in ("COMPLETING", "CG") or self.word.upper().startswith("COMPLETI")

    def __str__(self) -> str:
        label = _STATUS.get(self.status, ("",))[0]
        return " ".join(filter(None, (self.status, label, self.word))) or self.phase.value


NOT_LISTED = JobState(Phase.NOT_LISTED)
"""SCNet does not list the job: it ended a while ago, or never existed there."""


def phase_of(status: str, word: str, *, past: bool = False) -> Phase:
    """
    Judge a job by what SCNet says of it. The scheduler's own word outranks the ``stat*`` code, which may lag behind it
    or run ahead; a word that nobody knows says nothing. A code that is unknown or whose meaning is disputed is no proof
    that the job ended.

    :param status: SCNet's ``stat*`` code, or nothing.
    :param word: the scheduler's own word or words, or nothing.
    :param past: whether the history says it.
    """
    meant = _phase_of_words(word) if word else Phase.DOUBTFUL
    if meant is not Phase.DOUBTFUL:
        return meant
    if past and (status or word):
        return _PAST.get(status, Phase.INTERRUPTED)
    return _STATUS.get(status, ("", Phase.DOUBTFUL))[1]


def least_finished(phases: Iterable[Phase]) -> Phase:
    """
    Return the phase that counts where several things are said of one job.

    :param phases: one or more.
    """
    said = set(phases)
    return next(phase for phase in Phase if phase in said)


def words_of(text: str) -> list[str]:
    """
    Return the scheduler's words, each in full and in capitals; one that nobody knows as it stands.

    :param text: one or several, for several flags may stand in one field (``NODE_FAIL REQUEUED``).
    """
    # Accounting writes who cancelled.
    text = re.sub(r"\bCANCELLED BY \d+", "CANCELLED", text.strip().upper())
    return [_in_full(word) for word in re.findall(r"[^\s,|;]+", text)]


def _in_full(word: str) -> str:
    """A word that was cut (``OUT_OF_ME+``) may be the beginning of several."""
    known = {**_FINAL, **_INTERRUPTED, **_GOING_ON}
    if word.endswith("+") and len(word) > _SHORTEST_CUT:
        meant = [name for name in known if name.startswith(word[:-1])]
        return meant[0] if len(meant) == 1 else word
    return next((name for name, short in known.items() if short == word), word)


def _phase_of_words(text: str) -> Phase:
    return least_finished(map(_phase_of_word, words_of(text) or [""]))


def _phase_of_word(word: str) -> Phase:
    """A word that nobody knows says nothing, so that the code decides."""
    if word.endswith("+") and len(word) > _SHORTEST_CUT:
        meant = [phase for known, phase in _WORDS.items() if known.startswith(word[:-1])]
        return least_finished(meant or [Phase.DOUBTFUL])
    return _WORDS.get(word, Phase.DOUBTFUL)
