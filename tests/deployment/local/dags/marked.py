"""Simulations that somebody meddles with."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_scnet.jobs import submission
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

JOB = {"command": "sleep 3600", "job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}
submission.SETTLING_TIME = 5.0  # the lists here do not lag, and each clear waits for so long
ALONE: dict[str, dict[str, Any]] = {
    "warm_up": {"deferrable": True},
    "deferred_failed": {"deferrable": True},
    "deferred_success": {"deferrable": True},
    "deferred_cleared": {"deferrable": True},
    "deferred_left": {"deferrable": True, "cancel_on_kill": False},
    "triggerer_killed": {"deferrable": True},
    "triggerer_stopped": {"deferrable": True},
    "waiting_failed": {"deferrable": False},
    "beside_run_cleared": {"deferrable": True},
    "beside_work_cleared": {"deferrable": True},
    "timed_out": {"deferrable": True, "execution_timeout": timedelta(seconds=25)},
}


class HangsBeforeItTells(ScnetSubmitJobOperator):
    """Never gets as far as its XCom."""

    def execute(self, context: Any) -> str:
        told = super().execute({**context, "ti": Mute(context["ti"])})
        time.sleep(600)
        return told

    def on_kill(self) -> None:
        """Killed too hard for that."""


class KilledBeforeItTells(ScnetSubmitJobOperator):
    """The process of its first try is killed between submission and XCom."""

    def execute(self, context: Any) -> str:
        if context["ti"].try_number > 1:
            return super().execute(context)
        super().execute({**context, "ti": Mute(context["ti"])})
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


class Mute:
    """A task instance whose XComs do not get through."""

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ti, name)

    def xcom_push(self, key: str, value: Any) -> None:
        pass


for dag_id, options in ALONE.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        ScnetSubmitJobOperator(task_id="submit", job_name=dag_id, wait=True, poll_interval=1, **options, **JOB)

for dag_id in ("run_cleared", "work_cleared"):
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
        submit = ScnetSubmitJobOperator(task_id="submit", job_name=dag_id, **JOB)
        work = ScnetJobSensor(task_id="work", jobs=submit.output, deferrable=True, poke_interval=1)
        delete = ScnetDeleteJobsOperator(task_id="delete", submitted_by=submit, poll_interval=1, deferrable=True)
        work >> delete.as_teardown(setups=submit)

with DAG("killed_hard", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    submit = KilledBeforeItTells(
        task_id="submit", job_name="killed_hard", retries=1, retry_delay=timedelta(seconds=1), **JOB
    )
    # No teardown: Airflow 3.0 gives a task whose process was killed no second try, and a failed setup is not torn down.
    delete = ScnetDeleteJobsOperator(
        task_id="delete", submitted_by=submit, poll_interval=1, absent_for=5, trigger_rule="all_done", deferrable=True
    )
    submit >> delete

with DAG("submit_marked", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    submit = HangsBeforeItTells(task_id="submit", job_name="submit_marked", **JOB)
    delete = ScnetDeleteJobsOperator(
        task_id="delete", submitted_by=submit, poll_interval=1, absent_for=5, deferrable=True
    )
    delete.as_teardown(setups=submit)
