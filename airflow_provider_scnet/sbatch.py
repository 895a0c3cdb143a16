"""
What ``sbatch`` says where SCNet reports ``815007``: most of it refuses the job, but some of it says that the queue is
full, and some that ``sbatch`` itself had no answer from the scheduler.
"""

from __future__ import annotations

import re
from enum import Enum


class Verdict(Enum):
    """What a text of ``sbatch`` means for the job."""

    UNKNOWN = "unknown"
    """Nobody knows whether the scheduler has taken it."""
    QUEUE_FULL = "queue full"
    """The scheduler takes no more jobs for now."""
    REFUSED = "refused"
    """The scheduler will not take this job."""


TEXTS: dict[str, Verdict] = {
    # While it sends the job or waits for the answer (slurm_errno.c, "General Message", "slurmctld", "socket specific").
    "unable to contact slurm controller": Verdict.UNKNOWN,
    "timed out": Verdict.UNKNOWN,  # Socket timed out on send/recv operation; Connection timed out
    "zero bytes were transmitted or received": Verdict.UNKNOWN,
    "received zero length message": Verdict.UNKNOWN,
    "failed to send entire message": Verdict.UNKNOWN,
    "message send failure": Verdict.UNKNOWN,
    "message receive failure": Verdict.UNKNOWN,
    "communication connection failure": Verdict.UNKNOWN,
    "communication shutdown failure": Verdict.UNKNOWN,
    "unexpected message received": Verdict.UNKNOWN,
    "unexpected missing socket": Verdict.UNKNOWN,
    "header lengths are longer than data received": Verdict.UNKNOWN,
    "insane message length": Verdict.UNKNOWN,
    # The answer that cannot be verified or read may be the one that names the job.
    "protocol authentication error": Verdict.UNKNOWN,
    "invalid authentication credential": Verdict.UNKNOWN,
    "incompatible versions of client and server code": Verdict.UNKNOWN,
    # The controller is busy, starting or changing places. `sbatch` tries by itself for two minutes (sbatch.c).
    "temporarily unable to accept job": Verdict.UNKNOWN,
    "job creation temporarily disabled": Verdict.UNKNOWN,
    "rate limit exceeded": Verdict.UNKNOWN,
    "in standby mode": Verdict.UNKNOWN,
    "could not establish a configuration source": Verdict.UNKNOWN,
    # What the C library calls a connection that fails.
    "resource temporarily unavailable": Verdict.UNKNOWN,
    "transport endpoint is not connected": Verdict.UNKNOWN,
    "connection refused": Verdict.UNKNOWN,
    "connection reset by peer": Verdict.UNKNOWN,
    "software caused connection abort": Verdict.UNKNOWN,
    "broken pipe": Verdict.UNKNOWN,
    "no route to host": Verdict.UNKNOWN,
    "network is unreachable": Verdict.UNKNOWN,
    "interrupted system call": Verdict.UNKNOWN,
    # Too many jobs, of everybody's. Of one's own, see below.
    "slurm job queue full": Verdict.QUEUE_FULL,
    "maxjobcount limit reached": Verdict.QUEUE_FULL,
    "unable to create job record": Verdict.QUEUE_FULL,
}
"""Parts of Slurm's own texts, in small letters. Where several are found, those that leave the effect open count."""

POLICY = "job violates accounting/qos policy (job submit limit"
"""
Too many jobs, or one that is too large or too long: the line before it says which (``QOSMaxSubmitJobPerUserLimit``).
Where that is cut off, it may be the former, which passes.
"""
_LIMIT = re.compile(r"\b(?:QOS|Assoc)[A-Za-z]{3,}", re.IGNORECASE)
_SUBMIT_LIMIT = re.compile(r"\b(?:QOS|Assoc)[A-Za-z]*Submit[A-Za-z]*Limit\b", re.IGNORECASE)
"""How schedulers spell that somebody has too many jobs waiting and running."""


def verdict(text: str) -> Verdict:
    """
    Read what ``sbatch`` said.

    :param text: one line or several, of whatever case.
    """
    flat = " ".join(text.lower().split())
    found = {meaning for part, meaning in TEXTS.items() if part in flat}
    if Verdict.UNKNOWN in found:
        return Verdict.UNKNOWN
    is_too_many = _SUBMIT_LIMIT.search(text) or is_ambiguous(text)
    return Verdict.QUEUE_FULL if found or is_too_many else Verdict.REFUSED


def is_ambiguous(text: str) -> bool:
    """Tell whether a text stands for too many jobs or for one that is too large, and does not say for which."""
    return POLICY in " ".join(text.lower().split()) and not _LIMIT.search(text)
