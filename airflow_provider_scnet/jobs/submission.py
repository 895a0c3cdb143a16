"""Submit the job of a task instance exactly once: what may have been sent already is looked for before it is sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetPermanentError,
    ScnetStoppedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.evidence import read_detail
from airflow_provider_scnet.jobs.known import count_members
from airflow_provider_scnet.jobs.lives import Life
from airflow_provider_scnet.jobs.memory import Memory, Notebook
from airflow_provider_scnet.jobs.naming import JOB_NAME
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.search import GOES_ON, Findings, Search, TaggedJob
from airflow_provider_scnet.wording import counted, quote, sentences

SETTLING_TIME = 60.0
"""Seconds for which a job that was submitted may not be listed yet."""
LOOK_EVERY = 5.0
"""Seconds between two looks meanwhile."""
PATIENCE_WITH_LISTS = 120.0
"""Seconds for which lists may fail to tell beyond that, before the try is given up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """
    Where a job is submitted to, and as what.

    :param user: the cluster user it will belong to.
    :param life: of the task instance that submits.
    :param members: the ``GAP_...`` members; the name in them carries the tag.
    :param keeps: whether a job of an earlier life that still runs is gone on with, if command and resources are equal.
    """

    scheduler_id: str
    user: str
    life: Life
    members: Mapping[str, str]
    keeps: bool = False

    @property
    def name(self) -> str:
        """The job's name."""
        return self.members[JOB_NAME]


