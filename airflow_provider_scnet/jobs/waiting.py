"""Wait for jobs to end, and tell how each did."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobCancelledError,
    ScnetJobFailedError,
    ScnetJobNodeFailureError,
    ScnetJobOutOfMemoryError,
    ScnetJobPreemptedError,
    ScnetJobTimeLimitError,
    final,
)
from airflow_provider_scnet.jobs.evidence import (
    HISTORY_WINDOW,
    SINGLE_READS,
    Evidence,
    group_by,
    read_detail,
    read_history,
    read_list,
)
from airflow_provider_scnet.jobs.outcome import Ending, ending_of, may_be_started_again
from airflow_provider_scnet.jobs.sighting import latest
from airflow_provider_scnet.wording import counted, quote

BLANK_FOR = 90.0
"""Seconds for which a list that shows no job at all has to stay so: an outage may look like that."""
NO_OUTPUT = "0:53"
NAMED_JOBS = 20
_ERRORS: dict[Ending, type[ScnetJobFailedError]] = {
    Ending.OUT_OF_MEMORY: ScnetJobOutOfMemoryError,
    Ending.TIME_LIMIT: ScnetJobTimeLimitError,
    Ending.NODE_FAILURE: ScnetJobNodeFailureError,
    Ending.PREEMPTED: ScnetJobPreemptedError,
    Ending.FAILED: ScnetJobFailedError,
    Ending.CANCELLED: ScnetJobCancelledError,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """
    How a job ended.

    :param record: the last that SCNet said of it; of an array, of the member that ended worst.
    """

    ref: JobRef
    ending: Ending
    record: JobRecord

    @property
    def is_good(self) -> bool:
        """Whether it did what it was to do, as far as the scheduler knows."""
        return self.ending is Ending.COMPLETED

    @property
    def log_ref(self) -> JobRef:
        """The job, or the member of an array, whose log tells why."""
        job_id = self.record.job_id
        is_member = re.fullmatch(r"\d+_\d+", job_id) is not None
        return JobRef(self.ref.scheduler_id, self.ref.user, job_id) if is_member else self.ref

    def __str__(self) -> str:
        record = self.record
        member = f", member {record.job_id}" if record.job_id != self.ref.job_id else ""
        reason = "" if record.reason in ("", "None") else f", reason {quote(record.reason, 80)}"
        exit_code = f", exit code {quote(record.exit_code, 20)}" if record.exit_code else ""
        return f"{self.ref}{member}  {self.ending.value} ({record.state}{reason}{exit_code})"


class Watch:
    """
    Watch jobs until all have ended. What was seen to have ended is not looked for again.

    :param client: how to talk to the region's gateways.
    :param refs: the jobs, each once.
    :param logger: where to tell what happens.
    """

    def __init__(self, client: ScnetClient, refs: Iterable[JobRef], *, logger: Any = log) -> None:
        self.client = client
        self._refs = list(dict.fromkeys(refs))
        self._log = logger
        self._outcomes: dict[JobRef, Outcome] = {}
        self._blank_since: dict[tuple[str, str], float] = {}  # lists, by scheduler and user, that show no job at all
        self.is_unsure = False
        """Whether the last look would have told more, had a list that shows no job at all been so for longer."""

    @property
    def outcomes(self) -> list[Outcome]:
        """How those ended that have, in the order the jobs were given."""
        return [self._outcomes[ref] for ref in self._refs if ref in self._outcomes]

    @property
    def open(self) -> list[JobRef]:
        """The jobs that are not known to have ended."""
        return [ref for ref in self._refs if ref not in self._outcomes]

    def look(self) -> None:
        """
        Look at the jobs that are open, once. Requests grow with pages, not with jobs.

        :raises ScnetError: if a list cannot be read; jobs of other schedulers and users were looked at all the same.
        """
        self.is_unsure = False
        error: ScnetError | None = None
        for of_scheduler in group_by(self.open, "scheduler_id").values():
            for refs in group_by(of_scheduler, "user").values():
                try:
                    self._look_at(refs)
                except ScnetError as failure:
                    error = error or failure
        if error:
            raise error

    def _look_at(self, refs: Sequence[JobRef]) -> None:
        """Jobs of one user in one scheduler."""
        evidence = read_list(self.client, refs[0].scheduler_id, user=refs[0].user)
        is_sure = evidence.read.is_complete and self._is_no_outage(refs[0], evidence)
        live = {ref: evidence.sightings.records_of(ref) for ref in refs}
        self._ask_for_words(live)
        past = self._read_history({ref: records for ref, records in live.items() if not _tells(ref, records)})
        for ref, records in live.items():
            known = latest(records, past.get(ref, []))
            if not is_sure and _may_go_on_unseen(ref, known):
                self.is_unsure |= evidence.read.is_complete
            else:
                self._judge(ref, known)

    def _is_no_outage(self, ref: JobRef, evidence: Evidence) -> bool:
        """A list that shows any job is none; one that shows none has to stay so."""
        key, now = (ref.scheduler_id, ref.user), self.client.patience.now()
        if evidence.sightings.owners:
            self._blank_since.pop(key, None)
            return True
        return now - self._blank_since.setdefault(key, now) >= BLANK_FOR

    def _ask_for_words(self, live: dict[JobRef, list[JobRecord]]) -> None:
        """A live code says nothing about success; the job's own detail may have the scheduler's word."""
        doubtful = [ref for ref, records in live.items() if [r.state.phase for r in records] in _IN_DOUBT]
        for ref in doubtful[:SINGLE_READS]:
            try:
                detail = read_detail(self.client, ref, live[ref][0].scheduler_name)
            except ScnetError as error:  # the history tells, too, if later
                self._log.warning("Could not look at the detail of job %s: %s", ref, error)
                continue
            if detail.record and detail.is_ours and detail.record.word:
                live[ref] = [detail.record]

    def _read_history(self, live: dict[JobRef, list[JobRecord]]) -> dict[JobRef, list[JobRecord]]:
        """Asked for an array, SCNet may not name its members, so that an array is looked for by pages."""
        found: dict[JobRef, list[JobRecord]] = {}
        single = [ref for ref, records in live.items() if not _is_array(ref, records)]
        for by_pages in (False, True):
            refs = [ref for ref in live if not found.get(ref)] if by_pages else single
            try:
                past = read_history(self.client, refs, window=HISTORY_WINDOW, by_pages=by_pages) if refs else None
            except ScnetError as error:
                self._log.warning("Could not look for %s in the history: %s", counted(len(refs), "job"), error)
                continue
            found |= {ref: past.sightings.records_of(ref) for ref in refs} if past else {}
        return found

    def _judge(self, ref: JobRef, records: list[JobRecord]) -> None:
        now = datetime.fromtimestamp(self.client.patience.wall_clock(), UTC)
        endings = [ending_of(record) for record in records]
        if not records:
            self._log.info("SCNet does not know job %s: neither listed nor in the history of the last 30 days.", ref)
        if not records or None in endings or any(may_be_started_again(record, now) for record in records):
            return
        ending, record = min(zip(endings, records, strict=True), key=lambda one: list(Ending).index(one[0] or _BEST))
        self._outcomes[ref] = outcome = Outcome(ref, ending or _BEST, record)
        self._log.info("Job %s.", outcome)


_IN_DOUBT = ([Phase.CLAIMED], [Phase.DOUBTFUL])
_BEST = Ending.COMPLETED


def _is_array(ref: JobRef, records: Iterable[JobRecord]) -> bool:
    return any(record.job_id != ref.job_id for record in records)


def _may_go_on_unseen(ref: JobRef, records: Sequence[JobRecord]) -> bool:
    """Whether what is known may be about other members, or about a run before a restart."""
    return _is_array(ref, records) or any(record.state.phase is Phase.INTERRUPTED for record in records)


def _tells(ref: JobRef, records: Sequence[JobRecord]) -> bool:
    """Whether the live list tells all: that a job goes on, or how it ended. Of an array it may show a part."""
    if any(record.state.phase in (Phase.ACTIVE, Phase.DOUBTFUL) for record in records):
        return True
    return bool(records) and not _is_array(ref, records) and None not in map(ending_of, records)


def error_of(outcomes: Sequence[Outcome], *, is_final: bool) -> ScnetJobFailedError:
    """
    Make the error for jobs that ended badly, in the class that says how if they did so alike.

    :param outcomes: of one or more such jobs.
    :param is_final: whether a retry of the task would find the same jobs.
    """
    kinds = {_ERRORS[outcome.ending] for outcome in outcomes}
    kind = kinds.pop() if len(kinds) == 1 else ScnetJobFailedError
    first = outcomes[0]
    remedy = ""
    if any(outcome.record.exit_code == NO_OUTPUT for outcome in outcomes):
        remedy = f"Exit code {NO_OUTPUT} without a log: the output path could not be opened. Does work_dir exist?"
    if len(outcomes) == 1:
        message = f"Job {first}."
    else:
        more = len(outcomes) - NAMED_JOBS
        lines = [f"{len(outcomes)} jobs ended badly:", *(f"  {outcome}" for outcome in outcomes[:NAMED_JOBS])]
        message = "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])
    return (final(kind) if is_final else kind)(
        message,
        remedy=remedy,
        ref=str(first.ref),
        state=str(first.record.state),
        reason=first.record.reason,
        exit_code=first.record.exit_code,
    )
