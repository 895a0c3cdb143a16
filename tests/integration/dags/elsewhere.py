"""Jobs that were submitted with another Connection than their teardown looks with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

PLACE: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}
JOB: dict[str, Any] = {**PLACE, "command": "sleep 3600"}
DELETE: dict[str, Any] = {"task_id": "delete_jobs", "submitted_by": "submit", "poll_interval": 0.05, "absent_for": 0.5}
DEFAULTS = {"retry_delay": timedelta(0)}


class BreaksBeforeItTells(ScnetSubmitJobOperator):
    """Never gets as far as to tell where it would submit."""

    def execute(self, context: Any) -> str:
        raise RuntimeError("killed")


def flow(dag_id: str) -> DAG:
    return DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args=DEFAULTS)


def delete(**other: Any) -> ScnetDeleteJobsOperator:
    return ScnetDeleteJobsOperator(**DELETE, trigger_rule="all_done", **other)


with flow("elsewhere_text"):
    ScnetSubmitJobOperator(task_id="submit", scnet_conn_id="scnet_b", **JOB) >> delete()

with flow("elsewhere_template"):
    ScnetSubmitJobOperator(task_id="submit", scnet_conn_id="scnet_{{ 'b' }}", **JOB) >> delete()

with flow("elsewhere_expand"):
    (
        ScnetSubmitJobOperator.partial(task_id="submit", **JOB).expand(scnet_conn_id=["scnet_default", "scnet_b"])
        >> delete()
    )

with flow("elsewhere_expand_kwargs"):
    (
        ScnetSubmitJobOperator.partial(task_id="submit", **PLACE).expand_kwargs(
            [{"command": "sleep 3600"}, {"command": "sleep 3600", "scnet_conn_id": "scnet_b"}]
        )
        >> delete()
    )

with flow("elsewhere_scheduler"):
    ScnetSubmitJobOperator.partial(task_id="submit", **JOB).expand(scheduler_id=["1638523853"]) >> delete(
        scheduler_id="1638523854"
    )

with flow("elsewhere_untold"):
    BreaksBeforeItTells.partial(task_id="submit", **JOB).expand(scnet_conn_id=["scnet_default"]) >> delete()

with flow("same_place"):
    ScnetSubmitJobOperator.partial(task_id="submit", **JOB).expand(
        scnet_conn_id=["scnet_{{ 'default' }}", "scnet_default"]
    ) >> delete(scnet_conn_id="{{ 'scnet_default' }}")
