"""The hook with AK/SK or a token alone: regions, gateways, what is discovered, and what the Test button says."""

from __future__ import annotations

import itertools
import json
import logging
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_scnet.api import credentials
from airflow_provider_scnet.api.tokens import read_claims
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER

FAST = {"poll_interval": 0.01}
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between attempts, and no masking, which would hide what is logged."""
    monkeypatch.setattr(credentials, "mask_secret", lambda secret: None)
    monkeypatch.setattr("airflow_provider_scnet.api.transport._pause", lambda state: 0)
    monkeypatch.setattr(credentials.random, "uniform", lambda low, high: 0.0)


@pytest.fixture
def scnet() -> Iterator[ScnetEmulator]:
    """A region with one scheduler, as nearly all have."""
    with ScnetEmulator() as emulator:
        yield emulator


Connect = Callable[..., ScnetHook]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> Connect:
    """A hook of a Connection with AK/SK."""

    def connect(**fields: Any) -> ScnetHook:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.aksk_connection(**fields))
        return ScnetHook()

    return connect


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> Connect:
    """A hook of a Connection with a token."""

    def connect(**fields: Any) -> ScnetHook:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection(**fields))
        return ScnetHook()

    return connect


# --- from nothing to a deleted job -----------------------------------------------------------------------------------


def test_requests_from_nothing_to_a_deleted_job(scnet: ScnetEmulator, keys: Connect) -> None:
    job = scnet.add_job()
    assert [str(ref) for ref in keys().delete_jobs(job.job_id).deleted] == [job.ref]
    assert scnet.calls.total() <= 7
    assert scnet.calls["tokens"] == scnet.calls["center"] == scnet.calls["clusters"] == scnet.calls["delete"] == 1
    assert [request.call for request in scnet.requests][:2] == ["tokens", "center"]


def test_next_hook_of_the_process_mints_nothing(scnet: ScnetEmulator, keys: Connect) -> None:
    for _ in range(2):
        keys().delete_jobs(scnet.add_job().job_id, **FAST)
    # Tokens belong to the process; what else was found, to the hook.
    assert (scnet.calls["tokens"], scnet.calls["center"], scnet.calls["clusters"]) == (1, 2, 2)


def test_discoveries_are_made_once_for_each_hook(scnet: ScnetEmulator, keys: Connect) -> None:
    hook = keys()
    for _ in range(3):
        assert hook.parse_jobs("7")[0].user == scnet.user
        assert hook.client.base_url
    assert scnet.calls == {"tokens": 1, "center": 1, "clusters": 1}


def test_next_hook_sees_what_has_changed(scnet: ScnetEmulator, keys: Connect) -> None:
    assert keys().client.base_url == f"{scnet.url}/hpc"
    scnet.regions[0].gateways = ["https://moved.example"]
    assert keys().client.base_url == "https://moved.example/hpc"


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({"host": True}, {"tokens": 1, "clusters": 1}),
        ({"host": True, "scheduler_id": SCHEDULER}, {"tokens": 1}),
        ({"host": True, "scheduler_id": SCHEDULER, "user": "u"}, {}),
        ({}, {"tokens": 1, "center": 1, "clusters": 1}),
    ],
)
def test_what_is_given_is_not_discovered(
    scnet: ScnetEmulator, keys: Connect, fields: dict[str, Any], calls: dict[str, int]
) -> None:
    fields = {**fields, **({"host": scnet.url} if "host" in fields else {})}
    keys(**fields).parse_jobs("7")
    assert scnet.calls == calls


def test_host_of_another_region_is_used_as_it_is(scnet: ScnetEmulator, keys: Connect) -> None:
    other = scnet.add_region("11113", "region-b")
    hook = keys(host=other.url, region="11113")
    job = scnet.add_job(region=other)
    assert hook.delete_jobs(job.job_id, **FAST).deleted
    assert "center" not in scnet.calls


@pytest.mark.parametrize(
    ("claims", "centers", "user"),
    [({}, 0, "acexample01"), ({"computeUser": ""}, 1, "acexample01"), ({"computeUser": "other"}, 0, "other")],
)
def test_cluster_user(scnet: ScnetEmulator, token: Connect, claims: dict[str, str], centers: int, user: str) -> None:
    assert token(password=scnet.mint_token(**claims)).user == user
    assert scnet.calls["center"] == centers


@pytest.mark.parametrize("data", [{}, {"clusterUserInfo": None}, {"clusterUserInfo": {"userName": ""}}])
def test_nobody_names_the_cluster_user(scnet: ScnetEmulator, token: Connect, data: Any) -> None:
    scnet.fail("center", code="0", data=data)
    with pytest.raises(ScnetCredentialError, match="extra `user`"):
        token(password=scnet.mint_token(computeUser="")).user  # noqa: B018


@pytest.mark.parametrize("claims", [{"computeUser": "a b"}, {"computeUser": "a:1:;9,b"}])
def test_strange_cluster_user_says_where_it_comes_from(
    scnet: ScnetEmulator, token: Connect, claims: dict[str, str]
) -> None:
    with pytest.raises(ScnetError) as caught:
        token(password=scnet.mint_token(**claims)).parse_jobs("7")
    assert "extra `user`" in str(caught.value)
    assert "scnet_default" in str(caught.value)


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lifetime", "renewals"), [(3600, 0), (200, 1), (-3600, 1), (120 - DAY, 1)])
def test_stored_token(scnet: ScnetEmulator, token: Connect, lifetime: float, renewals: int) -> None:
    stored = scnet.mint_token(lifetime)
    for _ in range(2):
        assert token(password=stored).delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert scnet.calls["renew"] == renewals


def test_stored_token_that_ended_too_long_ago(scnet: ScnetEmulator, token: Connect) -> None:
    stored = scnet.mint_token(-2 * DAY)
    for jobs in ("7", f"{SCHEDULER},u:7:"):
        with pytest.raises(
            ScnetCredentialError, match=r"password: the token ended at 20.* UTC; too long ago"
        ) as caught:
            token(password=stored).delete_jobs(jobs)
        assert stored not in str(caught.value)
    assert not scnet.requests


@pytest.mark.parametrize(("lifetime", "mints"), [(3600, 0), (200, 1), (-3600, 1), (-30 * DAY, 1)])
def test_stored_token_while_it_lives_then_the_keys(
    scnet: ScnetEmulator, keys: Connect, lifetime: float, mints: int
) -> None:
    hook = keys(password=scnet.mint_token(lifetime))
    assert hook.delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert (scnet.calls["tokens"], scnet.calls["renew"]) == (mints, 0)


def test_keys_keep_the_region_of_the_stored_token(scnet: ScnetEmulator, keys: Connect) -> None:
    other = scnet.add_region("11113", "region-b")
    hook = keys(password=other.mint_token(-3600))
    assert hook.delete_jobs(scnet.add_job(region=other).job_id, **FAST).deleted


@pytest.mark.parametrize("call", ["center", "clusters", "delete", "list"])
def test_refused_token_is_replaced_on_any_call(scnet: ScnetEmulator, keys: Connect, call: str) -> None:
    scnet.fail(call, code="10008")
    if call in ("delete", "list"):
        # The first of them looks for the scheduler; the next is asked whether it is the token.
        scnet.fail("clusters", code="10008", after=1)
    assert keys().delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert scnet.calls["tokens"] == 2


@pytest.mark.parametrize("call", ["center", "clusters"])
def test_token_refused_twice_is_final(scnet: ScnetEmulator, token: Connect, call: str) -> None:
    scnet.fail(call, code="10008", times=None)
    hook = token(password=scnet.mint_token(computeUser=""))
    with pytest.raises(ScnetCredentialError) as caught:
        hook.parse_jobs("7")
    assert (scnet.calls[call], scnet.calls["renew"]) == (2, 1)
    assert not any(secret in str(caught.value) for secret in scnet.secrets)


@pytest.mark.parametrize("call", ["center", "clusters"])
def test_token_of_the_keys_is_replaced_three_times(scnet: ScnetEmulator, keys: Connect, call: str) -> None:
    scnet.fail(call, code="10008", times=None)
    with pytest.raises(ScnetTransientError) as caught:
        keys().parse_jobs("7")
    assert (scnet.calls[call], scnet.calls["tokens"]) == (4, 4)
    assert not any(secret in str(caught.value) for secret in scnet.secrets)


def test_token_that_is_revoked_in_the_middle(scnet: ScnetEmulator, keys: Connect) -> None:
    hook = keys()
    refs = hook.parse_jobs([scnet.add_job().job_id, scnet.add_job().job_id])
    scnet.regions[0].revoke_tokens()
    assert hook.delete_jobs(refs, batch_size=1, **FAST).deleted == refs
    assert scnet.calls["tokens"] == 2


FORGED = "11112\n[2026-11-24] INFO - All jobs are accounted for: 1 deleted."


def test_claim_with_a_line_break_forges_no_line(
    scnet: ScnetEmulator, token: Connect, keys: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    forged = scnet.mint_token(clusterId=FORGED, computeUser=FORGED)
    said = [token(password=forged).test_connection()[1]]
    for hook in (token(password=forged, region="11113"), token(password=forged)):
        with pytest.raises(ScnetError) as caught:
            hook.parse_jobs("7")
        said.append(str(caught.value))
    assert any("All jobs are accounted for" in text for text in said)
    assert all(len(text.splitlines()) == 1 for text in [*said, *caplog.messages])


@pytest.mark.parametrize("scheduler", [{"id": 1, "text": FORGED}, {"id": FORGED, "text": "a"}])
def test_scheduler_with_a_line_break_forges_no_line(scnet: ScnetEmulator, token: Connect, scheduler: Any) -> None:
    scnet.fail("clusters", code="0", data=[scheduler, {"id": 2, "text": "b"}], times=None)
    with pytest.raises(ScnetRequestError) as caught:
        token().parse_jobs("7")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("region", [{"clusterId": FORGED}, {"clusterName": FORGED}])
def test_region_with_a_line_break_forges_no_line(scnet: ScnetEmulator, keys: Connect, region: Any) -> None:
    usable = {"clusterId": "11112", "clusterName": "a", "token": scnet.token}
    scnet.fail("tokens", code="0", data=[usable, {**usable, **region}], times=None)
    with pytest.raises(ScnetRequestError) as caught:
        keys().parse_jobs("7")
    assert len(str(caught.value).splitlines()) == 1


# --- regions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["11112", 11113, " 11113 "])
def test_region_is_chosen_by_its_id(scnet: ScnetEmulator, keys: Connect, region: Any) -> None:
    scnet.add_region("11113", "region-b")
    hook = keys(region=region)
    chosen = next(known for known in scnet.regions if known.region_id == str(region).strip())
    assert hook.client.base_url == f"{chosen.url}/hpc"
    assert hook.user == chosen.user
    job = scnet.add_job(region=chosen)
    assert hook.delete_jobs(job.job_id, **FAST).deleted
    center = next(request for request in scnet.requests if request.call == "center")
    assert read_claims(center.headers["token"])["clusterId"] == chosen.region_id


def test_single_usable_region_is_taken(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.regions[0].stopped = True
    other = scnet.add_region("11113", "region-b")
    assert keys().client.base_url == f"{other.url}/hpc"


def test_several_regions_have_to_be_chosen_from(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.add_region("11113", "华东一区【昆山】")
    with pytest.raises(ScnetRequestError, match=r"extra `region`.*11112 \(region-a\), 11113 \(华东一区【昆山】\)"):
        keys().delete_jobs("7")
    assert scnet.calls == {"tokens": 1}


@pytest.mark.parametrize("name", ["华东一区【昆山】", " 华东一区【昆山】 "])
def test_region_is_chosen_by_its_name(scnet: ScnetEmulator, keys: Connect, name: str) -> None:
    other = scnet.add_region("11113", "华东一区【昆山】")
    hook = keys(region=name)
    assert hook.user == other.user
    job = scnet.add_job(region=other)
    assert hook.delete_jobs(job.job_id, **FAST).deleted


def test_name_that_several_regions_have(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.add_region("11113", "region-a")
    with pytest.raises(ScnetRequestError, match=r"`region`='region-a': several .* 11112 \(region-a\), 11113 \(reg"):
        keys(region="region-a").delete_jobs("7")
    assert keys(region="11112").user == scnet.user


def test_number_is_a_number_even_if_a_region_is_called_so(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.add_region("11113", "11112")
    assert keys(region="11112").user == scnet.user


def test_name_that_is_longer_than_what_a_message_shows(scnet: ScnetEmulator, keys: Connect) -> None:
    others = [scnet.add_region(str(number), f"{'华' * 40}{number}") for number in (11113, 11114)]
    assert keys(region=others[1].name).user == others[1].user


@pytest.mark.parametrize(("name", "is_good"), [("region-a", True), ("region-b", False), ("11112", True)])
@pytest.mark.parametrize("connect", ["keys", "token"])
def test_region_of_a_stored_token_by_its_name(
    scnet: ScnetEmulator, connect: str, request: pytest.FixtureRequest, name: str, is_good: bool
) -> None:
    scnet.add_region("11113", "region-b")
    hook = request.getfixturevalue(connect)(password=scnet.token, region=name)
    if is_good:
        assert hook.delete_jobs(scnet.add_job().job_id, **FAST).deleted
        return
    with pytest.raises(ScnetCredentialError, match=r"of region 11112 \(region-a\), but extra `region` is 'region-b'"):
        hook.delete_jobs("7")
    assert "delete" not in scnet.calls


@pytest.mark.parametrize("fault", [{"status": 503}, {"code": "10009"}])
def test_region_whose_name_the_platform_does_not_tell(
    scnet: ScnetEmulator, token: Connect, fault: dict[str, Any]
) -> None:
    scnet.fail("center", times=None, **fault)
    with pytest.raises(ScnetError, match=r"give extra `region` as the region's number"):
        token(region="region-a").delete_jobs("7")
    assert token(region="11112").client


@pytest.mark.parametrize("region", ["99999", "region-z", "0", "ac"])
def test_unknown_region(scnet: ScnetEmulator, keys: Connect, region: str) -> None:
    with pytest.raises(ScnetRequestError, match=rf"extra `region`='{region}'.*11112 \(region-a\)"):
        keys(region=region).delete_jobs("7")
    assert scnet.calls == {"tokens": 1}


@pytest.mark.parametrize("connect", ["keys", "token"])
def test_token_of_another_region_than_the_chosen_one(
    scnet: ScnetEmulator, connect: str, request: pytest.FixtureRequest
) -> None:
    scnet.add_region("11113", "region-b")
    hook = request.getfixturevalue(connect)(password=scnet.token, region="11113")
    with pytest.raises(ScnetError, match="`region`"):
        hook.delete_jobs("7")
    assert not scnet.requests


@pytest.mark.parametrize("region", [None, "11112"])
def test_stopped_region(scnet: ScnetEmulator, keys: Connect, region: str | None) -> None:
    scnet.regions[0].stopped = True
    with pytest.raises(ScnetAccountError, match=r"停用.*11112 \(region-a\).*recharge"):
        keys(region=region).delete_jobs("7")
    scnet.regions[0].stopped = False
    assert keys(region=region).delete_jobs(scnet.add_job().job_id, **FAST).deleted


@pytest.mark.parametrize("place", ["first", "middle", "last", None])
def test_platform_token_is_never_sent(scnet: ScnetEmulator, keys: Connect, place: Any) -> None:
    scnet.platform_entry = place
    keys().delete_jobs(scnet.add_job().job_id, **FAST)
    users = {read_claims(request.headers.get("token", "")).get("computeUser") for request in scnet.requests}
    assert users == {None, "acexample01"}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_platform_token_whose_claims_are_those_of_a_region(scnet: ScnetEmulator, keys: Connect, place: Any) -> None:
    """Only its place in the list of tokens tells it; if it were sent, it would be refused and new ones be fetched."""
    scnet.platform_entry, scnet.platform_user = place, scnet.user
    assert keys().delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert (scnet.calls["tokens"], scnet.calls["center"]) == (1, 1)


# --- gateways --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/", "/hpc", "/hpc/"])
@pytest.mark.parametrize("enable", [True, "TRUE", None])
def test_ways_in_which_gateways_are_listed(scnet: ScnetEmulator, keys: Connect, ending: str, enable: Any) -> None:
    scnet.regions[0].gateways = [{"url": scnet.url + ending, "enable": enable}]
    assert keys().delete_jobs(scnet.add_job().job_id, **FAST).deleted


def test_disabled_gateways_are_never_used(scnet: ScnetEmulator, keys: Connect) -> None:
    bystander = scnet.bystander()
    off = {"url": bystander.url, "enable": False}
    scnet.regions[0].gateways = [off, scnet.dead_url(), off, scnet.url, off]
    assert keys().delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert bystander.requests == []


@pytest.mark.parametrize("gateways", [[], [{"url": "https://h.example", "enable": False}], [{"url": ""}]])
def test_region_without_a_gateway(scnet: ScnetEmulator, keys: Connect, gateways: Any) -> None:
    scnet.regions[0].gateways = gateways
    with pytest.raises(ScnetRequestError, match=r"'scnet_default', extra `region`.*'region-a'.*no HPC gateway.*`host`"):
        keys().delete_jobs("7")
    assert scnet.calls == {"tokens": 1, "center": 1}


@pytest.mark.parametrize("useless", ["http://h.example:65051/hpc", "ftp://h.example", "h.example:1"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_gateway_that_may_not_be_used_hides_no_other(
    scnet: ScnetEmulator, keys: Connect, useless: str, before: bool, after: bool
) -> None:
    scnet.regions[0].gateways = [*[useless] * before, scnet.url, *[useless] * after]
    assert keys().delete_jobs(scnet.add_job().job_id, **FAST).deleted


def test_only_gateway_may_not_be_used(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.regions[0].gateways = ["http://h.example:65051/hpc"]
    with pytest.raises(ScnetRequestError, match=r"http://h\.example:65051/hpc.*extra `allow_http`"):
        keys().delete_jobs("7")


def test_next_gateway_where_one_cannot_be_connected_to(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.regions[0].gateways = [scnet.dead_url(), f"{scnet.dead_url()}/hpc", scnet.url]
    hook = keys()
    assert hook.delete_jobs(scnet.add_job().job_id, **FAST).deleted
    assert scnet.calls["delete"] == 1
    assert hook.client.base_url == f"{scnet.url}/hpc"


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"status": 502}, {"code": "10012"}, {"code": "10013", "effect": True}]
)
@pytest.mark.parametrize("verb", ["delete", "submit"])
def test_nothing_is_sent_twice_to_two_gateways(
    scnet: ScnetEmulator, keys: Connect, fault: dict[str, Any], verb: str
) -> None:
    bystander = scnet.bystander()
    scnet.regions[0].gateways = [scnet.url, bystander.url]
    scnet.fail(verb, times=None, **fault)
    client = keys().client
    send = {
        "delete": lambda: client.delete_jobs([JobRef(SCHEDULER, "u", "1")]),
        "submit": lambda: client.submit_job(SCHEDULER, {}),
    }
    with pytest.raises(ScnetTransientError):
        send[verb]()
    assert scnet.calls[verb] == 1
    assert bystander.requests == []


def test_all_gateways_are_dead(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.regions[0].gateways = [scnet.dead_url(), scnet.dead_url()]
    with pytest.raises(ScnetTransientError, match="nothing answers"):
        keys().client.list_schedulers()


def test_threads_that_meet_a_dead_gateway_all_find_the_next(
    scnet: ScnetEmulator, keys: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    scnet.regions[0].gateways = [scnet.dead_url(), scnet.url]
    monkeypatch.setattr("airflow_provider_scnet.api.transport.ATTEMPTS", 1)
    client, failed = keys().client, threading.Barrier(2)
    send = client._transport.send

    def send_and_meet(*arguments: Any, **options: Any) -> Any:
        try:
            return send(*arguments, **options)
        except ScnetTransientError:
            with suppress(threading.BrokenBarrierError):
                failed.wait(timeout=1)  # neither goes on before both have failed
            raise

    monkeypatch.setattr(client._transport, "send", send_and_meet)
    with ThreadPoolExecutor(2) as pool:
        lists = [pool.submit(client.list_schedulers) for _ in range(2)]
        failed_ones = [future.exception(timeout=60) for future in lists]
    assert failed_ones == [None, None]


# --- the Test button -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connect", ["keys", "token"])
def test_connection_says_what_it_found(scnet: ScnetEmulator, connect: str, request: pytest.FixtureRequest) -> None:
    good, message = request.getfixturevalue(connect)().test_connection()
    assert good
    for part in ("11112", f"{scnet.url}/hpc", f"{SCHEDULER} (Cluster)", scnet.user, "UTC"):
        assert part in message
    assert not any(secret in message for secret in scnet.secrets)


def test_connection_with_an_opaque_token(scnet: ScnetEmulator, token: Connect) -> None:
    scnet.fail("clusters", code="0", data=[{"id": 1, "text": "Cluster"}])
    good, message = token(password="opaque-token", user="u").test_connection()
    assert good
    assert "no known end" in message
    assert "opaque-token" not in message


@pytest.mark.parametrize("expire", ["nan", "inf", "1e300", "9" * 40, "soon", ""])
def test_connection_with_a_strange_expiry(scnet: ScnetEmulator, token: Connect, expire: str) -> None:
    scnet.fail("clusters", code="0", data=[{"id": 1, "text": "Cluster"}])
    good, message = token(password=scnet.mint_token(expireTime=expire)).test_connection()
    assert good
    assert "no known end" in message


def test_connection_with_a_scheduler_that_is_not_there(scnet: ScnetEmulator, token: Connect) -> None:
    good, message = token(scheduler_id="999").test_connection()
    assert not good
    assert f"extra `scheduler_id`='999': no gateway lists it; they list: {SCHEDULER} (Cluster)." in message
    assert token(scheduler_id=SCHEDULER).test_connection()[0]


@pytest.mark.parametrize(("scheduler_id", "is_good"), [(SCHEDULER, True), ("7", True), ("8", False)])
def test_connection_with_a_scheduler_that_only_another_gateway_lists(
    scnet: ScnetEmulator, keys: Connect, scheduler_id: str, is_good: bool
) -> None:
    with ScnetEmulator() as other:
        other.fail("clusters", code="0", data=[{"id": 7, "text": "Other"}], times=None)
        scnet.regions[0].gateways = [scnet.url, other.url]
        good, message = keys(scheduler_id=scheduler_id).test_connection()
    assert good is is_good
    assert ("7 (Other)" in message) is not is_good


def test_connection_with_a_scheduler_that_a_dead_gateway_may_list(scnet: ScnetEmulator, keys: Connect) -> None:
    dead = scnet.dead_url()
    scnet.regions[0].gateways = [scnet.url, dead]
    good, message = keys(scheduler_id="999").test_connection()
    assert good
    assert message.startswith("Not checked: extra `scheduler_id`='999'.")
    assert f"no answer came from {dead}/hpc" in message


@pytest.mark.parametrize("claims", [{}, {"computeUser": ""}])
def test_connection_with_a_user_that_is_not_the_tokens(
    scnet: ScnetEmulator, token: Connect, claims: dict[str, str]
) -> None:
    good, message = token(password=scnet.mint_token(**claims), user="alice").test_connection()
    assert not good
    assert f"extra `user`='alice': the token's cluster user is '{scnet.user}'" in message
    assert token(password=scnet.mint_token(**claims), user=scnet.user).test_connection()[0]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"code": "0", "data": {}}, "neither the token nor the platform names one"),
        ({"code": "10009"}, "the platform does not answer: [10009]"),
        ({"status": 503}, "the platform does not answer:"),
    ],
)
def test_connection_whose_user_cannot_be_compared(
    scnet: ScnetEmulator, token: Connect, fault: dict[str, Any], why: str
) -> None:
    scnet.fail("center", times=None, **fault)
    good, message = token(password=scnet.mint_token(computeUser=""), user="alice").test_connection()
    assert good
    assert message.startswith("Not checked: whether extra `user`='alice' is the token's cluster user: ")
    assert why in message


def test_connection_shows_what_is_open_beside_what_is_wrong(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.regions[0].gateways = [scnet.url, scnet.dead_url()]
    good, message = keys(scheduler_id="999", user="alice").test_connection()
    assert not good
    assert message.startswith("Not checked: extra `scheduler_id`='999'.")
    assert "extra `user`='alice'" in message


def test_connection_renews_the_token(scnet: ScnetEmulator, token: Connect) -> None:
    stored = scnet.mint_token(-3600)
    assert token(password=stored).test_connection()[0]
    assert scnet.calls == {"renew": 1, "clusters": 1}
    assert scnet.requests[-1].headers["token"] != stored


@pytest.mark.parametrize(
    ("fields", "fault", "said"),
    [
        ({"login": "bob"}, {}, "login='bob'"),
        ({"access_key": "ak-unknown-9999"}, {}, "extra `access_key`"),
        ({"secret_key": "sk-unknown-9999"}, {}, "extra `secret_key`"),
        ({"region": "99999"}, {}, "extra `region`='99999'"),
        ({"api_url": "dead"}, {}, "extra `api_url`"),
        ({"platform_url": "dead"}, {}, "extra `platform_url`"),
        ({"host": "dead"}, {}, "`host`"),
        ({}, {"call": "tokens", "redirect": "https://login.example"}, "extra `api_url`"),
        ({}, {"call": "tokens", "body": "<html>Welcome</html>"}, "extra `api_url`"),
        ({}, {"call": "center", "redirect": "https://login.example"}, "extra `platform_url`"),
        ({}, {"call": "center", "code": "10001", "data": "no cluster user"}, "[10001]"),
        ({}, {"call": "clusters", "code": "10007"}, "[10007]"),
        ({}, {"call": "clusters", "code": "10009"}, "[10009]"),
        ({}, {"call": "clusters", "body": "<html>Welcome</html>"}, "a web page"),
    ],
)
def test_connection_says_what_failed(
    scnet: ScnetEmulator, keys: Connect, fields: dict[str, Any], fault: dict[str, Any], said: str
) -> None:
    if fault:
        scnet.fail(times=None, **fault)
    fields = {name: scnet.dead_url() if value == "dead" else value for name, value in fields.items()}
    good, message = keys(**fields).test_connection()
    assert not good
    assert said in message
    assert "scnet_default" in message
    assert not any(secret in message for secret in {*scnet.secrets, "ak-unknown-9999", "sk-unknown-9999"})


def test_connection_whose_user_cannot_be_found(scnet: ScnetEmulator, token: Connect) -> None:
    scnet.fail("center", code="0", data={})
    good, message = token(password=scnet.mint_token(computeUser="")).test_connection()
    assert not good
    assert f"{SCHEDULER} (Cluster)" in message  # what was found up to there
    assert "extra `user`" in message


# --- secrecy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"code": "10008"}, {"code": "10009"}, {"drop": True}, {"redirect": "x"}]
)
@pytest.mark.parametrize("call", ["tokens", "center", "clusters", "delete", "list"])
def test_no_secret_in_logs_and_errors(
    scnet: ScnetEmulator,
    keys: Connect,
    call: str,
    fault: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bystander = scnet.bystander()
    if "redirect" in fault:
        fault = {"redirect": bystander.url}
    planned = scnet.fail(call, times=2, **fault)
    hook = keys()
    shown = ""
    with caplog.at_level(logging.DEBUG):
        try:
            hook.delete_jobs(scnet.add_job().job_id, timeout=0.1, **FAST)
        except ScnetError as error:
            shown = f"{error!s} {error!r} {error.__dict__}"
    assert planned.hits
    shown += f"{caplog.text} {hook!r} {hook.__dict__}"
    assert not any(secret in shown for secret in scnet.secrets)
    assert bystander.requests == []


def frames_of(error: BaseException | None) -> Iterator[tuple[str, str]]:
    """Name and local variables of each frame that a traceback would draw, of what the error was raised from, too."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                yield frame.f_code.co_qualname, repr(frame.f_locals)
        error = error.__cause__ or error.__context__


