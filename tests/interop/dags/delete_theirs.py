"""Deletes jobs that somebody else's client has submitted."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG("delete_theirs", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    ScnetDeleteJobsOperator(task_id="delete_jobs", jobs="{{ dag_run.conf['jobs'] }}", poll_interval=0.2)
