from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, Phase
from airflow_provider_scnet.jobs.evidence import (
    FEW,
    HISTORY_WINDOW,
    SINGLE_READS,
    read_detail,
    read_history,
    read_list,
    read_states,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.records import history_record
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of


def ref(job_id: object, user: str = "acexample01", scheduler_id: str = SCHEDULER) -> JobRef:
    return JobRef(scheduler_id, user, str(job_id))


def test_state_of_a_job_is_no_end_of_an_earlier_one_of_its_number(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.words_in_details = False
    job = scnet.add_job()
    job.cancel(0.0)
    old = {**history_record(job, "", job.job_id), "jobState": "statD", "jobEndTime": "2024-01-02 03:04:05"}
    scnet.fail("history", code="0", data={"total": 1, "list": [old]})
    assert read_states(client, [ref(job.job_id)])[ref(job.job_id)].phase is Phase.CLAIMED
    assert read_states(client, [ref(job.job_id)])[ref(job.job_id)].phase is Phase.ENDED


# --- lists ----------------------------------------------------------------------------------------------------------


def test_list_as_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job()
    began = client.patience.now()
    evidence = read_list(client, SCHEDULER, user=scnet.user)
    assert evidence.sightings.of(ref(job.job_id)).state.status == "statR"
    assert began <= evidence.read.began <= evidence.read.ended
    assert (evidence.read.is_complete, evidence.read.gateway, evidence.is_null) == (True, client.base_url, False)


def test_list_that_is_cut_is_not_complete(scnet: ScnetEmulator, client: ScnetClient) -> None:
    for _ in range(30):
        scnet.add_job()
    scnet.list_cap = 10
    assert not read_list(client, SCHEDULER).read.is_complete


def test_list_whose_second_page_fails_still_shows_the_first(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job() for _ in range(130)]
    scnet.fail("list", code="10004", times=None, when=lambda r: r.query["start"] != "0")
    evidence = read_list(client, SCHEDULER)
    assert evidence.sightings.of(ref(jobs[0].job_id)).state.status == "statR"
    assert not evidence.read.is_complete
    assert evidence.error is not None
    assert evidence.error.code == "10004"


def test_several_ids_are_one_piece_of_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job(), scnet.add_job()]
    evidence = read_list(client, SCHEDULER, job_ids=[job.job_id for job in jobs])
    assert all(evidence.sightings.of(ref(job.job_id)).state.status == "statR" for job in jobs)
    assert scnet.calls == {"list": 2}


# --- details --------------------------------------------------------------------------------------------------------


def test_detail_of_another_users_job_is_no_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job("COMPLETED", user="colleague")
    assert read_detail(client, ref(job.job_id)).record is None
    detail = read_detail(client, ref(job.job_id, "colleague"))
    assert detail.record is not None
    assert (detail.record.word, detail.is_ours, detail.read.gateway) == ("COMPLETED", True, client.base_url)


def test_detail_of_a_namesake_on_another_scheduler_is_no_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.add_job("COMPLETED", job_id=7)
    assert not read_detail(client, ref(7, scheduler_id=SECOND_SCHEDULER)).is_ours
    assert read_detail(client, ref(7)).is_ours


def test_detail_while_the_gateway_names_fewer_schedulers_than_have_jobs(scnet: ScnetEmulator) -> None:
    """It would be that of the only scheduler, but jobs of another one are known, with the same number."""
    scnet.add_job("COMPLETED", job_id="7", ended_ago=10)
    scnet.add_job(job_id="7", scheduler_id=SECOND_SCHEDULER)
    scnet.fail("clusters", code="0", data=[{"id": int(SECOND_SCHEDULER), "text": "Second"}], times=None)
    one = ref("7", scheduler_id=SECOND_SCHEDULER)
    assert not read_detail(client_of(scnet), one, schedulers={SCHEDULER, SECOND_SCHEDULER}).is_ours


@pytest.mark.parametrize(("listed_by", "is_ours"), [("Cluster", True), ("", True), ("Second", False)])
def test_detail_of_a_namesake_while_schedulers_are_missing(
    scnet: ScnetEmulator, client: ScnetClient, listed_by: str, is_ours: bool
) -> None:
    """Which scheduler a record is of, the list tells by a name of its own."""
    scnet.add_job("COMPLETED", job_id=7)
    scnet.fail("clusters", code="0", data=[{"id": int(SCHEDULER), "text": "Cluster"}], times=None)
    detail = read_detail(client, ref(7), listed_by)
    assert (detail.is_ours, detail.record is not None) == (is_ours, is_ours)


def test_detail_without_an_owner_may_be_anybodys(scnet: ScnetEmulator, client: ScnetClient) -> None:
    record = {"jobId": "7", "jobmanagerName": "Cluster", "jobStatus": "statR", "jobInitAttr": {"JobState": "RUNNING"}}
    scnet.fail("detail", code="0", data=record)
    detail = read_detail(client, ref(7))
    assert (detail.is_ours, detail.record is not None) == (False, True)


def test_schedulers_of_the_same_name_cannot_be_told_apart(client: ScnetClient) -> None:
    with ScnetEmulator(schedulers={"1": "Cluster", "2": "Cluster"}) as scnet:
        job = scnet.add_job("COMPLETED", scheduler_id="1")
        assert not read_detail(client_of(scnet), ref(job.job_id, scheduler_id="1")).is_ours


# --- the history ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "requests"), [(FEW, FEW), (FEW + 1, 1)])
def test_history_is_asked_by_job_for_a_few_and_by_pages_for_many(
    scnet: ScnetEmulator, client: ScnetClient, jobs: int, requests: int
) -> None:
    refs = [ref(scnet.add_job("FAILED", ended_ago=3600).job_id) for _ in range(jobs)]
    evidence = read_history(client, refs, window=HISTORY_WINDOW)
    assert all(evidence.sightings.of(job).state.phase is Phase.ENDED for job in refs)
    assert scnet.calls == {"history": requests}


def test_history_of_an_array_is_read_by_pages(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.members_by_lookup = False
    scnet.add_job("FAILED", job_id="5_1", ended_ago=3600)
    assert not read_history(client, [ref(5)], window=HISTORY_WINDOW).sightings.of(ref(5)).has_members
    assert read_history(client, [ref(5)], window=HISTORY_WINDOW, by_pages=True).sightings.of(ref(5)).has_members


def test_history_has_a_window(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job("FAILED", ended_ago=7200)
    evidence = read_history(client, [ref(job.job_id)], window=timedelta(hours=1))
    assert evidence.sightings.of(ref(job.job_id)).state is NOT_LISTED
    assert evidence.read.is_complete


# --- the states of jobs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("RUNNING", Phase.ACTIVE),
        ("PENDING", Phase.ACTIVE),
        ("SUSPENDED", Phase.ACTIVE),
        ("COMPLETING", Phase.ACTIVE),
        ("COMPLETED", Phase.ENDED),
        ("FAILED", Phase.ENDED),
        ("TIMEOUT", Phase.ENDED),
        ("CANCELLED", Phase.ENDED),
        ("PREEMPTED", Phase.INTERRUPTED),
    ],
)
def test_states(scnet: ScnetEmulator, client: ScnetClient, state: str, phase: Phase) -> None:
    job = scnet.add_job(state)
    assert read_states(client, [ref(job.job_id)])[ref(job.job_id)].phase is phase


def test_states_are_asked_once_for_each_user(scnet: ScnetEmulator, client: ScnetClient) -> None:
    refs = [ref(scnet.add_job(user=user).job_id, user) for user in ("a", "b") for _ in range(30)]
    assert {state.phase for state in read_states(client, refs).values()} == {Phase.ACTIVE}
    assert scnet.calls == {"list": 4}


def test_state_of_a_job_that_ended_a_while_ago(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job(state, ended_ago=3600) for state in ("COMPLETED", "TIMEOUT", "NODE_FAIL")]
    states = read_states(client, [ref(job.job_id) for job in jobs] + [ref(4711)])
    assert [state.phase for state in states.values()] == [
        Phase.ENDED,
        Phase.ENDED,
        Phase.INTERRUPTED,
        Phase.NOT_LISTED,
    ]


def test_many_codes_are_settled_by_the_history(scnet: ScnetEmulator, client: ScnetClient) -> None:
    refs = [ref(scnet.add_job("COMPLETED", ended_ago=9).job_id) for _ in range(60)]
    assert {state.phase for state in read_states(client, refs).values()} == {Phase.ENDED}
    assert scnet.calls["detail"] == SINGLE_READS
    assert scnet.calls["history"] == 1
