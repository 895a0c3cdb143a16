"""Finding the jobs of tasks by the tags in their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.job_ids import read_listed
from airflow_provider_scnet.api.listing import JobListing
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import Phase, least_finished
from airflow_provider_scnet.exceptions import ScnetError, ScnetPermanentError
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending, ending_of, may_be_started_again, worst
from airflow_provider_scnet.jobs.sighting import latest

GOES_ON = (Phase.ACTIVE, Phase.DOUBTFUL)
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True)
class TaggedJob:
    """
    A job whose name says where it comes from; an array is one job.

    :param records: what lists say of it, at least one.
    :param is_listed: whether the live list shows any of it.
    """

    ref: JobRef
    tag: JobTag
    records: tuple[JobRecord, ...]
    is_listed: bool = True

    @property
    def phase(self) -> Phase:
        """The least finished of what is said of it."""
        return least_finished(record.state.phase for record in self.records)

    def may_go_on(self, now: datetime) -> bool:
        """
        Tell whether any of what is said of it is no end, or one that may be taken back.

        :param now: the present, with a time zone.
        """
        return any(
            may_be_started_again(record, now) if record.past else record.state.phase is not Phase.ENDED
            for record in self.records
        )

    @property
    def is_just_ending(self) -> bool:
        """Whether its end is under way, or only claimed: how it ended will be known before long."""
        return self.is_on_its_way_out or self.phase is Phase.CLAIMED

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
    def may_lack_members(self) -> bool:
        """Whether it is an array of which only ends are told: the live list does not show what ended long before."""
        return is_array(self.ref, self.records) and self.phase not in GOES_ON

    @property
    def may_be_listed_late(self) -> bool:
        """Whether it is an array of which only the history tells, so that members may go on that are not listed yet."""
        return is_array(self.ref, self.records) and not self.is_listed

    @property
    def number(self) -> int:
        """By which the oldest of several is found: a requeue moves the time of the submission, but not the number."""
        return self.ref.number


@dataclass(frozen=True)
class Findings:
    """
    What one search has found.

    :param are_complete: nothing that is there can be missing.
    :param live: all that the live list shows of the user, of whatever tasks.
    :param trouble: why the history could not be read, if it was asked.
    """

    jobs: list[TaggedJob]
    are_complete: bool
    live: list[JobRecord]
    trouble: ScnetError | None = None


@dataclass(frozen=True)
class Search:
    """
    Find the jobs of tasks. Whether the service's own filter for names is exact is unknown, so that names are compared
    here.

    :param user: the cluster user the jobs belong to.
    :param tasks: what stands for the tasks in the names.
    """

    client: ScnetClient
    scheduler_id: str
    user: str
    tasks: Collection[str]

    def listed(self) -> Findings:
        """Search the live list."""
        live = _list_jobs(self.client, self.scheduler_id, self.user)
        return Findings(self._tagged(live.records), live.complete, live.records)

    def with_past(self, found: Findings, *, since: datetime) -> Findings:
        """
        Search the history, too. That it cannot be read takes nothing from what is listed; that it is refused for good
        is no reason to wait for it.

        :param found: in the live list.
        :param since: before which none of the jobs ended, with a time zone.
        """
        until = datetime.fromtimestamp(self.client.patience.wall_clock(), UTC) + timedelta(days=1)
        gateway = self.client.base_url
        try:
            past = self.client.list_history(
                self.scheduler_id, user=self.user, since=since - _CLOCKS_DIFFER, until=until
            )
        except ScnetError as error:
            is_final = isinstance(error, ScnetPermanentError)
            return replace(found, are_complete=found.are_complete and is_final, trouble=error)
        listed = {job.ref for job in found.jobs}
        live, ended = self._ours(found.live), self._ours(past.records)
        jobs = self._tagged(latest(live, ended))
        return replace(
            found,
            jobs=[replace(job, is_listed=job.ref in listed) for job in jobs],
            are_complete=found.are_complete and past.complete and past.gateway == gateway,
        )

    def _ours(self, records: Iterable[JobRecord]) -> list[JobRecord]:
        """Somebody else's job may have the number of one of ours, before it or after it."""
        return [record for record in records if _tag_in(record, self.tasks, self.user)]

    def _tagged(self, records: Iterable[JobRecord]) -> list[TaggedJob]:
        return jobs_of(self.tasks, records, self.scheduler_id, self.user)


def is_array(ref: JobRef, records: Iterable[JobRecord]) -> bool:
    """
    Tell whether what lists say of a job is about its members.

    :param ref: the job.
    :param records: what lists say of it.
    """
    return any(record.job_id != ref.job_id for record in records)


def jobs_of(tasks: Collection[str], records: Iterable[JobRecord], scheduler_id: str, user: str) -> list[TaggedJob]:
    """
    Return the jobs in a list that carry one of some tasks in their names. What names another owner is none: anybody
    may call a job so.

    :param tasks: what stands for them there.
    :param user: whose jobs they are.
    """
    jobs: dict[tuple[str, JobTag], list[JobRecord]] = defaultdict(list)
    for record in records:
        tag, job_id = _tag_in(record, tasks, user), read_listed(record.job_id)
        if tag and job_id:
            jobs[job_id.array, tag].append(record)
    return [TaggedJob(JobRef(scheduler_id, user, job_id), tag, tuple(of_job)) for (job_id, tag), of_job in jobs.items()]


def _tag_in(record: JobRecord, tasks: Collection[str], user: str) -> JobTag | None:
    tag = JobTag.read(record.name) if record.user in ("", user) else None
    return tag if tag and tag.task in tasks else None


def _list_jobs(client: ScnetClient, scheduler_id: str, user: str) -> JobListing:
    """Absence on a gateway that does not name the scheduler means nothing."""
    names = client.find_scheduler(scheduler_id)
    gateway = client.base_url if scheduler_id in names else ""
    live = client.list_jobs(scheduler_id, user=user)
    return replace(live, complete=live.complete and live.gateway == gateway)
