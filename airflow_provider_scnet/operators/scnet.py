"""The operators that a DAG imports."""

from __future__ import annotations

from airflow_provider_scnet.operators.delete import ScnetDeleteJobsOperator
from airflow_provider_scnet.operators.submit import ScnetSubmitJobOperator

__all__ = ["ScnetDeleteJobsOperator", "ScnetSubmitJobOperator"]
