from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_scnet.api import credentials
from airflow_provider_scnet.api.credentials import (
    KeyTokens,
    StoredToken,
    TokenCache,
    TokenSource,
    call_with_token,
)
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.platform import AccessKeys
from airflow_provider_scnet.api.tokens import RegionToken, Token, read_claims
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetStoppedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.conftest import SCHEDULER, VirtualPatience, client_of, jwt, platform_of

DAY = 24 * 3600
THREADS = 12
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> TokenCache:
    """What the sources of a test share, as the hooks of a process do."""
    fresh = TokenCache()
    monkeypatch.setattr(Region, "shared_tokens", fresh)
    return fresh


@pytest.fixture(autouse=True)
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to `mask_secret`, in this order."""
    values: list[str] = []
    monkeypatch.setattr(credentials, "mask_secret", values.append)
    return values


def stored(scnet: ScnetEmulator, token: str | None = None, keys: KeyTokens | None = None) -> StoredToken:
    stored = Token.read(token or scnet.token)
    return StoredToken(
        stored,
        platform_of(scnet),
        cache=Region.shared_tokens,
        keys=keys,
        now=scnet.clock.now,
        patience=VirtualPatience(scnet),
    )


def pair_of(scnet: ScnetEmulator) -> AccessKeys:
    account = scnet.account
    return AccessKeys(account.login, Secret(account.access_key), Secret(account.secret_key))


def keyed(
    scnet: ScnetEmulator, region: str = "", *, patience: Patience | None = None, cache: TokenCache | None = None
) -> KeyTokens:
    return KeyTokens(
        pair_of(scnet),
        platform_of(scnet),
        cache=cache or Region.shared_tokens,
        region=region,
        now=scnet.clock.now,
        patience=patience or VirtualPatience(scnet),
    )


# --- the token of the password --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "renewals"),
    [(DAY, 0), (310, 0), (290, 1), (1, 1), (-1, 1), (-3600, 1), (60 - DAY, 1)],
)
def test_stored_token_is_renewed_around_its_end(scnet: ScnetEmulator, lifetime: float, renewals: int) -> None:
    token = scnet.mint_token(lifetime)
    source = stored(scnet, token)
    client = ScnetClient([f"{scnet.url}/hpc"], source, Transport())
    for _ in range(3):
        assert SCHEDULER in client.list_schedulers()
    assert (scnet.calls["renew"], scnet.calls["clusters"]) == (renewals, 3)
    assert (source.token().text == token) is not bool(renewals)
    if renewals:
        assert (scnet.requests[0].call, scnet.requests[0].headers["token"]) == ("renew", token)


@pytest.mark.parametrize("age", [DAY + 1, 30 * DAY])
def test_token_that_ended_too_long_ago(scnet: ScnetEmulator, age: float) -> None:
    source = stored(scnet, scnet.mint_token(-age, expireTime="1700003600000"))
    for act in (source.token, lambda: source.renewed(source._known())):
        with pytest.raises(ScnetCredentialError) as caught:
            act()
        message = str(caught.value)
        assert "'scnet_default', password" in message
        assert "ended at 2023-11-14 23:13 UTC" in message
        assert "Store a current token" in message
        assert "`access_key` and `secret_key`" in message
    assert not scnet.requests


@pytest.mark.parametrize("shape", ["text", "object", "list"])
def test_shapes_of_a_renewal(scnet: ScnetEmulator, shape: Any) -> None:
    scnet.renewal_shape = shape
    old = scnet.mint_token(100)
    new = stored(scnet, old).token().text
    assert new != old
    assert new in scnet.secrets


def test_renewal_that_lists_regions(scnet: ScnetEmulator) -> None:
    """The page calls it a "region list": the platform's entry is never the one for job calls."""
    platform, region = scnet.mint_token(computeUser="root"), scnet.mint_token()
    entries = [{"clusterId": "0", "clusterName": "ac", "token": platform}, {"clusterId": "11112", "token": region}]
    scnet.fail("renew", code="0", data=entries)
    assert stored(scnet, scnet.mint_token(100)).token().text == region


