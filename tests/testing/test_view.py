from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from airflow_provider_scnet.testing import Clock, ScnetEmulator

SCHEDULER = "1638523853"
HIDDEN = ([], [], None)


@pytest.fixture
def scnet() -> Iterator[ScnetEmulator]:
    """Time stands still unless a test moves it."""
    with ScnetEmulator(clock=Clock(start=1_800_000_000.0)) as emulator:
        yield emulator


@pytest.fixture
def api(call, listed, delete, history, ids):
    """The calls, and what they say about a job."""

    def detail(job):
        return call("GET", f"/jobs/{quote(job.job_id)}")["data"]

    def word(job):
        return detail(job)["jobInitAttr"].get("JobState")

    def codes(job):
        lists = [listed()["data"]["list"], listed(strJobId=job.job_id)["data"]["list"]]
        shown = detail(job)
        return *([record["jobStatus"] for record in records] for records in lists), shown and shown["jobStatus"]

    calls = {"listed": listed, "delete": delete, "history": history, "ids": ids}
    return SimpleNamespace(**calls, detail=detail, word=word, codes=codes)


def test_a_new_job_is_shown_late(scnet, api):
    scnet.submit_lag = 20.0
    job = scnet.add_job()
    scnet.clock.advance(19)
    assert api.codes(job) == HIDDEN
    scnet.clock.advance(1)
    assert api.codes(job) == (["statR"], ["statR"], "statR")
    new = scnet.add_job()
    api.delete(new.ref)
    assert new.state == "CANCELLED"


def test_deletes_may_lag_too(scnet, api):
    scnet.submit_lag, scnet.lagging_deletes = 20.0, True
    job = scnet.add_job()
    assert "successfully" in api.delete(job.ref)["data"][SCHEDULER]
    assert (job.state, job.deletes) == ("RUNNING", 1)
    scnet.clock.advance(20)
    api.delete(job.ref)
    assert job.state == "CANCELLED"


def test_the_past_is_shown(scnet, api):
    scnet.view_age = 30.0
    job = scnet.add_job()
    scnet.clock.advance(29)
    assert api.codes(job) == HIDDEN
    scnet.clock.advance(1)
    api.delete(job.ref)
    assert api.codes(job) == (["statR"], ["statR"], "statR")
    assert (api.word(job), job.state) == ("RUNNING", "CANCELLED")
    assert api.ids(api.history()) == ["101"]  # that is not a live call
    scnet.clock.advance(30)
    assert api.codes(job) == (["statC"], ["statC"], "statC")
    scnet.clock.advance(300)
    assert api.codes(job) == HIDDEN


def test_lag_and_age_add_up(scnet, api):
    scnet.submit_lag, scnet.view_age = 20.0, 30.0
    job = scnet.add_job()
    scnet.clock.advance(49)
    assert api.codes(job) == HIDDEN
    scnet.clock.advance(1)
    assert api.codes(job) != HIDDEN


@pytest.mark.parametrize(("blank", "data"), [("empty", {"total": 0, "list": []}), ("null", None)])
def test_an_outage_that_looks_empty(scnet, api, blank, data):
    running, _ = scnet.add_job(), scnet.add_job("COMPLETED")
    scnet.blank_lists = blank
    scnet.total_lie = lambda total: total + 7
    assert api.listed()["data"] == api.listed(strJobId=running.job_id)["data"] == data
    assert api.detail(running) is None
    assert api.ids(api.history()) == ["102"]
    assert api.listed(limit="many")["code"] == "10004"
    scnet.blank_lists = None
    assert api.ids(api.listed()) == ["101", "102"]


def test_a_cut_list(scnet, api):
    for _ in range(7):
        scnet.add_job()
    scnet.list_cap = 5
    pages = [api.listed(start=start, limit=2) for start in range(0, 8, 2)]
    assert [page["data"]["total"] for page in pages] == [7] * 4
    assert [api.ids(page) for page in pages] == [["101", "102"], ["103", "104"], ["105"], []]
    assert api.ids(api.listed(strJobId="107")) == ["107"]


def test_totals_and_limits(scnet, api):
    scnet.total_lie = lambda total: None
    assert api.listed()["data"] == {"list": []}
    scnet.largest_limit = 25
    assert [api.listed(limit=limit)["code"] for limit in (25, 26)] == ["0", "10004"]
    assert api.listed()["code"] == "0"


