"""How far the deletion of one job has come, and what each answer means for it. Nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_scnet.api.reference import JobRef, is_confirmed
from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError, ScnetPermanentError
from airflow_provider_scnet.jobs.observation import UNCONFIRMED
from airflow_provider_scnet.wording import quote

EFFECT_UNKNOWN = {"10012", "10013", "815005"}
"""Codes that leave open whether the delete was carried out."""


class Stage(Enum):
    """How far the deletion of one job has come."""

    DUE = "a delete has to be sent; none that counts for this job was answered yet"
    DOUBTED = "a delete was answered, but in a way that proves nothing: it has to be sent again"
    CONFIRMED = "SCNet confirmed a delete"
    CONFIRMED_ONCE = "SCNet confirmed a delete, but not the last one: it has to be sent again, and no refusal counts"
    REFUSED = "SCNet refuses a delete of just this job"
    HOPELESS = "refused, and seen to go on: neither sending nor waiting helps"
    DELETED = "seen to have ended"
    GONE = "surely not there"
    ACCEPTED = "believed, for nobody was to look"

    @property
    def is_settled(self) -> bool:
        """Whether the job is no concern any more."""
        return self in (Stage.DELETED, Stage.GONE, Stage.ACCEPTED)

    @property
    def is_to_be_sent(self) -> bool:
        """Whether a delete is to be sent at once, not only with every third look."""
        return self in (Stage.DUE, Stage.DOUBTED, Stage.CONFIRMED_ONCE, Stage.REFUSED)

    @property
    def was_answered(self) -> bool:
        """Whether SCNet has answered a delete that named it; an error counts only if the request was for it alone."""
        return self not in (Stage.DUE, Stage.DELETED, Stage.GONE, Stage.ACCEPTED)

    @property
    def was_confirmed(self) -> bool:
        """Whether SCNet has ever confirmed a delete of it."""
        return self in (Stage.CONFIRMED, Stage.CONFIRMED_ONCE)


@dataclass(eq=False)
class Progress:
    """
    What is known of one job while its deletion is under way.

    :param batch_size: jobs in one request.
    :param sends: how many delete requests have named it.
    """

    ref: JobRef
    batch_size: int
    batch_limit: int = field(init=False)  # a batch that was refused is sent again in halves
    stage: Stage = Stage.DUE
    state: JobState = UNCONFIRMED
    error: ScnetError | None = None
    sends: int = 0
    absent_at_wait: int | None = None  # how many waits there were when a look first missed it
    is_hidden: bool = False  # SCNet refused the last look that it answered

    def __post_init__(self) -> None:
        self.batch_limit = self.batch_size

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing that is still to be done can help: SCNet refuses to delete it, or to show it."""
        return self.is_hidden or self.stage is Stage.HOPELESS

    def note_answer(self, text: str) -> None:
        """
        Take down that a delete was answered with code "0".

        :param text: SCNet's sentence about the job's scheduler.
        """
        self.error, self.batch_limit = None, self.batch_size
        if is_confirmed(self.ref, text):
            self.stage = Stage.CONFIRMED
            return
        self.error = ScnetError(f'code "0", but SCNet did not confirm this job; it said: {quote(text)!r}')
        self.stage = Stage.CONFIRMED_ONCE if self.stage.was_confirmed else Stage.DOUBTED

    def note_failure(self, error: ScnetError, *, batch: int) -> None:
        """
        Take down that a delete failed. What was said to a batch may be about another job of it.

        :param batch: jobs in the request.
        """
        self.error = error
        if error.answered:
            self.batch_limit = max(1, batch // 2)
        spoke_of_this_job = error.answered and batch == 1 and error.code not in EFFECT_UNKNOWN
        if self.stage.was_confirmed:
            self.stage = Stage.CONFIRMED_ONCE
        elif spoke_of_this_job:
            self.stage = Stage.REFUSED if isinstance(error, ScnetPermanentError) else Stage.DOUBTED
        elif self.stage is Stage.REFUSED:
            self.stage = Stage.DOUBTED

    def note_listed(self, state: JobState, wait: int) -> None:
        """
        Take down what a user's list says.

        :param state: what the job is listed as, or ``NOT_LISTED``.
        :param wait: how many waits there were before this look.
        """
        self.state, self.is_hidden = state, False
        if state.phase is not Phase.NOT_LISTED:
            self.absent_at_wait = None
        elif self.absent_at_wait is None:
            self.absent_at_wait = wait
        # COMPLETING is the way out: SCNet may refuse to delete such a job, and waiting is all it takes.
        goes_on = state.phase is Phase.ACTIVE and state.word != "COMPLETING"
        if state.phase is Phase.ENDED:
            self.stage = Stage.DELETED
        elif self.stage in (Stage.REFUSED, Stage.HOPELESS):
            self.stage = Stage.HOPELESS if goes_on else Stage.REFUSED

    def is_absent_again(self, wait: int) -> bool:
        """
        Tell whether two looks with a wait between them missed it: a job that was submitted a moment ago may not be
        listed yet.

        :param wait: how many waits there were before this look.
        """
        return not self.stage.is_settled and self.absent_at_wait is not None and self.absent_at_wait < wait

    def note_absent(self, state: JobState) -> None:
        """
        Call a job gone only if it is surely absent, and SCNet has answered a delete of it.

        :param state: what a look at everybody's jobs says; ``UNCONFIRMED`` if it says nothing.
        """
        if state is UNCONFIRMED:
            return
        self.state = state
        if state.phase is Phase.ENDED:
            self.stage = Stage.DELETED
        elif state.phase is Phase.NOT_LISTED and self.stage.was_answered:
            self.stage = Stage.GONE

    def note_unseen(self, error: ScnetError) -> None:
        """Take down that a look failed."""
        if self.stage not in (Stage.REFUSED, Stage.HOPELESS):  # what SCNet says of the delete tells more
            self.error = error
        self.is_hidden |= isinstance(error, ScnetPermanentError)

    def note_missing(self, error: ScnetError) -> None:
        """
        Take back that a job is gone.

        :param error: why that is not enough.
        """
        self.stage, self.error = Stage.DOUBTED, error

    def believe(self) -> None:
        """Take SCNet's word for it, without a look."""
        if self.stage is Stage.CONFIRMED:
            self.stage = Stage.ACCEPTED
        elif self.stage is Stage.REFUSED:
            self.stage = Stage.HOPELESS
