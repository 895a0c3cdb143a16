"""Simulations that things happen to: the jobs of each DAG bear its name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.jobs import submission
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

submission.SETTLING_TIME = 5.0  # the lists here do not lag, and each retry waits for so long
JOB = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "20:00:00"}
LONG = "sleep 36000"
MEANWHILE = timedelta(seconds=5)
"""Between two tries."""


def dag(dag_id: str, **options: Any) -> DAG:
    """A DAG that a test starts."""
    return DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False, **options)


def submit_job(**options: Any) -> ScnetSubmitJobOperator:
    """Submit a job with the name of the DAG."""
    usual = {"command": LONG, "job_name": "{{ dag.dag_id }}", "retries": 3, "retry_delay": MEANWHILE}
    return ScnetSubmitJobOperator(task_id="submit", **JOB, **{**usual, **options})


def delete_jobs(submit: Any, **options: Any) -> ScnetDeleteJobsOperator:
    """Delete what a task has submitted."""
    usual = {"retries": 4, "retry_delay": MEANWHILE, "poll_interval": 1, "absent_for": 5, "timeout": 120}
    return ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, **{**usual, **options})


SUBMITTED: dict[str, dict[str, Any]] = {
    "answer_lost": {},
    "answer_late": {"execution_timeout": timedelta(seconds=30)},
    "task_killed": {},
    "worker_killed": {},
    "api_server_away": {},
    "killed_and_marked": {"retries": 1, "retry_delay": timedelta(hours=1)},
    "away_while_submitting": {"retries": 8},
}
for dag_id, options in SUBMITTED.items():
    with dag(dag_id):
        submit = submit_job(**options)
        delete_jobs(submit).as_teardown(setups=submit)

DELETED = ["delete_killed", "worker_drained", "away_while_deleting", "control_plane_killed"]
for dag_id in DELETED:
    with dag(dag_id):
        submit = submit_job()
        delete_jobs(submit).as_teardown(setups=submit)

for dag_id in ("run_cleared", "away_while_waiting", "tokens_revoked", "shared"):
    with dag(dag_id):
        submit = submit_job()
        wait = ScnetJobSensor(
            task_id="wait", jobs=submit.output, deferrable=True, poke_interval=2, retries=3, retry_delay=MEANWHILE
        )
        wait >> delete_jobs(submit).as_teardown(setups=submit)

with dag("work_cleared"):
    submit = submit_job()

    @task
    def work() -> None:
        """Ends at once, so that the teardown begins."""

    submit >> work() >> delete_jobs(submit).as_teardown(setups=submit)

for dag_id in ("deferred_failed", "deferred_success", "deferred_cleared", "waits_beside"):
    with dag(dag_id):
        submit_job(wait=True, deferrable=True, poll_interval=1, retries=0)

with dag("member_cancelled"):
    submit = submit_job(command="sleep 5", array_size=3)
    cancel = ScnetDeleteJobsOperator(
        task_id="cancel", jobs="{{ ti.xcom_pull('submit').removesuffix(':') }}_3:", poll_interval=1, absent_for=5
    )
    wait = ScnetJobSensor(task_id="wait", jobs=submit.output, deferrable=True, poke_interval=2)
    submit >> cancel
    wait >> delete_jobs(submit).as_teardown(setups=submit)

with dag("never_torn_down"):
    submit = submit_job()
    delete_jobs(submit, pool="closed", retries=1, retry_delay=timedelta(seconds=1)).as_teardown(setups=submit)

with dag("out_of_time", dagrun_timeout=timedelta(seconds=60)):
    submit = submit_job()
    wait = ScnetJobSensor(task_id="wait", jobs=submit.output, deferrable=True, poke_interval=2)
    wait >> delete_jobs(submit).as_teardown(setups=submit)
