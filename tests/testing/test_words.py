from __future__ import annotations

import pytest

from airflow_provider_scnet.testing.words import (
    ENDED_STATES,
    REQUEUEABLE_STATES,
    SHORT_WORDS,
    is_requeueable,
    is_terminal,
    written,
)


@pytest.mark.parametrize(
    ("state", "terminal"),
    [("RUNNING", False), ("COMPLETING", False), ("FAILED", True), ("CANCELLED by 1000", True)],
)
def test_terminal_states(state, terminal):
    assert is_terminal(state) is terminal


def test_states_that_may_be_left_again():
    assert is_requeueable("NODE_FAIL REQUEUED")
    assert not any(map(is_requeueable, ["CANCELLED by 1000", "RUNNING", "FAILED"]))
    assert REQUEUEABLE_STATES < ENDED_STATES < set(SHORT_WORDS)


def test_no_two_words_are_short_for_the_same():
    assert len(set(SHORT_WORDS.values())) == len(SHORT_WORDS)


@pytest.mark.parametrize(
    ("state", "short", "accounting"),
    [
        ("RUNNING", "R", "RUNNING"),
        ("COMPLETED", "CD", "COMPLETED"),
        ("COMPLETING", "CG", "COMPLETING"),
        ("CANCELLED", "CA", "CANCELLED by 1001"),
        ("CANCELLED by 7", "CA", "CANCELLED by 7"),
        ("OUT_OF_MEMORY", "OOM", "OUT_OF_ME+"),
        ("CONFIGURING", "CF", "CONFIGURI+"),
        ("STAGE_OUT", "STAGE_OUT", "STAGE_OUT"),
    ],
)
def test_styles(state, short, accounting):
    assert [written(state, style) for style in ("long", "short", "accounting")] == [state, short, accounting]