class Submission:
    """
    One try of a task instance to have its job submitted.

    :param client: how to talk to the region's gateways.
    :param notebook: what earlier tries have written down.
    :param is_retry: whether an earlier try, or another generation, may have sent something.
    :param since: before which no job of this task instance can have ended, with a time zone.
    :param logger: where to tell what happens.
    """

    def __init__(
        self,
        client: ScnetClient,
        target: Target,
        notebook: Notebook,
        *,
        is_retry: bool,
        since: datetime,
        logger: Any = log,
    ) -> None:
        self._client = client
        self._target = target
        self._notebook = notebook
        self._is_retry = is_retry
        self._since = since
        self._patience = client.patience
        self._log = logger
        self._is_stopped = False
        self._memory = Memory(sent_at=0.0 if is_retry else None)  # long ago, at an unknown time
        self._met: set[JobRef] = set()
        self._ended: set[JobRef] = set()  # which lists that lag may show again

    def stop(self) -> None:
        """
        Submit nothing from now on. An answer that is under way is still waited for: it tells which job to delete. May
        be called by a signal handler.
        """
        self._is_stopped = True

    @property
    def name(self) -> str:
        """The name of a job that is submitted now."""
        return self._target.name

    @property
    def life(self) -> Life:
        """Of the task instance that submits."""
        return self._target.life

    @property
    def dismissed(self) -> frozenset[JobRef]:
        """Jobs of this task instance that were found, and are not gone on with; lists that lag may show them again."""
        return frozenset(self._met | self._memory.killed)

    def run(self) -> JobRef:
        """
        Return the one job of this task instance and life: the one that is found, or a new one.

        :raises ScnetTransientError: if it is not known whether a job was submitted; the next try looks first.
        :raises ScnetJobsNotDeletedError: if a job of another generation does not end; then nothing is submitted.
        :raises ScnetStoppedError: if the task is told to stop before anything is sent.
        :raises ScnetError: if the job is refused.
        """
        if self._nothing_was_sent():
            return self._submit()
        found = self._search()
        return self._adopt(found) if found else self._submit()

    def find(self) -> JobRef | None:
        """Return the job as far as it is known: what is remembered, else what is listed. Nothing is submitted."""
        self._memory = known = self._notebook.read() or self._memory
        if known.ref:
            return known.ref
        job = self._result_of(self._look(with_past=False).jobs)
        return job.ref if job else None

    def _nothing_was_sent(self) -> bool:
        known = self._notebook.read()
        if known is None:
            self._notebook.note_before(self._memory)  # since when this life is, too
        self._memory = known or self._memory
        return self._memory.sent_at is None

    # --- looking -----------------------------------------------------------------------------------------------------

    def _search(self, *, is_open: bool = False) -> TaggedJob | None:
        """
        Look for the job until lists that may lag must show it; whatever else of this task instance goes on is ended.
        Only what is found may be believed at once: a single list that shows no job at all, of whatever tasks, may be an
        accident.

        :param is_open: whether a submission of this try may be about to show up; then a job that has ended may be an
            earlier one.
        """
        self._log.info("Looking for a job %s that may have been submitted already.", quote(self._target.name))
        began = self._patience.now()
        asks_past, was_blank = True, False
        while True:
            self._check()
            elapsed = self._patience.now() - began
            has_settled, is_late = elapsed >= SETTLING_TIME, elapsed >= SETTLING_TIME + PATIENCE_WITH_LISTS
            found = self._look(with_past=asks_past or has_settled)
            self._give_way(found.jobs)
            is_blank = found.are_complete and not found.live
            result = self._result_of(found.jobs)
            is_proven = found.are_complete and (has_settled or self._has_seen_the_end(found.jobs))
            is_sure = result is not None and (has_settled or self._is_ours_for_sure(result, is_open=is_open))
            is_told = is_sure and not found.trouble  # beside a result, the history has to tell of all members
            is_seen = was_blank or not is_blank
            is_absent = is_proven and is_seen and (is_late or not self._may_one_end_well(found.jobs))
            if is_told or is_absent:
                self._end([job for job in found.jobs if job is not result])
                return result
            self._end([job for job in found.jobs if job is not result and not self.life.owns(job.tag)])
            if is_late:
                raise self._not_told(found, elapsed)
            self._patience.sleep(LOOK_EVERY)
            asks_past, was_blank = is_proven, is_blank

    def _is_ours_for_sure(self, result: TaggedJob, *, is_open: bool) -> bool:
        """What has ended may be an earlier job, or a member of an array, while what counts is not listed yet."""
        is_earlier = is_open or self._memory.ref not in (None, result.ref)
        return result.phase in GOES_ON or not (is_earlier or result.may_be_listed_late)

    def _look(self, *, with_past: bool) -> Findings:
        """The history is read where the live list does not show the job, and not with each look. No read is a must."""
        target = self._target
        search = Search(self._client, target.scheduler_id, target.user, set(self.life.tasks))
        try:
            found = self._of_this_instance(search.listed())
        except ScnetPermanentError:
            raise
        except ScnetError as error:
            found = Findings([], are_complete=False, live=[], trouble=error)
        result = self._result_of(found.jobs)
        is_told = result is not None and not result.may_lack_members
        if not found.trouble and not is_told and (with_past or result):
            found = self._of_this_instance(search.with_past(found, since=self._since))
        if found.trouble:
            self._log.warning("Could not look for job %s: %s", quote(target.name), found.trouble)
        return found

    def _of_this_instance(self, found: Findings) -> Findings:
        jobs = [self._with_word(job) for job in found.jobs if self.life.is_of_same_instance(job.tag)]
        self._met.update(job.ref for job in jobs)
        return replace(found, jobs=jobs)

    def _with_word(self, job: TaggedJob) -> TaggedJob:
        """A live code may say nothing about success; the job's own detail may have the scheduler's word."""
        is_told = job.phase not in (Phase.CLAIMED, Phase.DOUBTFUL)
        if is_told or not self.life.owns(job.tag) or len(job.records) > 1:
            return job
        try:
            detail = read_detail(self._client, job.ref, job.records[0].scheduler_name)
        except ScnetError as error:
            self._log.warning("Could not look at the detail of job %s: %s", job.ref, error)
            return job
        if detail.record is None or not detail.is_ours or not detail.record.word:
            return job
        return replace(job, records=(detail.record,))

    def _result_of(self, jobs: list[TaggedJob]) -> TaggedJob | None:
        """
        The job that counts: the oldest that goes on, for so everybody chooses who looks; or one that ended well, of the
        last try that has submitted any.
        """
        alive = [job for job in jobs if not self._was_killed(job)]
        going_on = [job for job in alive if job.phase in GOES_ON and not job.is_on_its_way_out]
        ours = [job for job in going_on if self.life.owns(job.tag) or self._keeps(job)]
        done = [job for job in alive if self._ended_well(job) and self._is_result(job)]
        if ours:
            return min(ours, key=lambda job: job.number)
        return min(done, key=lambda job: (-job.tag.try_number, job.number), default=None)

    def _ended_well(self, job: TaggedJob, *, counted: bool = True) -> bool:
        """Members that were cancelled while they waited leave no record: so many ends have to be told as there are."""
        size = self.life.tag.array_size if counted else 0
        return job.ending is Ending.COMPLETED and count_members(job.ref, job.records) >= size

    def _is_result(self, job: TaggedJob) -> bool:
        return self.life.owns(job.tag) or (job.ref == self._memory.ref and self._keeps(job))

    def _keeps(self, job: TaggedJob) -> bool:
        return self._target.keeps and self.life.may_keep(job.tag)

    def _was_killed(self, job: TaggedJob) -> bool:
        return job.ref in self._memory.killed

    def _has_seen_the_end(self, jobs: list[TaggedJob]) -> bool:
        """Whether the one job that is known to have been submitted is known to have ended."""
        return any(job.ref == self._memory.ref and job.ending and not job.may_be_listed_late for job in jobs)

    def _may_one_end_well(self, jobs: list[TaggedJob]) -> bool:
        """Whether one is just ending, or is an array of which the history may tell more members later."""
        ours = [job for job in jobs if self.life.owns(job.tag) and not self._was_killed(job)]
        return any(job.is_just_ending or self._ended_well(job, counted=False) for job in ours)

    def _give_way(self, jobs: list[TaggedJob]) -> None:
        """A worker that is cut off goes on after a clear, of which it does not know."""
        later = [job for job in jobs if self.life.is_over(job.tag) and job.phase in GOES_ON]
        if later:
            raise ScnetStoppedError(
                f"The task was cleared, and try {later[0].tag.try_number} has job {later[0].ref}, which is left alone. "
                f"This process still runs try {self.life.tag.try_number}, of before the clear: it submits nothing."
            )

    def _not_told(self, found: Findings, elapsed: float) -> ScnetError:
        return found.trouble or ScnetTransientError(
            f"SCNet's lists did not tell within {elapsed:.0f} s whether job {quote(self._target.name)} was submitted "
            f"already, for they were not complete.",
            remedy="The next try looks first, before it submits.",
        )

    def _adopt(self, job: TaggedJob) -> JobRef:
        self._met.discard(job.ref)
        self._log.info("Reconnected to job %s (%s).", job.ref, job.records[0].state)
        adopted = replace(self._memory, sent_at=self._patience.wall_clock(), ref=job.ref, is_done=False)
        self._notebook.note_after(adopted)
        return job.ref

    def _end(self, jobs: list[TaggedJob]) -> None:
        """Those of them that may go on."""
        left = [job for job in jobs if job.ref not in self._ended and job.may_go_on(self._now())]
        doomed = {job.ref: self._why_not(job) for job in left}
        if not doomed:
            return
        self._log.warning(
            "Deleting %s of this task instance: %s.",
            counted(len(doomed), "other job"),
            ", ".join(f"{ref} ({why})" for ref, why in doomed.items()),
        )
        Deletion(self._client, list(doomed), DeleteOptions(), logger=self._log).run()
        self._ended |= doomed.keys()

    def _why_not(self, job: TaggedJob) -> str:
        if self.life.owns(job.tag):
            return "duplicate"
        is_changed = self.life.translated(job.tag).generation == self.life.tag.generation
        if is_changed and not self.life.may_keep(job.tag):
            return "its command or resources differ"
        return "submitted before the task was cleared"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._patience.wall_clock(), UTC)

    # --- sending -----------------------------------------------------------------------------------------------------

    def _submit(self) -> JobRef:
        target, before = self._target, self._memory
        self._check()
        sent = replace(before, sent_at=self._patience.wall_clock(), ref=None, is_done=False)
        self._notebook.note_before(sent)
        self._memory = sent
        self._check()  # writing may have taken long
        try:
            job_id = self._send()
        except ScnetError as error:
            if _may_have_worked(error):
                return self._look_for_answer(error)
            self._notebook.note_after(before)  # what was sent before and may still show up is not forgotten
            raise
        ref = JobRef(target.scheduler_id, target.user, job_id)
        self._met.discard(ref)
        self._log.info("Submitted job %s as %s.", ref, quote(target.name))
        self._notebook.note_after(replace(sent, ref=ref))
        return ref

    def _send(self) -> str:
        """Send it; what SCNet does not take because there are too many requests, again when SCNet has asked for it."""
        end, pauses = self._patience.now() + PATIENCE_WITH_LISTS, 0
        while True:
            self._check()
            try:
                return self._client.submit_job(self._target.scheduler_id, self._target.members)
            except ScnetTransientError as error:
                if not error.too_many:
                    raise
                asked = LOOK_EVERY if error.retry_after is None else error.retry_after
                pause = max(asked, 2.0**pauses)
                if self._patience.now() + pause > end:
                    remedy = (
                        f"This try submitted nothing. Give the task retries and a retry_delay of {pause:.0f} s or more."
                    )
                    raise error.advise(remedy) from None
            self._log.info("Not submitted: too many requests (HTTP 429). Submitting again in %.0f s.", pause)
            self._sleep(pause)
            pauses += 1

    def _sleep(self, seconds: float) -> None:
        """Not longer than a second after the task is told to stop."""
        end = self._patience.now() + seconds
        while (left := end - self._patience.now()) > 0:
            self._check()
            self._patience.sleep(min(left, 1.0))

    def _check(self) -> None:
        if self._is_stopped:
            raise ScnetStoppedError("The task was told to stop, so nothing is submitted any more.")

    def _look_for_answer(self, error: ScnetError) -> JobRef:
        self._log.warning("It is not known whether the job was submitted: %s", error)
        try:
            found = self._search(is_open=True)
        except ScnetPermanentError as refusal:  # nobody looks again, unless the reader does
            unknown = f"It is not known whether job {quote(self._target.name)} was submitted: look for it."
            raise refusal.advise(sentences(unknown, refusal.remedy)) from None
        if found:
            return self._adopt(found)
        raise ScnetTransientError(
            f"It is not known whether job {quote(self._target.name)} was submitted; SCNet does not list it "
            f"{SETTLING_TIME:.0f} s later. {error.message}",
            remedy=sentences("The next try looks for it again before it submits.", error.remedy),
            code=error.code,
            msg=error.msg,
            data=error.data,
            call=error.call,
        ) from None


def _may_have_worked(error: ScnetError) -> bool:
    """Whether a submission that failed so may have had an effect; only what surely had none is certain."""
    return not error.without_effect
