"""
Delete given jobs: trigger it with the parameter `jobs`, e.g. `197, 198` or `1638523853,acexample01:197:`; or with
`tags`, which stand for a task of a run in the names of its jobs, e.g. `k3m2x4a7pq5t` in `flow_k3m2x4a7pq5t_m3_g2`.

**What it shows.** Plain ids are completed from the Connection; nothing given means nothing to do. With a tag, all jobs
of that task are found and deleted: this is the way to end what a run has left that cannot tear down any more. The run
is green only when every job was seen not to be active any more. A tag that no job has had is an error, for it may be
misspelt.

**What to change.** Nothing, if your Connection is `scnet_default`.

**What it costs.** No core-hours. A few requests for a few jobs, and tens of them for a thousand; for an id that SCNet
does not know and for a tag, a minute and a half of looking, until it is sure that there is no such job.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

with DAG(
    "scnet_delete_jobs",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"jobs": "", "tags": ""},
    doc_md=__doc__,
    tags=["scnet"],
):
    ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        jobs="{{ params.jobs }}",
        job_tags="{{ params.tags }}",
        retries=2,  # Deleting twice does no harm, and each minute without a delete costs core-hours.
        retry_delay=timedelta(minutes=1),
    )
