"""Deletions that are stopped: while they wait, while they look, while they send."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

SITUATIONS = {
    "stopped_waiting": {"poll_interval": 60},
    "stopped_looking": {"poll_interval": 0.1},
    "stopped_sending": {"batch_size": 1},
}

for dag_id, options in SITUATIONS.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        ScnetDeleteJobsOperator(task_id="delete_jobs", jobs="101, 102, 103, 104", timeout=600, **options)
