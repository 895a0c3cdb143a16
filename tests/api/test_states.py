from __future__ import annotations

import pytest

from airflow_provider_scnet.api.states import NOT_LISTED, Phase, phase_of


def test_not_listed() -> None:
    assert NOT_LISTED.phase is Phase.NOT_LISTED
    assert str(NOT_LISTED) == "not listed"


@pytest.mark.parametrize(
    ("status", "word", "phase"),
    [
        ("statR", "", Phase.ACTIVE),
        ("statC", "", Phase.ENDED),
        ("statX", "", Phase.DOUBTFUL),
        ("", "", Phase.DOUBTFUL),
        ("statC", "COMPLETING", Phase.ACTIVE),
        ("statR", "CANCELLED by 1001", Phase.ENDED),
    ],
)
def test_word_outranks_code(status: str, word: str, phase: Phase) -> None:
    assert phase_of(status, word) is phase
