"""
One simulation: submit it, wait for it, work with it, and be sure that it is over at the end, whatever happened.

**What it shows.** Submitting is the *setup*, deleting is its *teardown*: it runs whether the work succeeded or failed,
and `on_failure_fail_dagrun` turns the run red if a job could not be stopped. A teardown that counts like this hides the
work before it from the run's state, so the work needs a follower of its own (here `publish`): Airflow judges a run by
its last tasks. As it stands, the solver diverges: the task `wait` fails with the end of its log and the reason, and the
run ends red.

**What to change.** `QUEUE` and `WORK_DIR`, the command in `submit`, and what `evaluate` and `publish` do.

**What it costs.** One core for as long as the simulation runs, two hours at most (`walltime`), and about ten requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

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
        command=[  # Change this: the commands that run your solver.
            "set -e",
            "echo 'step 1: residual 0.3'",
            "sleep 2",
            "echo 'step 2: residual nan, giving up' >&2",
            "exit 3",
        ],
        job_queue=QUEUE,
        work_dir=WORK_DIR,
        walltime=timedelta(hours=2),
        cores_per_node=1,
        retries=2,  # A retry goes on with the job of the earlier try.
        retry_delay=timedelta(minutes=1),
    )

    wait = ScnetJobSensor(
        task_id="wait",
        jobs=submit.output,
        deferrable=True,  # No worker is held while the job waits and runs.
        poke_interval=5,  # A look costs the same whatever the number of tasks.
        timeout=timedelta(days=1).total_seconds(),
    )

    @task
    def evaluate(job: str) -> None:
        """Change this: the work with the results while they lie on the cluster."""

    @task
    def publish() -> None:
        """Change this: what to do when all went well."""

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=submit,  # Finds the job by its name, whether or not its reference reached XCom.
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    work = evaluate(submit.output)
    wait >> work >> [publish(), delete_jobs.as_teardown(setups=submit, on_failure_fail_dagrun=True)]
