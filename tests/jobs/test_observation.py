"""The standard of proof, one rule after the other, on services that behave as SCNet may without any fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetJobsNotDeletedError
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.evidence import SINGLE_READS
from airflow_provider_scnet.jobs.observation import MOST_REFUSALS
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.report import DeletionReport
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of

Delete = Callable[..., DeletionReport]


@pytest.fixture
def elapsed(scnet: ScnetEmulator) -> Callable[[], float]:
    started = scnet.clock.now()
    return lambda: scnet.clock.now() - started


def texts(refs: list[JobRef]) -> list[str]:
    return [str(ref) for ref in refs]


def later(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, seconds: float, change: Callable[[], None]) -> None:
    """Change the service once the clock has moved so far."""
    advance, moment = scnet.clock.advance, scnet.clock.now() + seconds
    pending = [change]

    def step(by: float) -> None:
        advance(by)
        if pending and scnet.clock.now() >= moment:
            pending.pop()()

    monkeypatch.setattr(scnet.clock, "advance", step)


# --- everyday --------------------------------------------------------------------------------------------------------


def test_running_job_that_takes_its_time(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    scnet.cancel_delay = 10
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert elapsed() < 12
    assert sum(scnet.calls.values()) <= 8


def test_job_that_was_submitted_a_moment_ago(
    scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]
) -> None:
    scnet.submit_lag, scnet.lagging_deletes, scnet.cancel_delay = 15, True, 10
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active
    assert elapsed() < 40


# --- lists that lag, show the past, or nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("history", [True, False])
def test_list_that_lags_behind_a_submit(scnet: ScnetEmulator, delete: Delete, history: bool) -> None:
    scnet.submit_lag, scnet.lagging_deletes, scnet.has_history = 60, True, history
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_list_of_a_while_ago(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.view_age, scnet.lagging_deletes = 30, True
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


@pytest.mark.parametrize("blank", ["empty", "null"])
@pytest.mark.parametrize("start", [0, 7])
def test_outage_that_looks_empty(
    scnet: ScnetEmulator, delete: Delete, monkeypatch: pytest.MonkeyPatch, blank: Any, start: int
) -> None:
    job = scnet.add_job()
    job.ignores_delete = 3
    later(scnet, monkeypatch, start + 60, lambda: setattr(scnet, "blank_lists", None))
    if start:
        later(scnet, monkeypatch, start, lambda: setattr(scnet, "blank_lists", blank))
    else:
        scnet.blank_lists = blank
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_job_that_was_seen_and_vanishes_without_an_end_is_not_gone(
    scnet: ScnetEmulator, delete: Delete, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = scnet.add_job()
    job.ignores_delete, scnet.has_history = True, False
    later(scnet, monkeypatch, 7, lambda: setattr(scnet, "blank_lists", "empty"))
    with pytest.raises(ScnetJobsNotDeletedError, match="not listed any more, but its end was not seen"):
        delete(job)


def test_jobs_that_the_list_of_another_user_has_shown_are_not_gone(
    scnet: ScnetEmulator, delete: Delete, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for, neither the list nor the history of a wrong user knows them."""
    scnet.has_history = False
    ours, other = scnet.add_job("COMPLETED"), scnet.add_job("COMPLETED", user="colleague")
    wrong = [scnet.add_job() for _ in range(SINGLE_READS + 1)]  # more than are looked up at once
    later(scnet, monkeypatch, 1, lambda: setattr(scnet, "blank_lists", "empty"))
    with pytest.raises(ScnetJobsNotDeletedError) as failure:
        delete(ours, other, *(f"{SCHEDULER},alice:{job.job_id}:" for job in wrong))
    assert [left.state.owner for left in failure.value.report.left] == [scnet.user] * len(wrong)


def test_history_that_cannot_be_read_blocks_nothing(
    scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]
) -> None:
    scnet.fail("history", status=503, times=None)
    assert len(delete("4711").gone) == 1
    assert elapsed() < 100
    assert scnet.calls["history"] <= 5


