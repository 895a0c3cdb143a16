"""A job is over when its end is known, and has succeeded when the scheduler says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetTransientError
from airflow_provider_scnet.jobs import waiting
from airflow_provider_scnet.jobs.duplicates import Origin
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.waiting import (
    BLANK_FOR,
    Watch,
    wait_for,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.records import history_record
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of
from tests.tags import tag_of

See = Callable[..., dict[str, Ending]]


@pytest.fixture
def see(scnet: ScnetEmulator) -> See:
    """What one look tells of jobs, or a second one after what the first has seen has stayed so for a while."""

    def look(*jobs: Any, stays: bool = False) -> dict[str, Ending]:
        refs = parse_jobs([getattr(job, "ref", job) for job in jobs], scheduler_id=SCHEDULER, user=scnet.user)
        watch = Watch(client_of(scnet), refs)
        watch.look()
        if stays and watch.is_unsure:
            watch.client.patience.sleep(BLANK_FOR)
            watch.look()
        assert {*watch.open, *(outcome.ref for outcome in watch.outcomes)} == set(refs)
        return {outcome.ref.job_id: outcome.ending for outcome in watch.outcomes}

    return look


@pytest.mark.parametrize("ago", [1, 200, 3600])
@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("COMPLETED", Ending.COMPLETED),
        ("FAILED", Ending.FAILED),
        ("CANCELLED", Ending.CANCELLED),
        ("TIMEOUT", Ending.TIME_LIMIT),
    ],
)
def test_end_in_every_place(scnet: ScnetEmulator, see: See, word: str, ending: Ending, ago: float) -> None:
    job = scnet.add_job(word, ended_ago=ago)
    assert see(job, stays=True) == {job.job_id: ending}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"])
def test_job_that_goes_on(scnet: ScnetEmulator, see: See, state: str) -> None:
    assert see(scnet.add_job(state)) == {}
    assert not scnet.calls["history"]


def test_code_alone_is_no_success(scnet: ScnetEmulator, see: See) -> None:
    scnet.words_in_details, scnet.has_history = False, False
    assert see(scnet.add_job("COMPLETED", ended_ago=60)) == {}


def test_code_that_runs_ahead(scnet: ScnetEmulator, see: See) -> None:
    scnet.code_lead = 60
    job = scnet.add_job()
    job.ignores_delete = True
    job.cancel(0)
    assert see(job) == {}


def test_history_tells_where_no_detail_does(scnet: ScnetEmulator, see: See) -> None:
    scnet.words_in_details = False
    job = scnet.add_job("COMPLETED", ended_ago=60)
    assert see(job) == {job.job_id: Ending.COMPLETED}


def test_job_that_nobody_knows_is_waited_for(scnet: ScnetEmulator, see: See) -> None:
    assert see("4711") == {}


def test_job_between_live_list_and_history(scnet: ScnetEmulator, see: See) -> None:
    scnet.history_lag = 600
    job = scnet.add_job("COMPLETED", ended_ago=400)
    assert see(job) == {}
    scnet.clock.advance(300)
    assert see(job, stays=True) == {job.job_id: Ending.COMPLETED}


@pytest.mark.parametrize(("word", "ending"), [("NODE_FAIL", Ending.NODE_FAILURE), ("PREEMPTED", Ending.PREEMPTED)])
def test_interrupted_job_may_be_started_again(scnet: ScnetEmulator, see: See, word: str, ending: Ending) -> None:
    job = scnet.add_job(word, ended_ago=10)
    assert see(job) == {}
    scnet.clock.advance(100)
    assert see(job) == {job.job_id: ending}
    again = scnet.add_job(word, ended_ago=200)
    scnet.requeue_after = 100
    assert see(again) == {}


@pytest.mark.parametrize("ago", [10, 3600])
def test_array(scnet: ScnetEmulator, see: See, ago: float) -> None:
    scnet.add_job()  # so that no list is empty
    for member in (1, 2):
        scnet.add_job("COMPLETED", job_id=f"500_{member}", ended_ago=ago)
    assert see("500", stays=True) == {"500": Ending.COMPLETED}
    scnet.add_job("TIMEOUT", job_id="500_3", ended_ago=ago)
    assert see("500", stays=True) == {"500": Ending.TIME_LIMIT}
    assert see("500_1", stays=True) == {"500_1": Ending.COMPLETED}
    scnet.add_job("PENDING", job_id="500_4")
    assert see("500") == {}


def test_array_of_which_a_part_has_left_the_live_list(scnet: ScnetEmulator, see: See) -> None:
    scnet.add_job("FAILED", job_id="500_1", ended_ago=3600)
    scnet.add_job("COMPLETED", job_id="500_2", ended_ago=10)
    assert see("500") == {"500": Ending.FAILED}


@pytest.mark.parametrize("trouble", [{"status": 503}, {"code": "10009"}, None], ids=str)
def test_array_of_which_the_history_may_tell_more(
    scnet: ScnetEmulator, see: See, trouble: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails, or is cut. A member that failed has left the live list, where the words of the others are good."""
    scnet.raw_state_in_lists = True
    scnet.add_job("FAILED", job_id="500_1", ended_ago=3600)
    scnet.add_job("COMPLETED", job_id="500_2", ended_ago=10)
    if trouble:
        scnet.fail("history", times=None, **trouble)
    else:
        for number in range(300):
            scnet.add_job("COMPLETED", job_id=1000 + number, ended_ago=600)
        monkeypatch.setattr(waiting, "MOST_PAGES_OF_ARRAYS", 2)
        monkeypatch.setattr(waiting, "MOST_PAGES", 1)
    assert see("500") == {}
    scnet.clear_faults()
    monkeypatch.undo()
    assert see("500") == {"500": Ending.FAILED}


