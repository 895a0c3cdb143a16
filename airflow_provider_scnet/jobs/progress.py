"""How far the deletion of one job has come, and what each answer means for it. Nothing is sent here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.claim import Claim, Past
from airflow_provider_scnet.jobs.members import Members
from airflow_provider_scnet.jobs.sighting import Read, Sighting
from airflow_provider_scnet.jobs.stages import MISSED, UNSEEN, VANISHED, Stage
from airflow_provider_scnet.wording import quote

KNOWS_NO_SUCH_JOB = "10004"
"""The one code of a refused delete that speaks of the job itself, and so is an answer about one that is not listed."""
CLOCKS_DIFFER = 5.0
"""Seconds that SCNet's clock, which it tells in whole seconds, may be behind ours before an end looks too old."""
LONG_BEFORE = 3600.0
"""Seconds between an end and a job that goes on after it, for which no clocks that differ account."""
TRIES = 3
"""Deletes of just this job that SCNet must refuse to be a verdict."""


@dataclass(eq=False)
class Progress:
    """
    What is known of one job while its deletion is under way.

    :param batch_size: jobs in one request.
    :param state: what it was last seen as.
    :param seen_since: since when it was seen in that phase, in complete lists or not.
    :param error: why the last delete did not do it, as far as SCNet says, or cannot.
    :param unseen: why the last look did not see it.
    :param sends: how many delete requests have named it.
    :param sent_at: when the last one was sent.
    :param answered_by: the gateway that answered a delete of this very job; empty if none has.
    :param is_confirmed: SCNet has confirmed a delete, which no refusal takes back: it may be on its way out.
    :param refusals: how often each gateway has refused it alone; another one may know nothing of it.
    :param active_at: when a look began that has shown it to go on, so that only a later end will do.
    :param past: what the history says of an end that may not be the last.
    :param began: when it, or each of its members, was there already, as far as lists have told.
    """

    ref: JobRef
    batch_size: int
    batch_limit: int = field(init=False)  # a batch that was refused is sent again in halves
    stage: Stage = Stage.DUE
    state: JobState = UNSEEN
    seen_since: float = float("-inf")
    error: ScnetError | None = None
    unseen: ScnetError | None = None
    sends: int = 0
    first_sent_at: float = float("inf")
    sent_at: float = float("-inf")
    answered_by: str = ""
    is_confirmed: bool = False
    refusals: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0  # deletes in a row
    active_at: float = float("-inf")
    past: Past | None = None
    began: dict[str, datetime] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # which live lists have given it
    has_only_waited: bool = False  # in the row of an array's rest, as far as it was seen to go on
    stranger: JobState | None = None  # a job of the same number that another user owns
    longest_gap: float = float("inf")  # seconds between two looks after which what they say does not go on
    is_settled_by_time: bool = False  # and not by an end that is known
    members: Members = field(default_factory=Members)
    claim: Claim | None = None
    detail: JobState | None = None  # the word in its detail, asked since the list's code last changed
    details_asked: int = 0  # likewise
    hint: JobState | None = None  # what the reader should know of a job that is not listed

    def __post_init__(self) -> None:
        self.batch_limit = self.batch_size
        self.members.is_array, self.members.is_one = self.ref.id.is_bracket, self.ref.id.is_one_member

    @property
    def last_seen(self) -> JobState:
        """What to show of it."""
        is_missed = self.state is UNSEEN or self.state.phase is Phase.NOT_LISTED
        return self.hint if self.hint and is_missed else self.state

    @property
    def needs_time(self) -> bool:
        """Whether nothing but time can settle it."""
        is_absent = self.claim is not None and self.claim.phase is Phase.NOT_LISTED
        return self.claim is not None and not (is_absent and self.must_have_past)

    @property
    def was_active(self) -> bool:
        """Whether some look has shown it to go on."""
        return self.active_at > float("-inf")

    @property
    def must_have_past(self) -> bool:
        """Whether absence is no proof without an end in the history: it was seen, or its number with another user."""
        return (self.was_active and not self.has_only_waited) or self.stranger is not None

    @property
    def has_ended_before(self) -> bool:
        """Whether the history knows an end, if only of an earlier job that had the same number."""
        return self.past is not None and self.past.state.phase is Phase.ENDED

    @property
    def is_told_by_past(self) -> bool:
        """Whether the history knows an end, and no list shows the job."""
        return self.has_ended_before and self.claim is not None and self.claim.phase is Phase.NOT_LISTED

    @property
    def is_claimed(self) -> bool:
        """Whether a code or the history says that it has ended, which another delete would only put in doubt."""
        return self.is_told_by_past or (self.claim is not None and self.claim.phase is Phase.CLAIMED)

    @property
    def last_error(self) -> ScnetError | None:
        """What to show with it; what SCNet says of the delete tells more than that a look failed."""
        return self.error if self.stage in (Stage.REFUSED, Stage.HOPELESS) else self.unseen or self.error

    # --- what SCNet answers to a delete ------------------------------------------------------------------------------

    def note_sent(self, now: float) -> None:
        """Take down that a delete names it."""
        self.first_sent_at = min(self.first_sent_at, now)
        self.sends, self.sent_at = self.sends + 1, now

    def note_confirmed(self, gateway: str) -> None:
        """Take down that SCNet confirmed a delete of it."""
        self.stage, self.error, self.batch_limit = Stage.CONFIRMED, None, self.batch_size
        self.refusals.clear()
        self.is_confirmed, self.unanswered = True, 0
        self._note_answered(gateway)

    def note_not_confirmed(self, text: str) -> None:
        """
        Take down that a delete was answered with code "0", but without naming it.

        :param text: SCNet's sentence about the job's scheduler.
        """
        self.stage, self.batch_limit, self.unanswered = Stage.DUE, self.batch_size, 0
        self.error = ScnetError(f'code "0", but SCNet did not confirm this job; it said: {quote(text)!r}')

    def note_failure(self, error: ScnetError, gateway: str, *, batch: int, is_refusal: bool) -> None:
        """
        Take down that a delete failed. What was said to a batch may be about another job of it.

        :param batch: jobs in the request.
        :param is_refusal: it was refused for good, in an envelope or by what stands before SCNet.
        """
        self.error = error
        self.unanswered = 0 if error.answered else self.unanswered + 1
        # Where looks are answered and deletes are not, again and again, one job may be what breaks the whole batch.
        if error.answered or is_refusal or (self.unanswered > 1 and self.unseen is None):
            self.batch_limit = max(1, batch // 2)
        if batch > 1 or not is_refusal:
            self.stage = Stage.DUE
            return
        self.refusals[gateway] += 1
        self.stage = Stage.CONFIRMED if self.is_confirmed else Stage.REFUSED
        if error.code == KNOWS_NO_SUCH_JOB:
            self._note_answered(gateway)

    def believe(self) -> None:
        """Take SCNet's word for it, without a look."""
        if self.stage is Stage.CONFIRMED:
            self.stage = Stage.ACCEPTED
        elif self.stage is Stage.REFUSED and max(self.refusals.values(), default=0) >= TRIES:
            self.stage = Stage.HOPELESS

    # --- what looks say ----------------------------------------------------------------------------------------------

    def note_listed(self, sighting: Sighting, read: Read, *, members_are_sought: bool = True) -> None:
        """
        Take down what a live list says.

        :param sighting: what its entries say of the job.
        :param members_are_sought: whether members of an array that the list may hide are looked for.
        """
        self.unseen = None
        state = self._with_the_details_word(sighting.state)
        is_over = {moment: read.moment_of(moment) <= read.ended for moment in sighting.began.values()}
        self.began |= {job_id: moment for job_id, moment in sighting.began.items() if is_over[moment]}  # no forecast
        self.names |= sighting.names - {""}
        self.members.note_listed(sighting, read, are_sought=members_are_sought)
        is_whole = self.members.are_whole(read)
        was_absent = self.claim is not None and self.claim.phase is Phase.NOT_LISTED
        if was_absent and state.phase is not Phase.NOT_LISTED:
            self.claim = None
        if state.phase in (Phase.ACTIVE, Phase.DOUBTFUL):
            self._note_going_on(state, read)
            if was_absent and not self.stage.is_settled:
                self.stage = Stage.DUE  # it was deleted before SCNet knew it
        elif not self._is_evidence(read):
            return
        elif state.phase is Phase.ENDED:
            if not self.members.is_array or (is_whole and not self.members.going_on):
                self.settle(Stage.DELETED, state)
            elif is_whole and not self.members.must_end:
                self._note_claim(state, read, sighting.ended_at)
        elif state.phase is Phase.INTERRUPTED or is_whole or self._is_missed_as_expected(state):
            self._note_claim(state, read, sighting.ended_at)
        elif state.phase is Phase.CLAIMED:
            self._see(state, read)
        elif state.phase is Phase.NOT_LISTED:
            self.hint = self.hint or MISSED

    def note_stranger(self, state: JobState, read: Read) -> None:
        """
        Take down that somebody else's job has the same number. If the history knows one of ours, that one is meant, and
        the other is no evidence. If not, the reference may name a wrong user, and nothing proves that its job is not
        this one.

        :param state: of that job, which has not ended.
        """
        if self.past or (self.stage.is_settled and not self.is_settled_by_time):
            return
        self.stage = Stage.DUE if self.stage.is_settled else self.stage
        self.stranger = self.hint = state
        if self.stage is Stage.REFUSED and self.refusals[read.gateway] >= TRIES:
            self.stage = Stage.HOPELESS

    def note_detail(self, state: JobState, read: Read, ended_at: datetime | None) -> None:
        """
        Take down what the job's own detail says of a job that is listed.

        :param state: whose word outranks the list's code.
        :param ended_at: when it ended, says the detail.
        """
        self.details_asked += 1
        self.detail = state if state.word else UNSEEN
        if not state.word:
            return
        if state.phase in (Phase.ACTIVE, Phase.DOUBTFUL):
            self._note_going_on(state, read)
        elif self._is_evidence(read):
            if state.phase is Phase.ENDED:
                self.settle(Stage.DELETED, state)
            else:
                self._note_claim(state, read, ended_at)

    def note_members_detail(self, job_id: str, state: JobState, read: Read) -> None:
        """
        Take down what the detail of a member says.

        :param job_id: the member's.
        :param state: with a word, or ``UNSEEN``.
        """
        self.members.note_detail(job_id, state)
        if self.members.have_ended and self._is_evidence(read):
            self.settle(Stage.DELETED, state)

    def note_missing(self, error: ScnetError) -> None:
        """
        Take down that it is surely not there, although it must have been.

        :param error: which says so.
        """
        self.error, self.stage = error, Stage.MISSING

    def note_past(
        self, sighting: Sighting, read: Read, *, was_listed: bool = True, is_ours_by_name: bool = False
    ) -> None:
        """
        Take down what the history says. It may know of an earlier run only, of an earlier job that had the same number,
        and of some members of an array: where that is possible, the end is one only if the job does not show up for a
        while.

        :param sighting: without what ended before the job was submitted, if that is known.
        :param was_listed: whether this look has read a list, where the job would be if it went on. If not, an end that
            no delete can have brought about may be one of an earlier run.
        :param is_ours_by_name: whether the job's name tells that it is no other one of the same number.
        """
        state = sighting.state
        if state.phase in (Phase.ACTIVE, Phase.DOUBTFUL):
            self._note_no_past(state, read)
            return
        if state.phase not in (Phase.ENDED, Phase.INTERRUPTED) or not self._is_evidence(read):
            return
        if self._was_active_long_after(sighting, read):
            self.past = None
            return
        self.past = Past.read(sighting, read, self.past)
        self.members.note_past(sighting)
        is_last = state.phase is Phase.ENDED and self._ended_since_active(sighting.ended_at, read)
        claimed = self.members.claimed
        are_all = not self.members.is_array or (claimed and claimed <= sighting.ended and not self.members.going_on)
        shown = (claimed or sighting.entries) & self.began.keys()
        was_there = bool(sighting.ended_at and shown) and shown == (claimed or sighting.entries)
        is_this_job = was_listed and (is_ours_by_name or was_there)
        is_end = is_this_job or self._ended_since_sent(sighting.ended_at, read)
        if is_end and is_last and are_all:
            is_listed = self.state is not UNSEEN and self.state.phase is not Phase.NOT_LISTED
            self.settle(Stage.DELETED if is_listed else Stage.GONE, state)

    def note_unseen(self, error: ScnetError) -> None:
        """Take down that a look failed. It is no verdict."""
        self.unseen = error

    def note_elsewhere(self, error: ScnetError, *, for_good: bool) -> None:
        """
        Take down that no gateway names its scheduler.

        :param error: which says so.
        :param for_good: whether that has been so for long enough.
        """
        self.error = error
        if for_good and not self.stage.is_settled and not self.is_confirmed:
            self.stage = Stage.HOPELESS

    def settle(self, stage: Stage, state: JobState, *, by_time: bool = False) -> None:
        """
        Take down that it is no concern any more; what is read later may still prove that wrong.

        :param state: what it was last seen as.
        :param by_time: no end is known; it has only been seen for long enough.
        """
        if self.stage.is_settled:
            return
        self.state = state
        # Every job is named in a delete, whatever a look says of it.
        if self.sends and not self.members.may_be_hidden:
            self.stage, self.is_settled_by_time = stage, by_time

    def has_stood(self, seconds: float) -> bool:
        """Tell whether what is said of it has been said for so long, without a break."""
        return self.claim is not None and self.claim.has_stood(seconds)

    def is_due(self, gateway: str) -> bool:
        """
        Tell whether a delete is to be sent at once, not only with every third look.

        :param gateway: the one in use; what another has answered does not count here.
        """
        interrupted_since = self.claim is not None and self.claim.phase is Phase.INTERRUPTED and self.claim.since
        return (
            self.stage is Stage.DUE
            or (self.stage is Stage.REFUSED and self.refusals[gateway] < TRIES)
            or (self.answered_by not in ("", gateway) and self.refusals[gateway] < TRIES)
            or (interrupted_since is not False and self.sent_at < interrupted_since)
        )

    def _note_answered(self, gateway: str) -> None:
        if self.answered_by not in ("", gateway):
            self.claim = None  # what the other gateway has said proves nothing
        self.answered_by = gateway

    def _see(self, state: JobState, read: Read) -> None:
        if self.stage.is_settled:
            return
        if self.state is UNSEEN or state.phase is not self.state.phase:
            self.seen_since = read.ended
        self.state = state

    def _note_going_on(self, state: JobState, read: Read) -> None:
        if self.stage.is_settled:
            if state.phase is not Phase.ACTIVE and not self.is_settled_by_time:
                return  # its end is known, and this is no proof of the contrary
            self.stage = Stage.DUE
        self._see(state, read)
        self.active_at, self.claim = read.began, None
        self.has_only_waited = self.members.have_only_waited
        self.hint = VANISHED
        # COMPLETING is the way out: SCNet may refuse to delete such a job, and waiting is all it takes.
        goes_on = state.phase is Phase.ACTIVE and not state.is_on_its_way_out
        if self.stage in (Stage.REFUSED, Stage.HOPELESS):
            is_hopeless = goes_on and self.refusals[read.gateway] >= TRIES
            self.stage = Stage.HOPELESS if is_hopeless else Stage.REFUSED

    def _note_claim(self, state: JobState, read: Read, ended_at: datetime | None) -> None:
        if self.stage.is_settled:
            was_interrupted = self.claim is not None and self.claim.phase is Phase.INTERRUPTED
            if state.phase is not Phase.INTERRUPTED or was_interrupted:
                return
            self.stage = Stage.DUE
        is_same = self.claim and (self.claim.phase, self.claim.status) == (state.phase, state.status)
        is_unbroken = self.claim and is_same and read.began - self.claim.until <= self.longest_gap
        since = self.claim.since if self.claim and is_unbroken else read.ended
        if state.phase is Phase.CLAIMED:
            since = max(since, self.sent_at)  # a delete may be what makes the code run ahead
        if state.phase is Phase.INTERRUPTED and ended_at:
            since = min(read.ended, read.moment_of(ended_at))
        self.claim = Claim(state.phase, state.status, since, until=read.began)
        self._see(state, read)
        if self.stage is Stage.HOPELESS:
            self.stage = Stage.REFUSED

    def _note_no_past(self, state: JobState, read: Read) -> None:
        """A history that lists what goes on may be late, but it knows more than lists that do not show the job."""
        self.past = None
        if self.stage is Stage.GONE:
            self.stage = Stage.DUE
        if self.claim and self.claim.phase is Phase.NOT_LISTED:
            self.active_at, self.claim, self.hint = read.began, None, state
            self.has_only_waited = False

    def _ended_since_active(self, ended_at: datetime | None, read: Read) -> bool:
        if not self.was_active:
            return True
        if ended_at is None:
            return False
        return read.moment_of(ended_at) > self.active_at - CLOCKS_DIFFER

    def _was_active_long_after(self, past: Sighting, read: Read) -> bool:
        """An end so old is another job's, or an earlier run's, however much clocks differ; or it is a member's."""
        if past.ended_at is None or past.has_members or self.members.is_array:
            return False
        return read.moment_of(past.ended_at) < self.active_at - LONG_BEFORE

    def _ended_since_sent(self, ended_at: datetime | None, read: Read) -> bool:
        return ended_at is not None and read.moment_of(ended_at) > self.first_sent_at - CLOCKS_DIFFER

    def _is_missed_as_expected(self, state: JobState) -> bool:
        """Of a job that the history knows, a list need not be complete to agree: a look-up of its own comes last."""
        return state.phase is Phase.NOT_LISTED and self.has_ended_before and not self.members.is_array

    def _is_evidence(self, read: Read) -> bool:
        """Another gateway than the one that answered the delete may know nothing of the job."""
        return bool(read.gateway) and self.answered_by in ("", read.gateway)

    def _with_the_details_word(self, listed: JobState) -> JobState:
        """A list's code says no more than the word that was read since it last changed."""
        if listed.status != self.state.status or listed.word:
            self.detail, self.details_asked = None, 0
        known = self.detail
        if known and known.phase is Phase.INTERRUPTED and listed.phase in (Phase.CLAIMED, Phase.DOUBTFUL):
            return known
        return listed
