"""Sending deletes: in batches, so that what SCNet refuses keeps nobody else's job running."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import confirmed
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.evidence import group_by
from airflow_provider_scnet.jobs.progress import Progress
from airflow_provider_scnet.jobs.stages import Stage
from airflow_provider_scnet.wording import counted

FAILURES_IN_A_ROW = 3
"""Batches that may fail one after the other before the rest waits for the next round: the service is down."""
LAST_ROUND = 60.0
"""Seconds for which the last round goes on in spite of that: there is no next one."""
SPLITS_IN_A_ROW = 12
"""Times in a row that the last round splits what was answered so that its effect is open: enough to find one job."""
REFUSED_ALONE = 8
"""Different jobs that may be refused alone with one code, and none accepted meanwhile, before it is not about them."""
EFFECT_UNKNOWN = {"10012", "10013", "815005"}
"""Codes that leave open whether the delete was carried out."""

Refusal = tuple[str, str | None]
"""By which gateway, and with which code: another gateway may take what one refuses."""

_OF_THE_ACCOUNT = (ScnetAccountError, ScnetPermissionError, ScnetCredentialError, ScnetAddressError)
_CODES_OF_THE_ACCOUNT = {"10003", "10008", "401", "403"}
"""10003: our requests always have all parameters, so the service that misses one never saw the body."""


class Sender:
    """
    Send deletes and take down what SCNet answers.

    :param client: which makes one attempt of each call.
    :param logger: where to tell what happens.
    """

    def __init__(self, client: ScnetClient, *, logger: Any) -> None:
        self._client = client
        self._log = logger
        self._harmless: set[Refusal] = set()  # that turned out not to mean the account
        self._alone: dict[Refusal, list[Progress]] = defaultdict(list)  # refused since the last accepted delete
        self._refusals: dict[Refusal, ScnetError] = {}
        self.retry_after = 0.0
        """Seconds that the service asked us to wait when deletes were sent last."""
        self.last_sent_at = float("-inf")
        """When the last delete was sent."""

    def send(self, jobs: Sequence[Progress], *, is_last: bool = False) -> bool:
        """
        Send deletes, jobs that were sent least first.

        :param is_last: there is no later round for what is refused now: batches are split at once.
        :return: whether a refused batch waits to be sent in halves, for which there is no reason to wait.
        :raises ScnetPermanentError: if what SCNet refuses is the account, not the jobs.
        """
        self.retry_after = 0.0
        self._stop_if_all_is_refused()
        self._log_again([job for job in jobs if job.sends])
        by_ref = {job.ref: job for job in sorted(jobs, key=lambda job: job.sends)}
        split = False
        for refs in group_by(by_ref, "scheduler_id").values():
            split |= self._send_to_scheduler([by_ref[ref] for ref in refs], is_last=is_last)
        return split

    def _send_to_scheduler(self, jobs: Sequence[Progress], *, is_last: bool) -> bool:
        self._client.turn_to(jobs[0].ref.scheduler_id)
        split, failures = False, 0
        now = self._client.patience.now
        end = now() + (LAST_ROUND if is_last else 0.0)
        batches = deque(_batches(jobs))
        while batches and (failures < FAILURES_IN_A_ROW or now() < end):
            batch = batches.popleft()
            error = self._send_batch(batch)
            if error is None:
                failures = 0
            elif not may_be_the_account(error) and (not error.answered or error.code in EFFECT_UNKNOWN):
                failures += 1
                if is_last and error.answered and failures <= SPLITS_IN_A_ROW:  # one of its jobs may be the reason
                    batches.extendleft(_halves(batch)[::-1])
            elif is_last or not _is_about_jobs(error):
                # One half after the other: nobody knows yet whether anything else would be accepted.
                batches.extendleft(_halves(batch)[::-1])
                if not _is_about_jobs(error) and self._is_all_refused(self._refusal(error)):
                    return may_be_the_account(error)  # a look comes first: it may be just these, which have ended
            else:  # likewise
                failures, split = 0, split or len(batch) > 1
        return split

    def _send_batch(self, batch: Sequence[Progress]) -> ScnetError | None:
        self.last_sent_at = self._client.patience.now()
        for job in batch:
            job.note_sent(self.last_sent_at)
        try:
            texts = self._client.delete_jobs([job.ref for job in batch])
        except ScnetError as error:
            self._log.warning("A delete of %s failed: %s", counted(len(batch), "job"), error)
            self._note_failure(batch, error)
            return error
        self._alone.clear()
        text = texts.get(batch[0].ref.scheduler_id, "")
        named = confirmed([job.ref for job in batch], text)
        for job in batch:
            if job.ref in named:
                job.note_confirmed(self._client.base_url)
            else:
                job.note_not_confirmed(text)
        return None

    def _note_failure(self, batch: Sequence[Progress], error: ScnetError) -> None:
        is_refusal = isinstance(error, ScnetPermanentError) or may_be_the_account(error)
        for job in batch:
            job.note_failure(error, self._client.base_url, batch=len(batch), is_refusal=is_refusal)
        if isinstance(error, ScnetTransientError) and error.retry_after:
            self.retry_after = max(self.retry_after, error.retry_after)
        refusal = self._refusal(error)
        # What is tried again tells nothing new of the others.
        if len(batch) == 1 and batch[0].refusals[refusal[0]] <= 1 and batch[0] not in self._alone[refusal]:
            self._alone[refusal].append(batch[0])
        if may_be_the_account(error):
            self._refusals[refusal] = error
            self._clear_of_suspicion(refusal, error)

    def _refusal(self, error: ScnetError) -> Refusal:
        return self._client.base_url, error.code

    def _stop_if_all_is_refused(self) -> None:
        for refusal, error in self._refusals.items():
            if refusal[0] == self._client.base_url and self._is_all_refused(refusal):
                raise error

    def _is_all_refused(self, refusal: Refusal) -> bool:
        return sum(not job.stage.is_settled for job in self._alone[refusal]) >= REFUSED_ALONE

    def _clear_of_suspicion(self, refusal: Refusal, error: ScnetError) -> None:
        """Find out with one harmless read, once for each code, that SCNet means the jobs and not the account."""
        if refusal in self._harmless:
            return
        try:
            self._client.list_schedulers()
        except ScnetError as second:
            if may_be_the_account(second) and type(second) is type(error):
                raise error from None
            return  # the service is in other trouble: nothing is known yet
        self._harmless.add(refusal)

    def _log_again(self, jobs: Sequence[Progress]) -> None:
        if jobs:
            reasons = Counter(_why_again(job) for job in jobs)
            why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            self._log.info("Sending the delete of %s again: %s.", counted(len(jobs), "job"), why)


def may_be_the_account(error: ScnetError) -> bool:
    """Tell whether an error may not be about the jobs: whatever else was sent would meet the same then."""
    return (
        isinstance(error, _OF_THE_ACCOUNT)
        or error.code in _CODES_OF_THE_ACCOUNT
        or (isinstance(error, ScnetPermanentError) and not error.answered)
    )


def _is_about_jobs(error: ScnetError) -> bool:
    return isinstance(error, ScnetPermanentError) and not may_be_the_account(error)


def _why_again(job: Progress) -> str:
    if job.stage is Stage.CONFIRMED:
        return f"{job.state} although SCNet confirmed it"
    if job.error is None:
        return f"{job.state}"
    return f"after {job.error.code or job.error.message.partition(' (')[0]}"


def _halves(batch: list[Progress]) -> list[list[Progress]]:
    middle = (len(batch) + 1) // 2
    return [half for half in (batch[:middle], batch[middle:]) if 0 < len(half) < len(batch)]


def _batches(jobs: Sequence[Progress]) -> list[list[Progress]]:
    """
    Cut jobs into batches; each travels in a batch no larger than its own limit. A scheduler that cannot read what an id
    has in brackets carries out nothing of the whole request.
    """
    batches: list[list[Progress]] = []
    limit = 0
    for job in jobs:
        if job.ref.id.is_bracket:
            batches.append([job])
            limit = 0
            continue
        limit = min(limit, job.batch_limit)
        if not batches or len(batches[-1]) >= limit:
            batches.append([])
            limit = job.batch_limit
        batches[-1].append(job)
    return batches
