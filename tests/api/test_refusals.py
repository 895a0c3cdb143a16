from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.platform import AccessKeys
from airflow_provider_scnet.api.refusals import call_with_token
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetStoppedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.api.conftest import MOMENT, THREADS, in_threads, keyed, stored
from tests.conftest import SCHEDULER, VirtualPatience, client_of, platform_of

pytestmark = pytest.mark.usefixtures("cache", "masked")
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
