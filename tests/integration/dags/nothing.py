"""Nothing to delete: usual for a task, strange for a teardown."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, setup, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG("nothing", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

    @setup
    @task
    def submit() -> None:
        """Forget to return the job."""

    job = submit()
    plain = ScnetDeleteJobsOperator(task_id="plain", jobs=job)
    plain >> ScnetDeleteJobsOperator(task_id="teardown", jobs=job).as_teardown(setups=job.operator)
