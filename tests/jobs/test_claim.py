"""Since when something has been said of a job."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.jobs.claim import Claim, Past
from airflow_provider_scnet.jobs.sighting import Read, Sighting

NOW = 1_800_000_000.0
LONG_AGO = float("-inf")
ENDED = JobState(Phase.ENDED, "statC")
PREEMPTED = JobState(Phase.INTERRUPTED, "statEX", "PREEMPTED")


@pytest.mark.parametrize(("seconds", "stood"), [(89.0, True), (90.0, True), (91.0, False)])
def test_claim_stands_from_the_first_look_to_the_last(seconds: float, stood: bool) -> None:
    assert Claim(Phase.CLAIMED, "statC", since=10.0, until=100.0).has_stood(seconds) is stood


def read_at(moment: float) -> Read:
    return Read(moment - 1, moment, True, "https://a.example/hpc", NOW + moment)


@pytest.mark.parametrize(
    ("state", "ended", "known", "since"),
    [
        (ENDED, 60.0, None, LONG_AGO),
        (ENDED, None, Past(PREEMPTED, 5.0), LONG_AGO),
        (PREEMPTED, 60.0, None, 60.0),
        (PREEMPTED, 60.0, Past(PREEMPTED, 5.0), 60.0),
        (PREEMPTED, 500.0, None, 100.0),  # a clock that is ahead of ours
        (PREEMPTED, None, None, 100.0),
        (PREEMPTED, None, Past(ENDED, LONG_AGO), 100.0),
        (PREEMPTED, None, Past(PREEMPTED, 5.0), 5.0),
    ],
)
def test_since_when_the_scheduler_may_start_a_job_again(
    state: JobState, ended: float | None, known: Past | None, since: float
) -> None:
    ended_at = None if ended is None else datetime.fromtimestamp(NOW + ended, UTC)
    assert Past.read(Sighting(state, ended_at), read_at(100.0), known) == Past(state, since)
