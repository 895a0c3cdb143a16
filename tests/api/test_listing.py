from __future__ import annotations

import itertools
from typing import Any

import pytest
import requests_mock

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.listing import DOCUMENTED_PAGE_SIZE, PAGE_SIZE
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetPermanentError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from tests.api.conftest import JOBS, FixedToken, ids, page, past_jobs, success
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, VirtualPatience


@pytest.mark.parametrize(
    ("answers", "listed", "complete"),
    [
        pytest.param([page(2, "1", "2"), page(2)], "12", True, id="whole"),
        pytest.param([page(0)], "", True, id="empty"),
        pytest.param([{"total": 0, "list": None}], "", True, id="empty, list null"),
        pytest.param([{"total": 0}], "", True, id="empty, no list"),
        pytest.param([None], "", True, id="null"),
        pytest.param([{}], "", False, id="empty object"),
        pytest.param([page(2, "1", "2"), None], "12", True, id="null after the last record"),
        pytest.param([page(2, "1", "2"), {}], "12", True, id="empty object after the last record"),
        pytest.param([page(3, "1", "2"), None], "12", False, id="null too early"),
        pytest.param([page("2", 1, 2), page(" 2 ")], "12", True, id="total as text, ids as numbers"),
        pytest.param([page(5, "1", "2"), page(5)], "12", False, id="total too high"),
        pytest.param([page(1, "1", "2"), page(1)], "12", False, id="total too low"),
        pytest.param([page(0, "1", "2"), page(0, "3"), page(0)], "123", False, id="total 0"),
        pytest.param([page(None, "1"), page(None)], "1", False, id="total null"),
        pytest.param([page("many", "1"), page("many")], "1", False, id="total a word"),
        pytest.param([page(-1, "1"), page(-1)], "1", False, id="total negative"),
        pytest.param([page(1.5, "1"), page(1.5)], "1", False, id="total broken"),
        pytest.param([page("9" * 5000, "1"), page("9" * 5000)], "1", False, id="total huge"),
        pytest.param([{"list": page(0, "1")["list"]}, {"list": []}], "1", False, id="no total"),
        pytest.param([page(0, "1", "2")["list"], []], "12", False, id="bare array"),
        pytest.param([page(4, "1", "2"), page(4, "3", "4"), page(4)], "1234", True, id="capped pages"),
        pytest.param([page(4, "1", "2"), page(4, "2", "3"), page(4, "4"), page(4)], "123", False, id="overlap"),
        pytest.param([page(2, "1", "2")], "12", True, id="start ignored, whole"),
        pytest.param([page(9, "1", "2")], "12", False, id="start ignored, part"),
        pytest.param([page(2, "1", None), page(2)], "1", False, id="record without an id"),
        pytest.param([{"total": 2, "list": [{"jobId": "1"}, None, "x"]}, page(2)], "1", False, id="no records"),
        pytest.param([page(1, " 1 ", "1", 1), page(1)], "1", True, id="the same job three times"),
        # 1 leaves the list after the first page, so 3 moves up and is on none.
        pytest.param([page(3, "1", "2"), page(2)], "12", False, id="list that shrinks"),
        pytest.param([page(2, "2", "1"), page(3, "1", "0"), page(3)], "21", True, id="list that grows"),
    ],
)
def test_listing(
    wire: requests_mock.Mocker, direct: ScnetClient, answers: list[Any], listed: str, complete: bool
) -> None:
    wire.get(JOBS, [success(answer) for answer in answers])
    listing = direct.list_jobs("1")
    assert [job_id.strip() for job_id in ids(listing.records)] == list(listed)
    assert listing.complete is complete
    assert listing.is_null is (answers == [None])


@pytest.mark.parametrize("data", ["jobs", 5, True, {"list": "jobs"}, {"list": {"jobId": "1"}}, {"list": 0}])
def test_what_is_no_list_of_jobs(wire: requests_mock.Mocker, direct: ScnetClient, data: Any) -> None:
    wire.get(JOBS, **success(data))
    with pytest.raises(ScnetTransientError, match="no list of jobs"):
        direct.list_jobs("1")


@pytest.mark.parametrize("number", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 250])
@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"page_cap": 10},
        {"page_cap": 25},
        {"page_cap": 40, "numeric_ids": True},
        {"total_lie": lambda total: 0, "page_cap": 10},
        {"total_lie": lambda total: total // 2},
    ],
    ids=["as asked", "cap 10", "cap 25", "cap 40, numeric", "total 0, cap 10", "total halved"],
)
def test_list_is_read_to_its_end(
    scnet: ScnetEmulator, client: ScnetClient, number: int, behaviour: dict[str, Any]
) -> None:
    vars(scnet).update(behaviour)
    jobs = [scnet.add_job().job_id for _ in range(number)]
    scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    listing = client.list_jobs(SCHEDULER)
    assert ids(listing.records) == jobs
    # A total that is less than what came tells nothing.
    assert listing.complete is ("total_lie" not in behaviour or not jobs)
    assert listing.gateway == client.base_url


