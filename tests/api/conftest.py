"""A transport that does not sleep, and answers to what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests_mock

from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.wording import Secret
from tests.conftest import VirtualPatience

URL = "https://hpc.example:65051/hpc/openapi/v2/cluster"
TOKEN = "eyJhbGciOi.eyJjb21wdXRl.c2lnbmF0dXJl"


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
