"""SCNet without an account: a faithful emulator of the HPC OpenAPI, to test against and to try things out."""

from __future__ import annotations

from airflow_provider_scnet.testing.cluster import Clock, Job
from airflow_provider_scnet.testing.emulator import ScnetEmulator
from airflow_provider_scnet.testing.faults import Fault
from airflow_provider_scnet.testing.wire import RecordedRequest

__all__ = ["Clock", "Fault", "Job", "RecordedRequest", "ScnetEmulator"]