def test_settled_job_that_goes_on_is_deleted_again(
    scnet: ScnetEmulator, delete: Delete, caplog: pytest.LogCaptureFixture
) -> None:
    slow, job = scnet.add_job(), scnet.add_job()
    slow.ignores_delete = 2
    scnet.raw_state_in_lists = True
    ended = {"jobId": job.job_id, "jobStatus": "statC", "jobInitAttr": {"JobState": "COMPLETED"}, "user": scnet.user}
    running = {"jobId": slow.job_id, "jobStatus": "statR", "user": scnet.user}
    scnet.fail("list", code="0", data={"total": 2, "list": [ended, running]})
    job.ignores_delete = 1
    assert len(delete(slow, job).deleted) == 2
    assert not scnet.active_jobs
    assert f"Job {job.ref} goes on after all" in caplog.text


# --- codes that run ahead --------------------------------------------------------------------------------------------


def test_code_that_runs_ahead_is_confirmed_by_the_jobs_detail(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.code_lead = 600
    job = scnet.add_job()
    job.ignores_delete = 2
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.active


def test_code_that_was_contradicted_counts_no_more(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.code_lead = 600
    talks, silent = scnet.add_job(), scnet.add_job()
    talks.ignores_delete = silent.ignores_delete = True
    scnet.fail("detail", code="0", data={"jobId": silent.job_id, "user": scnet.user}, times=None,
               when=lambda r: r.path.endswith(silent.job_id))  # fmt: skip
    with pytest.raises(ScnetJobsNotDeletedError, match="2 of 2"):
        delete(talks, silent)


def test_code_without_any_word_has_to_stay(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    scnet.words_in_details, scnet.has_history = False, False
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]
    assert 90 <= elapsed() < 100
    assert scnet.calls["detail"] == 1  # it has told all it can


def test_code_beside_a_word_that_nobody_knows_needs_the_history(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job("COMPLETED", ended_ago=20)
    detail = {"jobId": job.job_id, "user": scnet.user, "jobStatus": "statC", "jobInitAttr": {"JobState": "VANISHING"}}
    detail["jobmanagerName"] = client_of(scnet).list_schedulers()[SCHEDULER]
    scnet.fail("detail", code="0", data=detail, times=None)
    assert texts(delete(job).deleted) == [job.ref]
    scnet.has_history = False
    with pytest.raises(ScnetJobsNotDeletedError, match=job.ref):
        delete(job, timeout=200)


def test_detail_that_is_not_there_is_no_answer(scnet: ScnetEmulator, delete: Delete) -> None:
    job = scnet.add_job()
    scnet.fail("detail", code="0", data=None, times=2)
    scnet.has_history = False
    assert texts(delete(job).deleted) == [job.ref]
    assert scnet.calls["detail"] == 3


def test_many_codes_are_settled_by_the_history(
    scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]
) -> None:
    jobs = [scnet.add_job() for _ in range(300)]
    assert len(delete(*jobs).deleted) == 300
    assert scnet.calls["detail"] == 0
    assert elapsed() < 1


def test_many_codes_without_a_history_are_asked_for_a_few_at_a_time(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.has_history = False
    jobs = [scnet.add_job() for _ in range(50)]
    assert len(delete(*jobs).deleted) == 50
    assert scnet.calls["detail"] == 50
    assert scnet.calls["list"] == 3 * 2
    assert SINGLE_READS == 20


def test_details_that_are_refused_keep_no_other_from_being_asked_for(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.has_history = False
    jobs = [scnet.add_job() for _ in range(30)]
    refused = {f"/hpc/openapi/v2/jobs/{job.job_id}" for job in jobs[:MOST_REFUSALS]}
    scnet.fail("detail", code="10009", times=None, when=lambda request: request.path in refused)
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(*jobs, timeout=60)
    assert {str(left.ref) for left in caught.value.report.left} == {job.ref for job in jobs[:MOST_REFUSALS]}


def test_details_that_are_all_refused_are_asked_for_sparingly(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.has_history = False
    scnet.fail("detail", code="10009", times=None)
    with pytest.raises(ScnetJobsNotDeletedError):
        delete(*(scnet.add_job() for _ in range(30)), timeout=60)
    lists = sum(request.call == "list" for request in scnet.requests)
    assert scnet.calls["detail"] <= MOST_REFUSALS * lists


@pytest.mark.parametrize("style", ["long", "short", "accounting"])
@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "CANCELLED"])
def test_words_in_every_style(scnet: ScnetEmulator, delete: Delete, style: Any, outcome: str) -> None:
    scnet.word_style, scnet.has_history = style, False
    job = scnet.add_job(outcome, ended_ago=9)
    assert texts(delete(job).deleted) == [job.ref]
    assert scnet.calls["list"] == 1


# --- jobs that may be started again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["PREEMPTED", "NODE_FAIL", "BOOT_FAIL"])
@pytest.mark.parametrize("words", [True, False])
def test_requeued_job(scnet: ScnetEmulator, delete: Delete, word: str, words: bool) -> None:
    scnet.requeue_after, scnet.raw_state_in_lists = 60, words
    job = scnet.add_job()
    job.become(word)
    assert texts(delete(job).deleted) == [job.ref]
    assert not job.will_run


def test_interrupted_job_that_stays_so(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    fresh, old = scnet.add_job(), scnet.add_job("PREEMPTED", ended_ago=200)
    fresh.become("PREEMPTED")
    assert len(delete(fresh, old).deleted) == 2
    assert 85 <= elapsed() < 110
    assert fresh.deletes >= 2  # one since it was interrupted


def test_interrupted_job_of_the_past(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    """It may have been started again, and be listed only in a while."""
    old = scnet.add_job("NODE_FAIL", ended_ago=3600)
    assert texts(delete(old).gone) == [old.ref]
    assert 90 <= elapsed() < 100


# --- lists that are cut ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 40])
def test_job_that_a_cut_list_hides(scnet: ScnetEmulator, delete: Delete, count: int) -> None:
    scnet.list_cap = 5
    crowd = [scnet.add_job() for _ in range(5)]
    hidden = [scnet.add_job() for _ in range(count)]
    for job in hidden:
        job.ignores_delete = 2
    assert len(delete(*hidden).deleted) == count
    assert scnet.active_jobs == crowd


def test_array_whose_members_a_cut_list_hides(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.list_cap, scnet.raw_state_in_lists = 2, True
    members = [scnet.add_job(job_id=f"5_{n}") for n in range(6)]
    for member in members[2:]:
        member.ignores_delete = 2
    assert len(delete("5").deleted) == 1
    assert not scnet.active_jobs


@pytest.mark.parametrize("words", [True, False])
def test_array_whose_rest_alone_a_cut_list_shows(scnet: ScnetEmulator, delete: Delete, words: bool) -> None:
    """It is listed under the array's own id, which is over at once."""
    scnet.list_cap, scnet.raw_state_in_lists = 1, words
    scnet.add_job("PENDING", job_id="5")
    for number in (1, 2):
        scnet.add_job(job_id=f"5_{number}").ignores_delete = 2
    assert len(delete("5").deleted) == 1
    assert not scnet.active_jobs


@pytest.mark.parametrize("words", [True, False])
def test_array_whose_rest_is_listed_by_its_own_id(
    scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float], words: bool
) -> None:
    """The history names members, and never that."""
    scnet.words_in_details, scnet.history_lag = words, 20
    for job_id in ("5", "5_1", "5_2"):
        scnet.add_job(job_id=job_id)
    assert len(delete("5").deleted) == 1
    assert elapsed() < (5 if words else 120)


def test_waiting_rest_of_an_array(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.add_job("PENDING", job_id="5_[2-9,11%4]")
    other = scnet.add_job(job_id="5_1")
    assert len(delete("5_1").deleted) == 1
    assert not other.active
    with pytest.raises(ScnetJobsNotDeletedError, match="queued"):
        delete("5_7", timeout=20)
    assert len(delete("5").deleted) == 1


def test_array_of_the_past(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    """The history of some members proves nothing of the others: that none shows up has to be seen for a while."""
    for member in range(3):
        scnet.add_job("COMPLETED", job_id=f"5_{member}", ended_ago=3600)
    assert len(delete("5").gone) == 1
    assert 90 <= elapsed() < 100


def test_page_size_that_is_refused(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.largest_limit = 25
    jobs = [scnet.add_job() for _ in range(60)]
    assert len(delete(*jobs).deleted) == 60
    limits = [request.query["limit"] for request in scnet.requests if request.call == "list"]
    assert limits == ["100", "25", "25", "25"]


# --- gateways and schedulers -----------------------------------------------------------------------------------------


def test_scheduler_list_that_cannot_be_read_proves_nothing(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("clusters", code="10004", times=None)
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]  # what is seen is seen
    with pytest.raises(ScnetJobsNotDeletedError, match="not listed"):
        delete("4711")


@pytest.mark.parametrize("answer", [[], [{"id": 999, "text": "Other"}]])
def test_scheduler_list_is_asked_for_again(scnet: ScnetEmulator, delete: Delete, answer: Any) -> None:
    scnet.fail("clusters", code="0", data=answer, times=2)
    job = scnet.add_job()
    assert texts(delete(job).deleted) == [job.ref]


@pytest.mark.usefixtures("without_gc")
def test_trouble_with_one_scheduler_spares_the_other(scnet: ScnetEmulator, delete: Delete) -> None:
    ours, other = scnet.add_job(), scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    scnet.fail("list", status=503, times=None, when=lambda r: r.query["strClusterIDList"] == SCHEDULER)
    scnet.fail("delete", body="[" * 100_000, times=None, when=lambda r: SCHEDULER in r.body)
    scnet.has_history = False
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(ours, other, timeout=30)
    assert texts(caught.value.report.deleted) == [other.ref]


def test_look_from_another_gateway_than_the_deletes(scnet: ScnetEmulator) -> None:
    job = scnet.add_job()
    job.ignores_delete = True
    listed = {"jobId": job.job_id, "jobStatus": "statC", "jobInitAttr": {"JobState": "COMPLETED"}}
    with ScnetEmulator() as second:  # has a job of that number, too
        second.fail("list", code="0", data={"total": 1, "list": [listed]}, times=None)
        second.fail("clusters", code="0", data=[{"id": int(SCHEDULER), "text": "Cluster"}], times=None)
        second.fail("delete", code="10012", times=None)
        client = client_of(scnet, gateways=[f"{scnet.url}/hpc", f"{second.url}/hpc"])
        scnet.fail("list", status=502)
        with pytest.raises(ScnetJobsNotDeletedError, match=job.ref):
            Deletion(client, parse_jobs(job.ref), DeleteOptions(timeout=60)).run()
        assert second.calls["delete"] > 5  # what the other has answered does not count here


def test_gateway_that_does_not_name_the_scheduler_is_left(scnet: ScnetEmulator) -> None:
    """One dropped answer has led there, and nothing that it says would lead back."""
    job = scnet.add_job()
    scnet.cancel_delay = 20
    with ScnetEmulator(schedulers={SECOND_SCHEDULER: "Second"}) as other:
        other.fail("clusters", code="0", data=[{"id": int(SECOND_SCHEDULER), "text": "Second"}], times=None)
        client = client_of(scnet, gateways=[f"{scnet.url}/hpc", f"{other.url}/hpc"])
        scnet.fail("list", status=502)
        assert texts(Deletion(client, parse_jobs(job.ref), DeleteOptions()).run().deleted) == [job.ref]
        assert client.base_url == f"{scnet.url}/hpc"


def test_jobs_that_are_settled_are_looked_at_once_more(scnet: ScnetEmulator, delete: Delete) -> None:
    """Whatever was sent for others meanwhile: the last look at each job began after it."""
    ours, slow, other = scnet.add_job(), scnet.add_job(user="colleague"), scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    slow.ignores_delete = True
    slow.ends_at = scnet.clock.now() + 17
    assert len(delete(ours, slow, other).deleted) == 3
    last_delete = max(n for n, request in enumerate(scnet.requests) if request.call == "delete")
    looked_at = {
        (r.query["strClusterIDList"], r.query["strJobOwner"]) for r in scnet.requests[last_delete:] if r.call == "list"
    }
    assert looked_at == {(SCHEDULER, scnet.user), (SCHEDULER, "colleague"), (SECOND_SCHEDULER, scnet.user)}


def test_last_look_that_fails_is_no_look(scnet: ScnetEmulator, delete: Delete) -> None:
    ours, slow = scnet.add_job(), scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    slow.ignores_delete, scnet.has_history = 2, False
    scnet.fail("list", status=503, times=None, after=1, when=lambda r: r.query["strClusterIDList"] == SCHEDULER)
    with pytest.raises(ScnetJobsNotDeletedError) as caught:
        delete(ours, slow, timeout=60)
    assert texts([left.ref for left in caught.value.report.left]) == [ours.ref]


# --- missing_ok ------------------------------------------------------------------------------------------------------


def test_missing_not_ok_with_a_long_history_costs_few_requests(scnet: ScnetEmulator, delete: Delete) -> None:
    for _ in range(500):
        scnet.add_job("COMPLETED", ended_ago=3600)
    old = scnet.add_job("COMPLETED", ended_ago=7200)
    assert texts(delete(old, missing_ok=False).gone) == [old.ref]
    assert sum(scnet.calls.values()) <= 20


def test_missing_not_ok_and_a_history_that_cannot_be_read(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.fail("history", status=503, times=None)
    with pytest.raises(ScnetJobsNotDeletedError, match="its history cannot be read"):
        delete("4711", missing_ok=False)


# --- members that wait in one row ------------------------------------------------------------------------------------


def test_array_whose_waiting_members_leave_no_record(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.waiting_rest = True
    for number in range(4):
        scnet.add_job("PENDING" if number else "RUNNING", job_id=f"500_{number}")
    assert texts(delete("500").deleted) == [f"{SCHEDULER},{scnet.user}:500:"]
    assert not scnet.active_jobs


def test_member_that_waits_leaves_no_record(scnet: ScnetEmulator, delete: Delete, elapsed: Callable[[], float]) -> None:
    scnet.waiting_rest = True
    for number in range(4):
        scnet.add_job("PENDING" if number else "RUNNING", job_id=f"500_{number}")
    assert texts(delete("500_2").gone) == [f"{SCHEDULER},{scnet.user}:500_2:"]
    assert 90 <= elapsed() < 100
    assert [job.job_id for job in scnet.active_jobs] == ["500_0", "500_1", "500_3"]


def test_member_that_starts_before_the_delete_reaches_it_is_no_absent_one(scnet: ScnetEmulator, delete: Delete) -> None:
    scnet.waiting_rest, scnet.has_history = True, False
    jobs = [scnet.add_job("PENDING", job_id=f"500_{number}") for number in range(3)]
    jobs[1].ignores_delete = True
    jobs[1].become("RUNNING")
    with pytest.raises(ScnetJobsNotDeletedError):
        delete("500")
    assert [job.job_id for job in scnet.active_jobs] == ["500_1"]


@pytest.mark.parametrize(("size", "is_plain"), [(1, True), (1, False)])
def test_array_of_one(scnet: ScnetEmulator, delete: Delete, size: int, is_plain: bool) -> None:
    job = scnet.add_job(job_id="500" if is_plain else "500_1")
    assert texts(delete("500").deleted) == [f"{SCHEDULER},{scnet.user}:500:"]
    assert job.state == "CANCELLED"
