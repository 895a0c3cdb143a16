"""What a wait knows of one job from look to look: which records are its own, and which members it has to have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_provider_scnet.api.job_ids import is_one_member
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import ending_of
from airflow_provider_scnet.jobs.sighting import began_of, ended_before, may_be_called_so, members_in

PROVEN_AFTER = 90.0
"""Seconds for which it has to stay so that no list shows a job, or that nothing tells of a member of an array."""
CLOCKS_DIFFER = timedelta(seconds=5)
"""How far SCNet's clock, which it tells in whole seconds, may be behind ours before an end looks too old."""

LONG_BEFORE = timedelta(hours=1)
"""Between an end and a job that goes on after it: for so much, no clocks that differ account."""


class Known:
    """
    What is known of one job that is waited for.

    :param since: when the wait began, with a time zone: an older end may be of another job of the same number.
    """

    def __init__(self, ref: JobRef, since: datetime) -> None:
        self.ref = ref
        self._since = since
        self._tags: set[tuple[str, str, int]] = set()  # in its name
        self._names: set[str] = set()
        self._size = 0
        self._began: dict[str, datetime] = {}
        self._went_on: dict[str, datetime] = {}  # when the live list has shown it to, last
        self._was_shown = False
        self._absent_since: float | None = None
        self._missing_since: float | None = None
        self._members: dict[str, JobRecord] = {}  # as they were last told, but for those that waited
        self._waiting: set[str] = set()

    def expect(self, tag: JobTag, name: str = "") -> None:
        """
        Take down what is known of its name.

        :param tag: in it.
        :param name: all of it, if that is known.
        """
        self._names |= {name} - {""}
        self._tags.add(tag.instance)
        self._size = tag.array_size or self._size

    def note_listed(self, records: Sequence[JobRecord], now: float, wall_clock: datetime) -> None:
        """
        Take down what the live list says.

        :param records: those of the job.
        :param now: in seconds that only grow.
        :param wall_clock: the present, with a time zone: a later start is a forecast.
        """
        if not records:
            self._absent_since = now if self._absent_since is None else self._absent_since
            return
        self._was_shown, self._absent_since = True, None
        self._began |= {job_id: moment for job_id, moment in began_of(records).items() if moment <= wall_clock}
        going_on = [record for record in records if record.state.phase is Phase.ACTIVE]
        self._went_on |= {job_id: wall_clock for record in going_on for job_id in members_in(record.job_id)}
        for record in records:
            if tag := JobTag.read(record.name):
                self.expect(tag)
        self._names |= {record.name for record in records} - {""}
        rest = {job_id for record in records if _waits(record) for job_id in members_in(record.job_id)}
        self._waiting |= {job_id for job_id in rest if is_one_member(job_id) and self._is_meant(job_id)}

    def own(self, past: Iterable[JobRecord]) -> list[JobRecord]:
        """Return what the history tells of this job, and not of an earlier one that had its number."""
        return [
            record
            for record in past
            if self._names_it(record) is not False
            and not ended_before(record, self._began.get(record.job_id))
            and not self._went_on_long_after(record)
        ]

    def may_be_another(self, past: Sequence[JobRecord]) -> bool:
        """
        Tell whether the history may tell of an earlier job of the same number: no list has shown this one, its end is
        older than the wait, and the name does not tell.

        :param past: what the history tells; nothing else is told.
        """
        is_told = any(self._names_it(record) or self._is_new(record) for record in past)
        return bool(past) and not self._was_shown and not is_told

    def has_been_absent(self, now: float) -> bool:
        """
        Tell whether no list has shown it for a while.

        :param now: in seconds that only grow.
        """
        return self._absent_since is not None and now - self._absent_since >= PROVEN_AFTER

    def lost(self, told: Sequence[JobRecord]) -> list[JobRecord]:
        """
        Return what was last told of members that nothing tells of any more. That they have left the live list does not
        undo how they ended; nor does it tell, of those that were still going on. What was interrupted has left it
        without being started again; and what waited may have been cancelled, which leaves no record.

        :param told: what is told of the job now.
        """
        single = {one.job_id: one for one in told if is_one_member(one.job_id) and one.job_id != self.ref.job_id}
        self._members |= {job_id: one for job_id, one in single.items() if not _waits(one)}
        self._waiting -= {one.job_id for one in told if not _waits(one)}
        ids = {record.job_id for record in told}
        return [
            replace(member, past=member.past or member.state.phase is Phase.INTERRUPTED)
            for job_id, member in self._members.items()
            if job_id not in ids
        ]

    def size(self, records: Iterable[JobRecord]) -> int:
        """
        Return how many members it must have, as names say; 0 if they do not, or if one member is meant.

        :param records: all that is told of the job, which no live list may ever have shown.
        """
        if self.ref.id.members is not None:
            return 0
        tags = filter(None, (JobTag.read(record.name) for record in records))
        return self._size or max((tag.array_size for tag in tags), default=0)

    def has_all(self, records: Sequence[JobRecord]) -> bool:
        """Tell whether the end of each member is known, of which there are so many that none is missing."""
        is_counted = self.size(records) > 0
        return is_counted and self._missing_count(records) <= 0 and None not in map(ending_of, records)

    def missing(self, records: Sequence[JobRecord]) -> str:
        """
        Tell which members there must have been, and left no record: they were cancelled while they waited.

        :param records: all that is told of the job, of which nothing goes on.
        :return: for people; empty if there are none.
        """
        named = sorted(self._waiting - {record.job_id for record in records}, key=_number)
        count = max(len(named), self._missing_count(records))
        if count <= 0:
            return ""
        which = f" ({', '.join(named[:5])}{', ...' if len(named) > 5 else ''})" if named else ""
        size = self.size(records)
        total = f" of {size}" if size else ""
        return f"{count}{total} members{which} cancelled while waiting: they left no record"

    def has_been_missing(self, is_missing: bool, now: float) -> bool:
        """
        Tell whether members have been missing for so long that no late history explains it.

        :param is_missing: whether they are now.
        :param now: in seconds that only grow.
        """
        if not is_missing:
            self._missing_since = None
            return False
        self._missing_since = now if self._missing_since is None else self._missing_since
        return now - self._missing_since >= PROVEN_AFTER

    def _missing_count(self, records: Sequence[JobRecord]) -> int:
        return self.size(records) - count_members(self.ref, records)

    def _is_meant(self, job_id: str) -> bool:
        return self.ref.id.members is None or job_id in self.ref.id.member_ids()

    def _went_on_long_after(self, record: JobRecord) -> bool:
        went_on = self._went_on.get(record.job_id)
        return went_on is not None and ended_before(record, went_on - LONG_BEFORE)

    def _is_new(self, record: JobRecord) -> bool:
        return record.ended_at is not None and record.ended_at > self._since - CLOCKS_DIFFER

    def _names_it(self, record: JobRecord) -> bool | None:
        """
        Whether its name tells that it is this job, or that it is none; ``None`` if it tells neither: tables cut long
        names, and those of 0.2.0 have other tags.
        """
        if not (self._tags or self._names) or not record.name or record.name.endswith("+"):
            return None
        tag = JobTag.read(record.name)
        if tag and tag.instance in self._tags:
            return True
        if self._names and may_be_called_so(record, self._names):
            return None
        return None if tag and not tag.specification else False


def count_members(ref: JobRef, records: Iterable[JobRecord]) -> int:
    """
    Count the members of an array that lists tell of one by one. The one that starts last may be listed by the array's
    own number, and a single one always.

    :param ref: the array.
    :param records: what lists say of it.
    """
    own = {ref.job_id, ref.id.array}
    return len({record.job_id for record in records if record.job_id in own or is_one_member(record.job_id)})


def _waits(record: JobRecord) -> bool:
    is_pending = record.status == "statQ" or record.word in ("PENDING", "PD")
    return record.state.phase is Phase.ACTIVE and ("[" in record.job_id or is_pending)


def _number(job_id: str) -> int:
    return int(job_id.rpartition("_")[2])
