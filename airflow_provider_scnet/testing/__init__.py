"""SCNet without an account: a faithful emulator of the OpenAPI, to test against and to try things out."""

from __future__ import annotations

from airflow_provider_scnet.testing.clock import Clock
from airflow_provider_scnet.testing.elsewhere import Bystander
from airflow_provider_scnet.testing.emulator import ScnetEmulator
from airflow_provider_scnet.testing.faults import Fault
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.regions import Region
from airflow_provider_scnet.testing.wire import RecordedRequest

__all__ = ["Bystander", "Clock", "Fault", "Job", "RecordedRequest", "Region", "ScnetEmulator"]
