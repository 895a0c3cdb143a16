"""
Many simulations by dynamic task mapping, and one teardown for all of them.

**What it shows.** Every case is a task of its own, so that one refused case does not hide the others. The sweep is over
as soon as one case is good enough; the teardown stops whatever still runs then, with one request for up to 50 jobs.

**What to change.** `QUEUE`, `WORK_DIR` and `MACH_NUMBERS`, the command in `submit`, and what `pick_best` and `publish`
do.

**What it costs.** One core for each case until the best one is found, two hours at most (`GAP_WALL_TIME`), and about
four requests for each case.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, setup, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

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

    @setup
    @task
    def submit(mach: float) -> str:
        """Submit one case and return at once: a setup that fails is not torn down, so it must not wait for the job."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook

        hook = ScnetHook()
        return hook.client.submit_job(
            hook.scheduler_id,
            {
                "GAP_JOB_NAME": f"mach_{mach}",
                "GAP_CMD_FILE": "sleep 3600",  # Change this: the command that runs your solver for this case.
                "GAP_QUEUE": QUEUE,
                "GAP_NNODE": "1",
                "GAP_NODE_STRING": "",
                "GAP_PPN": "1",
                "GAP_WALL_TIME": "02:00:00",
                "GAP_WORK_DIR": WORK_DIR,
                "GAP_SUBMIT_TYPE": "cmd",
                "GAP_APPNAME": "BASE",
                "GAP_STD_OUT_FILE": f"{WORK_DIR}/{mach}.out.%j",
                "GAP_STD_ERR_FILE": f"{WORK_DIR}/{mach}.err.%j",
            },
        )

    @task
    def pick_best(job_ids: list[str]) -> str:
        """Change this: look at the results as they come and return the case to keep."""
        return next(iter(job_ids))

    @task
    def publish(job_id: str) -> None:
        """Change this: what to do with the best case. As a last task it lets a failed sweep turn the run red."""

    jobs = submit.expand(mach=MACH_NUMBERS)
    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        jobs=jobs,
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    best = pick_best(jobs)
    publish(best)
    best >> delete_jobs.as_teardown(setups=jobs.operator, on_failure_fail_dagrun=True)
