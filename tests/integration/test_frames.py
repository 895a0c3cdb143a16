"""Whatever goes wrong, and whenever: no exception holds a secret in the local variables of its frames."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_scnet.api import credentials, transport
from airflow_provider_scnet.api.credentials import TokenCache
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.refusals import call_with_token
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.connection.settings import Settings
from airflow_provider_scnet.exceptions import ScnetError, ScnetStoppedError
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.testing import Fault, RecordedRequest, ScnetEmulator
from tests.conftest import SCHEDULER

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("without_gc"),
    pytest.mark.no_cover,  # a signal that strikes while coverage holds its lock would leave it locked for ever
    # A signal may strike in a destructor, where Python drops what it raises.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TaskTimeout(BaseException):
    """As Airflow's own, which is no ``Exception`` either."""


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_pause", lambda state: 0)
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


# --- what can be done, and what a log may draw ------------------------------------------------------------------------

CALLS: dict[str, tuple[str, Callable[[Region], Any]]] = {
    "delete": ("delete", lambda region: region.client.delete_jobs([JobRef(SCHEDULER, "u", "1")])),
    "list": ("list", lambda region: region.client.list_jobs(SCHEDULER)),
    "mint": ("tokens", lambda region: region.tokens.token()),
    "renew": ("renew", lambda region: region.tokens.token()),
    "center": ("center", lambda region: call_with_token(region.tokens, region._platform.get_center)),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def region_of(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Region]:
    """A region as the hook makes it, with tokens of its own; keys for some calls, a token for others."""

    def make(call: str) -> Region:
        if call not in settings:
            stored = scnet.mint_token(-60 if call == "renew" else 3600)
            connection = scnet.connection(password=stored) if call in ("renew", "list") else scnet.aksk_connection()
            monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", connection)
            settings[call] = ScnetHook()._region._settings
        return Region(settings[call], token_cache=TokenCache())

    settings: dict[str, Settings] = {}
    return make


def chain_of(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            links += [link.__cause__, link.__context__]


def drawn(value: object, depth: int = 3, seen: dict[int, int] | None = None) -> Iterator[str]:
    """What a debugger shows of a value that can be unfolded; of each once."""
    seen = {} if seen is None else seen
    if seen.get(id(value), -1) >= depth:
        return
    seen[id(value)] = depth
    inside: list[object] = []
    with suppress(Exception):  # whoever was struck in its constructor may not be able to show itself
        yield repr(value)
        if isinstance(value, Mapping):
            inside = [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            inside = list(value)
        elif hasattr(value, "__dict__") and not isinstance(value, type | ModuleType):
            inside = list(vars(value).values())
    for item in inside if depth else ():
        yield from drawn(item, depth - 1, seen)


def frames_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Each frame's name, and all that its local variables show; and what the exceptions themselves show."""
    seen: dict[int, int] = {}
    for link in chain_of(error):
        yield type(link).__name__, f"{link} {' '.join(drawn(link))} {getattr(link, '__notes__', '')}"
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                variables = list(frame.f_locals.values())
                yield (
                    frame.f_code.co_qualname,
                    "\n".join(text for value in variables for text in drawn(value, seen=seen)),
                )


def leaks_of(error: BaseException, scnet: ScnetEmulator) -> set[str]:
    assert len(list(frames_of(error))) > 2
    return leaks_at_all(error, scnet)


@contextmanager
def on_alarm(act: Callable[[], Any], seconds: float = 0) -> Iterator[None]:
    """
    Do something in a signal handler, as Airflow's execution time-out and its SIGTERM handler do.

    :param seconds: when; 0 for as soon as somebody sends the signal.
    """
    before = signal.signal(signal.SIGALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def strike() -> None:
    raise TaskTimeout


def alarm(request: RecordedRequest) -> bool:
    """Send the signal a moment after a request has arrived."""
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGALRM)).start()
    return True


def leaks_at_all(error: BaseException, scnet: ScnetEmulator) -> set[str]:
    return {name for name, text in frames_of(error) if any(secret in text for secret in scnet.secrets)}


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_time_out_in_the_middle_of_a_request(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str
) -> None:
    name, act = CALLS[call]
    region = region_of(call)
    scnet.fail(name, latency=60, when=alarm)
    with pytest.raises(TaskTimeout) as caught, on_alarm(strike):
        act(region)
    assert scnet.calls[name] == 1
    assert leaks_of(caught.value, scnet) == set()


def test_time_out_at_any_moment(scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str) -> None:
    """Also while a request is signed or an answer is read."""
    struck, leaks = 0, set[str]()
    for number in range(60):
        region = region_of(call)
        try:
            with on_alarm(strike, 0.0001 * (number + 1)):
                CALLS[call][1](region)
        except BaseException as error:  # where it strikes while Python waits for a lock, that may fail, too
            if not any(isinstance(link, TaskTimeout) for link in chain_of(error)):
                raise
            struck += 1
            leaks |= leaks_at_all(error, scnet)
    assert leaks == set()
    assert struck > 5


@pytest.mark.parametrize("code", ["0", "10001"])
@pytest.mark.parametrize("depth", [100, 800, 100_000])
def test_answer_nested_too_deeply(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str, code: str, depth: int
) -> None:
    name, act = CALLS[call]
    region = region_of(call)
    scnet.fail(name, body=f'{{"code":"{code}","data":{"[" * depth}"{scnet.token}"{"]" * depth}}}', times=None)
    raised: ScnetError | None = None
    try:
        data = act(region)
    except ScnetError as error:
        raised = error
    if raised:
        assert leaks_of(raised, scnet) == set()
    else:
        assert scnet.token not in repr(data)


def test_stack_that_overflows_anywhere(scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str) -> None:
    """The caller may have used up nearly all of it."""
    overflowed, leaks = 0, set[str]()

    def dive(region: Region, levels: int) -> Any:
        return dive(region, levels - 1) if levels else CALLS[call][1](region)

    used = len(traceback.extract_stack())
    for left in range(10, 200, 10):
        try:
            dive(region_of(call), sys.getrecursionlimit() - used - left)
        except RecursionError as error:
            overflowed += 1
            leaks |= leaks_at_all(error, scnet)
    assert leaks == set()
    assert overflowed


@pytest.mark.parametrize("place", ["open_envelope", "read_body", "error_on_the_way"])
def test_defect_of_ours(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        1 / 0  # noqa: B018

    name, act = CALLS[call]
    region = region_of(call)
    scnet.fail(name, drop=place == "error_on_the_way", times=None)
    if call in ("delete", "list"):
        assert region.client
    elif call == "center":
        assert region.tokens.token()
    monkeypatch.setattr(transport, place, broken)
    with pytest.raises(ZeroDivisionError) as caught:
        act(region)
    assert "in broken" in caught.value.__notes__[0]
    assert leaks_of(caught.value, scnet) == set()


def test_defect_where_records_are_read(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    region = region_of("list")
    scnet.add_job(name=region.tokens.token().text)
    monkeypatch.setattr(JobRecord, "read", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        CALLS["list"][1](region)
    assert leaks_of(caught.value, scnet) == set()


@pytest.mark.parametrize("call", ["mint", "renew"])
def test_time_out_while_airflow_masks_a_token(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends each secret to its supervisor, which takes a while."""

    def mask(secret: str) -> None:
        raise TaskTimeout

    monkeypatch.setattr(credentials, "mask_secret", mask)
    with pytest.raises(TaskTimeout) as caught:
        CALLS[call][1](region_of(call))
    assert leaks_of(caught.value, scnet) == set()
    assert not any(frame.f_code.co_name == "mask" for frame, _ in traceback.walk_tb(caught.value.__traceback__))


def echoed(fault: Fault, value: Any) -> Callable[[RecordedRequest], bool]:
    """Let a fault repeat the credential with which it was asked, or a new one that nobody knows yet."""

    def put(request: RecordedRequest) -> bool:
        sent = request.headers.get("token") or request.headers["signature"]
        assert fault.answer
        fault.answer = replace(fault.answer, body=value.replace(b"@@", sent.encode()))
        return True

    return put


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": True},
        {"status": 503},
        {"status": 500, "body": "@@"},
        {"code": "10008", "msg": "@@", "data": {"@@": "@@"}},
        {"code": "10009", "msg": "@@"},
        {"code": "0", "data": "@@ @@", "status": 500},
        {"body": '{"code":"0","data":{"tokens":"@@"'},
        {"redirect": "https://login.example/@@"},
        {"drip": 1.0},
    ],
    ids=str,
)
def test_error_of_the_service_or_on_the_way(
    scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str, fault: dict[str, Any]
) -> None:
    name, act = CALLS[call]
    region = region_of(call)
    if call in ("delete", "list"):
        region.client._transport._timeout = (0.1, 0.1)
    for sender in (region._platform._api, region._platform._platform):
        sender._timeout = (0.1, 0.1)
    planned = scnet.fail(name, times=None, **fault)
    if planned.answer and planned.answer.body:
        planned.when = echoed(planned, planned.answer.body)
    with pytest.raises(ScnetError) as caught:
        act(region)
    assert planned.hits
    assert leaks_of(caught.value, scnet) == set()


def test_stop(scnet: ScnetEmulator, region_of: Callable[[str], Region], call: str) -> None:
    name, act = CALLS[call]
    region = region_of(call)
    scnet.fail(name, latency=60, when=alarm)
    with pytest.raises(ScnetStoppedError) as caught, on_alarm(region.patience.stop):
        act(region)
    assert scnet.calls[name] == 1
    assert leaks_of(caught.value, scnet) == set()


def test_the_search_finds_what_is_there(scnet: ScnetEmulator) -> None:
    class Holder:
        def __init__(self) -> None:
            self.inner = {"headers": [scnet.token]}

    with pytest.raises(ValueError, match="x") as caught:
        exec(
            compile("def f(holder):\n    raise ValueError('x')\nf(holder)", "elsewhere.py", "exec"),
            {"holder": Holder()},
        )
    assert leaks_of(caught.value, scnet) == {"<module>"}