def test_renewal_of_an_opaque_token_that_lists_regions(scnet: ScnetEmulator) -> None:
    platform, region = scnet.mint_token(computeUser="root"), scnet.mint_token()
    scnet.fail("renew", code="0", data=[{"clusterId": "0", "token": platform}, {"clusterId": "11112", "token": region}])
    assert stored(scnet, "opaque-token").renewed(Token.read("opaque-token")).text == region


def test_token_without_an_end_is_used_as_it_is(scnet: ScnetEmulator) -> None:
    assert stored(scnet, "opaque-token").token().text == "opaque-token"
    assert not scnet.requests


def test_renewal_is_shared_by_the_hooks_of_a_process(scnet: ScnetEmulator) -> None:
    token = scnet.mint_token(100)
    assert stored(scnet, token).token().text == stored(scnet, token).token().text
    assert scnet.calls == {"renew": 1}


def test_another_platform_is_another_matter(scnet: ScnetEmulator) -> None:
    with ScnetEmulator() as other:
        token = scnet.mint_token(-100)
        new = stored(scnet, token).token().text
        with pytest.raises(ScnetCredentialError):
            stored(other, token).token()
        assert stored(scnet, token).token().text == new


@pytest.mark.parametrize("fault", [{"code": "10001"}, {"code": "10013"}, {"status": 503}, {"drop": True}])
def test_renewal_that_fails_for_now(
    scnet: ScnetEmulator, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    scnet.fail("renew", times=None, **fault)
    token = scnet.mint_token(200)
    source = stored(scnet, token)
    with caplog.at_level(logging.DEBUG):
        assert source.token().text == token
    assert "going on with the old one" in caplog.text
    assert token not in caplog.text
    scnet.clock.advance(400)
    with pytest.raises(ScnetTransientError):  # ended, but a retry of the task may bring another
        source.token()
    scnet.clear_faults()
    assert source.token().text != token


@pytest.mark.parametrize(
    "fault", [{"code": "10009"}, {"code": "404", "status": 404}, {"code": "10004"}, {"code": "4711"}, {"status": 403}]
)
def test_token_that_lives_is_used_although_it_cannot_be_renewed(scnet: ScnetEmulator, fault: dict[str, Any]) -> None:
    scnet.fail("renew", times=None, **fault)
    assert SCHEDULER in client_of(scnet, scnet.mint_token(200)).list_schedulers()


def test_failing_renewal_is_not_tried_before_each_call(scnet: ScnetEmulator) -> None:
    """Four attempts with their pauses, or time-outs, before each request would delay a deletion by minutes."""
    scnet.fail("renew", status=503, times=None)
    client = client_of(scnet, scnet.mint_token(250))
    for _ in range(5):
        client.list_schedulers()
    assert scnet.calls["renew"] <= 4


@pytest.mark.parametrize("source_of", [keyed, lambda scnet: stored(scnet, scnet.mint_token(60))], ids=["keys", "token"])
def test_tokens_that_live_shortly_are_not_replaced_before_each_call(
    scnet: ScnetEmulator, source_of: Callable[[ScnetEmulator], TokenSource]
) -> None:
    """Their lifetime is documented nowhere, and a machine's clock may be ahead."""
    scnet._tokens.lifetime = 240
    source = source_of(scnet)
    client = ScnetClient([f"{scnet.url}/hpc"], source, Transport())
    for _ in range(5):
        client.list_schedulers()
    assert scnet.calls["tokens"] + scnet.calls["renew"] <= 2


# --- the repeat after 10008 -----------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[ScnetClient], Any]] = {
    "clusters": lambda client: client.list_schedulers(),
    "list": lambda client: client.list_jobs(SCHEDULER),
    "detail": lambda client: client.get_job("1"),
    "history": lambda client: client.list_history(SCHEDULER, user="u", since=MOMENT, until=MOMENT),
    "delete": lambda client: client.delete_jobs(parse_jobs(f"{SCHEDULER},u:1:")),
    "submit": lambda client: client.submit_job(SCHEDULER, {}),
}


def refuse(scnet: ScnetEmulator, call: str, *, times: int | None = 1, **fault: Any) -> None:
    """Refuse a token, as SCNet does: also where a harmless read is asked whether it is the token."""
    for refused in {call, "clusters"}:
        scnet.fail(refused, times=times, **fault)