def test_array_whose_members_a_cut_list_may_hide(scnet: ScnetEmulator, see: See) -> None:
    scnet.add_job("COMPLETED", job_id="500_1", ended_ago=10)
    for _ in range(5):
        scnet.add_job()
    scnet.list_cap = 3
    assert see("500") == {}


@pytest.mark.parametrize("word", ["COMPLETED", "FAILED"])
def test_array_of_which_the_history_tells_before_the_live_list(scnet: ScnetEmulator, see: See, word: str) -> None:
    scnet.add_job()  # so that no list is empty
    scnet.clock.advance(600)
    scnet.submit_lag = 50
    quick, slow = (scnet.add_job(job_id=f"500_{member}") for member in (1, 2))
    scnet.clock.advance(2)
    quick.become(word)
    assert see("500") == {}
    slow.become("COMPLETED")
    scnet.clock.advance(60)
    assert see("500") == {"500": Ending[word]}


@pytest.mark.parametrize("word", ["FAILED", "PREEMPTED"])
def test_member_that_was_seen_to_end_badly_is_not_forgotten(scnet: ScnetEmulator, word: str) -> None:
    """It leaves the live list, and there is no history."""
    scnet.has_history, scnet.raw_state_in_lists = False, True
    bad, good = (scnet.add_job(job_id=f"500_{member}") for member in (1, 2))
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    bad.become(word)
    watch.look()
    scnet.clock.advance(600)
    good.become("COMPLETED")
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending[word]]


def test_member_that_was_running_when_it_was_seen_last_has_no_end(scnet: ScnetEmulator) -> None:
    """It ended, and left the live list, while nobody could look; and there is no history."""
    scnet.has_history, scnet.raw_state_in_lists = False, True
    lost, good = (scnet.add_job(job_id=f"500_{member}") for member in (1, 2))
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    watch.look()
    lost.become("FAILED")
    scnet.clock.advance(600)
    good.become("COMPLETED")
    watch.look()
    assert watch.open
    scnet.has_history = True
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.FAILED]


