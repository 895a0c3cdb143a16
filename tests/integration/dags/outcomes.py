"""Errors that a retry cannot help, and one that it can."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

DEFAULTS = {"poll_interval": 0.05, "timeout": 0.3, "retries": 2, "retry_delay": timedelta(0)}

with DAG("outcomes", schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args=DEFAULTS):
    ScnetDeleteJobsOperator(task_id="frozen", jobs="101")
    ScnetDeleteJobsOperator(task_id="gives_in_later", jobs="102")
    ScnetDeleteJobsOperator(task_id="never_ends", jobs="103", retries=1)
