"""Submit the job of a task instance exactly once: what may have been sent already is looked for before it is sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_scnet.api.answers import NeverSentError
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetPermanentError,
    ScnetQueueFullError,
    ScnetStoppedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.evidence import read_detail
from airflow_provider_scnet.jobs.memory import Notebook
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.search import GOES_ON, TaggedJob, find_tagged
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
    :param tag: stands for the task instance and its generation.
    :param members: the ``GAP_...`` members; the name in them carries the tag.
    """

    scheduler_id: str
    user: str
    tag: JobTag
    members: Mapping[str, str]

    @property
    def name(self) -> str:
        """The job's name."""
        return self.members["GAP_JOB_NAME"]


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

    def stop(self) -> None:
        """
        Submit nothing from now on. An answer that is under way is still waited for: it tells which job to delete. May
        be called by a signal handler.
        """
        self._is_stopped = True

    def run(self) -> JobRef:
        """
        Return the one job of this task instance and generation: the one that is found, or a new one.

        :raises ScnetTransientError: if it is not known whether a job was submitted; the next try looks first.
        :raises ScnetJobsNotDeletedError: if a job of another generation does not end; then nothing is submitted.
        :raises ScnetStoppedError: if the task is told to stop before anything is sent.
        :raises ScnetError: if the job is refused.
        """
        settled_at = self._settled_at()
        if settled_at is None:
            return self._submit()
        found = self._search(settled_at)
        if found:
            return self._adopt(found)
        self._notebook.note_begun()
        return self._submit()

    def _settled_at(self) -> float | None:
        """From when on lists show whatever may have been sent; ``None`` if nothing was."""
        memory = self._notebook.read()
        if memory is None:
            if self._is_retry:
                return self._patience.now() + SETTLING_TIME
            self._notebook.note_begun()
            return None
        if memory.sent_at is None:
            return None
        ago = max(0.0, self._patience.wall_clock() - memory.sent_at)
        return self._patience.now() + max(0.0, SETTLING_TIME - ago)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _search(self, settled_at: float) -> TaggedJob | None:
        """Look for the job until the lists must show it; whatever else of this task instance goes on is ended."""
        self._log.info("Looking for a job %s that may have been submitted already.", quote(self._target.name))
        given_up_at = settled_at + PATIENCE_WITH_LISTS
        while True:
            self._check()
            began = self._patience.now()
            jobs, is_complete = self._look(is_last=began >= given_up_at)
            is_settled = began >= settled_at and is_complete
            result = _result_of(jobs, self._target.tag)
            if result or is_settled:
                self._end([job for job in jobs if job is not result and job.may_go_on])
                return result
            self._end([job for job in jobs if job.tag != self._target.tag and job.may_go_on])
            if began >= given_up_at:
                raise ScnetTransientError(
                    f"SCNet's lists did not tell within {given_up_at - settled_at + SETTLING_TIME:.0f} s whether job "
                    f"{quote(self._target.name)} was submitted already, for they were not complete.",
                    remedy="The next try looks first, before it submits.",
                )
            self._patience.sleep(LOOK_EVERY)

    def _look(self, *, is_last: bool) -> tuple[list[TaggedJob], bool]:
        """A look that fails tells nothing; the last one may say why."""
        target = self._target
        try:
            found = find_tagged(self._client, target.scheduler_id, target.user, {target.tag.task}, since=self._since)
            jobs = [job for job in found.jobs if job.tag.is_of_same_instance(target.tag)]
            return [self._with_word(job) for job in jobs], found.are_complete
        except ScnetTransientError as error:
            if is_last:
                raise
            self._log.warning("Could not look for job %s: %s", quote(target.name), error)
            return [], False

    def _with_word(self, job: TaggedJob) -> TaggedJob:
        """A live code may say nothing about success; the job's own detail may have the scheduler's word."""
        is_told = job.phase not in (Phase.CLAIMED, Phase.DOUBTFUL)
        if is_told or job.tag != self._target.tag or len(job.records) > 1:
            return job
        detail = read_detail(self._client, job.ref, job.records[0].scheduler_name)
        if detail.record is None or not detail.is_ours or not detail.record.word:
            return job
        return TaggedJob(job.ref, job.tag, (detail.record,))

    def _adopt(self, job: TaggedJob) -> JobRef:
        self._log.info("Job %s (%s) is this task's: going on with it.", job.ref, job.records[0].state)
        self._notebook.note_submitted(self._patience.wall_clock(), job.ref)
        return job.ref

    def _end(self, jobs: list[TaggedJob]) -> None:
        if not jobs:
            return
        why = "earlier" if any(job.tag != self._target.tag for job in jobs) else "more than one"
        self._log.warning(
            "Deleting %s of this task instance (%s): %s.",
            counted(len(jobs), "other job"),
            why,
            ", ".join(map(str, (job.ref for job in jobs))),
        )
        Deletion(self._client, [job.ref for job in jobs], DeleteOptions(), logger=self._log).run()

    # --- sending -----------------------------------------------------------------------------------------------------

    def _submit(self) -> JobRef:
        self._check()
        target = self._target
        moment = self._patience.wall_clock()
        self._notebook.note_sent(moment)
        try:
            job_id = self._client.submit_job(target.scheduler_id, target.members)
        except ScnetError as error:
            if not _may_have_worked(error):
                self._notebook.note_begun()
                raise
            return self._look_for_answer(error)
        ref = JobRef(target.scheduler_id, target.user, job_id)
        self._log.info("Submitted job %s as %s.", ref, quote(target.name))
        self._notebook.note_submitted(moment, ref)
        return ref

    def _check(self) -> None:
        if self._is_stopped:
            raise ScnetStoppedError("The task was told to stop, so nothing is submitted any more.")

    def _look_for_answer(self, error: ScnetError) -> JobRef:
        self._log.warning("It is not known whether the job was submitted: %s", error)
        if found := self._search(self._patience.now() + SETTLING_TIME):
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


def _result_of(jobs: list[TaggedJob], tag: JobTag) -> TaggedJob | None:
    """The job that counts: one that goes on, rather running than waiting, and rather old; or one that ended well."""
    ours = [job for job in jobs if job.tag == tag]
    going_on = [job for job in ours if job.phase in GOES_ON and not job.is_on_its_way_out]
    done = [job for job in ours if job.ending is Ending.COMPLETED]
    return min(going_on or done, key=lambda job: (not job.is_running, job.age), default=None)


def _may_have_worked(error: ScnetError) -> bool:
    """Whether a submission that failed so may have had an effect; only what surely had none is certain."""
    return not isinstance(error, NeverSentError | ScnetPermanentError | ScnetQueueFullError)
