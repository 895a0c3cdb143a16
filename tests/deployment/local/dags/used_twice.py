"""A simulation that is waited for, of whose name the wait knows nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

JOB: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}

with DAG("used_twice", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    submit = ScnetSubmitJobOperator(task_id="submit", job_name="used_twice", command="sleep 3600", **JOB)
    wait = ScnetJobSensor(task_id="wait", jobs=submit.output, deferrable=True, poke_interval=1)
    delete = ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, poll_interval=1, deferrable=True)
    wait >> delete.as_teardown(setups=submit)
