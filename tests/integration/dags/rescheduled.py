"""Submissions that only Airflow 3.4 knows: a full queue that uses up no retry, and a loop of simulations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task_group

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

JOB = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

    RESCHEDULE: Any = RetryAction.RESCHEDULE
except (ImportError, AttributeError):  # Airflow < 3.4
    RESCHEDULE = None

if RESCHEDULE:
    for dag_id, error in {"rescheduled_full": "ScnetQueueFullError", "rescheduled_lost": "ScnetTransientError"}.items():
        rule = RetryRule(
            exception=f"airflow_provider_scnet.exceptions.{error}",
            action=RESCHEDULE,
            retry_delay=timedelta(0),
            max_reschedules=3,
        )
        with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
            submit = ScnetSubmitJobOperator(
                task_id="submit", command="sleep 3600", retry_policy=ExceptionRetryPolicy(rules=[rule]), **JOB
            )
            ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submit, poll_interval=0.05).as_teardown(
                setups=submit
            )

    with DAG("looped", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

        @task_group
        def refine() -> None:
            ScnetSubmitJobOperator(
                task_id="submit",
                command="sleep 0",
                wait=True,
                poll_interval=0.2,
                retries=1,
                retry_delay=timedelta(0),
                **JOB,
            )

        refine.loop(max_iterations=2)
