from __future__ import annotations

import pytest

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, Phase
from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.jobs.observation import (
    SINGLE_LOOKUPS,
    UNCONFIRMED,
    concerns,
    confirm_absent,
    look,
    read_states,
)
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, SECOND_SCHEDULER


def ref(job_id: object, user: str = "acexample01") -> JobRef:
    return JobRef(SCHEDULER, user, str(job_id))


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("RUNNING", Phase.ACTIVE),
        ("PENDING", Phase.ACTIVE),
        ("SUSPENDED", Phase.ACTIVE),
        ("COMPLETING", Phase.ACTIVE),
        ("COMPLETED", Phase.ENDED),
        ("FAILED", Phase.ENDED),
        ("CANCELLED", Phase.ENDED),
    ],
)
def test_look_tells_the_phase(scnet: ScnetEmulator, client: ScnetClient, state: str, phase: Phase) -> None:
    job = scnet.add_job(state)
    assert look(client, SCHEDULER, scnet.user, [ref(job.job_id)])[ref(job.job_id)].phase is phase


def test_states_of_jobs_are_asked_once_for_each_user(scnet: ScnetEmulator, client: ScnetClient) -> None:
    refs = [ref(scnet.add_job(user=user).job_id, user) for user in ("a", "b") for _ in range(30)]
    assert {state.phase for state in read_states(client, refs).values()} == {Phase.ACTIVE}
    assert scnet.calls == {"list": 4}


def test_look_asks_for_the_detail_of_a_few_jobs_only(scnet: ScnetEmulator, client: ScnetClient) -> None:
    refs = [ref(scnet.add_job("COMPLETING").job_id) for _ in range(60)]
    states = look(client, SCHEDULER, scnet.user, refs)
    assert scnet.calls["detail"] == SINGLE_LOOKUPS
    assert all(state.phase is not Phase.ENDED for state in states.values())


def test_detail_of_another_users_job_is_no_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job("COMPLETED", user="colleague", ended_ago=9)
    listed = {"jobId": job.job_id, "jobStatus": "statX"}
    scnet.fail("list", code="0", data={"total": 1, "list": [listed]}, times=None)
    assert look(client, SCHEDULER, scnet.user, [ref(job.job_id)])[ref(job.job_id)].phase is Phase.DOUBTFUL


@pytest.mark.parametrize("number", [1, SINGLE_LOOKUPS + 5])
def test_absence_is_confirmed_by_a_complete_list_of_everybody(
    scnet: ScnetEmulator, client: ScnetClient, number: int
) -> None:
    refs = [ref(n) for n in range(1, number + 1)]
    assert set(confirm_absent(client, SCHEDULER, refs).values()) == {NOT_LISTED}
    assert scnet.calls == {"clusters": 1, "list": 1}


def test_absence_of_an_array_of_another_user_is_refuted_by_its_members(
    scnet: ScnetEmulator, client: ScnetClient
) -> None:
    scnet.add_job(job_id="5_1")
    assert confirm_absent(client, SCHEDULER, [ref("5", "alice")])[ref("5", "alice")].phase is Phase.ACTIVE


def test_absence_of_anothers_job_is_sure_only_where_others_are_seen(scnet: ScnetEmulator, client: ScnetClient) -> None:
    theirs = ref(7, "colleague")
    assert confirm_absent(client, SCHEDULER, [theirs])[theirs].phase is Phase.DOUBTFUL
    scnet.add_job(user="third")
    assert confirm_absent(client, SCHEDULER, [theirs])[theirs] is NOT_LISTED


def test_absence_of_anothers_job_is_sure_if_the_history_has_it(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job("COMPLETED", user="colleague", ended_ago=3600)
    theirs = ref(job.job_id, "colleague")
    assert confirm_absent(client, SCHEDULER, [theirs])[theirs] is NOT_LISTED


def test_detail_of_another_schedulers_job_is_no_evidence(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.add_job("COMPLETED", job_id="197", ended_ago=9)
    scnet.cancel_delay = 1000
    ours = scnet.add_job("COMPLETING", job_id="197", scheduler_id=SECOND_SCHEDULER)
    reference = JobRef(SECOND_SCHEDULER, ours.user, "197")
    assert look(client, SECOND_SCHEDULER, ours.user, [reference])[reference].phase is not Phase.ENDED


def test_absence_is_refuted_by_a_job_of_another_user(scnet: ScnetEmulator, client: ScnetClient) -> None:
    job = scnet.add_job()
    state = confirm_absent(client, SCHEDULER, [ref(job.job_id, "alice")])[ref(job.job_id, "alice")]
    assert (state.phase, state.owner) == (Phase.ACTIVE, scnet.user)


def test_absence_in_a_list_that_is_cut_short_is_confirmed_in_portions(
    scnet: ScnetEmulator, client: ScnetClient
) -> None:
    scnet.total_lie = lambda real: real + 1
    states = list(confirm_absent(client, SCHEDULER, [ref(n) for n in range(1, 31)]).values())
    assert states[:SINGLE_LOOKUPS] == [NOT_LISTED] * SINGLE_LOOKUPS
    assert states[SINGLE_LOOKUPS:] == [UNCONFIRMED] * 10


def test_absence_at_an_unknown_scheduler_is_an_error(client: ScnetClient) -> None:
    with pytest.raises(ScnetRequestError, match="scheduler_id='999' is none of this gateway's"):
        confirm_absent(client, "999", [JobRef("999", "u", "1")])


def test_read_states(scnet: ScnetEmulator, client: ScnetClient) -> None:
    running, ended = scnet.add_job(), scnet.add_job("COMPLETED", ended_ago=60)
    old = scnet.add_job("FAILED", ended_ago=86400)
    refs = [ref(old.job_id), ref(running.job_id), ref("4711"), ref(ended.job_id)]
    states = read_states(client, refs)
    assert list(states) == refs
    assert [state.phase for state in states.values()] == [
        Phase.ENDED,
        Phase.ACTIVE,
        Phase.NOT_LISTED,
        Phase.ENDED,
    ]
    assert str(states[ref("4711")]) == "not listed"


def test_read_states_reads_no_more_history_than_it_needs(scnet: ScnetEmulator, client: ScnetClient) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=3600) for _ in range(500)]
    read_states(client, [ref(jobs[-1].job_id)])
    assert scnet.calls["history"] == 1


@pytest.mark.parametrize(
    ("listed", "wanted", "says"),
    [
        ("5", "5", True),
        ("5_1", "5_1", True),
        ("5_1", "5", True),
        ("5_[2-9]", "5", True),
        ("5", "5_1", True),
        ("5_[2-9]", "5_1", True),
        ("5_[2-9]", "5_3", True),
        ("5_2", "5_1", False),
        ("5_1", "5_11", False),
        ("5_11", "5_1", False),
        ("51", "5", False),
        ("51_1", "5", False),
        ("5", "51", False),
        ("51_[2-9]", "5_1", False),
        ("", "5", False),
        # The waiting rest of an array is listed member by member once it runs.
        ("5_3", "5_[2-9]", True),
        ("5", "5_[2-9]", True),
        ("5_[4-9]", "5_[2-9]", True),
    ],
)
def test_concerns(listed: str, wanted: str, says: bool) -> None:
    assert concerns(listed, wanted) is says
