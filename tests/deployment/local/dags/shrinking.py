"""Simulations of a list that is shorter after a clear."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, get_current_context, task, task_group

from airflow_provider_scnet.jobs import submission
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

JOB: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}
submission.SETTLING_TIME = 5.0  # the lists here do not lag, and each clear waits for so long

with DAG("shrinking", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

    @task
    def cases() -> list[str]:
        return ["sleep 3600", "sleep 3601", "sleep 3602"][: 4 - get_current_context()["ti"].try_number]

    @task_group
    def case(command: str) -> None:
        submit = ScnetSubmitJobOperator(task_id="submit", job_name="shrinking", command=command, **JOB)
        work = ScnetJobSensor(task_id="work", jobs=submit.output, mode="reschedule", poke_interval=3)
        delete = ScnetDeleteJobsOperator(
            task_id="delete", submitted_by=submit, poll_interval=1, absent_for=5, deferrable=True
        )
        work >> delete.as_teardown(setups=submit)

    case.expand(command=cases())