def probes(call: str, number: int) -> dict[str, int]:
    return {} if call == "clusters" else {"clusters": number}


@pytest.mark.parametrize("source_of", [stored, keyed], ids=["token", "keys"])
@pytest.mark.parametrize("call", CALLS)
def test_refused_token_is_replaced_once(scnet: ScnetEmulator, call: str, source_of: Any) -> None:
    source = source_of(scnet)
    client = ScnetClient([f"{scnet.url}/hpc"], source, Transport())
    refused = source.token().text
    scnet.requests.clear()
    refuse(scnet, call, code="10008")
    if call == "submit":
        scnet.fail(call, code="0", data="197", after=1)
    CALLS[call](client)
    fetched = scnet.calls["renew"] + scnet.calls["tokens"]
    tokens = [request.headers["token"] for request in scnet.requests if request.call == call]
    assert fetched == 1
    assert tokens[0] == refused
    assert refused not in tokens[1:]


REFUSALS: list[dict[str, Any]] = [{"code": "10008"}, {"code": "10008", "status": 401}, {"status": 401}]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", REFUSALS)
def test_refused_twice(scnet: ScnetEmulator, call: str, fault: dict[str, Any]) -> None:
    client = ScnetClient([f"{scnet.url}/hpc"], stored(scnet), Transport())
    refuse(scnet, call, times=None, **fault)
    with pytest.raises(ScnetCredentialError) as caught:
        CALLS[call](client)
    assert scnet.calls == {call: 2, "renew": 1, **probes(call, 2)}
    assert not any(secret in str(caught.value) for secret in scnet.secrets)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", REFUSALS)
def test_tokens_of_our_own_making_are_refused_for_good(scnet: ScnetEmulator, call: str, fault: dict[str, Any]) -> None:
    """Somebody else with the same keys may have ended each of them, which a retry of the task helps against."""
    pauses: list[float] = []
    source = keyed(scnet, patience=VirtualPatience(pauses=pauses))
    client = ScnetClient([f"{scnet.url}/hpc"], source, Transport())
    refuse(scnet, call, times=None, **fault)
    with pytest.raises(ScnetTransientError) as caught:
        CALLS[call](client)
    assert scnet.calls == {call: 4, "tokens": 4, **probes(call, 4)}
    assert len({request.headers["token"] for request in scnet.requests if request.call == call}) == 4
    assert [pause <= longest for pause, longest in zip(pauses, [2, 6, 18], strict=True)] == [True] * 3
    assert (caught.value.answered, caught.value.call) == (False, client_error_call(call))
    assert not any(secret in str(caught.value) for secret in scnet.secrets)


@pytest.mark.parametrize("source_of", [stored, keyed], ids=["token", "keys"])
@pytest.mark.parametrize("call", [call for call in CALLS if call != "clusters"])
@pytest.mark.parametrize("fault", REFUSALS)
def test_call_that_is_refused_although_the_token_is_good(
    scnet: ScnetEmulator, call: str, fault: dict[str, Any], source_of: Any
) -> None:
    """10008 is documented as a lack of rights, too: a new token would help nobody, but may end those of other tasks."""
    source = source_of(scnet)
    token = source.token()
    scnet.requests.clear()
    scnet.fail(call, times=None, **fault)
    with pytest.raises(ScnetCredentialError, match="SCNet accepts the token for other calls"):
        CALLS[call](ScnetClient([f"{scnet.url}/hpc"], source, Transport()))
    assert scnet.calls == {call: 2, "clusters": 1}
    assert source.token() == token


@pytest.mark.parametrize("source_of", [stored, keyed], ids=["token", "keys"])
@pytest.mark.parametrize("call", [call for call in CALLS if call != "clusters"])
@pytest.mark.parametrize("fault", REFUSALS)
def test_call_that_is_refused_once_although_the_token_is_good(
    scnet: ScnetEmulator, call: str, fault: dict[str, Any], source_of: Any
) -> None:
    """As where one of several machines does not know a new token yet."""
    source = source_of(scnet)
    token = source.token()
    scnet.requests.clear()
    scnet.fail(call, **fault)
    if call == "submit":
        scnet.fail(call, code="0", data="197", after=1)
    CALLS[call](ScnetClient([f"{scnet.url}/hpc"], source, Transport()))
    assert scnet.calls == {call: 2, "clusters": 1}
    assert source.token() == token


