"""Reading about jobs: live lists, details and the history, each with what it is worth as evidence."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.listing import JobListing, never
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.sighting import Read, Sighting, Sightings

SINGLE_READS = 20
"""Jobs that one look asks for one by one at most; the rest waits for the next look."""
FEW = 5
"""Jobs for which the history is asked one by one; for more of them it is read by pages."""
MOST_PAGES = 10
"""Pages of the history that are read for a few; a longer one is asked for the rest of them one by one."""
HISTORY_WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class Evidence:
    """
    A list that was read.

    :param sightings: what it says of each job.
    :param read: what that is worth.
    :param is_null: SCNet answered nothing at all, where others write an empty list.
    :param error: why it was not read to its end, if SCNet failed in the middle.
    """

    sightings: Sightings
    read: Read
    is_null: bool
    error: ScnetError | None


def group_by(refs: Iterable[JobRef], part: str) -> dict[str, list[JobRef]]:
    """
    Group references, keeping their order.

    :param part: ``scheduler_id`` or ``user``.
    """
    groups: dict[str, list[JobRef]] = defaultdict(list)
    for ref in refs:
        groups[getattr(ref, part)].append(ref)
    return groups


def read_list(
    client: ScnetClient,
    scheduler_id: str,
    *,
    user: str | None = None,
    job_ids: Sequence[str | None] = (None,),
    is_late: Callable[[], bool] = never,
) -> Evidence:
    """
    Read a scheduler's live list.

    :param user: only this user's jobs.
    :param job_ids: only these jobs, each asked for alone.
    :param is_late: whether to stop in the middle.
    """
    began = client.patience.now()
    listings = [client.list_jobs(scheduler_id, user=user, job_id=job_id, is_late=is_late) for job_id in job_ids]
    return _evidence(client, began, listings, proving=listings, is_alone=None not in job_ids)


def read_history(
    client: ScnetClient,
    refs: Sequence[JobRef],
    *,
    window: timedelta,
    by_pages: bool = False,
    is_late: Callable[[], bool] = never,
) -> Evidence:
    """
    Read what ended a while ago: by job for a few, by pages for many.

    :param refs: jobs of one user in one scheduler.
    :param window: how long ago at most.
    :param by_pages: for a few as well: asked for an array, SCNet may not name its members.
    :param is_late: whether to stop in the middle.
    """
    wanted = [ref.job_id for ref in refs]
    pages = itertools.count(1)

    def ask(job_id: str | None) -> JobListing:
        return _list_past(
            client,
            refs[0],
            window,
            job_id=job_id,
            wanted=wanted if job_id is None else (job_id,),
            is_late=lambda: is_late() or (job_id is None and next(pages) >= max(MOST_PAGES, len(refs))),
        )

    began = client.patience.now()
    listings = [] if len(wanted) <= FEW and not by_pages else [ask(None)]
    found = Sightings([record for listing in listings for record in listing.records])
    rest = [ref.job_id for ref in refs if found.of(ref).state is NOT_LISTED]
    if not listings or (not listings[0].complete and 0 < len(rest) <= SINGLE_READS):
        by_id = [ask(job_id) for job_id in rest]
        return _evidence(client, began, [*listings, *by_id], proving=by_id)
    return _evidence(client, began, listings, proving=listings)


def read_pages_of_history(
    client: ScnetClient, refs: Sequence[JobRef], *, window: timedelta, most_pages: int
) -> Evidence:
    """
    Read what ended a while ago, of whatever job. It is complete only if that was all.

    :param refs: jobs of one user in one scheduler.
    :param window: how long ago at most.
    :param most_pages: after which it is left.
    """
    pages = itertools.count(1)
    began = client.patience.now()
    listings = [_list_past(client, refs[0], window, is_late=lambda: next(pages) >= most_pages)]
    return _evidence(client, began, listings, proving=listings)


def _list_past(client: ScnetClient, one: JobRef, window: timedelta, **how: Any) -> JobListing:
    now = datetime.fromtimestamp(client.patience.wall_clock(), UTC)
    until = now + timedelta(days=1)  # SCNet's clock may be ahead of ours
    return client.list_history(one.scheduler_id, user=one.user, since=now - window, until=until, **how)


@dataclass(frozen=True)
class Detail:
    """
    A job's own detail.

    :param record: ``None`` if there is none, or if it is of another job.
    :param is_ours: whether it surely is of this job: the call knows no scheduler, and another one may have the same id.
    """

    record: JobRecord | None
    read: Read
    is_ours: bool


def read_detail(client: ScnetClient, ref: JobRef, listed_by: str = "", *, schedulers: Collection[str] = ()) -> Detail:
    """
    Read a job's detail.

    :param listed_by: how the scheduler is called where it lists the job.
    :param schedulers: others that are known to have jobs, whether or not the gateway names them.
    """
    began = client.patience.now()
    record = client.get_job(ref.job_id)
    read = Read(began, client.patience.now(), True, client.base_url, client.patience.wall_clock())
    # Asked for an array, SCNet may tell of the member that has its number, which says nothing of the others.
    if record is None or not record.is_called(ref.job_id) or record.user not in ("", ref.user):
        return Detail(None, read, is_ours=False)
    record = replace(record, job_id=ref.job_id)
    if listed_by and record.scheduler_name not in ("", listed_by):
        return Detail(None, read, is_ours=False)
    names = client.known_schedulers()
    only_scheduler = {*names, *schedulers} == {ref.scheduler_id}
    same_name = bool(record.scheduler_name) and names.get(ref.scheduler_id) == record.scheduler_name
    only_name = list(names.values()).count(record.scheduler_name) == 1
    return Detail(record, read, bool(record.user) and (only_scheduler or (same_name and only_name)))


def read_states(client: ScnetClient, refs: Sequence[JobRef]) -> dict[JobRef, JobState]:
    """
    Tell the states of jobs: from the live lists; where these leave a doubt, for the first few jobs from their details;
    and from the history. Of a job that is not listed yet, that may be the end of an earlier one that had its number.

    :param refs: jobs, of any schedulers.
    """
    states: dict[JobRef, JobState] = {}
    schedulers = {ref.scheduler_id for ref in refs}
    for scheduler_id, of_scheduler in group_by(refs, "scheduler_id").items():
        for user, of_user in group_by(of_scheduler, "user").items():
            listed = read_list(client, scheduler_id, user=user).sightings
            seen = {ref: listed.of(ref) for ref in of_user}
            states.update({ref: sighting.state for ref, sighting in seen.items()})
            for ref in [ref for ref, sighting in seen.items() if _is_in_doubt(sighting)][:SINGLE_READS]:
                detail = read_detail(client, ref, seen[ref].scheduler_name, schedulers=schedulers)
                if detail.record and detail.is_ours and detail.record.word:
                    states[ref] = detail.record.state
            unknown = [ref for ref in of_user if states[ref].phase not in (Phase.ACTIVE, Phase.ENDED)]
            if unknown:
                past = read_history(client, unknown, window=HISTORY_WINDOW).sightings
                ends = {ref: past.of(ref, began=seen[ref].began, names=seen[ref].names - {""}).state for ref in unknown}
                states.update({ref: state for ref, state in ends.items() if state.phase is not Phase.NOT_LISTED})
    return {ref: states[ref] for ref in refs}


def _is_in_doubt(sighting: Sighting) -> bool:
    return not sighting.has_members and sighting.state.phase in (Phase.DOUBTFUL, Phase.CLAIMED)


def _evidence(
    client: ScnetClient,
    began: float,
    listings: Sequence[JobListing],
    *,
    proving: Sequence[JobListing],
    is_alone: bool = False,
) -> Evidence:
    """
    Make several lists one piece of evidence.

    :param proving: those that prove what is in none of them: complete if all are, and of one gateway.
    """
    gateways = {listing.gateway for listing in listings}
    read = Read(
        began,
        client.patience.now(),
        all(listing.complete for listing in proving),
        gateways.pop() if len(gateways) == 1 else "",
        client.patience.wall_clock(),
        is_alone,
    )
    return Evidence(
        Sightings([record for listing in listings for record in listing.records]),
        read,
        all(listing.is_null for listing in listings),
        next((listing.error for listing in proving if listing.error), None),
    )