@pytest.mark.parametrize("ignored", [False, True])
def test_codes_ahead_of_words(scnet, api, ignored):
    scnet.code_lead, scnet.cancel_delay = 15.0, 60.0
    scnet.raw_state_in_lists = True
    job = scnet.add_job()
    job.ignores_delete = ignored
    assert api.codes(job) == (["statR"], ["statR"], "statR")
    api.delete(job.ref)
    now = "RUNNING" if ignored else "COMPLETING"
    scnet.clock.advance(14)
    assert api.codes(job) == (["statC"], ["statC"], "statC")
    assert api.ids(api.listed(strJobStat="statC")) == ["101"]
    assert api.word(job) == api.listed()["data"]["list"][0]["jobInitAttr"]["JobState"] == job.state == now
    scnet.clock.advance(1)
    told = "statR" if ignored else "statE"
    assert api.codes(job) == ([told], [told], told)


def test_a_refused_delete_gives_no_lead(scnet, api):
    scnet.code_lead = 15.0
    job = scnet.add_job()
    job.refused = ("10004", "no such job")
    api.delete(job.ref)
    assert api.codes(job) == (["statR"], ["statR"], "statR")


def test_details_without_words(scnet, api):
    scnet.words_in_details, scnet.raw_state_in_lists = False, True
    job = scnet.add_job()
    assert api.word(job) is None
    assert api.detail(job)["jobInitAttr"]["JobName"] == "demo"
    assert api.listed()["data"]["list"][0]["jobInitAttr"]["JobState"] == "RUNNING"


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("long", ["RUNNING", "CANCELLED", "OUT_OF_MEMORY"]),
        ("short", ["R", "CA", "OOM"]),
        ("accounting", ["RUNNING", "CANCELLED by 1001", "OUT_OF_ME+"]),
    ],
)
def test_how_words_are_written(scnet, api, style, words):
    scnet.word_style, scnet.raw_state_in_lists = style, True
    jobs = [scnet.add_job(state) for state in ("RUNNING", "CANCELLED", "OUT_OF_MEMORY")]
    records = api.listed()["data"]["list"]
    assert [record["jobInitAttr"]["JobState"] for record in records] == [api.word(job) for job in jobs] == words
    assert [record["jobStatus"] for record in records] == ["statR", "statC", "statC"]


def test_a_job_that_is_started_again(scnet, api):
    scnet.requeue_after = 20.0
    job = scnet.add_job()
    job.become("NODE_FAIL")
    api.delete(job.ref)
    assert api.codes(job) == (["statC"], ["statC"], "statC")
    assert api.word(job) == "NODE_FAIL"
    scnet.clock.advance(20)
    assert api.codes(job) == (["statQ"], ["statQ"], "statQ")
    scnet.clock.advance(5)
    assert api.codes(job) == (["statR"], ["statR"], "statR")
    api.delete(job.ref)
    assert api.codes(job) == (["statC"], ["statC"], "statC")
    assert not job.will_run


@pytest.mark.parametrize(
    ("job_id", "found", "without"),
    [
        ("5", "5_1 5_[2-9,11%4]", ""),
        ("5_1", "5_1", "5_1"),
        ("5_[2-9,11%4]", "5_[2-9,11%4]", "5_[2-9,11%4]"),
        ("5_7", "", ""),
    ],
)
def test_members_are_found_by_their_array(scnet, api, job_id, found, without):
    _, some, _ = (scnet.add_job(job_id=name) for name in ("5_1", "5_[2-9,11%4]", "51"))
    assert api.ids(api.listed(strJobId=job_id)) == found.split()
    scnet.members_by_lookup = False
    assert api.ids(api.listed(strJobId=job_id)) == without.split()
    assert api.detail(some)["jobId"] == "5_[2-9,11%4]"


def test_what_waits_of_an_array_is_one_row(scnet, api):
    scnet.waiting_rest = True
    scnet.add_job("RUNNING", job_id="5_1")
    waiting = [scnet.add_job("PENDING", job_id=f"5_{number}") for number in (2, 3, 4)]
    assert api.ids(api.listed()) == ["5_1", "5_[2-4]"]
    assert api.detail(waiting[0]) is None
    waiting[0].become("RUNNING")
    assert api.ids(api.listed()) == ["5_1", "5_2", "5_[3-4]"]
    assert api.detail(waiting[0])["jobId"] == "5_2"


@pytest.mark.parametrize("by_delete", [True, False])
def test_a_member_that_is_cancelled_while_it_waits_leaves_no_record(scnet, api, by_delete):
    scnet.waiting_rest = True
    for number in (2, 3, 4):
        job = scnet.add_job("PENDING", job_id=f"5_{number}")
    api.delete(job.ref) if by_delete else job.become("VANISHED")
    assert api.ids(api.listed()) == ["5_[2-3]"]
    assert not api.ids(api.history())
    assert not job.active
    scnet.job("5_2").become("CANCELLED")
    assert api.ids(api.history()) == ["5_2"]