@pytest.mark.parametrize("blank", ["empty", "null"])
def test_outage_that_looks_empty_hides_members_that_go_on(scnet: ScnetEmulator, blank: Any) -> None:
    scnet.add_job("COMPLETED", job_id="500_1", ended_ago=3600)
    hidden = scnet.add_job(job_id="500_2")
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    scnet.blank_lists = blank
    for _ in range(2):
        watch.look()
        assert watch.open
        assert watch.is_unsure
        scnet.clock.advance(40)
    scnet.blank_lists = None
    watch.look()
    assert (bool(watch.open), watch.is_unsure) == (True, False)
    hidden.become("COMPLETED")
    watch.look()
    assert not watch.open


def test_outage_that_looks_empty_hides_a_restarted_job(scnet: ScnetEmulator, see: See) -> None:
    job = scnet.add_job("NODE_FAIL", ended_ago=3600)
    scnet.blank_lists = "empty"
    assert see(job) == {}


def test_list_that_stays_empty_is_believed(scnet: ScnetEmulator) -> None:
    scnet.add_job("FAILED", job_id="500_1", ended_ago=3600)
    watch = Watch(client_of(scnet), parse_jobs(f"{SCHEDULER},{scnet.user}:500:"))
    watch.look()
    assert watch.is_unsure
    scnet.clock.advance(BLANK_FOR)
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.FAILED]


@pytest.mark.parametrize("call", ["detail", "history"])
def test_read_that_is_refused_is_no_verdict(scnet: ScnetEmulator, see: See, call: str) -> None:
    scnet.fail(call, code="10009", times=None)
    job = scnet.add_job("COMPLETED", ended_ago=60)
    assert see(job) == {job.job_id: Ending.COMPLETED}  # for the other one tells
    assert see(scnet.add_job("COMPLETED", ended_ago=3600)) == {} if call == "history" else True


def test_trouble_with_one_scheduler_spares_the_other(scnet: ScnetEmulator) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=10, scheduler_id=one) for one in (SCHEDULER, SECOND_SCHEDULER)]
    scnet.fail("list", status=503, times=None, when=lambda r: r.query["strClusterIDList"] == SCHEDULER)
    watch = Watch(client_of(scnet), parse_jobs([job.ref for job in jobs]))
    with pytest.raises(ScnetTransientError):
        watch.look()
    assert [outcome.ref for outcome in watch.outcomes] == [jobs[1].ref]


def test_many_jobs_cost_few_requests(scnet: ScnetEmulator, see: See) -> None:
    jobs = [scnet.add_job() for _ in range(200)]
    assert see(*jobs) == {}
    assert sum(scnet.calls.values()) <= 4
    for job in jobs:
        job.become("COMPLETED")
    scnet.clock.advance(400)
    scnet.requests.clear()
    assert len(see(*jobs, stays=True)) == 200
    assert sum(scnet.calls.values()) <= 8


def test_what_has_ended_is_not_looked_for_again(scnet: ScnetEmulator) -> None:
    jobs = [scnet.add_job("COMPLETED", ended_ago=10), scnet.add_job()]
    watch = Watch(client_of(scnet), parse_jobs([job.ref for job in jobs]))
    watch.look()
    scnet.requests.clear()
    watch.look()
    assert scnet.calls == {"list": 1}
    assert watch.open == [jobs[1].ref]


def test_look_that_fails(scnet: ScnetEmulator, see: See) -> None:
    scnet.fail("list", status=503, times=None)
    with pytest.raises(ScnetTransientError):
        see(scnet.add_job())


