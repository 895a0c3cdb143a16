"""Finding the jobs of tasks by the tags in their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from airflow_provider_scnet.api.gateway import JobListing, ScnetClient
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase, least_finished
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending, ending_of, worst
from airflow_provider_scnet.jobs.sighting import latest

GOES_ON = (Phase.ACTIVE, Phase.DOUBTFUL)
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True)
class TaggedJob:
    """
    A job whose name says where it comes from; an array is one job.

    :param records: what lists say of it, at least one.
    """

    ref: JobRef
    tag: JobTag
    records: tuple[JobRecord, ...]

    @property
    def phase(self) -> Phase:
        """The least finished of what is said of it."""
        return least_finished(record.state.phase for record in self.records)

    @property
    def may_go_on(self) -> bool:
        """Whether any of what is said of it is no end, or one that may be taken back."""
        return any(record.state.phase is not Phase.ENDED for record in self.records)

    @property
    def is_running(self) -> bool:
        """Whether it runs, in part at least, and does not only wait."""
        return any("RUNNING" in record.word or record.status == "statR" for record in self.records)

    @property
    def is_on_its_way_out(self) -> bool:
        """Whether it is just ending."""
        going_on = [record.state for record in self.records if record.state.phase in GOES_ON]
        return bool(going_on) and all(state.is_on_its_way_out for state in going_on)

    @property
    def ending(self) -> Ending | None:
        """How it ended; ``None`` if that is not known of all its records."""
        endings = {ending_of(record) for record in self.records}
        return None if None in endings else worst({ending for ending in endings if ending})

    @property
    def age(self) -> tuple[datetime, int]:
        """By which the oldest of several is found."""
        submitted = [record.submitted_at for record in self.records if record.submitted_at]
        return min(submitted, default=datetime.max.replace(tzinfo=UTC)), int(self.ref.job_id)


@dataclass(frozen=True)
class Findings:
    """
    What one search has found.

    :param are_complete: nothing that is listed can be missing.
    """

    jobs: list[TaggedJob]
    are_complete: bool


def find_listed(client: ScnetClient, scheduler_id: str, user: str, tasks: Collection[str]) -> Findings:
    """
    Find the jobs of tasks in the live list. Whether the service's own filter for names is exact is unknown, so that
    names are compared here.

    :param user: the cluster user the jobs belong to.
    :param tasks: what stands for the tasks in the names.
    """
    live = _list_jobs(client, scheduler_id, user)
    return Findings(_tagged(live.records, scheduler_id, user, tasks), live.complete)


def find_tagged(
    client: ScnetClient, scheduler_id: str, user: str, tasks: Collection[str], *, since: datetime
) -> Findings:
    """
    Find the jobs of tasks in the live list and in the history, see :func:`find_listed`.

    :param since: before which none of the jobs ended, with a time zone.
    """
    live = _list_jobs(client, scheduler_id, user)
    until = datetime.fromtimestamp(client.patience.wall_clock(), UTC) + timedelta(days=1)
    past = client.list_history(scheduler_id, user=user, since=since - _CLOCKS_DIFFER, until=until)
    return Findings(
        _tagged(latest(live.records, past.records), scheduler_id, user, tasks),
        live.complete and past.complete and past.gateway == live.gateway,
    )


def _list_jobs(client: ScnetClient, scheduler_id: str, user: str) -> JobListing:
    """Absence on a gateway that does not name the scheduler means nothing."""
    names = client.find_scheduler(scheduler_id)
    gateway = client.base_url if scheduler_id in names else ""
    live = client.list_jobs(scheduler_id, user=user)
    return replace(live, complete=live.complete and live.gateway == gateway)


def _tagged(records: Iterable[JobRecord], scheduler_id: str, user: str, tasks: Collection[str]) -> list[TaggedJob]:
    jobs: dict[tuple[str, JobTag], list[JobRecord]] = defaultdict(list)
    for record in records:
        tag, number = JobTag.read(record.name), re.match(r"\d+", record.job_id)
        if tag and tag.task in tasks and number:
            jobs[number[0], tag].append(record)
    return [TaggedJob(JobRef(scheduler_id, user, job_id), tag, tuple(of_job)) for (job_id, tag), of_job in jobs.items()]
