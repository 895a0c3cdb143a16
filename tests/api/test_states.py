from __future__ import annotations

import pytest

from airflow_provider_scnet.api.states import NOT_LISTED, Phase, least_finished, phase_of


def test_not_listed() -> None:
    assert NOT_LISTED.phase is Phase.NOT_LISTED
    assert str(NOT_LISTED) == "not listed"


@pytest.mark.parametrize(
    ("status", "word", "phase"),
    [
        ("statR", "", Phase.ACTIVE),
        ("statC", "", Phase.CLAIMED),
        ("statX", "", Phase.DOUBTFUL),
        ("", "", Phase.DOUBTFUL),
        ("statC", "COMPLETING", Phase.ACTIVE),
        ("statR", "CANCELLED by 1001", Phase.ENDED),
    ],
)
def test_word_outranks_code(status: str, word: str, phase: Phase) -> None:
    assert phase_of(status, word) is phase


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.ENDED, "COMPLETED CANCELLED FAILED TIMEOUT OUT_OF_MEMORY DEADLINE completed"),
        (Phase.ENDED, "CD CA F TO OOM DL OUT_OF_ME+ CANCELLED+ DEADLI+ TIMEO+"),
        (Phase.INTERRUPTED, "PREEMPTED NODE_FAIL BOOT_FAIL LAUNCH_FAILED REVOKED RECONFIG_FAIL"),
        (Phase.INTERRUPTED, "PR NF BF LF RV NODE_FA+ PREEMPT+ RECONFIG+"),
        (Phase.ACTIVE, "RUNNING PENDING COMPLETING CONFIGURING SUSPENDED REQUEUED SPECIAL_EXIT STOPPED"),
        (Phase.ACTIVE, "R PD CG CF S RQ RF RH SE ST"),
        # What might be the beginning of several words, or of none, and words that only begin like a final one.
        (Phase.ACTIVE, "COMPLET+ COMPLETI+ REQUEU+ CONFIGURI+"),
        (Phase.CLAIMED, "FAIL+ CD+ + ++ XYZZY+ COMPLETED_NOT FAILED2 ? COMPLETE"),
    ],
)
def test_words_are_compared_as_wholes(phase: Phase, words: str) -> None:
    for word in words.split():
        assert phase_of("statC", word) is phase, word


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        ("CANCELLED by 1001", Phase.ENDED),
        ("CANCELLED by somebody", Phase.CLAIMED),
        ("NODE_FAIL REQUEUED", Phase.ACTIVE),
        ("NODE_FAIL COMPLETED", Phase.INTERRUPTED),
        ("COMPLETED,COMPLETED", Phase.ENDED),
        ("COMPLETED|RUNNING", Phase.ACTIVE),
        ("CANCELLED by 1001 REQUEUED", Phase.ACTIVE),
        (", |", Phase.CLAIMED),
    ],
)
def test_of_several_words_the_least_finished_counts(words: str, phase: Phase) -> None:
    assert phase_of("statC", words) is phase


@pytest.mark.parametrize(
    ("status", "phase", "past"),
    [
        ("statR", Phase.ACTIVE, Phase.ACTIVE),
        ("statC", Phase.CLAIMED, Phase.ENDED),
        ("statT", Phase.DOUBTFUL, Phase.ENDED),
        ("statX", Phase.DOUBTFUL, Phase.INTERRUPTED),
        ("", Phase.DOUBTFUL, Phase.INTERRUPTED),
    ],
)
def test_word_that_nobody_knows_leaves_it_to_the_code(status: str, phase: Phase, past: Phase) -> None:
    for word in ("N/A", "COMPLETED (0)", "CANCELLED by root"):
        assert phase_of(status, word) is phase
        assert phase_of(status, word, past=True) is past


def test_least_finished() -> None:
    assert [least_finished([phase, Phase.NOT_LISTED]) for phase in Phase] == list(Phase)
    assert least_finished([Phase.ENDED, Phase.CLAIMED, Phase.INTERRUPTED]) is Phase.INTERRUPTED
