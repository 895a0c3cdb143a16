"""Texts of Slurm's own sources (slurm_errno.c, sbatch.c), as they come out of `sbatch`."""

from __future__ import annotations

import pytest

from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetQueueFullError,
    ScnetSubmitRejectedError,
    ScnetTransientError,
    error_from_code,
)
from airflow_provider_scnet.sbatch import TEXTS, Verdict, is_ambiguous, verdict

FAILED = "sbatch: error: Batch job submission failed:"
POLICY = f"{FAILED} Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
UNKNOWN = [
    f"{FAILED} Socket timed out on send/recv operation",
    f"{FAILED} Unable to contact slurm controller (connect failure)",
    f"{FAILED} Unable to contact slurm controller (receive failure)",
    f"{FAILED} Unexpected message received",
    f"{FAILED} Zero Bytes were transmitted or received",
    f"{FAILED} Transport endpoint is not connected",
    f"{FAILED} Resource temporarily unavailable",
    f"{FAILED} Connection timed out",
    f"{FAILED} Connection refused",
    f"{FAILED} Connection reset by peer",
    f"{FAILED} Message receive failure",
    f"{FAILED} Header lengths are longer than data received",
    f"{FAILED} Protocol authentication error",
    f"{FAILED} Rate limit exceeded, please retry momentarily",
    f"{FAILED} Slurm backup controller in standby mode",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
    "SBATCH: ERROR: BATCH JOB SUBMISSION FAILED: SOCKET TIMED\nOUT ON  SEND/RECV OPERATION",
    # An earlier attempt of sbatch's own, then a refusal: that attempt may have worked.
    f"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n{FAILED} Invalid qos specification",
    f"{POLICY}\n{FAILED} Socket timed out on send/recv operation",
]
FULL = [
    "sbatch: error: QOSMaxSubmitJobPerUserLimit",
    f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}",
    "QOSGrpSubmitJobsLimit",
    POLICY,
    "sbatch: error: Slurm job queue full, sleeping and retrying",
    f"{FAILED} Unable to create job record, try again",
    f"{FAILED} MaxJobCount limit reached",
]
REFUSED = [
    "",
    "sbatch: error: invalid partition specified: gone",
    f"{FAILED} Invalid partition name specified",
    f"{FAILED} Requested time limit is invalid (missing or exceeds some limit)",
    f"{FAILED} Requested node configuration is not available",
    f"{FAILED} Access/permission denied",
    f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}",
    f"sbatch: error: AssocMaxCpuPerJobLimit\n{POLICY}",
    f"sbatch: error: QOSMinGRES\n{POLICY}",
    "Job submission failed because too much memory was requested relative to the number of CPUs requested.",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_no_answer_from_the_scheduler(text: str) -> None:
    assert verdict(text) is Verdict.UNKNOWN
    for said in ({"msg": text, "data": None}, {"msg": "error", "data": text}):
        error = of(**said)
        assert type(error) is ScnetTransientError
        assert (error.answered, error.without_effect) == (True, False)
        assert "look for the job before submitting it again" in str(error)
        assert "sbatch had no answer" in str(error)


@pytest.mark.parametrize("text", FULL)
def test_full_queue(text: str) -> None:
    assert verdict(text) is Verdict.QUEUE_FULL
    error = of(text)
    assert type(error) is ScnetQueueFullError
    assert error.without_effect
    assert is_ambiguous(text) == ("ask for less" in str(error)) == (text == POLICY)


@pytest.mark.parametrize("text", REFUSED)
def test_refusal(text: str) -> None:
    assert verdict(text) is Verdict.REFUSED
    error = of(text)
    assert type(error) is ScnetSubmitRejectedError
    assert error.without_effect


def test_texts_are_written_as_they_are_compared() -> None:
    for text, meaning in TEXTS.items():
        assert text == " ".join(text.lower().split())
        assert verdict(f"sbatch: error: {text.upper()}.") is meaning


def of(msg: str, data: object = None) -> ScnetError:
    return error_from_code("815007", msg=msg, data=data, call="POST /job", connection="scnet_default")
