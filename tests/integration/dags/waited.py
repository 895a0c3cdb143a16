"""The life of a simulation: submitted, waited for, deleted; with each way to wait, and each end."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

JOB = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}
SITUATIONS = {
    "waited_poke": ("sleep 1", {}),
    "waited_reschedule": ("sleep 1", {"mode": "reschedule"}),
    "waited_failed": ("sleep 1; exit 3", {"retries": 2, "retry_delay": timedelta(0)}),
    "waited_soft": ("sleep 1; exit 3", {"soft_fail": True}),
    "waited_too_long": ("sleep 3600", {"timeout": 1}),
}
FAILS = {"retries": 2, "retry_delay": timedelta(0)}
AS_ONE = {
    "together": ("sleep 1", {}),
    "together_failed": ("sleep 1; exit 3", {"retries": 1, "retry_delay": timedelta(0)}),
    "together_too_long": ("sleep 3600", {"timeout": 1}),
}

SITUATIONS |= {
    f"{dag_id}_deferred": (command, {**options, "deferrable": True})
    for dag_id, (command, options) in SITUATIONS.items()
    if "reschedule" not in dag_id
}
AS_ONE |= {
    f"{dag_id}_deferred": (command, {**options, "deferrable": True}) for dag_id, (command, options) in AS_ONE.items()
}

for dag_id, (command, options) in SITUATIONS.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        submit = ScnetSubmitJobOperator(task_id="submit", command=command, **JOB)
        wait = ScnetJobSensor(task_id="wait", jobs=submit.output, poke_interval=0.5, **options)
        delete_jobs = ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submit, poll_interval=0.1)
        wait >> delete_jobs.as_teardown(setups=submit)

for dag_id, (command, options) in AS_ONE.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        submit = ScnetSubmitJobOperator(
            task_id="submit", command=command, wait=True, poll_interval=0.5, **options, **JOB
        )
        delete_jobs = ScnetDeleteJobsOperator(
            task_id="delete_jobs", submitted_by=submit, poll_interval=0.1, trigger_rule="all_done", deferrable=True
        )
        submit >> delete_jobs