FRAME_FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"code": "10008"},
    {"code": "10009"},
    {"drop": True},
    {"redirect": "x"},
    {"code": "200", "data": [{"clusterId": "11112", "token": "@@"}]},
    {"body": "@@ {"},
]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        *itertools.product(["tokens", "renew", "center", "clusters", "delete", "list"], FRAME_FAULTS),
        ("tokens", {"code": "0", "data": "@@"}),
        ("renew", {"code": "0", "data": {"tokens": "@@"}}),
    ],
    ids=str,
)
def test_no_secret_in_local_variables_that_a_log_may_draw(
    scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, call: str, fault: dict[str, Any]
) -> None:
    echo = scnet.mint_token()
    fault = json.loads(json.dumps(fault).replace("@@", echo))
    planned = scnet.fail(call, times=None, **fault)
    scnet.has_history = False  # which would prove the end that no list tells
    stored = {"password": scnet.mint_token(-60)} if call == "renew" else {}
    connection = scnet.connection(**stored) if stored else scnet.aksk_connection()
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", connection)
    with pytest.raises(ScnetError) as caught:
        ScnetHook().delete_jobs(scnet.add_job().job_id, timeout=0.1, **FAST)
    assert planned.hits
    drawn = list(frames_of(caught.value))
    assert len(drawn) >= 3
    leaks = {name for name, variables in drawn for secret in scnet.secrets if secret in variables}
    assert leaks == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2 x"},
        {"access_key": "hunter2 x"},
        {"secret_key": None, "access_key": "hunter2"},
        {"login": None},
        {"timeout": "soon", "password": "hunter2"},
    ],
    ids=str,
)
def test_no_field_in_local_variables_that_a_log_may_draw(keys: Connect, fields: dict[str, Any]) -> None:
    with pytest.raises(ScnetError) as caught:
        keys(**fields).delete_jobs("7")
    drawn = list(frames_of(caught.value))
    assert any("read_settings" in name for name, _ in drawn)
    forbidden = ("hunter2", "ak-example-0001", "sk-example-0001")
    assert {name for name, variables in drawn for secret in forbidden if secret in variables} == set()


