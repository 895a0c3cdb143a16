"""Several tasks with one AK/SK pair at once, where a new token ends the older ones: each gets through."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from airflow_provider_scnet.api.addresses import gateway_address
from airflow_provider_scnet.api.credentials import KeyTokens, TokenCache
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.platform import AccessKeys, PlatformClient
from airflow_provider_scnet.api.transport import Transport
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.wording import Secret
from tests.conftest import EXAMPLE_DAGS, SCHEDULER

pytestmark = pytest.mark.integration

TASK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from airflow_provider_scnet.hooks.scnet import ScnetHook

def work(number):
    client = ScnetHook().client
    for _ in range(int(sys.argv[2])):
        client.list_jobs("1638523853")

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(int(sys.argv[1])) as pool:
    futures = [pool.submit(work, number) for number in range(int(sys.argv[1]))]
for future in futures:  # printed only now, for Airflow 2.11 logs to the same stream from every thread
    error = future.exception()
    print("failed: " + str(error) if error else "done")
"""


@pytest.fixture
def jealous(scnet: ScnetEmulator) -> ScnetEmulator:
    scnet.new_tokens_revoke = True
    return scnet


def said_by(processes: int, threads: int, calls: int, scnet: ScnetEmulator) -> list[str]:
    """Run processes that all begin at once, each with threads that make some calls; return what these said."""
    environment = {
        **os.environ,
        "AIRFLOW_CONN_SCNET_DEFAULT": scnet.aksk_connection(host=scnet.url),
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE_DAGS.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-W", "ignore", "-c", TASK, str(threads), str(calls)]
    with ExitStack() as stack:
        tasks = [
            stack.enter_context(
                subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(processes)
        ]
        for task in tasks:
            assert task.stdout
            while task.stdout.readline().strip() != "ready":
                assert task.poll() is None
        for task in tasks:
            assert task.stdin
            task.stdin.write("go\n")
            task.stdin.flush()
        lines = [line for task in tasks for line in task.communicate(timeout=120)[0].splitlines()]
        return [line for line in lines if line.startswith(("done", "failed"))]  # Airflow 2.11 logs there, too


@pytest.mark.parametrize(("processes", "threads", "calls"), [(2, 1, 10), (4, 15, 1)])
def test_processes(jealous: ScnetEmulator, processes: int, threads: int, calls: int) -> None:
    assert said_by(processes, threads, calls, jealous) == ["done"] * processes * threads
    assert jealous.calls["tokens"] >= processes  # more, as far as they ended each other's tokens


def test_threads_of_several_regions_or_connections(jealous: ScnetEmulator) -> None:
    """Threads that share a cache share their tokens; here are four caches."""
    account = jealous.account
    pair = AccessKeys(account.login, Secret(account.access_key), Secret(account.secret_key))

    def client() -> ScnetClient:
        transport = Transport()
        platform = PlatformClient(jealous.url, jealous.url, api=transport, platform=transport)
        tokens = KeyTokens(pair, platform, cache=TokenCache())
        return ScnetClient([gateway_address(jealous.url)], tokens, transport)

    clients = [client() for _ in range(4)]
    with ThreadPoolExecutor(60) as pool:
        lists = [pool.submit(client.list_jobs, SCHEDULER) for client in clients for _ in range(15)]
        failures = [future.exception(timeout=120) for future in lists]
    assert failures == [None] * 60
