"""
Many simulations by dynamic task mapping, and one teardown for all of them.

**What it shows.** Every case is a task of its own, so that one refused case does not hide the others. The sweep is over
as soon as one case is good enough; the teardown stops whatever still runs then, with one request for up to 50 jobs.

**What to change.** `QUEUE`, `WORK_DIR` and `MACH_NUMBERS`, the command in `submit`, and what `pick_best` and `publish`
do.

**What it costs.** One core for each case until the best one is found, two hours at most (`walltime`), and about
four requests for each case.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

# Change these: a queue you may use, an existing directory of yours on the cluster, and the cases to run.
QUEUE = "debug"
WORK_DIR = "/public/home/acexample01/sweep"
MACH_NUMBERS = [0.3, 0.5, 0.7, 0.9, 1.1, 1.3]

with DAG(
    "scnet_parameter_sweep",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["scnet"],
):
    # Each returns at once: a setup that fails is not torn down, so it must not wait for its job.
    submit = ScnetSubmitJobOperator.partial(
        task_id="submit",
        job_queue=QUEUE,
        work_dir=WORK_DIR,
        walltime=timedelta(hours=2),
        cores_per_node=1,
        retries=2,  # A retry goes on with the job of the earlier try.
        retry_delay=timedelta(minutes=1),
    ).expand_kwargs(
        [
            {"job_name": f"mach_{mach}", "command": "sleep 3600"}  # Change this: your solver's command for this case.
            for mach in MACH_NUMBERS
        ]
    )

    @task
    def pick_best(jobs: list[str]) -> str:
        """Change this: look at the results as they come and return the case to keep."""
        return next(iter(jobs))

    @task
    def publish(job: str) -> None:
        """Change this: what to do with the best case. As a last task it lets a failed sweep turn the run red."""

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=submit,  # Finds all jobs by their names, whether or not their references reached XCom.
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    best = pick_best(submit.output)
    publish(best)
    best >> delete_jobs.as_teardown(setups=submit, on_failure_fail_dagrun=True)
