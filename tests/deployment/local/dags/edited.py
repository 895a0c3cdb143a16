"""A simulation of which a task is given another name while it runs: the test edits this file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

SUBMIT_ID = "submit"
JOB: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}

with DAG("edited", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    ScnetSubmitJobOperator(task_id="left", job_name="left", command="sleep 3600", **JOB)  # nobody deletes it
    submit = ScnetSubmitJobOperator(task_id=SUBMIT_ID, job_name="edited", command="sleep 3600", **JOB)
    work = ScnetJobSensor(task_id="work", jobs=submit.output, deferrable=True, poke_interval=1)
    delete = ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, poll_interval=1, absent_for=5)
    work >> delete.as_teardown(setups=submit)
