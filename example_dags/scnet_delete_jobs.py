"""
Delete given jobs: trigger it with the parameter ``jobs``, e.g. ``197, 198`` or ``1638523853,acexample01:197:``.

Plain ids are completed from the Connection; nothing given means nothing to do.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG(
    "scnet_delete_jobs",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"jobs": ""},
    tags=["scnet"],
):
    ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        jobs="{{ params.jobs }}",
        retries=2,  # Change this: how often to try again where trying again can help.
    )
