"""Many simulations that go on when the work is done, and one teardown for all of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

with DAG("torn_down", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    submit = ScnetSubmitJobOperator.partial(
        task_id="submit", job_queue="debug", work_dir="/public/home/acexample01", walltime=timedelta(hours=2)
    ).expand(command=[f"sleep {seconds}" for seconds in range(3600, 3606)])

    @task
    def pick_best(jobs: list[str]) -> str:
        return next(iter(jobs))

    @task
    def publish(job: str) -> None:
        pass

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs", submitted_by=submit, retries=2, retry_delay=timedelta(minutes=1)
    )
    best = pick_best(submit.output)
    publish(best)
    best >> delete_jobs.as_teardown(setups=submit, on_failure_fail_dagrun=True)
