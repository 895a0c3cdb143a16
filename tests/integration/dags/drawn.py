"""Tasks that end in the middle of our code: one with an error of SCNet's, one with Airflow's time-out."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG("drawn", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    refused = ScnetDeleteJobsOperator(task_id="refused", jobs="4711", timeout=1, poll_interval=0.2)
    slow = ScnetDeleteJobsOperator(
        task_id="slow", jobs="4712", execution_timeout=timedelta(seconds=2), trigger_rule="all_done"
    )
    refused >> slow
