"""How far the deletion of one job has come, and what is shown of one that is not listed."""

from __future__ import annotations

from enum import Enum

from airflow_provider_scnet.api.states import JobState, Phase

UNSEEN = JobState(Phase.DOUBTFUL)
"""Not looked at yet."""
MISSED = JobState(Phase.NOT_LISTED, word="not listed, but the list may be incomplete")
VANISHED = JobState(Phase.NOT_LISTED, word="not listed any more, but its end was not seen")
FOREIGN = JobState(Phase.NOT_LISTED, word="not listed, but neither may be the jobs of other users: is the user right?")


class Stage(Enum):
    """How far the deletion of one job has come."""

    DUE = "a delete has to be sent at once: none was answered yet, or not in a way that counts"
    CONFIRMED = "SCNet confirmed a delete"
    REFUSED = "SCNet refuses a delete of just this job"
    HOPELESS = "refused again and again, and seen to go on: neither sending nor waiting helps"
    MISSING = "surely not there, although it must have been (missing_ok=False)"
    DELETED = "listed, and seen to have ended"
    GONE = "not listed, and surely not running"
    ACCEPTED = "believed, for nobody was to look"

    @property
    def is_settled(self) -> bool:
        """Whether the job is no concern any more."""
        return self in (Stage.DELETED, Stage.GONE, Stage.ACCEPTED)

    @property
    def is_final(self) -> bool:
        """Whether nothing that is still to be done can help."""
        return self.is_settled or self in (Stage.HOPELESS, Stage.MISSING)
