"""
One simulation: submit it, work with it, and be sure that it is over at the end, whatever happened in between.

**What it shows.** Submitting is the *setup*, deleting is its *teardown*: it runs whether the work succeeded or failed,
and `on_failure_fail_dagrun` turns the run red if a job could not be stopped. A teardown that counts like this hides the
work before it from the run's state, so the work needs a follower of its own (here `publish`): Airflow judges a run by
its last tasks. As it stands, the work fails and the run ends red, with its job stopped.

**What to change.** `QUEUE` and `WORK_DIR`, the command in `submit`, and what `check_residuals` and `publish` do.

**What it costs.** One core for as long as the work takes, two hours at most (`walltime`), and about ten requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

# Change these: a queue you may use, and an existing directory of yours on the cluster.
QUEUE = "debug"
WORK_DIR = "/public/home/acexample01/run1"

with DAG(
    "scnet_simulation",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["scnet"],
):
    # It returns at once: a setup that fails is not torn down, so it must not wait for the job.
    submit = ScnetSubmitJobOperator(
        task_id="submit",
        job_name="channel_flow",
        command="sleep 3600",  # Change this: the command that runs your solver.
        job_queue=QUEUE,
        work_dir=WORK_DIR,
        walltime=timedelta(hours=2),
        cores_per_node=1,
        retries=2,  # A retry goes on with the job of the earlier try.
        retry_delay=timedelta(minutes=1),
    )

    @task
    def check_residuals(job: str) -> None:
        """Change this: the work that goes on while the simulation runs. Here it fails, to show what follows."""
        raise RuntimeError(f"the residuals of job {job} diverge")

    @task
    def publish() -> None:
        """Change this: what to do with the results of a simulation that went well."""

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=submit,  # Finds the job by its name, whether or not its reference reached XCom.
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    work = check_residuals(submit.output)
    work >> [publish(), delete_jobs.as_teardown(setups=submit, on_failure_fail_dagrun=True)]