def test_frames_of_a_time_out_of_the_task_hold_no_secret_either(scnet: ScnetEmulator, keys: Connect) -> None:
    """It strikes wherever the code happens to be, which is mostly inside the HTTP library."""

    class TaskTimeout(BaseException):
        pass

    def strike(*_: Any) -> None:
        raise TaskTimeout

    scnet.fail("delete", latency=30)
    hook = keys()
    refs = hook.parse_jobs(scnet.add_job().job_id)
    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TaskTimeout) as caught:
            hook.delete_jobs(refs)
    finally:
        signal.signal(signal.SIGALRM, before)
    drawn = list(frames_of(caught.value))
    assert any("Transport.send" in name for name, _ in drawn)
    assert {name for name, variables in drawn for secret in scnet.secrets if secret in variables} == set()


def test_what_the_caller_was_handling_keeps_its_frames(scnet: ScnetEmulator, keys: Connect) -> None:
    scnet.stop()

    def handle() -> None:
        try:
            raise LookupError("of the caller")
        except LookupError:
            with pytest.raises(ScnetError):
                keys().delete_jobs("7")
            raise

    with pytest.raises(LookupError) as caught:
        handle()
    assert len(list(traceback.walk_tb(caught.value.__traceback__))) > 1
    assert caught.traceback[-1].name == "handle"