@pytest.mark.parametrize("arrays", [1, 6])
def test_member_that_failed_is_found_in_a_long_history(scnet: ScnetEmulator, see: See, arrays: int) -> None:
    """Pages of the history that were cut say nothing of the members that are not on them."""
    scnet.members_by_lookup = False
    scnet.add_job()  # so that no list is empty
    for number in range(arrays):
        for member in range(1200 // arrays):
            word = "FAILED" if (number, member) == (0, 1) else "COMPLETED"
            scnet.add_job(word, job_id=f"{500 + number}_{member}", ended_ago=600)
    endings = see(*(str(500 + number) for number in range(arrays)), stays=True)
    assert endings.pop("500") is Ending.FAILED
    assert set(endings.values()) <= {Ending.COMPLETED}


def test_history_that_is_too_long_for_an_array_says_nothing(
    scnet: ScnetEmulator, see: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_PAGES_OF_ARRAYS", 2)
    monkeypatch.setattr(waiting, "MOST_PAGES", 1)
    scnet.members_by_lookup = False
    scnet.add_job()
    for member in range(300):
        scnet.add_job("COMPLETED", job_id=f"500_{member}", ended_ago=600)
    assert see("500") == {}


def test_job_that_nobody_knows_costs_few_pages_of_a_long_history(scnet: ScnetEmulator, see: See) -> None:
    for _ in range(1500):
        scnet.add_job("COMPLETED", ended_ago=600)
    assert see("4711") == {}
    assert scnet.calls["history"] <= 12


# --- duplicates-------------------------------------------------------------------------------------------------------

TAG = tag_of(dag_id="d", run_id="r", task_id="t", map_index=-1, generation=2)


@pytest.mark.parametrize("generation", [1, 2])
def test_twin_that_shows_up_later_is_deleted(scnet: ScnetEmulator, generation: int) -> None:
    job = scnet.add_job(name=TAG.name("flow"))
    other = scnet.add_job(name=replace(TAG, map_index=3).name("flow"))
    watch = Watch(client_of(scnet), {job_ref(job): Origin(TAG)})
    watch.look()
    twin = scnet.add_job(name=replace(TAG, generation=generation).name("flow"))
    scnet.cancel_delay = 20
    watch.look()
    job.become("COMPLETED")
    watch.look()
    assert watch.open  # the wait is not over before the twin has ended
    scnet.clock.advance(30)
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]
    assert (twin.state, twin.deletes > 0, other.deletes) == ("CANCELLED", True, 0)


def test_job_of_a_later_generation_is_no_twin(scnet: ScnetEmulator) -> None:
    """It is this wait that has outlived its time."""
    job = scnet.add_job(name=TAG.name("flow"))
    later = scnet.add_job(name=replace(TAG, generation=3).name("flow"))
    Watch(client_of(scnet), {job_ref(job): Origin(TAG)}).look()
    assert (job.deletes, later.deletes) == (0, 0)


def test_job_of_the_next_try_is_no_twin(scnet: ScnetEmulator) -> None:
    """Whoever watches still, on a triggerer that was thought to be dead, has seen his own job end."""
    job = scnet.add_job("FAILED", name=TAG.name("flow"), ended_ago=60)
    younger = scnet.add_job(name=TAG.name("flow"))
    watch = Watch(client_of(scnet), {job_ref(job): Origin(TAG)})
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.FAILED]
    assert younger.deletes == 0


def test_delete_of_a_twin_is_sent_until_it_has_ended(scnet: ScnetEmulator) -> None:
    job, twin = (scnet.add_job(name=TAG.name("flow")) for _ in range(2))
    twin.ignores_delete = True
    watch = Watch(client_of(scnet), {job_ref(job): Origin(TAG)})
    for _ in range(2):
        watch.look()
    assert twin.deletes == 2


def test_two_waits_with_the_same_identity_end_with_the_same_job(scnet: ScnetEmulator) -> None:
    """A lost worker's beside that of its retry, or two copies of a database: each has submitted one."""
    jobs = [scnet.add_job(name=TAG.name("flow")) for _ in range(2)]
    waits = [Watch(client_of(scnet), {job_ref(job): Origin(TAG)}) for job in reversed(jobs)]
    for _ in range(3):
        for watch in waits:
            watch.look()
        scnet.clock.advance(30)
    assert [job.active for job in jobs] == [True, False]
    jobs[0].become("COMPLETED")
    for watch in waits:
        watch.look()
    assert [[str(outcome.ref) for outcome in watch.outcomes] for watch in waits] == [[jobs[0].ref]] * 2
    assert all(watch.outcomes[0].is_good for watch in waits)


