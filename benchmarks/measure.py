"""One deletion, measured: the only place of the benchmarks that knows how a deletion is run and how it waits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.connection.settings import ConnectionFields, read_settings
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.testing import ScnetEmulator

LATENCY = 0.02
"""Seconds that the emulator takes for each answer, in real time."""


@dataclass(frozen=True)
class Measured:
    """
    What a deletion cost.

    :param seconds: real time, in which none of the waits is.
    :param waits: seconds that it wanted to wait between requests; the emulator's clock was moved by them.
    :param outcome: what became of the jobs, in the words of the report.
    """

    requests: int
    seconds: float
    waits: float
    outcome: str


class Waits(Patience):
    """
    Add up how long a deletion wants to wait, and let that time pass on the emulator's clock alone.

    :param scnet: whose clock.
    """

    def __init__(self, scnet: ScnetEmulator) -> None:
        super().__init__()
        self._clock = scnet.clock
        self.seconds = 0.0

    def now(self) -> float:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self._clock.advance(seconds)


def measure(scnet: ScnetEmulator, refs: Iterable[str], **options: Any) -> Measured:
    """
    Delete jobs the way a task does, over real HTTP, and say what it cost.

    :param options: of the deletion, where they are not the defaults.
    """
    waits = Waits(scnet)
    sent_before, started = len(scnet.requests), time.perf_counter()
    deletion = Deletion(_client(scnet, waits), parse_jobs(list(refs)), DeleteOptions(**options))
    try:
        report = deletion.run()
    except ScnetError:
        report = deletion.report()
    seconds = time.perf_counter() - started
    return Measured(len(scnet.requests) - sent_before, seconds, waits.seconds, str(report))


def _client(scnet: ScnetEmulator, waits: Waits) -> ScnetClient:
    """What a hook makes of a Connection, but for the waiting."""
    os.environ["AIRFLOW_CONN_SCNET_DEFAULT"] = scnet.connection()
    connection = ScnetHook.get_connection(ScnetHook.default_conn_name)
    settings = read_settings(ConnectionFields(ScnetHook.default_conn_name, connection))
    return Region(settings, patience=waits).client
