"""Many simulations in one run; each of their processes reads this file, so that it is short."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

MANY = {"triggerer_killed": 50, "many": 200}
"""DAG -> number of its simulations; their jobs bear its name."""

for dag_id, number in MANY.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        submit = ScnetSubmitJobOperator.partial(
            task_id="submit",
            job_name=dag_id,
            job_queue="debug",
            work_dir="/public/home/acexample01",
            walltime="20:00:00",
            wait=True,
            deferrable=True,
            poll_interval=2,
            retries=3,
            retry_delay=timedelta(seconds=5),
        ).expand(command=["sleep 36000"] * number)
        delete = ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, retries=3, poll_interval=1)
        delete.as_teardown(setups=submit)