def test_older_job_that_was_dismissed_is_not_gone_on_with(scnet: ScnetEmulator) -> None:
    """It was killed, and a list that lags shows it again."""
    old, ours = (scnet.add_job(name=TAG.name("flow")) for _ in range(2))
    old.ignores_delete = True
    watch = Watch(client_of(scnet), {job_ref(ours): Origin(TAG, frozenset({job_ref(old)}))})
    watch.look()
    assert watch.current(job_ref(ours)) == job_ref(ours)
    assert (old.deletes, ours.deletes) == (1, 0)


def job_ref(job: Job) -> JobRef:
    return JobRef(job.scheduler_id, job.user, job.job_id)


# --- waiting --------------------------------------------------------------------------------------------------------


def test_wait_goes_on_until_all_have_ended(scnet: ScnetEmulator) -> None:
    job = scnet.add_job()
    job.ends_at = scnet.clock.now() + 100
    watch = Watch(client_of(scnet), [job_ref(job)])
    (outcome,) = wait_for(watch, poll_interval=30, timeout=None)
    assert outcome.is_good
    assert scnet.calls["list"] == 5


def test_wait_ends_when_time_is_up(scnet: ScnetEmulator) -> None:
    began = scnet.clock.now()
    assert wait_for(Watch(client_of(scnet), [job_ref(scnet.add_job())]), poll_interval=30, timeout=100) == []
    assert 100 <= scnet.clock.now() - began < 101


def test_pauses_grow_while_looks_fail(scnet: ScnetEmulator) -> None:
    scnet.fail("list", status=503, times=16)  # each look tries four times
    job = scnet.add_job()
    began = scnet.clock.now()
    wait_for(Watch(client_of(scnet), [job_ref(job)]), poll_interval=10, timeout=200)
    assert 150 <= scnet.clock.now() - began <= 260


# --- a number that is used again -------------------------------------------------------------------------------------

OURS = JobTag("k3m2x4a7pq5t", -1, 0, specification="abcdefgh")


def earlier(job: Job, **changes: Any) -> dict[str, Any]:
    """What the history still has of the job that had its number before."""
    old = {"jobName": "earlier", "jobState": "statC", "jobExitStatus": 0, "jobEndTime": "2024-01-02 03:04:05"}
    return {**history_record(job, "", job.job_id), **old, **changes}


def keep_in_history(scnet: ScnetEmulator, *records: dict[str, Any], **how: Any) -> None:
    scnet.fail("history", code="0", data={"total": len(records), "list": list(records)}, times=None, **how)


@pytest.mark.parametrize("origin", [None, Origin(OURS)])
@pytest.mark.parametrize("changes", [{}, {"user": "colleague"}, {"jobName": ""}])
def test_end_of_an_earlier_job_is_none_of_one_that_is_not_listed_yet(
    scnet: ScnetEmulator, origin: Origin | None, changes: dict[str, Any]
) -> None:
    scnet.add_job()
    job, scnet.submit_lag = scnet.add_job(name=OURS.name("flow")), 60
    keep_in_history(scnet, earlier(job, **changes), when=lambda request: job.active)
    (ref,) = parse_jobs(job.ref)
    watch = Watch(client_of(scnet), {ref: origin})
    for _ in range(8):
        watch.look()
        assert watch.open == [ref]
        watch.client.patience.sleep(10)
    job.become("FAILED")
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.FAILED]


