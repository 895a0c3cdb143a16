"""Simulations that are cleared, after the DAG file was edited or while their siblings run."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.jobs import submission
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

JOB: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}
submission.SETTLING_TIME = 5.0  # the lists here do not lag, and each clear waits for so long
EDITS = Path(__file__).with_suffix(".json")
"""What a test has made of the arguments of its task; a person would edit this file."""
edited = json.loads(EDITS.read_text()) if EDITS.exists() else {}

for dag_id in ("cleared_after_an_edit", "cleared_without_the_task"):
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        usual = {"command": "sleep 3600", "retries": 1}
        ScnetSubmitJobOperator(task_id="submit", job_name=dag_id, **{**JOB, **usual, **edited.get(dag_id, {})})

with DAG("one_wait_cleared", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    submit = ScnetSubmitJobOperator.partial(
        task_id="submit", job_name="one_wait_cleared", on_clear="keep", **JOB
    ).expand(command=["sleep 3600", "sleep 3601"])
    wait = ScnetJobSensor.partial(task_id="wait", deferrable=True, poke_interval=1).expand(jobs=submit.output)
    delete = ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, poll_interval=1, deferrable=True)
    wait >> delete.as_teardown(setups=submit)
