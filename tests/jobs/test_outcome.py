from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.jobs.outcome import Ending, ending_of, worst


def record(word: str = "", status: str = "", **parts: Any) -> JobRecord:
    return JobRecord("1", word=word, status=status, **parts)


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("COMPLETED", Ending.COMPLETED),
        ("CD", Ending.COMPLETED),
        ("completed", Ending.COMPLETED),
        ("FAILED", Ending.FAILED),
        ("CANCELLED by 1001", Ending.CANCELLED),
        ("CANCELLED+", Ending.CANCELLED),
        ("TIMEOUT", Ending.TIME_LIMIT),
        ("DEADLINE", Ending.TIME_LIMIT),
        ("OUT_OF_ME+", Ending.OUT_OF_MEMORY),
        ("NODE_FAIL", Ending.NODE_FAILURE),
        ("BOOT_FAIL", Ending.NODE_FAILURE),
        ("PREEMPTED", Ending.PREEMPTED),
        ("FAILED COMPLETED", Ending.FAILED),
        ("COMPLETING", None),
        ("COMPLET+", None),
        ("NODE_FAIL REQUEUED", None),
        ("RUNNING", None),
        ("WHATEVER", None),
        ("", None),
    ],
)
def test_word_outranks_the_code(word: str, ending: Ending | None) -> None:
    assert ending_of(record(word, "statR" if ending else "statC")) is ending


@pytest.mark.parametrize("status", ["statC", "statD", "statDE", "statT", "statN", "statR", ""])
def test_live_code_alone_says_nothing(status: str) -> None:
    assert ending_of(record(status=status)) is None


@pytest.mark.parametrize(
    ("status", "accounting_code", "ending"),
    [
        ("statC", 0, Ending.COMPLETED),
        ("statC", 10005, Ending.FAILED),
        ("statC", None, None),
        ("statD", 0, Ending.FAILED),
        ("statT", 10006, Ending.TIME_LIMIT),
        ("statDE", 0, Ending.CANCELLED),
        ("statN", 0, Ending.NODE_FAILURE),
        ("statRQ", 0, None),
        ("statR", 0, None),
        ("statWhat", 0, None),
    ],
)
def test_code_of_the_history(status: str, accounting_code: int | None, ending: Ending | None) -> None:
    assert ending_of(record(status=status, accounting_code=accounting_code, past=True)) is ending


def test_worst() -> None:
    assert worst({Ending.COMPLETED, Ending.CANCELLED, Ending.FAILED}) is Ending.FAILED
    assert worst(set()) is None
