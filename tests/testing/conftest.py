from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from time import sleep
from typing import Any

import pytest
import requests

from airflow_provider_scnet.testing import Clock, ScnetEmulator

SCHEDULER = "1638523853"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scnet() -> Iterator[ScnetEmulator]:
    with ScnetEmulator(schedulers={SCHEDULER: "Cluster", "2000000000": "Second"}) as emulator:
        yield emulator


@pytest.fixture
def call(scnet: ScnetEmulator) -> Iterator[Callable[..., Any]]:
    """Make an HPC call with a valid token; returns the envelope."""
    with requests.Session() as session:

        def send(method: str, path: str, token: str | None = None, **options: Any) -> Any:
            headers = {"token": scnet.token if token is None else token, **options.pop("headers", {})}
            url = f"{scnet.url}/hpc/openapi/v2{path}"
            response = session.request(method, url, headers=headers, timeout=10, **options)
            assert response.status_code == 200
            return response.json()

        yield send


@pytest.fixture
def begin() -> Iterator[Callable[..., Future[Any]]]:
    """Call something that takes its time in a thread of its own."""
    pool = ThreadPoolExecutor(32)
    yield pool.submit
    pool.shutdown(wait=False)  # a test that fails may leave requests that are held


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition is true."""

    def wait(condition: Callable[[], object]) -> None:
        while not condition():
            sleep(0.005)

    return wait


@pytest.fixture
def delete(call: Callable[..., Any]) -> Callable[..., Any]:
    def send(*refs: str, **options: Any) -> Any:
        return call("DELETE", "/jobs", data={"jobMethod": "5", "strJobInfoMap": ";".join(refs)}, **options)

    return send


@pytest.fixture
def listed(call: Callable[..., Any]) -> Callable[..., Any]:
    def send(**query: Any) -> Any:
        return call("GET", "/jobs", params={"strClusterIDList": SCHEDULER, **query})

    return send


@pytest.fixture
def history(scnet: ScnetEmulator, call: Callable[..., Any]) -> Callable[..., Any]:
    def moment(offset: float) -> str:
        zone = timezone(timedelta(hours=8))
        return datetime.fromtimestamp(scnet.clock.now() + offset, zone).strftime("%Y-%m-%d %H:%M:%S")

    def send(since: float = -3600, until: float = 60, **changes: Any) -> Any:
        query = {
            "strClusterNameList": SCHEDULER,
            "startTime": moment(since),
            "endTime": moment(until),
            "timeType": "CUSTOM",
            "start": 0,
            "limit": 25,
            "isQueryByQueueTime": "false",
            **changes,
        }
        return call("GET", "/historyjobs", params=query)

    return send


@pytest.fixture
def ids() -> Callable[[Any], list[Any]]:
    """Take the job ids out of the answer of a list."""
    return lambda answer: [record["jobId"] for record in answer["data"]["list"]]
