from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.outcome import Ending, Outcome
from airflow_provider_scnet.triggers import events
from airflow_provider_scnet.triggers.events import Status

GOOD = Outcome.of(JobRef("1", "u", "1"), {JobRecord("1"): Ending.COMPLETED}).as_json()


def sent(event: dict[str, Any]) -> dict[str, Any]:
    """As Airflow's database hands it over."""
    told: dict[str, Any] = json.loads(json.dumps(event))
    return told


def test_what_is_expected() -> None:
    assert events.read(sent(events.ended(["a"], [])), Status.ENDED, Status.TIMEOUT) is Status.ENDED
    assert events.read(sent(events.timeout(["a"])), Status.ENDED, Status.TIMEOUT) is Status.TIMEOUT
    assert events.read(sent(events.deleted({"deleted": []})), Status.DELETED) is Status.DELETED


@pytest.mark.parametrize("event", [None, {}, {"status": "success"}, {"status": "timeout"}, {"status": None}, "ended"])
def test_all_else_is_no_success(event: Any) -> None:
    with pytest.raises(ScnetError, match="which this version of the provider does not know"):
        events.read(event, Status.ENDED)


def test_error_keeps_class_and_text() -> None:
    error = ScnetJobsNotDeletedError("1 of 2 jobs is left.", remedy="Run it again.", code="10012")
    with pytest.raises(ScnetJobsNotDeletedError, match=r"1 of 2 jobs is left\. Run it again\.") as told:
        events.read(sent(events.failed(error)), Status.DELETED)
    assert told.value.code == "10012"


def test_error_that_a_retry_cannot_help_stays_one() -> None:
    with pytest.raises(ScnetCredentialError):
        events.read(sent(events.failed(ScnetCredentialError("expired"))), Status.ENDED)


@pytest.mark.parametrize("kind", ["KeyError", "ErrorCode", "quote", "__doc__", "Any"])
def test_foreign_error(kind: str) -> None:
    error = type(kind, (Exception,), {})("Port could not be cast to integer value as 'pa55word'")
    with pytest.raises(ScnetError, match=kind) as told:
        events.read(sent(events.failed(error)), Status.ENDED)
    assert type(told.value) is ScnetError
    assert "pa55word" not in str(told.value)


def test_ended_is_no_success_where_a_job_is_not_accounted_for() -> None:
    for event in ({"jobs": ["1,u:1:"], "outcomes": []}, {"jobs": ["1,u:1:", "1,u:2:"], "outcomes": [GOOD]}):
        with pytest.raises(ScnetError, match="does not say how these jobs ended"):
            events.outcomes_of(event)
    assert len(events.outcomes_of({"jobs": ["1,u:1:"], "outcomes": [GOOD]})) == 1


def test_error_of_a_class_that_is_not_public() -> None:
    with pytest.raises(ScnetTransientError, match="away"):
        events.read(sent(events.failed(NeverSentError("away"))), Status.ENDED)


@pytest.mark.parametrize(
    ("event", "is_earlier"),
    [(None, False), ({}, False), ({"try_number": None}, False), ({"try_number": 2}, False), ({"try_number": 1}, True)],
)
def test_event_of_an_earlier_try(event: Any, is_earlier: bool) -> None:
    assert events.is_of_earlier_try(event, 2) is is_earlier
