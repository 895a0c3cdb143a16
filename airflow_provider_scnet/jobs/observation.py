"""What state jobs are in: seen in lists, a page at a time, and in detail only where a list leaves a doubt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from airflow_provider_scnet.api.gateway import JobListing, ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.exceptions import ScnetRequestError

SINGLE_LOOKUPS = 20
"""Jobs that one look asks for one by one at most; the rest waits for the next look."""
HISTORY_WINDOW = timedelta(days=30)
UNCONFIRMED = JobState(Phase.DOUBTFUL)
"""Not looked for this time."""
_FOREIGN = JobState(Phase.DOUBTFUL, word="not listed, but neither may be the jobs of other users: is the user right?")
"""Somebody else's job that nobody lists; in place of the scheduler's word, what the reader should know."""


def group_by(refs: Iterable[JobRef], part: str) -> dict[str, list[JobRef]]:
    """
    Group references, keeping their order.

    :param part: ``scheduler_id`` or ``user``.
    """
    groups: dict[str, list[JobRef]] = defaultdict(list)
    for ref in refs:
        groups[getattr(ref, part)].append(ref)
    return groups


def look(client: ScnetClient, scheduler_id: str, user: str, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
    """
    Look at one user's jobs in a scheduler's live list.

    A state that is no proof of an end is cleared up with the job's detail, for the first few jobs.

    :param refs: their jobs.
    :return: a state for each; ``NOT_LISTED`` where the list does not have the job.
    """
    listed = _Index(client.list_jobs(scheduler_id, user=user))
    states = {ref: listed.state_of(ref) for ref in refs}
    doubtful = [ref for ref, state in states.items() if state.phase is Phase.DOUBTFUL and listed.has_just(ref)]
    for ref in doubtful[:SINGLE_LOOKUPS]:
        states[ref] = _read_detail(client, ref) or states[ref]
    return states


def confirm_absent(client: ScnetClient, scheduler_id: str, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
    """
    Make sure that jobs missing from their users' lists are really not there: a wrong user or scheduler, another
    region's token or a list that was cut short must not look like a job that is gone.

    :param refs: jobs of it that :func:`look` did not find.
    :return: ``NOT_LISTED`` only where that is sure; else what the job is listed as, or a doubtful state.
    :raises ScnetRequestError: if the gateway has no such scheduler.
    """
    if scheduler_id not in client.schedulers:
        raise ScnetRequestError(
            f"scheduler_id={scheduler_id!r} is none of this gateway's ({', '.join(client.schedulers) or 'none'}), so "
            f"its jobs cannot be seen. Check the reference, and that `host` and token are of the jobs' region.",
            answered=True,
        )
    everybody = client.list_jobs(scheduler_id)
    listed = _Index(everybody)
    states = {ref: listed.state_of(ref) for ref in refs}
    absent = [ref for ref, state in states.items() if state is NOT_LISTED]
    if not everybody.complete:
        states.update((ref, UNCONFIRMED) for ref in absent)
        for ref in absent[:SINGLE_LOOKUPS]:
            states[ref] = _Index(client.list_jobs(scheduler_id, job_id=ref.job_id)).state_of(ref)
    own_user = client.own_user
    foreign = [ref for ref in absent if states[ref] is NOT_LISTED and ref.user != (own_user or ref.user)]
    if foreign and not listed.has_jobs_of_others(own_user):
        # The service may show us nothing but our own jobs: then only the history can tell.
        states.update((ref, _FOREIGN) for ref in foreign)
        states.update((ref, NOT_LISTED) for ref in find_in_history(client, foreign, datetime.now(UTC)))
    return states


def find_in_history(client: ScnetClient, refs: Sequence[JobRef], now: datetime) -> dict[JobRef, JobState]:
    """
    Look for jobs among those that ended in the last 30 days.

    :param refs: jobs, of any schedulers.
    :param now: the present, with a time zone.
    :return: the jobs that were found.
    """
    found: dict[JobRef, JobState] = {}
    for scheduler_id, of_scheduler in group_by(refs, "scheduler_id").items():
        for user, of_user in group_by(of_scheduler, "user").items():
            wanted = {ref.job_id: ref for ref in of_user}
            # Until tomorrow: SCNet's clock may be ahead of ours.
            history = client.iter_history(
                scheduler_id, user=user, since=now - HISTORY_WINDOW, until=now + timedelta(days=1)
            )
            for record in history:
                if ref := wanted.pop(record.job_id, None):
                    found[ref] = record.state
                if not wanted:
                    break
    return found


def read_states(client: ScnetClient, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
    """
    Tell the states of jobs: from the live lists, else from the history, else ``NOT_LISTED``.

    :param refs: jobs, of any schedulers.
    """
    states: dict[JobRef, JobState] = {}
    for scheduler_id, of_scheduler in group_by(refs, "scheduler_id").items():
        for user, of_user in group_by(of_scheduler, "user").items():
            states.update(look(client, scheduler_id, user, of_user))
    absent = [ref for ref, state in states.items() if state.phase is Phase.NOT_LISTED]
    if absent:
        states.update(find_in_history(client, absent, datetime.now(UTC)))
    return {ref: states[ref] for ref in refs}


def _read_detail(client: ScnetClient, ref: JobRef) -> JobState | None:
    """The detail call knows no scheduler, and another one may have the same id: it counts only if it is surely ours."""
    record = client.get_job(ref.job_id)
    if record is None or (record.job_id, record.user) != (ref.job_id, ref.user) or not record.word:
        return None
    names = client.schedulers
    only_scheduler = set(names) == {ref.scheduler_id}
    same_name = bool(record.scheduler_name) and names.get(ref.scheduler_id) == record.scheduler_name
    only_name = list(names.values()).count(record.scheduler_name) == 1
    return record.state if only_scheduler or (same_name and only_name) else None


class _Index:
    """A listing, arranged so that a job, its array members and its array are found without a search."""

    def __init__(self, listing: JobListing) -> None:
        self._by_id = {record.job_id: record for record in listing.records}
        self._by_array: dict[str, list[str]] = defaultdict(list)
        for job_id in self._by_id:
            self._by_array[_array_of(job_id)].append(job_id)

    def state_of(self, ref: JobRef) -> JobState:
        """Return the least finished state of all entries that speak of the job."""
        states = [self._by_id[job_id].state for job_id in self._entries(ref.job_id)]
        for phase in (Phase.ACTIVE, Phase.DOUBTFUL, Phase.ENDED):
            for state in states:
                if state.phase is phase:
                    return state
        return NOT_LISTED

    def has_jobs_of_others(self, user: str) -> bool:
        """
        Tell whether the list shows jobs of other users.

        :param user: our own.
        """
        return any(record.user not in ("", user) for record in self._by_id.values())

    def has_just(self, ref: JobRef) -> bool:
        """Tell whether the job is listed as itself, not as an array's members or rest."""
        return list(self._entries(ref.job_id)) == [ref.job_id]

    def _entries(self, job_id: str) -> Iterator[str]:
        """A member that is listed speaks for itself; else its array does, for the member may be waiting in it."""
        if "_" in job_id and job_id in self._by_id:
            yield job_id
        else:
            yield from (entry for entry in self._by_array[_array_of(job_id)] if concerns(entry, job_id))


def concerns(listed_id: str, job_id: str) -> bool:
    """
    Tell whether a listed id says something about ``job_id``: the job itself, a member of its array, or the array it
    belongs to (schedulers list the waiting rest of an array as ``5`` or ``5_[2-9]``).

    :param listed_id: an id from a list.
    :param job_id: the id we look for.
    """
    if listed_id == job_id:
        return True
    array, _, member = job_id.partition("_")
    if not member or member.startswith("["):
        return listed_id == array or listed_id.startswith(f"{array}_")
    return listed_id == array or listed_id.startswith(f"{array}_[")


def _array_of(job_id: str) -> str:
    return job_id.partition("_")[0]
