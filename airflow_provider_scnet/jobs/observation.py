"""Looking at the jobs of one scheduler: what is read, in which order, and how much of it in one look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.job_ids import is_one_member
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import ScnetError, ScnetRequestError, ScnetTransientError
from airflow_provider_scnet.jobs.evidence import (
    HISTORY_WINDOW,
    SINGLE_READS,
    Detail,
    Evidence,
    group_by,
    read_detail,
    read_history,
    read_list,
)
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.proof import Experience, Inquiry, Standard
from airflow_provider_scnet.jobs.sighting import Read, Sighting
from airflow_provider_scnet.jobs.stages import FOREIGN, UNSEEN, Stage
from airflow_provider_scnet.wording import counted

FIRST_FEW = 5
"""Of many missing jobs, those that are looked up at once: enough to name a wrong user early."""
RECENTLY = timedelta(days=1)
"""How far back the history is read for jobs that the live list still has: they ended minutes ago."""
MOST_REFUSALS = 5
"""Details that are refused one after the other before a look asks for no more of them."""
LOOKUP_TRIES = 3
"""Times in a row that a job cannot be asked for alone before what a list shows of it has to do."""
LONGEST_LOOK = 60.0
"""Seconds after which a look asks for nothing more, for deletes wait; what it left out comes first next time."""
LAST_LOOK = 30.0
"""The same once the deadline has passed: the last look is worth nothing if it is cut at once."""

T = TypeVar("T")


class Observer:
    """
    Look at the jobs of one scheduler. No read that fails or is refused is a verdict: another decides, or the next look.

    :param client: which makes one attempt of each call.
    :param jobs: all of the deletion's jobs in this scheduler; settled ones are compared with whatever is read.
    :param experience: shared by the observers of one deletion.
    :param standard: what a job without a final word is judged by.
    :param is_ours: tells of a name whether only a job that is to be deleted can have it.
    :param logger: where to tell what happens.
    """

    def __init__(
        self,
        client: ScnetClient,
        scheduler_id: str,
        jobs: Sequence[Progress],
        experience: Experience,
        standard: Standard,
        *,
        is_ours: Callable[[str], bool] = lambda name: False,
        logger: Any,
    ) -> None:
        self._client = client
        self._is_ours = is_ours
        self._now = client.patience.now
        self._scheduler_id = scheduler_id
        self._jobs = list(jobs)
        self._experience = experience
        self._standard = standard
        self._log = logger
        self._inquiries: dict[JobRef, Inquiry] = defaultdict(Inquiry)
        self._began = 0.0
        self._elsewhere_since = float("inf")  # when the look began since which no gateway names it
        self._known_by = ""  # the gateway that names the scheduler, so that absence there means something
        self._seen: dict[JobRef, Sighting] = {}  # in this look
        self._unproven: set[JobRef] = set()  # no complete list has spoken of them in this look
        self._is_blank = False  # nothing at all came where something was shown before: other lists may be blank, too
        self.retry_after = 0.0
        """Seconds that the service asked us to wait during the last look."""

    def look(self, since: float) -> None:
        """
        Look at the jobs once; requests grow with pages, not with jobs.

        :param since: when the last delete was sent: settled jobs are looked at once more, too, if that was before.
        """
        self.retry_after = 0.0
        if not self._open() and self.has_looked_since(since):
            return
        self._began = self._now()
        self._seen, self._is_blank = {}, False
        self._unproven = {job.ref for job in self._open()}
        if self._is_elsewhere():
            return
        self._read_lists(since)
        self._ask_alone([job for job in self._open() if self._may_hide_members(job)])
        if self._count(Phase.CLAIMED) > SINGLE_READS:
            self._read_history(since)
        self._read_details()
        self._read_history(since)
        self._look_up(since)
        self._judge()

    def has_looked_since(self, moment: float) -> bool:
        """
        Tell whether every settled job was looked at since.

        :param moment: when the last delete was sent.
        """
        return not self._unread(moment)

    def reopen_what_was_not_looked_at(self, since: float) -> None:
        """
        Take back what was settled by looks that began before.

        :param since: when the last delete was sent.
        """
        for job in self._unread(since):
            job.stage = Stage.DUE

    # --- one step each -----------------------------------------------------------------------------------------------

    def _is_elsewhere(self) -> bool:
        """Tell whether the gateway does not name the scheduler: what it says then is about no job of it."""
        names = self._attempt([], partial(self._client.find_scheduler, self._scheduler_id))
        self._known_by = self._client.base_url if names and self._scheduler_id in names else ""
        if self._known_by:
            self._elsewhere_since = float("inf")
        if not names or self._known_by:
            return False
        self._elsewhere_since = min(self._elsewhere_since, self._began)
        for_good = self._began - self._elsewhere_since >= self._standard.absent_for
        error = ScnetRequestError(
            f"scheduler_id={self._scheduler_id!r} is none of this gateway's ({', '.join(names)}), so its jobs cannot "
            f"be seen. Check the reference, and that `host` and token are of the jobs' region."
        )
        for job in self._open():
            job.note_elsewhere(error, for_good=for_good)
        return True

    def _read_lists(self, since: float) -> None:
        wanted = sorted((*self._open(), *self._unread(since)), key=lambda job: self._inquiries[job.ref].read_at)
        for user in dict.fromkeys(job.ref.user for job in wanted):
            if not self._is_late():
                self._read_list(user)

    def _read_details(self) -> None:
        refusals = 0
        for job, ref in self._in_doubt()[:SINGLE_READS]:
            if self._is_late() or refusals == MOST_REFUSALS:
                return
            try:
                listed_by, others = self._seen[job.ref].scheduler_name, self._experience.schedulers
                detail = read_detail(self._client, ref, listed_by, schedulers=others)
            except ScnetError as error:
                self._note_failure([job], error, f"the detail of job {ref}")
                self._inquiries[ref].detail_failures += 1
                if not error.answered:
                    return
                refusals += 1
                continue
            refusals = 0
            self._note_detail(job, ref, detail)

    def _in_doubt(self) -> list[tuple[Progress, JobRef]]:
        """Jobs and members of arrays whose code says more or less than a word would, those first that wait for it."""

        def urgency(doubt: tuple[Progress, JobRef]) -> tuple[bool, int]:
            job, ref = doubt
            is_decisive = job.claim is not None and job.claim.phase is Phase.INTERRUPTED and self._has_stood(job)
            return not is_decisive, job.details_asked + self._inquiries[ref].detail_failures

        jobs = [(job, job.ref) for job in self._open() if self._may_tell_more(job)]
        members = [(job, member) for job in self._open() for member in self._unasked_members(job)]
        return sorted(jobs + members, key=urgency)

    def _has_stood(self, job: Progress) -> bool:
        return job.has_stood(self._standard.absent_for)

    def _note_detail(self, job: Progress, ref: JobRef, detail: Detail) -> None:
        record, read = detail.record, detail.read
        state = record.state if record and detail.is_ours else UNSEEN
        is_claimed = job.state.phase is Phase.CLAIMED
        if record and not detail.is_ours and record.state.phase is Phase.ACTIVE:
            return  # it may be ours: this is no word to go by, but it is not silence either
        if job.members.is_array:
            job.note_members_detail(ref.job_id, state, read)
            self._experience.codes_run_ahead |= state.phase is Phase.ACTIVE
        elif record is None or state is UNSEEN:
            job.details_asked += 1
        else:
            self._inquiries[ref].detail_read_at = read.began
            job.note_detail(state, read, record.ended_at)
            self._experience.codes_run_ahead |= is_claimed and job.state.phase is Phase.ACTIVE

    def _unasked_members(self, job: Progress) -> list[JobRef]:
        """Those whose end nothing but a code tells, if the list shows nothing of the array to go on."""
        if not job.members.is_array or job.state.phase is not Phase.CLAIMED or job.ref not in self._seen:
            return []
        array = job.ref.id.array  # under which the rest of it may be listed
        ids = sorted(job.members.claimed - job.members.asked)
        known = [job_id for job_id in ids if job_id == array or is_one_member(job_id)]
        return [JobRef(job.ref.scheduler_id, job.ref.user, job_id) for job_id in known]

    def _may_tell_more(self, job: Progress) -> bool:
        """A detail without a word has told all it can until the list's code changes."""
        sighting = self._seen.get(job.ref, Sighting())
        in_doubt = not job.members.is_array and sighting.state.phase in (Phase.CLAIMED, Phase.DOUBTFUL)
        return in_doubt and job.detail is not UNSEEN

    def _read_history(self, since: float) -> None:
        """What a look shows to go on is not looked for among what has ended."""
        lives = (Phase.ACTIVE, Phase.INTERRUPTED)
        jobs = [job for job in self._open() if job.state.phase not in lives or job.ref not in self._seen]
        jobs += self._unread(since)
        if self._is_late() or not any(self._wants_history(job) for job in jobs):
            return
        by_ref = {job.ref: job for job in jobs}
        for refs in group_by(by_ref, "user").values():
            of_user = [by_ref[ref] for ref in refs]
            listed = all(job.ref in self._seen and job.state.phase is not Phase.NOT_LISTED for job in of_user)
            window = RECENTLY if listed else HISTORY_WINDOW
            began = self._now()
            by_pages = any(job.members.is_array for job in of_user)
            ask = partial(read_history, self._client, refs, window=window, by_pages=by_pages, is_late=self._is_late)
            evidence = self._attempt(of_user, ask)
            for job in of_user:
                self._note_past(job, evidence, began)

    def _wants_history(self, job: Progress) -> bool:
        inquiry, is_seen = self._inquiries[job.ref], job.ref in self._seen
        return self._standard.wants_history(job, inquiry, self._began, is_seen=is_seen)

    def _note_past(self, job: Progress, evidence: Evidence | None, began: float) -> None:
        inquiry = self._inquiries[job.ref]
        inquiry.past_asked_at = began
        sighting = evidence.sightings.of(job.ref, began=job.began, names=job.names) if evidence else Sighting()
        if evidence and sighting.state.phase is not Phase.NOT_LISTED:
            inquiry.past_failures, inquiry.read_at = 0, began
            is_ours = all(map(self._is_ours, sighting.names))
            job.note_past(sighting, evidence.read, was_listed=job.ref in self._seen, is_ours_by_name=is_ours)
        elif evidence and evidence.read.is_complete:
            inquiry.past_failures, inquiry.not_past_at = 0, began
        else:
            inquiry.past_failures += 1

    def _look_up(self, since: float) -> None:
        """Ask for jobs alone: what a cut list hides and what a wrong user hides is found only so."""
        missing = [job for job in self._open() if job.state.phase is Phase.NOT_LISTED]
        at_its_end = [job for job in missing if self._standard.wants_lookup(job, self._inquiries[job.ref])]
        unread = self._unread(since)
        if len(at_its_end) + len(unread) > SINGLE_READS or any(self._may_be_hidden(job) for job in at_its_end):
            self._read_list(None)
            unread = self._unread(since)
            at_its_end = [job for job in missing if self._standard.wants_lookup(job, self._inquiries[job.ref])]
        first = [job for job in missing if not self._inquiries[job.ref].lookups]
        if len(missing) > SINGLE_READS:
            first = first[: max(0, FIRST_FEW - len(missing) + len(first))]
        hidden = [job for job in self._open() if self._is_hidden(job)]
        wanted = dict.fromkeys([*first, *at_its_end, *unread, *hidden])
        self._ask_alone(wanted)

    def _ask_alone(self, jobs: Iterable[Progress]) -> None:
        """Those first that were asked for least."""
        for job in sorted(jobs, key=lambda job: self._inquiries[job.ref].lookups)[:SINGLE_READS]:
            if self._is_late() or not self._look_up_one(job):
                return

    def _is_hidden(self, job: Progress) -> bool:
        """Tell whether the lists of this look were no proof for it, and one that has nothing else may be."""
        sighting = self._seen.get(job.ref, Sighting())
        return job.ref in self._unproven and sighting.state.phase not in (Phase.ACTIVE, Phase.DOUBTFUL)

    def _may_hide_members(self, job: Progress) -> bool:
        return self._is_hidden(job) and (job.members.is_array or job.members.may_be_hidden)

    def _look_up_one(self, job: Progress) -> bool:
        """A member of an array may be listed as part of it. Tell whether to go on with the next job."""
        self._inquiries[job.ref].lookups += 1
        ids = dict.fromkeys([job.ref.job_id, job.ref.id.array])
        try:
            evidence = read_list(self._client, self._scheduler_id, job_ids=list(ids), is_late=self._is_late)
        except ScnetError as error:
            self._note_failure([job], error, f"job {job.ref}")
            self._inquiries[job.ref].lookup_failures += 1
            return error.answered
        self._inquiries[job.ref].lookup_failures = 0
        self._note_list(evidence, [job], (self._scheduler_id, None, job.ref.job_id))
        return True

    def _judge(self) -> None:
        """Only what this look has seen: no read that failed may be what settles a job."""
        for job in self._open():
            if sighting := self._seen.get(job.ref):
                inquiry, hidden = self._inquiries[job.ref], self._may_be_hidden(job)
                self._standard.judge(job, inquiry, self._experience, sighting, may_be_hidden=hidden)

    def _may_be_hidden(self, job: Progress) -> bool:
        """The service may show us nothing but our own jobs: then only the history can tell of others."""
        return job.ref.user != self._own_user() and not self._experience.shows_others

    def _own_user(self) -> str:
        return self._attempt([], self._client.own_user) or ""

    def _is_late(self) -> bool:
        deadline = self._client.patience.deadline or float("inf")
        end = min(self._began + LONGEST_LOOK, max(deadline, self._began + LAST_LOOK))
        return self._now() > end

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read_list(self, user: str | None) -> None:
        """It may show jobs that were named with a wrong user, too."""
        asked_for = [job for job in self._jobs if user in (None, job.ref.user)]
        ask = partial(read_list, self._client, self._scheduler_id, user=user, is_late=self._is_late)
        if evidence := self._attempt(asked_for, ask):
            self._note_list(evidence, self._jobs, (self._scheduler_id, user, None))

    def _note_list(self, evidence: Evidence, jobs: Sequence[Progress], key: tuple[str, str | None, str | None]) -> None:
        """
        Compare a list with jobs.

        :param key: which list it is: nothing at all is no answer where something was shown before.
        """
        if evidence.error:
            self._note_failure([], evidence.error, "all of a list")
        self._is_blank |= evidence.is_null and key in self._experience.shown
        is_blank = evidence.is_null and self._is_blank
        is_known = bool(self._known_by) and evidence.read.gateway == self._known_by
        is_complete = evidence.read.is_complete and is_known and not is_blank
        is_complete &= evidence.read.is_alone or not self._experience.lists_are_cut
        whole = replace(evidence.read, is_complete=is_complete)
        if evidence.sightings.owners:
            self._experience.shown.add(key)
        own_user = self._own_user()
        others = evidence.sightings.owners - {"", own_user}
        self._experience.shows_others |= len(others) > (0 if own_user else 1)
        # A total may be plain wrong, so that each job would have to be asked for alone.
        are_few = len(self._open()) <= SINGLE_READS
        for job in jobs:
            sighting = evidence.sightings.of(job.ref)
            was_settled = job.stage.is_settled
            if sighting.stranger:
                job.note_stranger(sighting.stranger, whole)
            if not sighting.entries and key[1] not in (None, job.ref.user):
                continue
            read = self._compare_with_lists(job, sighting, whole)
            are_sought = are_few and self._inquiries[job.ref].lookup_failures < LOOKUP_TRIES
            job.note_listed(sighting, read, members_are_sought=are_sought)
            if was_settled and not job.stage.is_settled:
                self._log.warning("Job %s goes on after all: %s.", job.ref, job.state)
            if sighting.entries or job.ref not in self._seen:
                self._seen[job.ref] = sighting
            self._inquiries[job.ref].read_at = read.began
            if job.members.are_whole(read):
                self._unproven.discard(job.ref)
            is_enough = read.is_complete or (job.has_ended_before and read.is_alone and is_known and not is_blank)
            if is_enough and sighting.state.phase is Phase.NOT_LISTED and key[1] is None:
                self._inquiries[job.ref].looked_up_at = read.began
                job.hint = job.hint or (FOREIGN if self._may_be_hidden(job) else None)

    def _compare_with_lists(self, job: Progress, found: Sighting, read: Read) -> Read:
        """A read may not show what another one of this look has shown; what a look-up finds, lists may not show."""
        listed = self._seen.get(job.ref)
        if listed is None:
            return read
        missed_by_list = listed.state.phase is Phase.NOT_LISTED and job.ref not in self._unproven
        if read.is_alone and missed_by_list and found.state.owner == job.ref.user:
            self._experience.lists_are_cut = True
        return replace(read, is_complete=read.is_complete and listed.entries <= found.entries)

    def _attempt(self, jobs: Sequence[Progress], ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except ScnetError as error:
            self._note_failure(jobs, error, counted(len(jobs), "job") if jobs else "the schedulers")
            return None

    def _note_failure(self, jobs: Sequence[Progress], error: ScnetError, what: str) -> None:
        self._log.warning("Could not look at %s: %s", what, error)
        if isinstance(error, ScnetTransientError) and error.retry_after:
            self.retry_after = max(self.retry_after, error.retry_after)
        for job in jobs:
            if not job.stage.is_settled:
                job.note_unseen(error)

    def _unread(self, since: float) -> list[Progress]:
        settled = (Stage.DELETED, Stage.GONE)
        return [job for job in self._jobs if job.stage in settled and self._inquiries[job.ref].read_at < since]

    def _open(self) -> list[Progress]:
        return [job for job in self._jobs if not job.stage.is_settled]

    def _count(self, phase: Phase) -> int:
        return sum(job.state.phase is phase for job in self._open())