def test_end_of_another_name_is_never_one(scnet: ScnetEmulator) -> None:
    scnet.add_job()
    job, scnet.submit_lag = scnet.add_job(name=OURS.name("flow")), 1e6
    keep_in_history(scnet, earlier(job))
    (ref,) = parse_jobs(job.ref)
    watch = Watch(client_of(scnet), {ref: Origin(OURS)})
    for _ in range(3):
        watch.look()
        watch.client.patience.sleep(100)
    assert watch.open == [ref]


@pytest.mark.parametrize("name", ["earlier", ""])
def test_end_of_an_earlier_job_is_none_of_one_that_waited_after_it(scnet: ScnetEmulator, name: str) -> None:
    """Lists do not say since when a job waits."""
    scnet.add_job()
    job = scnet.add_job("PENDING", name="mine")
    watch = Watch(client_of(scnet), parse_jobs(job.ref))
    watch.look()
    keep_in_history(scnet, {**earlier(job), "jobName": name})
    job.become("VANISHED")
    for _ in range(4):
        watch.client.patience.sleep(100)
        watch.look()
    assert watch.outcomes == []


def test_end_under_its_own_name_counts_at_once(scnet: ScnetEmulator) -> None:
    job = scnet.add_job("COMPLETED", name=OURS.name("flow"), ended_ago=3600)
    (ref,) = parse_jobs(job.ref)
    watch = Watch(client_of(scnet), {ref: Origin(OURS)})
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]


def test_look_up_tells_what_a_cut_list_hides(scnet: ScnetEmulator) -> None:
    for _ in range(20):
        scnet.add_job()
    job, scnet.list_cap = scnet.add_job(), 10
    keep_in_history(scnet, earlier(job))
    (ref,) = parse_jobs(job.ref)
    watch = Watch(client_of(scnet), [ref])
    for _ in range(3):
        watch.look()
        watch.client.patience.sleep(100)
    assert watch.open == [ref]


# --- how many members there must be ----------------------------------------------------------------------------------


def add_array(scnet: ScnetEmulator, count: int, tag: JobTag = OURS) -> list[Job]:
    """The first one runs, the others wait in one row."""
    scnet.waiting_rest = True
    scnet.add_job()  # so that no list is empty
    return [
        scnet.add_job("PENDING" if number else "RUNNING", job_id=f"500_{number}", name=tag.name("flow"))
        for number in range(count)
    ]


def look_on(watch: Watch, count: int = 3) -> None:
    for _ in range(count):
        watch.look()
        watch.client.patience.sleep(50)


@pytest.mark.parametrize("size", [4, 0])
@pytest.mark.parametrize("history", [True, False])
def test_members_that_are_cancelled_while_they_wait(scnet: ScnetEmulator, size: int, history: bool) -> None:
    """They leave no record, neither in the list nor in the history: what has shown them is the row of what waits."""
    scnet.has_history, scnet.raw_state_in_lists = history, True
    first, second, *others = add_array(scnet, 4)
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), {ref: Origin(replace(OURS, array_size=size))})
    watch.look()
    for job in others:
        job.become("VANISHED")
    first.become("COMPLETED")
    second.become("RUNNING")
    watch.look()
    second.become("COMPLETED")
    watch.look()
    assert (watch.open, watch.is_unsure) == ([ref], True)
    look_on(watch)
    (outcome,) = watch.outcomes
    assert (outcome.ending, outcome.job_id) == (Ending.CANCELLED, "500")
    which = "2 of 4 members (500_2, 500_3)" if size else "2 members (500_2, 500_3)"
    assert outcome.reason == f"{which} cancelled while waiting: they left no record"


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("ago", [0, 3600])
def test_members_that_nobody_has_seen_are_counted(scnet: ScnetEmulator, by_name: bool, ago: float) -> None:
    """
    A wait that begins late has never seen the row, and a sensor, or a trigger that begins anew, knows of the array what
    its name says; how members are numbered is not known.
    """
    tag = replace(OURS, array_size=3)
    jobs = add_array(scnet, 3, tag if by_name else OURS)
    jobs[0].become("COMPLETED")
    jobs[1].become("VANISHED")
    jobs[2].become("COMPLETED")
    scnet.clock.advance(ago)
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), {ref: None if by_name else Origin(tag)})
    look_on(watch, 5)
    assert [outcome.reason for outcome in watch.outcomes] == [
        "1 of 3 members cancelled while waiting: they left no record"
    ]


