from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_scnet import exceptions
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetJobFailedError
from airflow_provider_scnet.jobs.outcome import NAMED_JOBS, Ending, Outcome, ending_of, error_of, worst

REF = JobRef("1638523853", "acexample01", "197")


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


def outcome(ending: Ending, job_id: str = "197", **parts: Any) -> Outcome:
    record = JobRecord(parts.pop("member", job_id), status="statC", **parts)
    return Outcome.of(JobRef(REF.scheduler_id, REF.user, job_id), {record: ending})


@pytest.mark.parametrize("is_final", [True, False])
@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (Ending.FAILED, "ScnetJobFailedError"),
        (Ending.TIME_LIMIT, "ScnetJobTimeLimitError"),
        (Ending.OUT_OF_MEMORY, "ScnetJobOutOfMemoryError"),
        (Ending.NODE_FAILURE, "ScnetJobNodeFailureError"),
        (Ending.CANCELLED, "ScnetJobCancelledError"),
        (Ending.PREEMPTED, "ScnetJobPreemptedError"),
    ],
)
def test_class_says_why(ending: Ending, name: str, is_final: bool) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    error = error_of([outcome(ending, word="X", reason="Why", exit_code="1:0")], is_final=is_final)
    assert isinstance(error, getattr(exceptions, name))
    assert type(error).__name__ == name
    assert isinstance(error, AirflowFailException) is is_final
    assert (error.ref, error.reason, error.exit_code) == (REF, "Why", "1:0")
    assert f"{ending.value} (statC 完成 completed, failed or cancelled X, reason Why, exit code 1:0)" in str(error)


def test_output_that_could_not_be_opened() -> None:
    assert "Does work_dir exist?" in str(error_of([outcome(Ending.FAILED, exit_code="0:53")], is_final=True))


def test_several_are_named() -> None:
    outcomes = [outcome(Ending.FAILED, str(number)) for number in range(1, NAMED_JOBS + 3)]
    error = error_of([*outcomes, outcome(Ending.TIME_LIMIT, "99")], is_final=True)
    assert isinstance(error, ScnetJobFailedError)
    assert error.ref == outcomes[0].ref
    assert f"{NAMED_JOBS + 3} jobs ended badly" in str(error)
    assert "and 3 more" in str(error)


def test_member_of_an_array_is_named() -> None:
    assert "member 500_3" in str(error_of([outcome(Ending.FAILED, "500", member="500_3")], is_final=True))


def test_outcome_travels_as_json() -> None:
    told = outcome(Ending.TIME_LIMIT, "500", member="500_3", reason="TimeLimit", exit_code="0:15", cores=4)
    assert Outcome.from_json(json.loads(json.dumps(told.as_json()))) == told
    assert told.log_ref.job_id == "500_3"


def test_outcome_of_an_array_is_that_of_its_worst_member() -> None:
    members = {JobRecord(f"500_{n}", cores=2): end for n, end in enumerate((Ending.COMPLETED, Ending.FAILED))}
    told = Outcome.of(REF, members)
    assert (told.ending, told.job_id, told.usage["cores"]) == (Ending.FAILED, "500_1", 4)


def test_record_always_has_the_same_keys() -> None:
    keys = set(outcome(Ending.COMPLETED).as_record())
    assert keys == set(outcome(Ending.FAILED, reason="X", exit_code="1:0", queue="debug").as_record())
    assert keys >= {"ref", "ending", "state", "reason", "exit_code", "queue", "core_hours", "submitted_at"}