@pytest.mark.parametrize(("number", "requests"), [(1, 1), (24, 1), (25, 2), (PAGE_SIZE, 2), (PAGE_SIZE + 1, 2)])
def test_short_page_that_reaches_the_total_is_the_last(
    scnet: ScnetEmulator, client: ScnetClient, number: int, requests: int
) -> None:
    for _ in range(number):
        scnet.add_job()
    assert client.list_jobs(SCHEDULER).complete
    assert scnet.calls == {"list": requests}


@pytest.mark.parametrize("call", ["list", "history"])
def test_page_size_that_is_refused(scnet: ScnetEmulator, client: ScnetClient, call: str) -> None:
    scnet.largest_limit = DOCUMENTED_PAGE_SIZE
    for _ in range(30):
        scnet.add_job("COMPLETED")
    for _ in range(2):
        listing = client.list_jobs(SCHEDULER) if call == "list" else past_jobs(scnet, client)
        assert (len(listing.records), listing.complete) == (30, True)
    assert [request.query["limit"] for request in scnet.requests] == ["100", "25", "25", "25", "25"]


def test_limit_that_was_found_outlasts_other_refusals(scnet: ScnetEmulator, client: ScnetClient) -> None:
    """Else each look would ask for its first page twice."""
    scnet.largest_limit = DOCUMENTED_PAGE_SIZE
    client.list_jobs(SCHEDULER)
    scnet.fail("list", code="404")
    with pytest.raises(ScnetError):
        client.list_jobs(SCHEDULER)
    client.list_jobs(SCHEDULER)
    assert [request.query["limit"] for request in scnet.requests] == ["100", "25", "25", "25"]


def test_refusal_that_is_not_about_the_page_size(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.fail("list", code="10004", times=2)
    with pytest.raises(ScnetPermanentError, match="10004"):
        client.list_jobs(SCHEDULER)
    client.list_jobs(SCHEDULER)
    assert [request.query["limit"] for request in scnet.requests] == ["100", "25", "100"]


@pytest.mark.parametrize("call", ["list", "history"])
def test_list_that_fails_in_the_middle_is_no_complete_one(scnet: ScnetEmulator, client: ScnetClient, call: str) -> None:
    for _ in range(PAGE_SIZE + 1):
        scnet.add_job("COMPLETED")
    scnet.fail(call, code="10003", after=1)
    listing = client.list_jobs(SCHEDULER) if call == "list" else past_jobs(scnet, client)
    assert (len(listing.records), listing.complete) == (PAGE_SIZE, False)
    assert listing.error is not None
    assert listing.error.code == "10003"


def test_list_that_never_ends_is_left_when_it_is_late(wire: requests_mock.Mocker, direct: ScnetClient) -> None:
    count = itertools.count()
    wire.get(JOBS, json=lambda request, context: {"code": "0", "data": page(9**9, *(next(count) for _ in range(100)))})
    late = iter([False, False, True])
    listing = direct.list_jobs("1", is_late=lambda: next(late))
    assert (len(listing.records), listing.complete) == (300, False)


def test_list_that_two_gateways_answered_proves_nothing(scnet: ScnetEmulator) -> None:
    for _ in range(PAGE_SIZE + 1):
        scnet.add_job()
    with ScnetEmulator() as other:
        gateways = [f"{scnet.url}/hpc", f"{other.url}/hpc"]
        client = ScnetClient(gateways, FixedToken(scnet.token), Transport(patience=VirtualPatience()))
        scnet.fail("list", status=503, after=1)
        other.fail("list", code="0", data={"total": PAGE_SIZE, "list": []})
        listing = client.list_jobs(SCHEDULER)
    assert (listing.complete, listing.gateway) == (False, "")


@pytest.mark.parametrize("number", [1, 30, PAGE_SIZE])
def test_list_is_complete_although_its_end_is_null(scnet: ScnetEmulator, client: ScnetClient, number: int) -> None:
    scnet.null_empty_lists = True
    jobs = [scnet.add_job().job_id for _ in range(number)]
    listing = client.list_jobs(SCHEDULER)
    assert ids(listing.records) == jobs
    assert listing.complete


def test_list_is_incomplete_if_total_says_so(scnet: ScnetEmulator, client: ScnetClient) -> None:
    scnet.total_lie = lambda total: total + 1
    scnet.add_job()
    assert not client.list_jobs(SCHEDULER).complete
