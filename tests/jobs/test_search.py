from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.search import Findings, Search, TaggedJob, jobs_of
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import Look, history_record, listed_record
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of
from tests.tags import tag_of

TAG = tag_of(dag_id="flow", run_id="manual", task_id="submit", map_index=-1, generation=0)


def add(scnet: ScnetEmulator, state: str = "RUNNING", **parts: Any) -> Job:
    return scnet.add_job(state, name=TAG.name("flow"), **parts)


def search(scnet: ScnetEmulator) -> Search:
    return Search(client_of(scnet), SCHEDULER, scnet.user, {TAG.task})


def now(scnet: ScnetEmulator) -> datetime:
    return datetime.fromtimestamp(scnet.clock.now(), UTC)


def find(scnet: ScnetEmulator) -> Findings:
    searching = search(scnet)
    return searching.with_past(searching.listed(), since=now(scnet) - timedelta(days=1))


def found(scnet: ScnetEmulator) -> dict[str, TaggedJob]:
    findings = find(scnet)
    assert findings.are_complete
    return {job.ref: job for job in findings.jobs}


def listed(scnet: ScnetEmulator) -> list[str]:
    return [job.ref for job in search(scnet).listed().jobs]


@pytest.mark.parametrize("ago", [60, 3600])
def test_ended_job_is_found_live_or_in_the_history(scnet: ScnetEmulator, ago: int) -> None:
    job = add(scnet, "COMPLETED", ended_ago=ago)
    assert found(scnet)[job.ref].tag == TAG
    assert found(scnet)[job.ref].ending is Ending.COMPLETED
    assert listed(scnet) == ([job.ref] if ago < 300 else [])


def test_jobs_of_others_are_not_found(scnet: ScnetEmulator) -> None:
    add(scnet, user="colleague")
    add(scnet, scheduler_id=SECOND_SCHEDULER)
    scnet.add_job(name="flow")
    scnet.add_job(name=JobTag("a" * 12, -1, 0).name("flow"))
    assert not found(scnet)
    assert not listed(scnet)


def test_job_of_somebody_else_that_bears_our_name_is_not_ours(scnet: ScnetEmulator) -> None:
    """Although the filter lets it through."""
    theirs = listed_record(add(scnet, user="colleague"), Look(scnet.clock.now()))
    scnet.fail("list", code="0", data={"total": 1, "list": [theirs]}, times=None)
    past = history_record(add(scnet, "COMPLETED", user="colleague"), "", "104")
    scnet.fail("history", code="0", data={"total": 1, "list": [past]}, times=None)
    assert not found(scnet)
    assert not listed(scnet)


def test_number_that_somebody_else_has_now_hides_no_end_of_ours(scnet: ScnetEmulator) -> None:
    ours = add(scnet, "COMPLETED", ended_ago=3600)
    theirs = listed_record(ours, Look(scnet.clock.now())) | {"user": "colleague", "jobStatus": "statR"}
    scnet.fail("list", code="0", data={"total": 1, "list": [theirs]}, times=None)
    assert found(scnet)[ours.ref].ending is Ending.COMPLETED


def test_member_with_a_number_of_its_own_is_no_second_job(scnet: ScnetEmulator) -> None:
    """Else it would be deleted as a duplicate of its own array."""
    records = [
        JobRecord("17_1", own_number="41", name=TAG.name("flow"), word="RUNNING"),
        JobRecord("17_[2-9]", name=TAG.name("flow"), word="PENDING"),
    ]
    assert [job.ref.job_id for job in jobs_of({TAG.task}, records, SCHEDULER, scnet.user)] == ["17"]


@pytest.mark.parametrize("part", ["_m{}_g0", "_g{}"])
def test_huge_number_in_a_name_stops_no_search(scnet: ScnetEmulator, part: str) -> None:
    """Python reads no number of more than 4,300 digits."""
    scnet.add_job(name=f"flow_{TAG.task}{part.format('1' * 4_301)}")
    assert listed(scnet) == []
    job = add(scnet)
    assert listed(scnet) == [job.ref]


@pytest.mark.parametrize("job_id", ["007", "1" * 4_301, "²", "٣", "x"])
def test_id_that_is_no_job_stops_no_search(scnet: ScnetEmulator, job_id: str) -> None:
    records = [JobRecord(job_id, name=TAG.name("flow")), JobRecord("197", name=TAG.name("flow"))]
    assert [job.ref.job_id for job in jobs_of({TAG.task}, records, SCHEDULER, scnet.user)] == ["197"]


def test_array_is_one_job_and_as_good_as_its_worst_member(scnet: ScnetEmulator) -> None:
    members = [add(scnet, "COMPLETED", job_id=f"500_{member}", ended_ago=3600) for member in (1, 2)]
    ref = f"{SCHEDULER},{scnet.user}:500:"
    assert found(scnet)[ref].ending is Ending.COMPLETED
    add(scnet, "FAILED", job_id="500_3", ended_ago=3600)
    assert found(scnet)[ref].ending is Ending.FAILED
    add(scnet, job_id="500_4")
    job = found(scnet)[ref]
    assert (job.phase, job.number, job.ending, job.may_go_on(now(scnet))) == (Phase.ACTIVE, 500, None, True)
    assert len(job.records) == len(members) + 2


def test_history_tells_what_a_code_does_not(scnet: ScnetEmulator) -> None:
    """Five minutes long, both lists show a job that has ended; live, a code says nothing of success."""
    job = add(scnet, "FAILED", ended_ago=60)
    assert found(scnet)[job.ref].ending is Ending.FAILED


def test_what_goes_on_is_not_judged_by_an_earlier_run(scnet: ScnetEmulator) -> None:
    scnet.requeue_after = 10
    job = add(scnet, "PREEMPTED", ended_ago=30)
    assert found(scnet)[job.ref].phase is Phase.ACTIVE


def test_job_on_its_way_out(scnet: ScnetEmulator) -> None:
    job = add(scnet)
    assert not found(scnet)[job.ref].is_on_its_way_out
    job.become("COMPLETING")
    assert found(scnet)[job.ref].is_on_its_way_out


@pytest.mark.parametrize("history", [True, False])
def test_list_that_is_cut_is_not_complete(scnet: ScnetEmulator, history: bool) -> None:
    for _ in range(20):
        add(scnet)
    scnet.list_cap = 10
    assert not (find(scnet) if history else search(scnet).listed()).are_complete


def test_gateway_that_does_not_name_the_scheduler_proves_nothing(scnet: ScnetEmulator) -> None:
    scnet.fail("clusters", code="0", data=[], times=None)
    assert not search(scnet).listed().are_complete


@pytest.mark.parametrize(("fault", "are_complete"), [({"status": 503}, False), ({"code": "10009"}, True)])
def test_history_that_fails_takes_nothing_from_what_is_listed(
    scnet: ScnetEmulator, fault: dict[str, Any], are_complete: bool
) -> None:
    job = add(scnet)
    scnet.fail("history", times=None, **fault)
    findings = find(scnet)
    assert [one.ref for one in findings.jobs] == [job.ref]
    assert findings.are_complete is are_complete
    assert findings.trouble


@pytest.mark.parametrize(("ago", "live", "may_go_on"), [(30, True, True), (200, True, False), (3600, False, False)])
def test_interruption_long_ago_is_an_end(scnet: ScnetEmulator, ago: float, live: bool, may_go_on: bool) -> None:
    job = add(scnet, "NODE_FAIL", ended_ago=ago)
    assert bool(listed(scnet)) is live
    assert found(scnet)[job.ref].may_go_on(now(scnet)) is may_go_on
