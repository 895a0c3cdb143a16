from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_scnet.api.credentials import (
    KeyTokens,
    TokenCache,
    TokenSource,
)
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.platform import AccessKeys
from airflow_provider_scnet.api.tokens import RegionToken, Token, read_claims
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    ScnetTransientError,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.api.conftest import DAY, THREADS, in_threads, keyed, stored
from tests.conftest import SCHEDULER, client_of, jwt, platform_of

pytestmark = pytest.mark.usefixtures("cache", "masked")


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
    platform, region = scnet.mint_token(platform=True), scnet.mint_token()
    entries = [{"clusterId": "0", "clusterName": "ac", "token": platform}, {"clusterId": "11112", "token": region}]
    scnet.fail("renew", code="0", data=entries)
    assert stored(scnet, scnet.mint_token(100)).token().text == region


def test_renewal_of_an_opaque_token_that_lists_regions(scnet: ScnetEmulator) -> None:
    platform, region = scnet.mint_token(platform=True), scnet.mint_token()
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
    [
        ("", [A], A),
        ("", [A, STOPPED], A),
        ("", [STOPPED, B], B),
        ("2", [A, B], B),
        ("b", [A, B], B),
        ("1", [STOPPED, B, A], A),
    ],
)
def test_choice_of_a_region(scnet: ScnetEmulator, region: str, regions: list[RegionToken], chosen: RegionToken) -> None:
    assert keyed(scnet, region).choose(regions) is chosen


@pytest.mark.parametrize(
    ("region", "regions", "error_class", "said"),
    [
        ("", [A, B], ScnetRequestError, ["extra `region`", "1 (a), 2 (b)"]),
        ("", [A, B, STOPPED], ScnetRequestError, ["extra `region`", "1 (a), 2 (b)."]),
        ("4", [A, STOPPED], ScnetRequestError, ["extra `region`='4'", "1 (a), 3 (c)"]),
        ("z", [A], ScnetRequestError, ["extra `region`='z'", "1 (a)"]),
        ("a", [A, RegionToken("4", "a", None)], ScnetRequestError, ["`region`='a': several", "1 (a), 4 (a)."]),
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
