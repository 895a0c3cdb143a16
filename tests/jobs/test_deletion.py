"""Can it end green while a job runs? Can it delete what it was not told to? Each test is one way to be fooled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_scnet.api.credentials import KeyTokens, TokenCache
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.platform import AccessKeys
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
    ScnetStoppedError,
)
from airflow_provider_scnet.jobs.deletion import Deletion, delete_at_once
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.report import DeletionReport
from airflow_provider_scnet.jobs.waiting import Watch
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.records import history_record
from airflow_provider_scnet.wording import Secret
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, VirtualPatience, client_of, platform_of

Delete = Callable[..., DeletionReport]
STOPPED = (
    "Stopped in the middle. Of 1 job, 1 was named in a delete request and 0 were not. 1 of 1 job is not known to have "
    "ended"
)


def texts(refs: list[JobRef]) -> list[str]:
    return [str(ref) for ref in refs]


def sent_batches(scnet: ScnetEmulator) -> list[int]:
    return [r.form["strJobInfoMap"].count(",") for r in scnet.requests if r.call == "delete"]


# --- what is green ------------------------------------------------------------------------------------------


def test_running_job_is_seen_to_end(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    report = delete(job)
    assert texts(report.deleted) == [job.ref]
    assert (job.state, scnet.calls) == ("CANCELLED", {"delete": 1, "clusters": 1, "list": 1, "detail": 1})


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "REQUEUED"])
def test_every_active_state_is_ended(scnet: ScnetEmulator, delete: Delete, state: str) -> None:
    job = scnet.add_job(state)
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_slow_cancel_is_waited_for(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.cancel_delay = 42
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active
    assert job.deletes < 5  # it is not pestered with every look


@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"])
def test_job_that_ended_by_itself_is_fine(scnet: ScnetEmulator, delete: Delete, outcome: str) -> None:
    job = scnet.add_job(outcome, ended_ago=10)
    assert texts(delete(job).deleted) == [job.ref]


@pytest.mark.parametrize("absent_for", [90, 30])
def test_job_unknown_to_scnet_is_gone_after_a_while(scnet: ScnetEmulator, delete: Delete, absent_for: int) -> None:
    before = scnet.clock.now()
    report = delete("4711", absent_for=absent_for)
    assert texts(report.gone) == [f"{SCHEDULER},{scnet.user}:4711:"]
    assert absent_for <= scnet.clock.now() - before < absent_for + 10
    assert sum(scnet.calls.values()) <= 40


def test_unknown_scheduler_does_not_hold_up_the_end(scnet: ScnetEmulator, delete: Delete) -> None:
    """But a list of schedulers may be short of one for a while, as others are."""
    job, before = scnet.add_job(), scnet.clock.now()
    with pytest.raises(ScnetRequestError, match="none of this gateway's"):
        delete(job, "777,u:1:")
    assert 90 <= scnet.clock.now() - before < 100


def test_service_that_gives_no_totals(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.total_lie = lambda real: None
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert len(delete("4711").gone) == 1


def test_unknown_job_needs_time_to_be_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    with pytest.raises(ScnetJobsNotDeletedError, match="timeout=60 is less than absent_for=90") as caught:
        delete("4711", timeout=60)
    assert "not listed" in str(caught.value)


def test_old_job_is_gone_after_a_while(scnet: ScnetEmulator, delete: Delete) -> None:
    """A new one that has its number may not be listed yet."""
    old = scnet.add_job("COMPLETED", ended_ago=600)
    before = scnet.clock.now()
    assert texts(delete(old).gone) == [old.ref]
    assert 90 <= scnet.clock.now() - before < 100
    assert scnet.calls == {"delete": 1, "clusters": 1, "list": 12, "history": 2}


def test_old_job_that_its_name_tells_is_gone_at_once(scnet: ScnetEmulator) -> None:
    old = scnet.add_job("COMPLETED", ended_ago=600, name="ours")
    deletion = Deletion(client_of(scnet), parse_jobs(old.ref), DeleteOptions(), is_ours=lambda name: name == "ours")
    before = scnet.clock.now()
    assert texts(deletion.run().gone) == [old.ref]
    assert scnet.clock.now() - before < 1
    assert scnet.calls == {"delete": 1, "clusters": 1, "list": 1, "history": 1}


@pytest.mark.parametrize("lag", [20, 60])
@pytest.mark.parametrize("owner", ["", "colleague"])
def test_number_that_is_used_again(
    scnet: ScnetEmulator, delete: Delete, monkeypatch: pytest.MonkeyPatch, owner: str, lag: float
) -> None:
    """The history still has the job that had it before, while the new one is not listed yet."""
    scnet.submit_lag, scnet.lagging_deletes = lag, True
    job = scnet.add_job()
    old = {**history_record(job, "", job.job_id), "user": owner or scnet.user, "jobState": "statC"}
    old |= {"jobName": "earlier", "jobEndTime": "2024-01-02 03:04:05", "jobStartTime": "2024-01-02 03:00:00"}
    scnet.fail("history", code="0", data={"total": 1, "list": [old]}, when=lambda request: job.active, times=None)
    assert texts(delete(job).deleted) == [job.ref]
    assert job.state == "CANCELLED"


@pytest.mark.parametrize("name", ["earlier", ""])
@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_job_that_vanishes_is_not_over_because_the_history_has_an_earlier_one(
    scnet: ScnetEmulator, delete: Delete, name: str, state: str
) -> None:
    """Lists do not say since when a job waits; that it was seen after that end, and its name, tell all the same."""
    bystander, job = scnet.add_job(), scnet.add_job(state, name="mine")
    job.ignores_delete = True
    times = {"jobQueueTime": "2024-01-02 02:00:00", "jobStartTime": "2024-01-02 03:00:00"}
    old = {**history_record(job, "", job.job_id), "jobState": "statC", "jobName": name, **times}
    old["jobEndTime"] = "2024-01-02 03:04:05"
    other = {**history_record(bystander, "", bystander.job_id), "jobStatus": "statR", "jobState": ""}
    scnet.fail("history", code="0", data={"total": 1, "list": [old]}, times=None)
    scnet.fail("list", code="0", data={"total": 1, "list": [other]}, times=None, after=3)
    with pytest.raises(ScnetJobsNotDeletedError, match="1 of 1 job is not known to have ended"):
        delete(job)


@pytest.mark.parametrize("verb", ["delete", "wait"])
def test_members_in_a_bracket_end_while_others_wait(scnet: ScnetEmulator, delete: Delete, verb: str) -> None:
    """The row of those is none of theirs."""
    scnet.waiting_rest = True
    jobs = [scnet.add_job("RUNNING" if number < 3 else "PENDING", job_id=f"5_{number}") for number in range(10)]
    ref = f"{SCHEDULER},{scnet.user}:5_[1-2]:"
    if verb == "delete":
        assert texts(delete(ref).deleted) == [ref]
    else:
        for job in jobs[1:3]:
            job.become("COMPLETED")
        watch = Watch(client_of(scnet), parse_jobs(ref))
        for _ in range(4):
            watch.look()
            watch.client.patience.sleep(100)
        assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]
    assert [job.active for job in jobs] == [True, False, False] + [True] * 7


def test_number_that_somebody_else_has_now(scnet: ScnetEmulator, delete: Delete) -> None:
    """Ours has ended, and theirs is no evidence of the contrary."""
    old = scnet.add_job("COMPLETED", ended_ago=3600)
    theirs = {**history_record(old, "", old.job_id), "user": "colleague", "jobStatus": "statR", "jobState": ""}
    scnet.fail("list", code="0", data={"total": 1, "list": [theirs]}, times=None)
    assert texts(delete(old).gone) == [old.ref]


def test_thousand_old_jobs_cost_pages_not_requests_each(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=3600) for _ in range(1000)]
    assert len(delete(*jobs).gone) == 1000
    assert sum(scnet.calls.values()) < 60


def test_thousand_running_jobs_cost_tens_of_requests(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(1000)]
    assert len(delete(*jobs).deleted) == 1000
    assert sum(scnet.calls.values()) <= 60
    assert set(sent_batches(scnet)) == {50}


def test_several_schedulers(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job(scheduler_id=s, job_id=n) for n in (1, 2) for s in (SCHEDULER, SECOND_SCHEDULER)]
    other = scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    assert texts(delete(*jobs).deleted) == [job.ref for job in jobs]
    assert scnet.active_jobs == [other]
    assert scnet.calls["delete"] == 2


def test_several_users_and_a_job_that_is_not_ours_to_delete(scnet: ScnetEmulator, delete: Delete) -> None:
    ours, theirs, ended = scnet.add_job(), scnet.add_job(user="colleague"), scnet.add_job("FAILED", user="third")
    with pytest.raises(ScnetJobsNotDeletedError, match=theirs.ref) as caught:
        delete(ours, theirs, ended, timeout=30)
    assert texts(caught.value.report.deleted) == [ours.ref, ended.ref]


@pytest.mark.parametrize("switch", ["numeric_ids", "raw_state_in_lists"])
def test_types_and_fields_of_answers_vary(scnet: ScnetEmulator, delete: Delete, switch: str) -> None:
    setattr(scnet, switch, True)
    scnet.cancel_delay = 3
    jobs = [scnet.add_job(), scnet.add_job("COMPLETED", ended_ago=9)]
    assert texts(delete(*jobs).deleted) == [job.ref for job in jobs]


def test_duplicates_are_sent_once(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    assert texts(delete(job, job, job.job_id).deleted) == [job.ref]
    assert sent_batches(scnet) == [1]


# --- what must never be green -------------------------------------------------------------------------------


def test_code_zero_and_a_job_that_goes_on_is_never_success(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(job, timeout=60)
    assert job.ref in str(caught.value)
    assert "statR 运行 running" in str(caught.value)
    assert [left.ref for left in caught.value.report.left] == [JobRef(SCHEDULER, scnet.user, job.job_id)]
    assert not isinstance(caught.value, ScnetPermanentError)


def test_delete_is_sent_again_with_every_third_look_and_before_giving_up(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError):
        delete(job, timeout=60, poll_interval=5)
    assert job.deletes == 1 + 12 // 3  # the last of them before giving up
    assert scnet.requests[-1].call == "list"  # and looked at once more


def test_job_that_gives_in_later(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = 3
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_completing_for_ever_is_not_ended(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.cancel_delay = 10**6
    with pytest.raises(ScnetJobsNotDeletedError, match="COMPLETING"):
        delete(scnet.add_job(), timeout=30)


def test_wrong_user_is_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    with pytest.raises(ScnetJobsNotDeletedError, match=f"listed under user {scnet.user}"):
        delete(f"{SCHEDULER},alice:{job.job_id}:", timeout=30)
    assert job.active  # what was not named is not touched


def test_wrong_user_among_many_is_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(30)]
    with pytest.raises(ScnetJobsNotDeletedError, match="30 of 30 jobs"):
        delete(*(f"{SCHEDULER},alice:{job.job_id}:" for job in jobs), timeout=30)


def test_wrong_user_of_an_array_is_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.add_job(job_id="5_1")
    with pytest.raises(ScnetJobsNotDeletedError, match=r"running.*listed under user acexample01"):
        delete(f"{SCHEDULER},alice:5:", timeout=20)


def test_wrong_user_is_not_gone_where_empty_lists_are_null(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.null_empty_lists = True
    jobs = [scnet.add_job() for _ in range(21)]
    with pytest.raises(ScnetJobsNotDeletedError, match="21 left"):
        delete(*(f"{SCHEDULER},alice:{job.job_id}:" for job in jobs), timeout=60)


def test_wrong_user_of_a_job_that_nobody_lists_is_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    with pytest.raises(ScnetJobsNotDeletedError, match="is the user right"):
        delete(f"{SCHEDULER},alice:4711:", timeout=20)


@pytest.mark.parametrize("code", ["10012", "10013", "815005"])
def test_fresh_job_is_not_gone_while_its_deletes_are_in_doubt(scnet: ScnetEmulator, delete: Delete, code: str) -> None:
    job = scnet.add_job()
    scnet.fail("delete", code=code, times=3)
    scnet.fail("list", code="0", data={"total": 0, "list": []}, times=5)
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_refused_token_is_no_answer_about_a_job(scnet: ScnetEmulator) -> None:
    """10008, then no new token: nothing was carried out, and a job that is not listed yet must not pass for gone."""
    keys = AccessKeys("alice", Secret(scnet.account.access_key), Secret(scnet.account.secret_key))
    tokens = KeyTokens(keys, platform_of(scnet), cache=TokenCache(), now=scnet.clock.now)
    client = ScnetClient([f"{scnet.url}/hpc"], tokens, Transport(patience=VirtualPatience(scnet)))
    job = scnet.add_job()
    tokens.token()
    scnet.fail("delete", code="10008")
    scnet.fail("tokens", drop=True, times=4)
    scnet.fail("delete", drop=True, times=None)
    scnet.fail("list", code="0", data={"total": 0, "list": []}, times=None)
    deletion = Deletion(client, parse_jobs(job.ref), DeleteOptions(timeout=300))
    with pytest.raises(ScnetJobsNotDeletedError, match=job.ref):
        deletion.run()
    assert job.active


def test_refused_list_does_not_take_back_that_a_delete_was_confirmed(scnet: ScnetEmulator, delete: Delete) -> None:
    slow, other = scnet.add_job(runtime=13), scnet.add_job(user="colleague", runtime=8)
    slow.ignores_delete = True
    scnet.fail("list", code="10004", when=lambda r: r.query.get("strJobOwner") == scnet.user)
    scnet.fail("delete", code="10004", after=1, times=None, when=lambda r: slow.job_id in r.body)
    assert texts(delete(slow, other).deleted) == [slow.ref, other.ref]


def test_list_that_is_refused_is_no_verdict(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("list", code="10004", times=None)
    job = scnet.add_job()
    assert texts(delete(job).gone) == [job.ref]  # says the history
    other = scnet.add_job()
    scnet.has_history = False
    before = scnet.clock.now()
    with pytest.raises(ScnetJobsNotDeletedError, match="10004"):
        delete(other)
    assert scnet.clock.now() - before >= 300
    assert not other.active


def test_fresh_jobs_of_a_poisoned_batch_are_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(50)]
    jobs[0].refused = ("10001", "internal_error")
    scnet.fail("list", code="0", data={"total": 0, "list": []}, times=4)
    with pytest.raises(ScnetJobsNotDeletedError):
        delete(*jobs)
    assert scnet.active_jobs == [jobs[0]]


def test_sentence_that_confirms_another_bracket(scnet: ScnetEmulator, delete: Delete) -> None:
    sentence = "delete the jobs [acexample01:1:] successfully! [acexample01:101:] failed!"
    scnet.fail("delete", code="0", data={SCHEDULER: sentence}, times=None)
    with pytest.raises(ScnetJobsNotDeletedError, match="did not confirm"):
        delete(scnet.add_job(job_id="101"), verify=False, timeout=20)


def test_scheduler_of_another_region_is_not_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    scnet.fail("delete", code="0", data={}, times=None, when=lambda r: "999" in r.body)
    scnet.fail("list", code="0", data={"total": 0, "list": []}, times=None, when=lambda r: "999" in str(r.query))
    with pytest.raises(ScnetRequestError, match=r"999.*none of this gateway's"):
        delete("999,acexample01:1:", job)
    assert not job.active


def test_job_that_is_listed_a_moment_after_its_submission(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = 1
    scnet.fail("list", code="0", data={"total": 0, "list": []}, times=1)
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_array_is_not_gone_while_a_member_runs(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.add_job("COMPLETED", job_id="5_1", ended_ago=10)
    scnet.add_job(job_id="5_2").ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError, match="running"):
        delete("5", timeout=20)


def test_member_is_not_gone_while_its_array_waits(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.add_job("PENDING", job_id="5")
    with pytest.raises(ScnetJobsNotDeletedError, match="queued"):
        delete("5_7", timeout=20)


def test_members_of_arrays_are_deleted_alone(scnet: ScnetEmulator, delete: Delete) -> None:
    members = [scnet.add_job(job_id=f"5_{n}") for n in range(3)]
    assert texts(delete(members[0], members[2]).deleted) == [members[0].ref, members[2].ref]
    assert [member.active for member in members] == [False, True, False]


@pytest.mark.parametrize(
    ("cap", "lie"),
    [
        (None, lambda real: 0),
        (None, lambda real: 10),
        (10, lambda real: 25),
        (7, lambda real: real),
        (None, lambda real: real * 9),
    ],
    ids=["total 0", "total too low", "capped and too low", "capped", "total too high"],
)
def test_paged_list_that_lies(scnet: ScnetEmulator, delete: Delete, cap: int | None, lie: Any) -> None:
    scnet.page_cap, scnet.total_lie = cap, lie
    jobs = [scnet.add_job() for _ in range(130)]
    jobs[120].ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(*jobs, timeout=20)
    assert texts([left.ref for left in caught.value.report.left]) == [jobs[120].ref]


def test_total_too_high_does_not_hide_that_jobs_are_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.total_lie = lambda real: real + 5
    jobs = [scnet.add_job("COMPLETED", ended_ago=3600) for _ in range(50)]
    assert len(delete(*jobs).gone) == 50


def test_empty_list_without_data_is_confirmed_job_by_job(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.null_empty_lists = True
    assert len(delete(*range(1, 51)).gone) == 50


def test_state_without_meaning_is_looked_up_in_detail(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job("COMPLETED", ended_ago=9)
    record = {"jobId": job.job_id, "jobStatus": "statX", "user": scnet.user}
    scnet.fail("list", code="0", data={"total": 1, "list": [record]}, times=None)
    assert texts(delete(job).deleted) == [job.ref]
    assert scnet.calls["detail"] == 1


@pytest.mark.parametrize("status", ["statX", "statE", "statT", "statN", "statEX", "statFOO", ""])
def test_state_without_meaning_nor_detail_is_not_ended(scnet: ScnetEmulator, delete: Delete, status: str) -> None:
    record = {"jobId": "7", "jobStatus": status}
    scnet.fail("list", code="0", data={"total": 1, "list": [record]}, times=None)
    with pytest.raises(ScnetJobsNotDeletedError):
        delete("7", timeout=20)


def test_completed_code_does_not_outrank_the_schedulers_word(scnet: ScnetEmulator, delete: Delete) -> None:
    record = {"jobId": "7", "jobStatus": "statC", "jobInitAttr": {"JobState": "COMPLETING"}}
    scnet.fail("list", code="0", data={"total": 1, "list": [record]}, times=None)
    with pytest.raises(ScnetJobsNotDeletedError, match="COMPLETING"):
        delete("7", timeout=20)


# --- one bad reference never keeps the others running -------------------------------------------------------


def test_one_refused_among_thousand_is_isolated(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(1000)]
    jobs[321].refused = ("10004", "param_invalid")
    with pytest.raises(ScnetRequestError) as caught:
        delete(*jobs)
    assert scnet.active_jobs == [jobs[321]]
    assert len(caught.value.report.deleted) == 999
    assert texts([left.ref for left in caught.value.report.left]) == [jobs[321].ref]
    assert jobs[321].ref in str(caught.value)
    assert "10004" in str(caught.value)
    assert "999 deleted" in str(caught.value)
    assert scnet.calls["delete"] <= 20 + 2 * 6 + 2  # a refusal is tried twice more


def test_finished_job_that_scnet_refuses_to_delete_is_fine(scnet: ScnetEmulator, delete: Delete) -> None:
    ended, running = scnet.add_job("COMPLETED", ended_ago=9), scnet.add_job()
    ended.refused = ("10004", "param_invalid")
    assert texts(delete(ended, running).deleted) == [ended.ref, running.ref]


def test_refused_job_that_is_ending_is_waited_for(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.cancel_delay = 20
    delete_it = scnet.add_job()
    delete(delete_it, verify=False)
    delete_it.refused = ("10004", "param_invalid")
    assert texts(delete(delete_it).deleted) == [delete_it.ref]


def test_refused_jobs_that_cannot_all_be_looked_up_at_once(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.total_lie = lambda real: real + 1
    jobs = [scnet.add_job("COMPLETED", ended_ago=3600) for _ in range(30)]
    for job in jobs:
        job.refused = ("10004", "param_invalid")
    assert len(delete(*jobs).gone) == 30


def test_job_is_not_gone_before_its_delete_was_sent(scnet: ScnetEmulator, delete: Delete) -> None:
    old = [scnet.add_job("COMPLETED", ended_ago=3600) for _ in range(300)]
    scnet.fail("delete", status=503, times=6)
    assert len(delete(*old).gone) == 300
    sent = " ".join(r.form["strJobInfoMap"] for r in scnet.requests if r.call == "delete")
    assert all(job.ref in sent for job in old)


def test_refused_job_that_is_not_listed_is_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    old = scnet.add_job("COMPLETED", ended_ago=3600)
    old.refused = ("10004", "param_invalid")
    assert texts(delete(old).gone) == [old.ref]


def test_refused_with_an_undocumented_code_is_retried_and_isolated(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(40)]
    jobs[7].refused = ("77777", "who_knows")
    with pytest.raises(ScnetJobsNotDeletedError, match="77777"):
        delete(*jobs, timeout=120)
    assert scnet.active_jobs == [jobs[7]]
    assert jobs[7].deletes > 5


def test_poisoned_batch_is_halved_when_its_failure_looks_transient(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(100)]
    jobs[60].refused = ("10001", "internal_error")
    with pytest.raises(ScnetJobsNotDeletedError, match="10001"):
        delete(*jobs)
    assert scnet.active_jobs == [jobs[60]]


def test_half_failed_batch(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.refusal = "partial"
    jobs = [scnet.add_job() for _ in range(10)]
    jobs[3].refused = ("10004", "param_invalid")
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(*jobs, timeout=30)
    assert scnet.active_jobs == [jobs[3]]
    assert len(caught.value.report.deleted) == 9


def test_refused_list_of_one_scheduler_spares_the_other(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    with pytest.raises(ScnetRequestError, match=r"777,u:1:.*none of this gateway's"):
        delete("777,u:1:", job)
    assert not job.active


def test_refused_list_of_one_user_spares_the_other(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = 1
    scnet.fail("list", code="10004", times=None, when=lambda r: r.query.get("strJobOwner") == "alice")
    with pytest.raises(ScnetJobsNotDeletedError, match=r"alice:1:.*is the user right") as caught:
        delete(f"{SCHEDULER},alice:1:", job)
    assert texts(caught.value.report.deleted) == [job.ref]


@pytest.mark.parametrize("fault", [{"code": "10004"}, {"status": 503}], ids=["refused", "unavailable"])
def test_history_that_fails_hides_nothing(scnet: ScnetEmulator, delete: Delete, fault: dict[str, Any]) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    scnet.fail("history", times=None, **fault)
    with pytest.raises(ScnetJobsNotDeletedError, match=job.ref) as caught:
        delete(job, "4711", missing_ok=False, timeout=20)
    assert len(caught.value.report.left) == 2


def test_body_that_is_lost_on_the_way_stops_soon(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("delete", code="10003", times=None)
    with pytest.raises(ScnetRequestError, match="no proxy drops its body"):
        delete(*(scnet.add_job() for _ in range(1000)))
    assert set(scnet.calls) == {"delete", "clusters", "list"}
    assert sum(scnet.calls.values()) <= 50


def test_gateway_that_answers_nonsense_is_left_for_the_next(scnet: ScnetEmulator) -> None:
    jobs = [scnet.add_job() for _ in range(10)]
    with ScnetEmulator() as broken:
        broken.fail("*", status=502, times=None)
        client = client_of(scnet, gateways=[f"{broken.url}/hpc", f"{scnet.url}/hpc"])
        refs = parse_jobs([job.ref for job in jobs])
        report = Deletion(client, refs, DeleteOptions()).run()
        assert len(report.deleted) == 10
        assert broken.calls == {"delete": 1}


def test_time_out_of_the_task_leaves_an_account(
    scnet: ScnetEmulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = scnet.add_job()
    job.ignores_delete = True

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    client.patience.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        Deletion(client, parse_jobs(job.ref), DeleteOptions()).run()
    assert STOPPED in caplog.text
    assert f"{job.ref}  statR 运行 running" in caplog.text


def test_kill_leaves_an_account_and_sends_nothing_more(
    scnet: ScnetEmulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [scnet.add_job(), scnet.add_job(job_id=999)]
    jobs[0].ignores_delete = True
    sleep = client.patience.sleep

    def killed(seconds: float) -> None:
        client.patience.stop()
        sleep(seconds)

    client.patience.sleep = killed
    with pytest.raises(ScnetStoppedError):
        Deletion(client, parse_jobs([job.ref for job in jobs]), DeleteOptions()).run()
    assert "Stopped in the middle. Of 2 jobs, 2 were named in a delete request and 0 were not. 1 of 2" in caplog.text
    assert scnet.calls["delete"] == 1


def test_whoever_drives_a_deletion_does_the_waiting(scnet: ScnetEmulator, client: Any) -> None:
    """As a triggerer will: it awaits what a worker sleeps."""
    scnet.cancel_delay = 12
    jobs = [scnet.add_job(), scnet.add_job()]
    deletion = Deletion(client, parse_jobs([job.ref for job in jobs]), DeleteOptions())

    async def drive() -> list[float]:
        pauses = []
        for pause in deletion.rounds():
            await asyncio.sleep(0)
            pauses.append(pause)
            scnet.clock.advance(pause)
        return pauses

    assert asyncio.run(drive()) == [5, 5, 5]
    assert texts(deletion.report().deleted) == [job.ref for job in jobs]


def test_driver_that_is_interrupted_leaves_an_account(
    scnet: ScnetEmulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    rounds = Deletion(client, parse_jobs(job.ref), DeleteOptions()).rounds()
    assert next(rounds) == 5
    with pytest.raises(asyncio.CancelledError):
        rounds.throw(asyncio.CancelledError())
    assert STOPPED in caplog.text
    assert job.ref in caplog.text


def test_driver_that_goes_on_elsewhere_leaves_none(
    scnet: ScnetEmulator, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    deletion = Deletion(client, parse_jobs(job.ref), DeleteOptions())
    rounds = deletion.rounds()
    assert next(rounds) == 5
    rounds.close()
    assert "Stopped" not in caplog.text
    assert deletion.refs == [job.ref]


# --- errors of the account stop at once ---------------------------------------------------------------------


ACCOUNT = [
    ("10003", ScnetRequestError),
    ("10007", ScnetAccountError),
    ("10008", ScnetCredentialError),
    ("10009", ScnetPermissionError),
    ("404", ScnetAddressError),
]


@pytest.mark.parametrize(("code", "error_class"), ACCOUNT)
def test_error_of_the_account_stops_and_tells_what_was_done(
    scnet: ScnetEmulator, delete: Delete, code: str, error_class: type[ScnetError]
) -> None:
    jobs = [scnet.add_job() for _ in range(150)]
    scnet.fail("delete", code=code, after=1, times=None)
    scnet.fail("clusters", code=code, times=None)
    with pytest.raises(error_class) as caught:
        delete(*jobs)
    assert isinstance(caught.value, ScnetPermanentError)
    assert "Of 150 jobs, 100 were named in a delete request and 50 were not" in str(caught.value)
    assert len(caught.value.report.left) == 150
    unsent = str(caught.value).partition("not named in a delete request: ")[2]
    assert unsent.split(";") == [job.ref for job in jobs[100:]]
    assert all(job.ref in str(caught.value) for job in jobs)
    assert caught.value.code == code
    assert scnet.calls["delete"] <= 2 + (code == "10008")
    assert set(scnet.calls) <= {"delete", "clusters", "renew"}  # a refused token is renewed once


@pytest.mark.parametrize(("code", "error_class"), ACCOUNT)
def test_code_of_the_account_that_is_meant_for_one_job(
    scnet: ScnetEmulator, delete: Delete, code: str, error_class: type[ScnetError]
) -> None:
    jobs = [scnet.add_job() for _ in range(150)]
    jobs[7].refused = (code, "refused")
    with pytest.raises(error_class, match=jobs[7].ref) as caught:
        delete(*jobs)
    assert isinstance(caught.value, ScnetPermanentError)
    assert caught.value.code == code
    assert scnet.active_jobs == [jobs[7]]
    assert jobs[7].deletes >= 3
    # One harmless read for each code; whether a token is good is asked every ten seconds.
    assert scnet.calls["clusters"] <= 2 + 2 * (code == "10008")


@pytest.mark.parametrize(("code", "error_class"), ACCOUNT)
def test_code_of_the_account_that_only_deletes_meet(
    scnet: ScnetEmulator, delete: Delete, code: str, error_class: type[ScnetError]
) -> None:
    scnet.fail("delete", code=code, times=None)
    with pytest.raises(error_class, match=code):
        delete(*(scnet.add_job() for _ in range(1000)))
    assert scnet.calls["delete"] <= 40


def test_error_of_the_account_while_looking_is_no_verdict(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("list", code="10007", times=3)
    job = scnet.add_job()
    assert texts([*(report := delete(job)).deleted, *report.gone]) == [job.ref]


# --- ambiguous answers --------------------------------------------------------------------------------------

AMBIGUOUS: dict[str, dict[str, Any]] = {
    "10001": {"code": "10001", "msg": "internal_error"},
    "10012": {"code": "10012"},
    "10013": {"code": "10013"},
    "815005": {"code": "815005"},
    "connection dropped": {"drop": True},
    "web page": {"body": "<html>busy</html>", "content_type": "text/html"},
    "bad gateway": {"status": 502},
    "no envelope": {"body": "[]"},
    "undocumented code": {"code": "31337"},
    "no sentence": {"code": "0", "data": None},
    "failure sentence": {"code": "0", "data": {SCHEDULER: "delete the jobs [acexample01:101:] failed!"}},
    "another job's sentence": {"code": "0", "data": {SCHEDULER: "delete the jobs [acexample01:1:] successfully!"}},
}


@pytest.mark.parametrize("effect", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("fault", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_answer_is_looked_into(
    scnet: ScnetEmulator, delete: Delete, fault: dict[str, Any], effect: bool
) -> None:
    scnet.fail("delete", effect=effect, **fault)
    job = scnet.add_job(job_id="101")
    before = scnet.clock.now()
    assert texts(delete(job).deleted) == [job.ref]
    assert job.deletes == 1  # sent again only if it still ran
    assert [r.call for r in scnet.requests][:3] == ["delete", "clusters", "list"]
    assert scnet.clock.now() - before < 30


@pytest.mark.parametrize("fault", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_answers_for_ever_are_no_success(scnet: ScnetEmulator, delete: Delete, fault: dict[str, Any]) -> None:
    scnet.fail("delete", times=None, **fault)
    job = scnet.add_job(job_id="101")
    with pytest.raises(ScnetJobsNotDeletedError, match=job.ref):
        delete(job, timeout=40)
    assert job.active


def test_read_timeout_is_ambiguous(scnet: ScnetEmulator, delete: Delete, client: Any) -> None:
    client._transport._timeout = (5, 0.2)
    scnet.fail("delete", latency=0.6, effect=True)
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]


def test_service_that_is_down_is_not_flooded(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(1000)]
    scnet.fail("*", status=503, times=None)
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(*jobs, timeout=60)
    assert scnet.calls["delete"] <= 3 * 13 + 20  # only the last round, after which there is none, tries every batch
    assert len(caught.value.report.left) == 1000


def test_service_that_comes_back_in_time(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(300)]
    scnet.fail("*", status=503, times=20)
    assert len(delete(*jobs).deleted) == 300
    assert not scnet.active_jobs


def test_gateway_that_is_gone(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    scnet.stop()
    with pytest.raises(ScnetJobsNotDeletedError, match="nothing answers at this address"):
        delete(job, timeout=30)
    assert job.active


def test_job_that_breaks_the_answer_to_its_whole_batch(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(20)]
    scnet.fail(
        "delete", status=502, body="<html>", times=None, when=lambda r: f":{jobs[7].job_id}:" in r.form["strJobInfoMap"]
    )
    with pytest.raises(ScnetJobsNotDeletedError):
        delete(*jobs, timeout=120)
    assert scnet.active_jobs == [jobs[7]]


# --- options ------------------------------------------------------------------------------------------------


def test_unverified_believes_the_answer(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    report = delete(job, verify=False)
    assert (texts(report.accepted), report.deleted) == ([job.ref], [])
    assert scnet.calls == {"delete": 1}


def test_unverified_sends_again_what_was_not_confirmed(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("delete", code="10012")
    job = scnet.add_job()
    assert texts(delete(job, verify=False).accepted) == [job.ref]
    assert not job.active


def test_unverified_refusal_fails(scnet: ScnetEmulator, delete: Delete) -> None:
    refused, other = scnet.add_job(), scnet.add_job()
    refused.refused = ("10004", "param_invalid")
    with pytest.raises(ScnetRequestError) as caught:
        delete(refused, other, verify=False)
    assert texts(caught.value.report.accepted) == [other.ref]


def test_unverified_doubt_until_the_deadline_fails(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("delete", code="10013", times=None)
    with pytest.raises(ScnetJobsNotDeletedError, match="10013"):
        delete(scnet.add_job(), verify=False, timeout=20)


def test_missing_not_ok_spares_jobs_that_history_knows(scnet: ScnetEmulator, delete: Delete) -> None:
    old = scnet.add_job("COMPLETED", ended_ago=3600)
    assert texts(delete(old, missing_ok=False).gone) == [old.ref]


def test_missing_not_ok_names_the_unknown(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    with pytest.raises(ScnetJobsNotDeletedError, match=r"4711.*neither listed nor in the history"):
        delete(job, "4711", missing_ok=False)
    assert not job.active


def test_batch_size(scnet: ScnetEmulator, delete: Delete) -> None:
    delete(*(scnet.add_job() for _ in range(7)), batch_size=3)
    assert sent_batches(scnet) == [3, 3, 1]


def test_timedeltas(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    before = scnet.clock.now()
    with pytest.raises(ScnetJobsNotDeletedError):
        delete(job, timeout=timedelta(minutes=1), poll_interval=timedelta(seconds=30))
    assert 60 <= scnet.clock.now() - before < 70


# --- what a person reads ------------------------------------------------------------------------------------


def test_log_gives_counts_not_a_line_per_job(
    scnet: ScnetEmulator, delete: Delete, caplog: pytest.LogCaptureFixture
) -> None:
    scnet.cancel_delay = 12
    caplog.set_level("INFO", logger="airflow_provider_scnet")
    delete(*(scnet.add_job() for _ in range(100)))
    assert len(caplog.messages) < 10
    assert f"Deleting 100 jobs of scheduler {SCHEDULER}" in caplog.text
    assert "100 of 100 jobs are not settled: 100 statE" in caplog.text
    assert "All jobs are accounted for: 100 deleted." in caplog.text
    assert max(map(len, caplog.messages)) < 300


def test_log_names_few_jobs(scnet: ScnetEmulator, delete: Delete, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="airflow_provider_scnet")
    job = scnet.add_job()
    delete(job)
    assert job.ref in caplog.text


def test_error_names_every_job_that_is_left(scnet: ScnetEmulator, delete: Delete) -> None:
    jobs = [scnet.add_job() for _ in range(30)]
    for job in jobs:
        job.ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(*jobs, timeout=10)
    assert all(job.ref in str(caught.value) for job in jobs)
    assert str(caught.value).count("\n") == 20 + 1
    first_line = str(caught.value).splitlines()[0]
    assert "30 of 30 jobs" in first_line
    assert "run this task again" in first_line


def test_many_deletes_at_once(scnet: ScnetEmulator, caplog: pytest.LogCaptureFixture) -> None:
    jobs = parse_jobs([scnet.add_job().ref for _ in range(120)])
    delete_at_once(client_of(scnet), jobs, logger=logging.getLogger("test"))
    assert scnet.calls == {"delete": 3}
    assert not scnet.active_jobs


def test_delete_at_once_that_fails_is_told(scnet: ScnetEmulator, caplog: pytest.LogCaptureFixture) -> None:
    scnet.fail("delete", code="10007", times=None)
    scnet.fail("clusters", code="10007", times=None)
    (ref,) = parse_jobs(scnet.add_job().ref)
    delete_at_once(client_of(scnet), [ref], logger=logging.getLogger("test"))
    assert "may go on, for they could not be deleted" in caplog.text
    assert ref in caplog.text
