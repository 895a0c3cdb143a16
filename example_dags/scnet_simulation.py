"""
One simulation: submit it, work with it, and be sure that it is over at the end, whatever happened in between.

**What it shows.** Submitting is the *setup*, deleting is its *teardown*: it runs whether the work succeeded or failed,
and `on_failure_fail_dagrun` turns the run red if a job could not be stopped. A teardown that counts like this hides the
work before it from the run's state, so the work needs a follower of its own (here `publish`): Airflow judges a run by
its last tasks. As it stands, the work fails and the run ends red, with its job stopped.

**What to change.** `QUEUE` and `WORK_DIR`, the command in `submit`, and what `check_residuals` and `publish` do.

**What it costs.** One core for as long as the work takes, two hours at most (`GAP_WALL_TIME`), and about ten requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, setup, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

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

    @setup
    @task
    def submit() -> str:
        """Submit and return at once: a setup that fails is not torn down, so it must not wait for the job."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook

        hook = ScnetHook()
        return hook.client.submit_job(
            hook.scheduler_id,
            {
                "GAP_JOB_NAME": "channel_flow",
                "GAP_CMD_FILE": "sleep 3600",  # Change this: the command that runs your solver.
                "GAP_QUEUE": QUEUE,
                "GAP_NNODE": "1",
                "GAP_NODE_STRING": "",
                "GAP_PPN": "1",
                "GAP_WALL_TIME": "02:00:00",
                "GAP_WORK_DIR": WORK_DIR,
                "GAP_SUBMIT_TYPE": "cmd",
                "GAP_APPNAME": "BASE",
                "GAP_STD_OUT_FILE": f"{WORK_DIR}/std.out.%j",
                "GAP_STD_ERR_FILE": f"{WORK_DIR}/std.err.%j",
            },
        )

    @task
    def check_residuals(job_id: str) -> None:
        """Change this: the work that goes on while the simulation runs. Here it fails, to show what follows."""
        raise RuntimeError(f"the residuals of job {job_id} diverge")

    @task
    def publish() -> None:
        """Change this: what to do with the results of a simulation that went well."""

    job = submit()
    work = check_residuals(job)
    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        jobs=job,
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    work >> [publish(), delete_jobs.as_teardown(setups=job.operator, on_failure_fail_dagrun=True)]
