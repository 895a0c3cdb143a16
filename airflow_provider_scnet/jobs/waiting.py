"""Wait for jobs to end, and tell how each did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import ScnetError, ScnetPermanentError
from airflow_provider_scnet.jobs.backoff import Trouble
from airflow_provider_scnet.jobs.duplicates import Duplicates, Followed
from airflow_provider_scnet.jobs.evidence import (
    FEW,
    HISTORY_WINDOW,
    MOST_PAGES,
    SINGLE_READS,
    Evidence,
    group_by,
    read_detail,
    read_history,
    read_list,
    read_pages_of_history,
)
from airflow_provider_scnet.jobs.known import PROVEN_AFTER, Known
from airflow_provider_scnet.jobs.outcome import Outcome, ending_of, may_be_started_again
from airflow_provider_scnet.jobs.search import is_array
from airflow_provider_scnet.jobs.sighting import latest
from airflow_provider_scnet.wording import counted

BLANK_FOR = 90.0
"""Seconds for which a list that shows no job at all has to stay so: an outage may look like that."""
LISTED_LATE = timedelta(seconds=90)
"""How far a live list may lag behind a submission, while the history tells of members of an array that have ended."""
MOST_PAGES_OF_ARRAYS = 100
"""Pages of the history that are read for arrays of which some members were found."""

log = logging.getLogger(__name__)


class Watch:
    """
    Watch jobs until all have ended. What was seen to have ended is not looked for again.

    A job whose task instance is known may have duplicates: others that were submitted with it, or by an earlier
    generation, and are listed late. One of them counts, see :mod:`airflow_provider_scnet.jobs.duplicates`, and is
    watched from then on; the others are deleted, and the wait is not over before they have ended.

    :param client: how to talk to the region's gateways.
    :param jobs: the jobs, each once.
    :param logger: where to tell what happens.
    """

    def __init__(self, client: ScnetClient, jobs: Followed | Iterable[JobRef], *, logger: Any = log) -> None:
        self.client = client
        self._duplicates = Duplicates(logger=logger)
        self._log = logger
        self._outcomes: dict[JobRef, Outcome] = {}
        self._known: dict[JobRef, Known] = {}
        self._refused_since: float | None = None  # the history, for good
        self._blank_since: dict[tuple[str, str], float] = {}  # lists, by scheduler and user, that show no job at all
        self.is_unsure = False
        """Whether the last look would have told more, had what it has seen stayed so for longer."""
        self.follow(jobs if isinstance(jobs, Mapping) else dict.fromkeys(jobs))

    def follow(self, jobs: Followed, *, held: Iterable[JobRef] = ()) -> None:
        """
        Watch these from now on, instead of those before.

        :param jobs: what is known of those that were watched before stays known.
        :param held: others, of which it stays known as well: they will be watched again.
        """
        self._duplicates.follow(jobs)
        kept = {self.current(ref) for refs in (jobs, held) for ref in refs}
        self._outcomes = {ref: outcome for ref, outcome in self._outcomes.items() if ref in kept}
        self._known = {ref: known for ref, known in self._known.items() if ref in kept}
        self._know(jobs)

    def forget_outcomes(self) -> None:
        """Forget how jobs ended: whoever asks for one from now on waits for it anew. All else stays known."""
        self._outcomes = {}

    def _know(self, jobs: Followed) -> None:
        for asked, origin in jobs.items():
            ref = self.current(asked)
            known = self._known.setdefault(ref, Known(ref, self._now()))
            if origin:
                known.expect(origin.tag, origin.name)

    def current(self, ref: JobRef) -> JobRef:
        """
        Return the job that is watched for one that is asked for: another one, if that was submitted twice.

        :param ref: the job that is asked for.
        """
        return self._duplicates.current(ref)

    def outcome_of(self, ref: JobRef) -> Outcome | None:
        """
        Return how the job ended that is watched for one that is asked for; ``None`` if it is not known to have.

        :param ref: the job that is asked for.
        """
        return self._outcomes.get(self.current(ref))

    @property
    def outcomes(self) -> list[Outcome]:
        """How those ended that have, in the order the jobs were given."""
        return [outcome for ref in self._duplicates.followed if (outcome := self.outcome_of(ref))]

    @property
    def open(self) -> list[JobRef]:
        """The jobs that are watched and not known to have ended."""
        followed = self._duplicates.followed
        return list(dict.fromkeys(self.current(ref) for ref in followed if self.outcome_of(ref) is None))

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
        refs, delayed = self._duplicates.end(self.client, refs, evidence.sightings.records)
        self._know(self._duplicates.followed)
        live = {ref: evidence.sightings.records_of(ref) for ref in refs}
        for ref, records in live.items():
            self._known[ref].note_listed(records, self.client.patience.now(), self._now())
        self._ask_for_words(live)
        past = self._read_history({ref: records for ref, records in live.items() if not _tells(ref, records)})
        for ref, records in live.items():
            if ref not in delayed:
                self._weigh(self._known[ref], records, past.get(ref, []), evidence, is_sure=is_sure)

    def _weigh(
        self,
        known: Known,
        records: Sequence[JobRecord],
        told: Sequence[JobRecord] | None,
        evidence: Evidence,
        *,
        is_sure: bool,
    ) -> None:
        """
        Judge a job, if what is told of it is enough.

        :param records: what the live list tells.
        :param told: what the history does; ``None`` if it may tell more.
        """
        past = known.own(told or ())
        everything = [*latest(records, past), *known.lost([*records, *past])]
        if told is None and not known.has_all(everything) and not (self._is_history_refused and known.size(everything)):
            return
        if not is_sure and _may_go_on_unseen(known.ref, everything):
            self.is_unsure |= evidence.read.is_complete
        elif not records and known.may_be_another(past) and not self._has_been_absent(known, evidence):
            self.is_unsure = True
        elif records or not self._may_be_listed_late(known.ref, everything):
            self._judge(known, everything, is_sure=is_sure)

    def _is_no_outage(self, ref: JobRef, evidence: Evidence) -> bool:
        """A list that shows any job is none; one that shows none has to stay so."""
        key, now = (ref.scheduler_id, ref.user), self.client.patience.now()
        if evidence.sightings.owners:
            self._blank_since.pop(key, None)
            return True
        return now - self._blank_since.setdefault(key, now) >= BLANK_FOR

    def _ask_for_words(self, live: dict[JobRef, list[JobRecord]]) -> None:
        """
        A live code says nothing about success; the job's own detail may have the scheduler's word, and tells more of an
        end than lists do.
        """
        doubtful = [ref for ref, records in live.items() if len(records) == 1 and _is_in_doubt(records[0])]
        schedulers = {ref.scheduler_id for ref in self._duplicates.followed}
        for ref in doubtful[:SINGLE_READS]:
            try:
                detail = read_detail(self.client, ref, live[ref][0].scheduler_name, schedulers=schedulers)
            except ScnetError as error:  # the history tells, too, if later
                self._log.warning("Could not look at the detail of job %s: %s", ref, error)
                continue
            if detail.record and detail.is_ours and detail.record.word:
                live[ref] = [detail.record]

    def _read_history(self, live: dict[JobRef, list[JobRecord]]) -> dict[JobRef, list[JobRecord] | None]:
        """
        What the history tells of jobs; ``None`` of those of which it may tell more.

        A few jobs are asked for by id, many are looked for by pages. Asked for an array, SCNet may not name its
        members, so that these are looked for by pages; and if some are found, by so many that none is missing.
        """
        single = [ref for ref, records in live.items() if not is_array(ref, records)]
        found = self._look_back(live, single, read_history, tells_all=len(single) <= FEW)
        for most_pages in (MOST_PAGES, MOST_PAGES_OF_ARRAYS):
            rest = [ref for ref in live if not found.get(ref)]
            found |= self._look_back(live, rest, partial(read_pages_of_history, most_pages=most_pages), tells_all=True)
            if None not in found.values():
                break
        return {ref: found.get(ref) for ref in live}

    def _look_back(
        self,
        live: Mapping[JobRef, Sequence[JobRecord]],
        refs: Sequence[JobRef],
        read: Callable[..., Evidence],
        *,
        tells_all: bool,
    ) -> dict[JobRef, list[JobRecord] | None]:
        """
        What the history tells of jobs, if it answers; ``None`` of an array of which a member may be missing.

        :param tells_all: whether a complete answer to such a read misses no member.
        """
        if not refs:
            return {}
        try:
            past = read(self.client, refs, window=HISTORY_WINDOW)
            self._refused_since = None
        except ScnetError as error:
            self._log.warning("Could not look for %s in the history: %s", counted(len(refs), "job"), error)
            past = None
            is_final, now = isinstance(error, ScnetPermanentError), self.client.patience.now()
            self._refused_since = (self._refused_since or now) if is_final else None
        if past is None:
            return {}
        told = {ref: past.sightings.records_of(ref) for ref in refs}
        has_all = tells_all and past.read.is_complete
        return {
            ref: records if has_all or not is_array(ref, [*live[ref], *records]) else None
            for ref, records in told.items()
        }

    def _has_been_absent(self, known: Known, evidence: Evidence) -> bool:
        """Whether no list has shown a job for a while; where lists may be cut, nor does a look-up of its own."""
        if not known.has_been_absent(self.client.patience.now()):
            return False
        if evidence.read.is_complete:
            return True
        ref = known.ref
        try:
            alone = read_list(self.client, ref.scheduler_id, job_ids=[ref.job_id])
        except ScnetError as error:
            self._log.warning("Could not look for job %s: %s", ref, error)
            return False
        return not alone.sightings.records_of(ref)

    @property
    def _is_history_refused(self) -> bool:
        """Whether the history has been refused for good for so long that there is no use in waiting for it."""
        since = self._refused_since
        return since is not None and self.client.patience.now() - since >= PROVEN_AFTER

    def _may_be_listed_late(self, ref: JobRef, past: Sequence[JobRecord]) -> bool:
        """Whether members of an array may go on that nothing shows yet: it is new, and only the history tells of it."""
        moments = [moment for record in past for moment in (record.submitted_at, record.ended_at) if moment]
        return is_array(ref, past) and bool(moments) and self._now() - min(moments) < LISTED_LATE

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.client.patience.wall_clock(), UTC)

    def _judge(self, known: Known, records: list[JobRecord], *, is_sure: bool) -> None:
        ref, now = known.ref, self._now()
        endings = [ending_of(record) for record in records]
        missing = "" if None in endings else known.missing(records)
        if not records and not missing:
            self._log.info("SCNet does not know job %s: neither listed nor in the history of the last 30 days.", ref)
        has_stayed = known.has_been_missing(bool(missing) and is_sure, self.client.patience.now())
        self.is_unsure |= bool(missing) and not has_stayed
        if not (records or missing) or (missing and not has_stayed):
            return
        if None in endings or any(may_be_started_again(record, now) for record in records):
            return
        told = {record: ending for record, ending in zip(records, endings, strict=True) if ending}
        self._outcomes[ref] = outcome = Outcome.of(ref, told, missing)
        self._log.info("Job %s.", outcome)


def _is_in_doubt(record: JobRecord) -> bool:
    phase = record.state.phase
    return phase in (Phase.CLAIMED, Phase.DOUBTFUL) or (phase is Phase.ENDED and record.ended_at is None)


def _may_go_on_unseen(ref: JobRef, records: Sequence[JobRecord]) -> bool:
    """Whether what is known may be about other members, or about a run before a restart."""
    return is_array(ref, records) or any(record.state.phase is Phase.INTERRUPTED for record in records)


def _tells(ref: JobRef, records: Sequence[JobRecord]) -> bool:
    """Whether the live list tells all: that a job goes on, or how it ended. Of an array it may show a part."""
    if any(record.state.phase in (Phase.ACTIVE, Phase.DOUBTFUL) for record in records):
        return True
    return bool(records) and not is_array(ref, records) and None not in map(ending_of, records)


def wait_for(watch: Watch, *, poll_interval: float, timeout: float | None, logger: Any = log) -> list[Outcome]:
    """
    Wait on a worker until all jobs have ended, or time is up.

    :param watch: of the jobs.
    :param poll_interval: seconds between two looks.
    :param timeout: seconds for which to wait; ``None`` for ever.
    :param logger: where to tell which look failed.
    :return: how those ended that have.
    :raises ScnetError: if no look will help.
    :raises ScnetStoppedError: if the task is told to stop.
    """
    patience, trouble = watch.client.patience, Trouble()
    ends_at = patience.now() + (float("inf") if timeout is None else timeout)
    while True:
        pause = poll_interval
        try:
            watch.look()
            trouble = Trouble()
        except ScnetError as error:
            pause = trouble.pause_after(error, poll_interval)
            logger.warning("Could not look at the jobs, next time in %.0f s: %s", pause, error)
        left = ends_at - patience.now()
        if not watch.open or left <= 0:
            return watch.outcomes
        patience.sleep(min(pause, left))