def client_error_call(call: str) -> str:
    paths = {
        "clusters": "GET /hpc/openapi/v2/cluster",
        "list": "GET /hpc/openapi/v2/jobs",
        "detail": "GET /hpc/openapi/v2/jobs/1",
        "history": "GET /hpc/openapi/v2/historyjobs",
        "delete": "DELETE /hpc/openapi/v2/jobs",
        "submit": "POST /hpc/openapi/v2/apptemplates/BASIC/BASE/job",
    }
    return paths[call]


def test_refused_key_tokens_are_no_matter_of_the_password(scnet: ScnetEmulator) -> None:
    """With AK/SK there is no password to store a token in; wrong is the place, or who else uses the keys."""
    scnet.fail("clusters", code="10008", times=None)
    with pytest.raises(ScnetTransientError) as caught:
        ScnetClient([f"{scnet.url}/hpc"], keyed(scnet), Transport()).list_schedulers()
    assert str(caught.value) == (
        "[10008] 权限不足 · token invalid, expired or of another region (GET /hpc/openapi/v2/cluster, connection "
        "scnet_default). SCNet said: auth_fail; token is invalid. It refuses even tokens that were just fetched with "
        "the AK/SK pair. Either another task or process fetches tokens with the same pair, and each new one "
        "ends the older ones: limit how many run at once (an Airflow pool), or give each a pair of its own. Or `host` "
        "is no gateway of the region in extra `region`: correct it, or leave it empty."
    )


@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_a_token_of_our_own_making_is_accepted_at_last(scnet: ScnetEmulator, refusals: int) -> None:
    scnet.fail("clusters", code="10008", times=refusals)
    assert SCHEDULER in ScnetClient([f"{scnet.url}/hpc"], keyed(scnet), Transport()).list_schedulers()
    assert scnet.calls == {"tokens": 1 + refusals, "clusters": 1 + refusals}


def test_a_newer_token_of_the_process_comes_before_a_new_one(scnet: ScnetEmulator) -> None:
    pauses: list[float] = []
    first, second = keyed(scnet, patience=VirtualPatience(pauses=pauses)), keyed(scnet)
    old = first.token()
    newer = second.renewed(old)
    asked = []

    def call(token: Token) -> Token:
        asked.append(token)
        if len(asked) == 1:
            raise ScnetCredentialError("[10008]")
        return token

    first.token = lambda: old  # type: ignore[method-assign] # as if the call had begun before
    assert call_with_token(first, call) == newer
    assert (scnet.calls, pauses) == ({"tokens": 2}, [])


