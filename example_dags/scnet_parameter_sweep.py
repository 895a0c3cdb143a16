"""
Many simulations by dynamic task mapping, and one teardown for all of them.

The sweep is over as soon as one case is good enough; whatever still runs then is stopped.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, setup, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

# Change these: a queue you may use, an existing directory of yours on the cluster, and the cases to run.
QUEUE = "debug"
WORK_DIR = "/public/home/acexample01/sweep"
MACH_NUMBERS = [0.3, 0.5, 0.7, 0.9, 1.1, 1.3]

with DAG("scnet_parameter_sweep", schedule=None, start_date=datetime(2026, 1, 1), catchup=False, tags=["scnet"]):

    @setup
    @task
    def submit(mach: float) -> str:
        """Submit one case; every case is its own task, so that one refused case does not hide the others."""
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
    delete_jobs = ScnetDeleteJobsOperator(task_id="delete_jobs", jobs=jobs)
    best = pick_best(jobs)
    publish(best)
    best >> delete_jobs.as_teardown(setups=jobs.operator, on_failure_fail_dagrun=True)
