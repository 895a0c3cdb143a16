"""What has been said of a job that is no proof by itself, and since when: time makes it one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.jobs.sighting import Read, Sighting


@dataclass(frozen=True)
class Claim:
    """
    What live lists have said of a job without a break.

    :param since: since when, in seconds that only grow.
    :param until: when the last look began that has said it.
    """

    phase: Phase
    status: str
    since: float
    until: float

    def has_stood(self, seconds: float) -> bool:
        """Tell whether it has been said for so long."""
        return self.until - self.since >= seconds


@dataclass(frozen=True)
class Past:
    """
    What the history says of an end that may not be the last: of some members, or of an earlier run.

    :param since: since when the scheduler may start the job again; long ago if it may not.
    """

    state: JobState
    since: float

    @classmethod
    def read(cls, sighting: Sighting, read: Read, known: Self | None) -> Self:
        """
        Take down an end.

        :param known: what was known of it before.
        """
        since = read.ended
        if sighting.state.phase is Phase.ENDED:
            since = float("-inf")
        elif sighting.ended_at:
            since = min(read.ended, read.moment_of(sighting.ended_at))
        elif known and known.state.phase is Phase.INTERRUPTED:
            since = known.since
        return cls(sighting.state, since)