def test_wait_for_one_member_does_not_ask_for_the_others(scnet: ScnetEmulator) -> None:
    jobs = add_array(scnet, 3, replace(OURS, array_size=3))
    jobs[0].become("COMPLETED")
    watch = Watch(client_of(scnet), [JobRef(SCHEDULER, scnet.user, "500_0")])
    look_on(watch)
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]


def test_all_members_that_were_seen_to_wait_are_cancelled(scnet: ScnetEmulator) -> None:
    jobs = add_array(scnet, 3)
    jobs[0].become("PENDING")
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), [ref])
    watch.look()
    for job in jobs:
        job.become("VANISHED")
    look_on(watch)
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.CANCELLED]


def test_member_that_waits_is_cancelled_alone(scnet: ScnetEmulator) -> None:
    jobs = add_array(scnet, 3)
    refs = [JobRef(SCHEDULER, scnet.user, f"500_{number}") for number in (1, 2)]
    watch = Watch(client_of(scnet), refs)
    watch.look()
    jobs[1].become("VANISHED")
    look_on(watch)
    assert [(outcome.ref, outcome.ending) for outcome in watch.outcomes] == [(refs[0], Ending.CANCELLED)]
    assert watch.open == [refs[1]]


def test_member_that_fails_outranks_one_that_is_cancelled(scnet: ScnetEmulator) -> None:
    jobs = add_array(scnet, 2)
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), [ref])
    watch.look()
    jobs[0].become("FAILED")
    jobs[1].become("VANISHED")
    look_on(watch)
    assert [(outcome.ending, outcome.job_id) for outcome in watch.outcomes] == [(Ending.FAILED, "500_0")]


def test_late_history_is_waited_for(scnet: ScnetEmulator) -> None:
    """A member that has started and ended between two looks is not missing."""
    jobs = add_array(scnet, 2)
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), {ref: Origin(replace(OURS, array_size=2))})
    scnet.history_lag, scnet.raw_state_in_lists = 360, True
    watch.look()
    jobs[1].become("COMPLETED")
    scnet.clock.advance(310)  # the live list shows it no more
    jobs[0].become("COMPLETED")
    watch.look()
    assert watch.open == [ref]
    scnet.clock.advance(60)
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]


@pytest.mark.parametrize("vanishes", [True, False])
def test_history_that_is_refused_for_good_is_not_waited_for_for_ever(scnet: ScnetEmulator, vanishes: bool) -> None:
    jobs = add_array(scnet, 2)
    scnet.fail("history", code="10009", times=None)
    scnet.raw_state_in_lists = True
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), {ref: Origin(replace(OURS, array_size=2))})
    jobs[0].become("COMPLETED")
    jobs[1].become("VANISHED" if vanishes else "COMPLETED")
    look_on(watch, 5)
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.CANCELLED if vanishes else Ending.COMPLETED]


@pytest.mark.parametrize("job_id", ["500", "500_1", "500_0"])
@pytest.mark.parametrize("ago", [10, 3600])
def test_array_of_one_may_be_a_plain_job(scnet: ScnetEmulator, job_id: str, ago: float) -> None:
    scnet.add_job()
    scnet.add_job("COMPLETED", job_id=job_id, ended_ago=ago, name=OURS.name("flow"))
    ref = JobRef(SCHEDULER, scnet.user, "500")
    watch = Watch(client_of(scnet), {ref: Origin(replace(OURS, array_size=1))})
    watch.look()
    assert [outcome.ending for outcome in watch.outcomes] == [Ending.COMPLETED]
