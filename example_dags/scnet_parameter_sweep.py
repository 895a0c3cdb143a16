"""
Many simulations by dynamic task mapping, 200 as it stands, and one teardown for all of them.

**What it shows.** Every case is a task of its own, so that one that fails does not hide the others. All wait at once,
without a worker: each look at the cluster serves every task that waits. The teardown stops whatever still runs at the
end, with one request for up to 50 jobs, whether or not its reference reached XCom.

**What to change.** `QUEUE` and `WORK_DIR`, the cases and their commands in `list_cases`, and what `publish` does. If
your account may have fewer jobs at once, give `submit` an Airflow pool of so many slots.

**What it costs.** One core for each case for as long as it runs, two hours at most (`walltime`). A request for each
submission, and some for each look at all of them together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

# Change these: a queue you may use, and an existing directory of yours on the cluster.
QUEUE = "debug"
WORK_DIR = "/public/home/acexample01/sweep"

with DAG(
    "scnet_parameter_sweep",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"cases": 200},
    doc_md=__doc__,
    tags=["scnet"],
):

    @task
    def list_cases(number: str) -> list[dict[str, Any]]:
        """Change this: a name and your solver's command for each case."""
        return [
            {"job_name": f"mach_{case / 100:.2f}", "command": f"echo mach {case / 100:.2f}; sleep 2"}
            for case in range(1, int(number) + 1)
        ]

    # It returns at once: a setup that fails is not torn down, so it must not wait for its job.
    submit = ScnetSubmitJobOperator.partial(
        task_id="submit",
        job_queue=QUEUE,
        work_dir=WORK_DIR,
        walltime=timedelta(hours=2),
        cores_per_node=1,
        retries=2,  # A retry adopts the job of the earlier try.
        retry_delay=timedelta(minutes=1),
        # To run one case again, clear its `submit` with downstream. Clearing its `wait` clears `submit` of all cases:
        # then those that still run go on.
        on_clear="keep",
    ).expand_kwargs(list_cases("{{ params.cases }}"))

    wait = ScnetJobSensor.partial(
        task_id="wait",
        deferrable=True,  # No worker is held while the jobs wait and run.
        poke_interval=5,  # A look costs the same whatever the number of tasks.
        timeout=timedelta(days=1).total_seconds(),
    ).expand(jobs=submit.output)

    @task
    def publish() -> None:
        """Change this: what to do with the results. As a last task it lets a failed case turn the run red."""

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=submit,  # Finds all jobs by their names, whether or not their references reached XCom.
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    wait >> [publish(), delete_jobs.as_teardown(setups=submit, on_failure_fail_dagrun=True)]
