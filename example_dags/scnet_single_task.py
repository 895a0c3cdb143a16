"""
A simulation as a single task: it submits the job, waits for it without a worker, and fails if the job does.

**What it shows.** `wait=True` makes one task of submitting and waiting. A retry after a bad end submits a new job, here
with more memory; a retry after anything else goes on with the job that is there. What the job has cost stands in XCom.
No setup and teardown here, for a setup that fails is not torn down: an ordinary task with `trigger_rule="all_done"`
deletes what may be left.

**What to change.** `QUEUE` and `WORK_DIR`, the command in `flow`, and what `report` does.

**What it costs.** One core for as long as the simulation runs, two hours at most (`walltime`), and about ten requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

# Change these: a queue you may use, and an existing directory of yours on the cluster.
QUEUE = "debug"
WORK_DIR = "/public/home/acexample01/run2"

with DAG(
    "scnet_single_task",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["scnet"],
):
    flow = ScnetSubmitJobOperator(
        task_id="flow",
        command=["set -e", "sleep 2", "echo converged"],  # Change this: the commands that run your solver.
        job_queue=QUEUE,
        work_dir=WORK_DIR,
        walltime=timedelta(hours=2),
        cores_per_node=1,
        memory_per_node="{{ 4 * ti.try_number }}GB",
        wait=True,
        deferrable=True,  # No worker is held while the job waits and runs.
        poll_interval=5,  # A look costs the same whatever the number of tasks.
        timeout=timedelta(days=1),  # A job that is left then is deleted.
        log_lines=20,  # Given explicitly, it shows the end of the output after a good end, too.
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    @task
    def report(cost: str) -> None:
        """Change this: what to do with what the job has cost."""
        print(cost)

    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=flow,  # Finds all jobs of all tries by their names.
        trigger_rule="all_done",
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
    flow >> [report("{{ ti.xcom_pull(task_ids='flow', key='job_record') }}"), delete_jobs]
