"""The standard of proof: what to ask about a job that is to be over without a final word, and what is enough."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.claim import Past
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.sighting import Sighting
from airflow_provider_scnet.jobs.stages import Stage

HISTORY_TRIES = 3
"""Times that the history is read while a job's absence is waited for; if all fail, it proves nothing either way."""


@dataclass
class Experience:
    """
    What a deletion has learnt of the service.

    :param codes_run_ahead: a job was said to have ended when it had not.
    :param lists_are_cut: a list that called itself complete did not show what a look-up found.
    :param shows_others: lists show jobs of other users than our own.
    :param shown: lists (scheduler, user, job id) that have shown anything, and may not turn into nothing at all.
    :param schedulers: those that have jobs of the deletion, whether or not the gateway names them.
    """

    codes_run_ahead: bool = False
    lists_are_cut: bool = False
    shows_others: bool = False
    shown: set[tuple[str, str | None, str | None]] = field(default_factory=set)
    schedulers: frozenset[str] = frozenset()


@dataclass
class Inquiry:
    """
    What was asked about one job, and when, in seconds that only grow.

    :param read_at: when something was read that shows it, or would show it.
    :param lookups: times that it was asked for alone.
    :param looked_up_at: when a look-up that could not miss it missed it.
    :param past_asked_at: when the history was asked.
    :param not_past_at: when the history, read to its end, did not know it.
    :param past_failures: times in a row that it could not be read.
    :param lookup_failures: times in a row that it could not be asked for alone.
    :param detail_read_at: when its detail was read.
    :param detail_failures: times that its detail could not be read.
    """

    read_at: float = float("-inf")
    lookups: int = 0
    looked_up_at: float = float("-inf")
    past_asked_at: float = float("-inf")
    not_past_at: float = float("-inf")
    past_failures: int = 0
    lookup_failures: int = 0
    detail_read_at: float = float("-inf")
    detail_failures: int = 0


@dataclass(frozen=True)
class Standard:
    """
    What a job without a final word is judged by.

    :param absent_for: seconds for which what is no proof by itself has to be seen without a break.
    :param missing_ok: whether a job that SCNet does not know is gone.
    """

    absent_for: float
    missing_ok: bool

    def wants_history(self, job: Progress, inquiry: Inquiry, now: float, *, is_seen: bool) -> bool:
        """
        Tell whether the history has to be asked about a job.

        :param now: when the look began.
        :param is_seen: whether this look has seen the job in a list.
        """
        asked_at = waiting_since = inquiry.past_asked_at
        if job.is_told_by_past:
            return self._has_been_absent(job) and asked_at < self._end_of_absence(job)
        if job.state.phase is Phase.DOUBTFUL and is_seen:
            waiting_since = max(asked_at, job.seen_since)  # it is about to end: the next look may tell
        if now - waiting_since >= self.absent_for / HISTORY_TRIES:
            return True
        if job.state.phase is Phase.CLAIMED and asked_at < job.seen_since:
            return True
        return self._has_been_absent(job) and asked_at < self._end_of_absence(job)

    def wants_lookup(self, job: Progress, inquiry: Inquiry) -> bool:
        """Tell whether a job has been absent for long enough, and has to be asked for alone once more."""
        return self._has_been_absent(job) and inquiry.looked_up_at < self._end_of_absence(job)

    def judge(
        self, job: Progress, inquiry: Inquiry, experience: Experience, sighting: Sighting, *, may_be_hidden: bool
    ) -> None:
        """
        Settle a job if what is said of it has stood long enough.

        :param sighting: what this look has seen of it.
        :param may_be_hidden: whether the service may show no job of its user at all.
        """
        if job.claim is None or not job.has_stood(self.absent_for):
            return
        if job.claim.phase is Phase.NOT_LISTED:
            if not may_be_hidden and self._is_gone(job, inquiry):
                self._settle_missing(job, inquiry)
        elif job.claim.phase is Phase.ENDED:  # of an array, but for members that were last seen to wait
            job.settle(Stage.DELETED, job.state, by_time=True)
        elif job.claim.phase is Phase.CLAIMED:
            if not experience.codes_run_ahead and _has_no_word(job, sighting):
                job.settle(Stage.DELETED, job.state, by_time=True)
        elif self._has_stayed_interrupted(job, inquiry, sighting):
            job.settle(Stage.DELETED, job.state, by_time=True)

    def _is_gone(self, job: Progress, inquiry: Inquiry) -> bool:
        end = self._end_of_absence(job)
        if inquiry.looked_up_at < end:
            return False
        if job.past:  # all that was seen of it has ended, and nothing of it shows up any more
            return self._has_past_stood(job, job.past) and not job.members.must_end
        has_no_past = inquiry.not_past_at >= end or inquiry.past_failures >= HISTORY_TRIES
        return has_no_past and bool(job.answered_by) and not job.must_have_past

    def _settle_missing(self, job: Progress, inquiry: Inquiry) -> None:
        if self.missing_ok or job.past:
            job.settle(Stage.GONE, job.past.state if job.past else job.state, by_time=True)
            return
        why = "neither listed nor in the history of the last 30 days"
        if inquiry.past_failures:
            why = "its history cannot be read"
        job.note_missing(ScnetError(f"{why} (missing_ok=False)"))

    def _has_stayed_interrupted(self, job: Progress, inquiry: Inquiry, sighting: Sighting) -> bool:
        """A delete that was sent before may not have reached it, and a detail that said so may be out of date."""
        since = job.claim.since if job.claim else float("inf")
        is_listed_so = sighting.state.phase is Phase.INTERRUPTED
        return job.sent_at > since and (is_listed_so or inquiry.detail_read_at >= since + self.absent_for)

    def _has_past_stood(self, job: Progress, past: Past) -> bool:
        """A delete that was sent before the scheduler could start the job again may not have reached it."""
        seen_until = job.claim.until if job.claim else float("-inf")
        return seen_until - past.since >= self.absent_for and job.sent_at > past.since

    def _has_been_absent(self, job: Progress) -> bool:
        return job.claim is not None and job.claim.phase is Phase.NOT_LISTED and job.has_stood(self.absent_for)

    def _end_of_absence(self, job: Progress) -> float:
        return job.claim.since + self.absent_for if job.claim else float("inf")


def _has_no_word(job: Progress, sighting: Sighting) -> bool:
    """A code counts alone only if nobody would say more: details were asked for, and had no word."""
    if sighting.state.word or (job.detail and job.detail.word):
        return False  # whatever it means, it is no end
    if job.members.is_array:
        return job.members.claimed <= job.members.asked and not job.members.going_on
    return job.details_asked > 0
