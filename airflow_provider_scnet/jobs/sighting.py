"""What was read of a job: which entries of a list speak of it, what they say together, and what that is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_scnet.api.job_ids import read_listed
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase, least_finished

NOTHING: Mapping[str, datetime] = {}
"""Known of when jobs began."""


@dataclass(frozen=True)
class Sighting:
    """
    What the entries of one list that speak of a job say together.

    :param state: of the least finished entry; ``NOT_LISTED`` if there is none.
    :param ended_at: when the job ended, if every entry tells.
    :param has_members: the job is an array, of which the list shows members: others may be hidden.
    :param going_on: ids of the entries that have not ended.
    :param waiting: those of them that wait in the row of an array's rest: cancelled there, they leave no record.
    :param claimed: ids of those that have, says a code that may run ahead.
    :param ended: ids of those that have.
    :param scheduler_name: how the scheduler calls itself in the entries, if it does.
    :param began: when each entry was submitted, or else started, if it tells; the latest, for a requeue moves it.
    :param names: what the entries call the job; empty where one does not tell.
    :param stranger: a job of the same number that another user owns and that has not ended, where there is none of
        this user: the number may have been given to somebody else, or the reference may name a wrong user.
    """

    state: JobState = NOT_LISTED
    ended_at: datetime | None = None
    has_members: bool = False
    going_on: frozenset[str] = frozenset()
    claimed: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    scheduler_name: str = ""
    began: Mapping[str, datetime] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    stranger: JobState | None = None

    @property
    def entries(self) -> frozenset[str]:
        """All that the list shows of the job, members one by one."""
        return self.going_on | self.claimed | self.ended


@dataclass(frozen=True)
class Read:
    """
    One answer that speaks of jobs, as evidence.

    :param began: when it was asked for, in seconds that only grow.
    :param ended: when it was there.
    :param is_complete: nothing that exists can be missing in it.
    :param gateway: who answered; empty if several did.
    :param is_alone: one job was asked for, so that no limit of a list hides members of it.
    :param wall_clock: when it was there, in seconds since the epoch: jobs say so when they ended.
    """

    began: float
    ended: float
    is_complete: bool
    gateway: str
    wall_clock: float
    is_alone: bool = False

    def moment_of(self, ended_at: datetime) -> float:
        """
        Tell a time that SCNet names on the clock that only grows, by which what is read is compared.

        :param ended_at: with a time zone.
        """
        return self.ended - (self.wall_clock - ended_at.timestamp())


class Sightings:
    """
    A list, arranged so that what it says of a job is found without a search.

    :param records: its entries; several may be of one job.
    """

    def __init__(self, records: Iterable[JobRecord]) -> None:
        self.records = list(records)
        self.owners = {record.user for record in self.records}
        self._by_array: dict[str, list[JobRecord]] = defaultdict(list)
        self._members: dict[str, list[JobRecord]] = defaultdict(list)  # each under an id of its own
        self._rests: dict[str, list[JobRecord]] = defaultdict(list)  # all others of an array
        for record in [*self.records, *filter(None, map(JobRecord.by_own_number, self.records))]:
            if listed := read_listed(record.job_id):
                self._by_array[listed.array].append(record)
                is_one = listed.is_one_member and not listed.rest
                (self._members[record.job_id] if is_one else self._rests[listed.array]).append(record)

    def records_of(self, ref: JobRef) -> list[JobRecord]:
        """Return the entries of the list that say something of a job; those of another owner do not."""
        entries = [record for record in self._candidates(ref) if concerns(record, ref)]
        if ref.id.members is not None and any(record.job_id == ref.job_id for record in entries):
            # A member that is listed speaks for itself, not its array, which others are still part of.
            return [record for record in entries if "_" in record.job_id]
        return entries

    def of(self, ref: JobRef, *, began: Mapping[str, datetime] = NOTHING, names: Collection[str] = ()) -> Sighting:
        """
        Return what the list says of a job.

        :param began: when entries were there already, as far as that is known: what ended before was another job, which
            had the same number.
        :param names: what the job was called, as far as that is known: what is called otherwise is another one, too.
        """
        entries = [
            record
            for record in self.records_of(ref)
            if not ended_before(record, began.get(record.job_id)) and may_be_called_so(record, names)
        ]
        if not entries:
            return Sighting(stranger=self._stranger(ref))
        states = {record: _state(record, ref) for record in entries}
        phase = least_finished(state.phase for state in states.values())
        ends = [record.ended_at for record in entries]
        ids: dict[Phase, set[str]] = defaultdict(set)
        for record, state in states.items():
            ids[state.phase].update(members_in(record.job_id))
        claimed, ended = ids.pop(Phase.CLAIMED, set()), ids.pop(Phase.ENDED, set())
        going_on = {job_id for others in ids.values() for job_id in others}
        return Sighting(
            next(state for state in states.values() if state.phase is phase),
            max((end for end in ends if end), default=None) if all(ends) else None,
            has_members=not ref.id.is_one_member and any(_has_members(record) for record in entries),
            going_on=frozenset(going_on),
            claimed=frozenset(claimed - going_on),
            ended=frozenset(ended - claimed - going_on),
            waiting=frozenset(job_id for one in entries if "[" in one.job_id for job_id in members_in(one.job_id))
            & going_on,
            scheduler_name=next((record.scheduler_name for record in entries if record.scheduler_name), ""),
            began=began_of(entries),
            names=frozenset(record.name for record in entries),
        )

    def _stranger(self, ref: JobRef) -> JobState | None:
        records = [record for record in self._candidates(ref) if not _owns(ref.user, record) and _matches(record, ref)]
        states = [record.state for record in records if record.state.phase is not Phase.ENDED]
        return states[0] if states else None

    def _candidates(self, ref: JobRef) -> Sequence[JobRecord]:
        """Of the members of a large array, one is not compared with all the others."""
        if not ref.id.is_one_member:
            return self._by_array.get(ref.id.array, ())
        return [*self._members.get(ref.job_id, ()), *self._rests.get(ref.id.array, ())]


def latest(live: Iterable[JobRecord], past: Iterable[JobRecord]) -> list[JobRecord]:
    """
    Return what counts of a live list and the history. What the history says of a job that is listed live may be about
    an earlier run of it: it counts only where the live list does no more than to claim an end.
    """
    records: dict[str, list[JobRecord]] = defaultdict(list)
    for record in live:
        records[record.job_id].append(record)
    told = {job_id for job_id, of_job in records.items() if any(one.state.phase is not Phase.CLAIMED for one in of_job)}
    ended: dict[str, list[JobRecord]] = defaultdict(list)
    for record in past:
        if record.job_id not in told:
            ended[record.job_id].append(record)
    return [record for of_job in {**records, **ended}.values() for record in of_job]


def concerns(record: JobRecord, ref: JobRef) -> bool:
    """
    Tell whether an entry says something about a job: it is the job, a member of its array, the array it belongs to
    (schedulers list the waiting rest of an array as ``5`` or ``5_[2-9,11%4]``), or a spelling of the job's id that we
    do not know (``1.batch``, ``1+0``, ``1.server01``). What names another owner does not: numbers are used again.

    :param record: the entry.
    :param ref: the job we look for.
    """
    return _owns(ref.user, record) and _matches(record, ref)


def began_of(records: Iterable[JobRecord]) -> dict[str, datetime]:
    """Tell since when jobs, and members of arrays, are there, as far as their records tell."""
    told = [(record.submitted_at or record.started_at, record) for record in records]
    moments = sorted((moment, job_id) for moment, record in told if moment for job_id in members_in(record.job_id))
    return {job_id: moment for moment, job_id in moments}


def ended_before(record: JobRecord, moment: datetime | None) -> bool:
    """
    Tell whether an entry is about a job that had ended before ours was there.

    :param moment: when that was, with a time zone; ``None`` if it is not known.
    """
    is_end = record.state.phase in (Phase.ENDED, Phase.INTERRUPTED)
    return moment is not None and is_end and record.ended_at is not None and record.ended_at < moment


def may_be_called_so(record: JobRecord, names: Collection[str]) -> bool:
    """
    Tell whether an entry may be about a job of one of these names. Tables cut long ones, and some say so by a plus.

    :param names: of the job; none if that is not known.
    """
    if not names or not record.name:
        return True
    ours = [name.removesuffix("+") for name in names]
    told = record.name.removesuffix("+")
    return any(name.startswith(told) or told.startswith(name) for name in ours)


def _owns(user: str, record: JobRecord) -> bool:
    return record.user in ("", user)


def _matches(record: JobRecord, ref: JobRef) -> bool:
    listed = read_listed(record.job_id)
    return record.scheduler_id in ("", ref.scheduler_id) and listed is not None and listed.overlaps(ref.id)


def _state(record: JobRecord, ref: JobRef) -> JobState:
    """The end of a job's step, or of what is left of an array, is not the end of the job or of one member."""
    listed = read_listed(record.job_id)
    is_odd = bool(listed and listed.rest)
    is_the_array = ref.id.members is not None and "_" not in record.job_id
    state = record.state
    return replace(state, phase=Phase.CLAIMED) if state.phase is Phase.ENDED and (is_odd or is_the_array) else state


def _has_members(record: JobRecord) -> bool:
    listed = read_listed(record.job_id)
    return listed is not None and listed.members is not None


def members_in(job_id: str) -> list[str]:
    """
    Return the waiting rest of an array, member by member, as they are listed later; any other id is itself. One that
    was cut before the first member's end is what is left of the array.

    :param job_id: as a list shows it.
    """
    listed = read_listed(job_id)
    if listed is None or listed.rest or listed.members is None:
        return [job_id]
    return listed.member_ids() or [job_id if listed.is_whole else listed.array]
