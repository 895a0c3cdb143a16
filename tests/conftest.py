"""A throw-away Airflow for the whole run, and an emulator, a client and a deletion for each test."""

from __future__ import annotations

import base64
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"

# Before anything imports Airflow: neither the settings nor the connections of the user's own one may count.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
_home = tempfile.TemporaryDirectory(prefix="airflow-provider-scnet-", ignore_cleanup_errors=True)
os.environ.update(
    AIRFLOW_HOME=_home.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=f"{_home.name}/dags",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW_VAR_SCNET_NAMESPACE="tests",
    NO_PROXY="127.0.0.1,localhost",
)

import pytest  # noqa: E402

from airflow_provider_scnet.api.addresses import gateway_address  # noqa: E402
from airflow_provider_scnet.api.credentials import StoredToken, TokenCache  # noqa: E402
from airflow_provider_scnet.api.gateway import ScnetClient  # noqa: E402
from airflow_provider_scnet.api.patience import Patience  # noqa: E402
from airflow_provider_scnet.api.platform import PlatformClient  # noqa: E402
from airflow_provider_scnet.api.tokens import Token  # noqa: E402
from airflow_provider_scnet.api.transport import Transport  # noqa: E402
from airflow_provider_scnet.connection.region import Region  # noqa: E402
from airflow_provider_scnet.jobs.deletion import Deletion  # noqa: E402
from airflow_provider_scnet.jobs.options import DeleteOptions  # noqa: E402
from airflow_provider_scnet.jobs.parsing import parse_jobs  # noqa: E402
from airflow_provider_scnet.jobs.report import DeletionReport  # noqa: E402
from airflow_provider_scnet.testing import ScnetEmulator  # noqa: E402

SCHEDULER = "1638523853"
SECOND_SCHEDULER = "2000000000"


@pytest.fixture
def scnet() -> Iterator[ScnetEmulator]:
    with ScnetEmulator(schedulers={SCHEDULER: "Cluster", SECOND_SCHEDULER: "Second"}) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _tokens_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps its tokens, and an emulator may get the port of an earlier one."""
    monkeypatch.setattr(Region, "shared_tokens", TokenCache())


@pytest.fixture(autouse=True)
def _secrets_of_this_test() -> None:
    """
    Airflow masks all secrets that a process has ever been told, and with each new one compiles them all again: those of
    thousands of tests take seconds.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("airflow.") and name.endswith("secrets_masker") and hasattr(module, "_secrets_masker"):
            masker = module._secrets_masker()
            masker.patterns, masker.replacer = set(), None


def jwt(payload: str | bytes) -> str:
    """A token with this payload."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return f"e30.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.c2ln"


class VirtualPatience(Patience):
    """
    Patience that does not sleep.

    :param scnet: the emulator whose clock to look at and to move.
    :param pauses: where to note how long it would have slept.
    """

    def __init__(self, scnet: ScnetEmulator | None = None, pauses: list[float] | None = None) -> None:
        super().__init__()
        self._clock = scnet.clock if scnet else None
        self._pauses = [] if pauses is None else pauses

    def now(self) -> float:
        return self._clock.now() if self._clock else super().now()

    def wall_clock(self) -> float:
        return self._clock.now() if self._clock else super().wall_clock()

    def sleep(self, seconds: float) -> None:
        self.check()
        self._pauses.append(seconds)
        if self._clock:
            self._clock.advance(seconds)


def platform_of(scnet: ScnetEmulator) -> PlatformClient:
    """The emulator's platform, on the emulator's clock."""
    transport = Transport(field="extra `platform_url`", patience=VirtualPatience(scnet))
    return PlatformClient(scnet.url, scnet.url, api=transport, platform=transport, now=scnet.clock.now)


def client_of(scnet: ScnetEmulator, token: str | None = None, gateways: Sequence[str] = ()) -> ScnetClient:
    """A client that waits on the emulator's clock instead of sleeping."""
    stored = Token.read(token or scnet.token)
    tokens = StoredToken(stored, platform_of(scnet), cache=TokenCache(), now=scnet.clock.now)
    return ScnetClient(gateways or [gateway_address(scnet.url)], tokens, Transport(patience=VirtualPatience(scnet)))


class TaskInstance(SimpleNamespace):
    """What the operator asks of Airflow's task instance."""

    def __init__(self, **parts: Any) -> None:
        usual = {"dag_id": "flow", "run_id": "manual", "task_id": "submit", "map_index": -1}
        super().__init__(**{**usual, "try_number": 1, "max_tries": 0, "pushed": {}, "start_date": None, **parts})

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def without_gc() -> Iterator[None]:
    """Where the stack is full, whoever is called back by the garbage collector fails, too, which pytest finds later."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def client(scnet: ScnetEmulator) -> ScnetClient:
    return client_of(scnet)


@pytest.fixture
def delete(scnet: ScnetEmulator, client: ScnetClient) -> Callable[..., DeletionReport]:
    """Delete jobs, given as emulated jobs or as anything `jobs` accepts, on the emulator's clock."""

    def run(*jobs: Any, **options: Any) -> DeletionReport:
        refs = parse_jobs([getattr(job, "ref", job) for job in jobs], scheduler_id=SCHEDULER, user=scnet.user)
        return Deletion(client, refs, DeleteOptions(**options)).run()

    return run


@pytest.fixture
def scnet_default(scnet: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> ScnetEmulator:
    """The emulator as Airflow's connection `scnet_default`."""
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
    return scnet