@pytest.mark.parametrize(("deadline", "pauses", "mints"), [(5, [2], 2), (1.5, [], 2), (-1, [], 2), (8, [2, 6], 3)])
def test_nobody_waits_for_another_token_past_the_deadline(
    scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, deadline: float, pauses: list[float], mints: int
) -> None:
    """But the first new token is fetched even then: a last look needs one, too."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    paused: list[float] = []
    source = keyed(scnet, patience=VirtualPatience(pauses=paused))
    source.patience.now = lambda: 1000 + sum(paused)  # type: ignore[method-assign]
    source.patience.deadline = 1000 + deadline
    scnet.fail("clusters", code="10008", times=None)
    with pytest.raises(ScnetTransientError, match="AK/SK pair"):
        ScnetClient([f"{scnet.url}/hpc"], source, Transport()).list_schedulers()
    assert (paused, scnet.calls["tokens"]) == (pauses, mints)


def test_threads_of_a_process_pause_until_the_same_moment(scnet: ScnetEmulator) -> None:
    """Else the first of many would always fetch its token at once, however long the others wait."""
    pauses: list[float] = []
    source = keyed(scnet)
    source.patience.sleep = pauses.append  # type: ignore[method-assign]
    source.patience.now = lambda: 1000.0  # type: ignore[method-assign]
    refused, refusal = source.token(), threading.Barrier(THREADS)

    def answer(token: Token) -> Token:
        if token == refused:
            refusal.wait(timeout=30)
            raise ScnetCredentialError("[10008]")
        return token

    in_threads(lambda: call_with_token(source, answer))
    assert len(set(pauses)) == 1
    assert scnet.calls == {"tokens": 2}


def test_pause_before_another_token_ends_when_the_task_is_stopped(scnet: ScnetEmulator) -> None:
    patience = Patience()
    source = keyed(scnet, patience=patience)

    def call(token: Token) -> None:
        patience.stop()
        raise ScnetCredentialError("[10008]")

    with pytest.raises(ScnetStoppedError):
        call_with_token(source, call)
    assert scnet.calls == {"tokens": 1}


def test_who_waits_for_somebody_elses_token_can_be_stopped(scnet: ScnetEmulator) -> None:
    scnet.fail("tokens", latency=30)
    patience = Patience()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(keyed(scnet).token)
        while not scnet.calls["tokens"]:
            time.sleep(0.01)
        threading.Timer(0.1, patience.stop).start()
        with pytest.raises(ScnetStoppedError):
            keyed(scnet, patience=patience).token()
        assert not slow.done()
        scnet.stop()
    assert isinstance(slow.exception(), ScnetTransientError)


def test_other_errors_replace_no_token(scnet: ScnetEmulator) -> None:
    for code in ("10007", "10009", "815005"):
        scnet.fail("delete", code=code)
        with pytest.raises(ScnetError):
            CALLS["delete"](client_of(scnet))
    assert scnet.calls == {"delete": 3}


def test_refused_token_that_cannot_be_renewed(scnet: ScnetEmulator) -> None:
    token = scnet.token
    client = client_of(scnet, token)
    scnet.revoke(token)
    scnet.fail("renew", times=None, code="10008")
    with pytest.raises(ScnetCredentialError) as caught:
        client.list_schedulers()
    assert "password: the token is not accepted, or is of another region" in str(caught.value)
    assert "SCNet does not renew it" in str(caught.value)
    assert token not in str(caught.value)


def test_refused_token_whose_renewal_fails_for_now_is_worth_a_retry(scnet: ScnetEmulator) -> None:
    """It has not ended, says its own clock; but it may have been revoked, and the next renewal may bring another."""
    token = scnet.token
    client = client_of(scnet, token)
    scnet.revoke(token)
    scnet.fail("renew", times=4, status=503)
    with pytest.raises(ScnetTransientError) as caught:
        client.list_schedulers()
    assert str(caught.value).endswith(
        "If it stays: Check that extra `platform_url` of the Connection is SCNet's address. A current token of "
        "this gateway's region, stored in the Connection's password, helps as well."
    )
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error_class", "why"),
    [
        ({"code": "404", "status": 404}, ScnetCredentialError, "[404]"),
        ({"status": 404}, ScnetCredentialError, "[HTTP 404]"),
        ({"redirect": "https://login.example"}, ScnetCredentialError, "a redirect to 'login.example'"),
        ({"code": "10004"}, ScnetCredentialError, "[10004]"),
        ({"code": "10008"}, ScnetCredentialError, "SCNet does not renew it"),
        ({"code": "4711"}, ScnetError, "[4711]"),
        ({"status": 503}, ScnetTransientError, "[HTTP 503]"),
        ({"code": "0", "data": None}, ScnetTransientError, "no token"),
    ],
    ids=str,
)
def test_first_refusal_leads_and_why_there_is_no_new_token_follows(
    scnet: ScnetEmulator, fault: dict[str, Any], error_class: type[ScnetError], why: str
) -> None:
    token = scnet.token
    client = client_of(scnet, token)
    scnet.revoke(token)
    scnet.fail("renew", times=None, **fault)
    with pytest.raises(ScnetError) as caught:
        client.delete_jobs(parse_jobs(f"{SCHEDULER},u:1:"))
    error = caught.value
    assert type(error) is error_class
    assert str(error).startswith(
        "[10008] 权限不足 · token invalid, expired or of another region (DELETE /hpc/openapi/v2/jobs, connection "
        "scnet_default). SCNet said: auth_fail; token is invalid. No new token could be had: "
    )
    assert why in str(error)
    assert (error.code, error.msg, error.call) == ("10008", "auth_fail", "DELETE /hpc/openapi/v2/jobs")
    assert str(error).rstrip(".").count("Store a current token") <= 1
    assert token not in str(error)


def test_refused_token_of_an_account_that_is_stopped(scnet: ScnetEmulator) -> None:
    source = keyed(scnet)
    source.token()
    scnet.regions[0].stopped = True
    scnet.fail("clusters", code="10008")
    with pytest.raises(ScnetAccountError, match=r"^\[10008\].*/cluster.*No new token could be had: .*停用"):
        ScnetClient([f"{scnet.url}/hpc"], source, Transport()).list_schedulers()


def test_refused_token_while_the_platform_is_away_is_worth_a_retry(scnet: ScnetEmulator) -> None:
    source = keyed(scnet)
    source.token()
    scnet.fail("clusters", code="10008")
    scnet.fail("tokens", status=503, times=None)
    with pytest.raises(ScnetTransientError, match=r"^\[10008\].*No new token could be had: \[HTTP 503\]"):
        ScnetClient([f"{scnet.url}/hpc"], source, Transport(patience=VirtualPatience(scnet))).list_schedulers()


def test_new_tokens_revoke_the_old_ones(scnet: ScnetEmulator) -> None:
    """Two processes with the same keys, then, take turns; each call gets through all the same."""
    scnet.new_tokens_revoke = True
    first = ScnetClient([f"{scnet.url}/hpc"], keyed(scnet), Transport())
    first.list_schedulers()
    platform_of(scnet).mint_tokens(
        AccessKeys("alice", Secret(scnet.account.access_key), Secret(scnet.account.secret_key))
    )
    assert SCHEDULER in first.list_schedulers()
    assert scnet.calls == {"tokens": 3, "clusters": 3}


# --- keys -----------------------------------------------------------------------------------------------------------


def test_one_mint_serves_all_regions_and_hooks(scnet: ScnetEmulator) -> None:
    scnet.add_region("11113", "region-b")
    tokens = {region: keyed(scnet, region).token().text for region in ("11112", "11113")}
    assert {region: read_claims(token)["clusterId"] for region, token in tokens.items()} == {
        "11112": "11112",
        "11113": "11113",
    }
    assert keyed(scnet, "11112").token().text == tokens["11112"]
    assert scnet.calls == {"tokens": 1}


@pytest.mark.parametrize("change", ["login", "access_key", "secret_key"])
def test_other_keys_get_other_tokens(scnet: ScnetEmulator, change: str) -> None:
    token = keyed(scnet).token().text
    setattr(scnet.account, change, "something-else")
    assert keyed(scnet).token().text != token
    assert scnet.calls == {"tokens": 2}


def test_minted_token_is_replaced_before_its_end(scnet: ScnetEmulator) -> None:
    source = keyed(scnet)
    first = source.token().text
    scnet.clock.advance(12 * 3600 - 310)
    assert source.token().text == first
    scnet.clock.advance(20)
    assert source.token().text != first
    assert scnet.calls == {"tokens": 2}


def test_minting_that_fails_for_now(scnet: ScnetEmulator) -> None:
    source = keyed(scnet)
    token = source.token().text
    scnet.clock.advance(12 * 3600 - 200)
    scnet.fail("tokens", status=503, times=None)
    assert source.token().text == token
    scnet.clock.advance(300)
    with pytest.raises(ScnetTransientError):
        source.token()


@pytest.mark.parametrize("lifetime", [290, -3600, -30 * DAY])
def test_stored_token_then_keys(scnet: ScnetEmulator, lifetime: float) -> None:
    token = scnet.mint_token(400)
    source = stored(scnet, token, keyed(scnet))
    assert source.token().text == token
    assert not scnet.requests
    scnet.clock.advance(400 - lifetime)
    for _ in range(2):
        assert source.token().text != token
    assert scnet.calls == {"tokens": 1}


def test_refused_stored_token_then_keys(scnet: ScnetEmulator) -> None:
    source = stored(scnet, "opaque-token", keyed(scnet))
    assert SCHEDULER in ScnetClient([f"{scnet.url}/hpc"], source, Transport()).list_schedulers()
    assert scnet.calls == {"clusters": 2, "tokens": 1}


def test_stored_token_that_lives_needs_no_good_keys(scnet: ScnetEmulator) -> None:
    wrong = AccessKeys("alice", Secret("ak-example-0001"), Secret("wrong"))
    keys = KeyTokens(wrong, platform_of(scnet), cache=TokenCache(), now=scnet.clock.now)
    token = scnet.mint_token(200)
    assert stored(scnet, token, keys).token().text == token


A, B = RegionToken("1", "a", Token.read("ta")), RegionToken("2", "b", Token.read("tb"))
STOPPED = RegionToken("3", "c", None)


@pytest.mark.parametrize(
    ("region", "regions", "chosen"),
    [("", [A], A), ("", [A, STOPPED], A), ("", [STOPPED, B], B), ("2", [A, B], B), ("1", [STOPPED, B, A], A)],
)
def test_choice_of_a_region(scnet: ScnetEmulator, region: str, regions: list[RegionToken], chosen: RegionToken) -> None:
    assert keyed(scnet, region).choose(regions) is chosen


@pytest.mark.parametrize(
    ("region", "regions", "error_class", "said"),
    [
        ("", [A, B], ScnetRequestError, ["extra `region`", "1 (a), 2 (b)"]),
        ("", [A, B, STOPPED], ScnetRequestError, ["extra `region`", "1 (a), 2 (b)."]),
        ("4", [A, STOPPED], ScnetRequestError, ["extra `region`='4'", "1 (a), 3 (c)"]),
        ("a", [A], ScnetRequestError, ["extra `region`='a'", "1 (a)"]),
        ("0", [A], ScnetRequestError, ["extra `region`='0'", "1 (a)"]),
        ("3", [A, STOPPED], ScnetAccountError, ["停用", "3 (c)"]),
        ("", [STOPPED], ScnetAccountError, ["停用", "3 (c)"]),
    ],
)
def test_no_choice_of_a_region(
    scnet: ScnetEmulator, region: str, regions: list[RegionToken], error_class: type[ScnetError], said: list[str]
) -> None:
    with pytest.raises(error_class) as caught:
        keyed(scnet, region).choose(regions)
    for part in ["'scnet_default'", *said]:
        assert part in str(caught.value)


def test_account_without_any_region_is_not_called_stopped(scnet: ScnetEmulator) -> None:
    scnet.fail("tokens", code="0", data=[{"clusterId": "0", "clusterName": "ac", "token": scnet.token}])
    with pytest.raises(ScnetError) as caught:
        keyed(scnet).token()
    assert "停用" not in str(caught.value)


@pytest.mark.parametrize("place", ["first", "middle", "last", None])
def test_platform_entry_is_never_chosen(scnet: ScnetEmulator, place: Any) -> None:
    scnet.platform_entry = place
    assert read_claims(keyed(scnet).token().text)["computeUser"] == scnet.user


def test_recharged_account_works_again(scnet: ScnetEmulator) -> None:
    scnet.regions[0].stopped = True
    source = keyed(scnet)
    with pytest.raises(ScnetAccountError):
        source.token()
    scnet.regions[0].stopped = False
    assert read_claims(source.token().text)["clusterId"] == "11112"


def test_region_that_came_later_is_found(scnet: ScnetEmulator) -> None:
    keyed(scnet).token()
    scnet.add_region("11113", "region-b")
    assert read_claims(keyed(scnet, "11113").token().text)["clusterId"] == "11113"


# --- threads --------------------------------------------------------------------------------------------------------


def in_threads(work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result(timeout=30) for future in [pool.submit(work) for _ in range(THREADS)]]


@pytest.mark.parametrize(
    ("source_of", "call"),
    [(keyed, "tokens"), (lambda scnet: stored(scnet, scnet.mint_token(100)), "renew")],
    ids=["keys", "token"],
)
def test_threads_fetch_one_token(scnet: ScnetEmulator, source_of: Any, call: str) -> None:
    source, start = source_of(scnet), threading.Barrier(THREADS)

    def work() -> str:
        start.wait(timeout=30)
        return source.token().text

    assert len(set(in_threads(work))) == 1
    assert scnet.calls == {call: 1}


def test_threads_do_not_each_try_a_renewal_that_fails(scnet: ScnetEmulator) -> None:
    scnet.fail("renew", status=503, times=None)
    token = scnet.mint_token(250)
    source, start = stored(scnet, token), threading.Barrier(THREADS)

    def work() -> str:
        start.wait(timeout=30)
        return source.token().text

    assert set(in_threads(work)) == {token}
    assert scnet.calls["renew"] <= 4


@pytest.mark.parametrize(("source_of", "call"), [(keyed, "tokens"), (stored, "renew")], ids=["keys", "token"])
def test_threads_replace_a_refused_token_once(scnet: ScnetEmulator, source_of: Any, call: str) -> None:
    source = source_of(scnet)
    refused, refusal = source.token(), threading.Barrier(THREADS)
    scnet.requests.clear()

    def answer(token: Token) -> Token:
        if token == refused:
            refusal.wait(timeout=30)  # nobody asks for another before all have been refused
            raise ScnetCredentialError("[10008]")
        return token

    assert len(set(in_threads(lambda: call_with_token(source, answer)))) == 1
    assert scnet.calls == {call: 1}


# --- secrecy --------------------------------------------------------------------------------------------------------


def test_tokens_are_masked_before_they_are_used(scnet: ScnetEmulator, masked: list[str]) -> None:
    scnet.add_region("11113", "region-b")
    minted = keyed(scnet, "11112").token().text
    assert {read_claims(token)["clusterId"] for token in masked} == {"11112", "11113"}
    assert minted in masked
    renewed = stored(scnet, scnet.mint_token(100)).token().text
    assert masked[-1] == renewed
    assert set(scnet.calls) == {"tokens", "renew"}  # not one request with a new token yet


def test_tokens_are_masked_although_the_region_is_wrong(scnet: ScnetEmulator, masked: list[str]) -> None:
    with pytest.raises(ScnetRequestError):
        keyed(scnet, "99999").token()
    assert len(masked) == 1


def test_no_secret_in_any_text(scnet: ScnetEmulator) -> None:
    keys = keyed(scnet)
    token = keys.token().text
    both = stored(scnet, token, keys)
    texts = [repr(thing) for thing in (keys, both, keys._keys, keys._entry, keys._entry.regions, keys._platform)]
    texts += [str(region) for region in keys._entry.regions]
    assert not any(secret in text for secret in scnet.secrets for text in texts)


NEW = jwt('{"computeUser":"acexample01","clusterId":"11112"}')


@pytest.mark.parametrize("call", ["tokens", "renew"])
@pytest.mark.parametrize(
    "fault",
    [
        {"code": "200", "msg": "success", "data": NEW},
        {"code": "200", "msg": "success", "data": {"token": NEW}},
        {"code": "200", "msg": "success", "data": [{"token": NEW}]},
        {"code": "200", "msg": f"token {NEW} issued"},
        {"body": json.dumps({"data": NEW})},
        {"body": json.dumps({"data": [{"clusterId": "11112", "token": NEW}]})},
        {"body": '{"code":"0","data":[{"token":"' + NEW},
        {"body": NEW},
        {"body": json.dumps({"token": "opaque-and-new"})},
    ],
    ids=["text", "object", "list", "msg", "no code", "no code, list", "cut off", "bare", "opaque"],
)
def test_new_token_in_an_unusable_answer_is_not_shown(scnet: ScnetEmulator, call: str, fault: dict[str, Any]) -> None:
    """Nobody has masked it yet."""
    scnet.fail(call, times=None, **fault)
    with pytest.raises(ScnetError) as caught:
        (keyed(scnet) if call == "tokens" else stored(scnet, scnet.mint_token(-100))).token()
    shown = f"{caught.value!s} {caught.value!r} {caught.value.args!r}"
    assert not [part for part in (NEW.split(".")[1][:20], "opaque-and-new") if part in shown]
