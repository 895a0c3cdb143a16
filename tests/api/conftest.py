"""A transport that does not sleep, and answers to what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests_mock

from airflow_provider_scnet.api import credentials
from airflow_provider_scnet.api.credentials import KeyTokens, StoredToken, TokenCache, TokenSource
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.listing import JobListing
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.platform import AccessKeys
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.exceptions import ScnetCredentialError
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.conftest import SCHEDULER, VirtualPatience, platform_of

URL = "https://hpc.example:65051/hpc/openapi/v2/cluster"
TOKEN = "eyJhbGciOi.eyJjb21wdXRl.c2lnbmF0dXJl"
BASE = "https://hpc.example:65051/hpc"
JOBS = f"{BASE}/openapi/v2/jobs"
DAY = 24 * 3600
THREADS = 12
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SINCE, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_ca_file_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(pauses: list[float]) -> Transport:
    return Transport(patience=VirtualPatience(pauses=pauses))


@pytest.fixture
def answers() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def ask(answers: requests_mock.Mocker, transport: Transport) -> Callable[..., Any]:
    """Answer in a certain way, and ask."""

    def send(body: str | bytes = "", *, method: str = "GET", token: str = TOKEN, **answer: Any) -> Any:
        content = body if isinstance(body, bytes) else body.encode()
        answers.register_uri(method, URL, content=content, **answer)
        return transport.request(method, URL, headers={"token": Secret(token)})

    return send


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


class FixedToken(TokenSource):
    """A token that cannot be replaced."""

    def __init__(self, token: str = TOKEN) -> None:
        self._token = Token.read(token)
        self.patience = VirtualPatience()

    def token(self) -> Token:
        return self._token

    def renewed(self, stale: Token) -> Token:
        raise ScnetCredentialError(f"no other token: {stale}")

    def _known(self) -> Token:
        return self._token

    def _replace(self, token: Token | None) -> Token:
        return self.renewed(token or self._token)


@pytest.fixture
def direct() -> ScnetClient:
    """A client for an address where only `wire` answers."""
    return ScnetClient([BASE], FixedToken(), Transport(patience=VirtualPatience()))


def success(data: Any) -> dict[str, Any]:
    return {"json": {"code": "0", "msg": "success", "data": data}}


def page(total: Any, *job_ids: Any) -> dict[str, Any]:
    return {"total": total, "list": [{"jobId": job_id, "jobStatus": "statR"} for job_id in job_ids]}


def ids(records: Any) -> list[str]:
    return [record.job_id for record in records]


def past_jobs(scnet: ScnetEmulator, client: ScnetClient, **options: Any) -> JobListing:
    now = datetime.fromtimestamp(scnet.clock.now(), UTC)
    day = timedelta(days=1)
    return client.list_history(SCHEDULER, user=scnet.user, since=now - day, until=now + day, **options)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> TokenCache:
    """What the sources of a test share, as the hooks of a process do."""
    fresh = TokenCache()
    monkeypatch.setattr(Region, "shared_tokens", fresh)
    return fresh


@pytest.fixture
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


def in_threads(work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result(timeout=30) for future in [pool.submit(work) for _ in range(THREADS)]]
