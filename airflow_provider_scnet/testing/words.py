"""Slurm's words for a job's state, and how a service may write them."""

from __future__ import annotations

from typing import Literal

WordStyle = Literal["long", "short", "accounting"]

#: Ends after which a scheduler may start the job again.
REQUEUEABLE_STATES = {"BOOT_FAIL", "LAUNCH_FAILED", "NODE_FAIL", "PREEMPTED", "RECONFIG_FAIL", "REVOKED"}
ENDED_STATES = REQUEUEABLE_STATES | {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
SHORT_WORDS = {
    "BOOT_FAIL": "BF",
    "CANCELLED": "CA",
    "COMPLETED": "CD",
    "COMPLETING": "CG",
    "CONFIGURING": "CF",
    "DEADLINE": "DL",
    "FAILED": "F",
    "LAUNCH_FAILED": "LF",
    "NODE_FAIL": "NF",
    "OUT_OF_MEMORY": "OOM",
    "PENDING": "PD",
    "PREEMPTED": "PR",
    "RECONFIG_FAIL": "RF",
    "REQUEUED": "RQ",
    "REVOKED": "RV",
    "RUNNING": "R",
    "SUSPENDED": "S",
    "TIMEOUT": "TO",
}
#: No word of Slurm's: what becomes of a member of an array that is cancelled while it waits. Nothing tells of it.
VANISHED = "VANISHED"
#: Characters in a column of Slurm's accounting; longer words are cut there.
COLUMN = 10


def first_word(state: str) -> str:
    """
    Return a state without what follows it.

    :param state: Slurm's word; ``CANCELLED by 1000`` is one too.
    """
    return state.partition(" ")[0]


def is_terminal(state: str) -> bool:
    """
    Tell whether a Slurm state is a final one.

    :param state: Slurm's word; ``CANCELLED by 1000`` is one too.
    """
    return first_word(state) in ENDED_STATES or state == VANISHED


def is_requeueable(state: str) -> bool:
    """
    Tell whether a scheduler may start a job again that has ended so.

    :param state: Slurm's word.
    """
    return first_word(state) in REQUEUEABLE_STATES


def written(state: str, style: WordStyle) -> str:
    """
    Write a state.

    :param state: Slurm's word.
    :param style: ``long``: as it is; ``short``: ``CA``; ``accounting``: ``CANCELLED by 1001``, ``OUT_OF_ME+``.
    """
    if style == "short":
        return SHORT_WORDS.get(first_word(state), state)
    if style == "accounting":
        if first_word(state) == "CANCELLED":
            return state if " " in state else f"{state} by 1001"
        return state if len(state) <= COLUMN else f"{state[: COLUMN - 1]}+"
    return state
