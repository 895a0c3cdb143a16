"""Submissions whose task fails, in various ways, after the job exists."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, TaskGroup, task, task_group

from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator

JOB = {"command": "sleep 3600", "job_queue": "debug", "work_dir": "/public/home/acexample01", "walltime": "02:00:00"}


class NeverTells(ScnetSubmitJobOperator):
    """Fails between submission and XCom at every try."""

    def execute(self, context: Any) -> str:
        raise RuntimeError(f"the XCom of {super().execute({**context, 'ti': Mute(context['ti'])})} is lost")


class Mute:
    """A task instance whose XComs do not get through."""

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ti, name)

    def xcom_push(self, key: str, value: Any) -> None:
        pass


class LosesItsWorker(ScnetSubmitJobOperator):
    """Fails between submission and XCom at its first try."""

    def execute(self, context: Any) -> str:
        ref = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError(f"the worker of {ref} is lost")
        return ref


DEFAULTS = {"retries": 2, "retry_delay": timedelta(0)}

for dag_id, operator in {"submitted": ScnetSubmitJobOperator, "submitted_and_lost": LosesItsWorker}.items():
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args=DEFAULTS):
        submit = operator(
            task_id="submit", job_name="{{ dag.dag_id }} {{ run_id }}", **{**JOB, "command": "sleep {{ 60 * 60 }}"}
        )
        delete_jobs = ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submit, poll_interval=0.05)
        submit >> delete_jobs.as_teardown(setups=submit)

with DAG("submitted_mapped", schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args=DEFAULTS):
    mapped = ScnetSubmitJobOperator.partial(
        task_id="submit", job_queue=JOB["job_queue"], work_dir=JOB["work_dir"], walltime=JOB["walltime"]
    ).expand(command=[f"sleep {seconds}" for seconds in (3600, 3601, 3602)])
    ScnetDeleteJobsOperator(task_id="delete_jobs", jobs=mapped.output, submitted_by=mapped, poll_interval=0.05)

with DAG("submitted_untold", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    with TaskGroup("cases"):
        mapped = NeverTells.partial(
            task_id="submit", job_queue=JOB["job_queue"], work_dir=JOB["work_dir"], walltime=JOB["walltime"]
        ).expand(command=["sleep 3600", "sleep 3601"])
        one = NeverTells(task_id="one", **JOB)
    told = ScnetSubmitJobOperator(task_id="told", **JOB)
    delete_jobs = ScnetDeleteJobsOperator(
        task_id="delete_jobs",
        submitted_by=[mapped, one, told],
        poll_interval=0.05,
        absent_for=1,
        trigger_rule="all_done",
    )
    [mapped, one, told] >> delete_jobs

with DAG("submitted_by_items", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):

    @task_group
    def case(command: str) -> None:
        inside = ScnetSubmitJobOperator(task_id="submit", **{**JOB, "command": command})
        inside >> ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=inside, poll_interval=0.05)

    case.expand(command=["sleep 3600", "sleep 3601"])

with DAG("submitted_by_nobody", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    with TaskGroup("one"):
        grouped = ScnetSubmitJobOperator(task_id="submit", **JOB)
    misspelt = ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by="submit", retries=2)
    grouped >> misspelt

# Bash's length of a list is the beginning of a comment for Jinja. What XCom brings does not go through Jinja.
with DAG("submitted_scripts", schedule=None, start_date=datetime(2026, 1, 1), catchup=False, default_args=DEFAULTS):

    @task
    def scripts() -> list[str]:
        return ["echo ${#a[@]} ${b%#}", "echo 1"]

    PLACE = {name: value for name, value in JOB.items() if name != "command"}
    ScnetSubmitJobOperator.partial(task_id="from_xcom", **PLACE).expand(command=scripts())
    ScnetSubmitJobOperator.partial(task_id="mapped", **PLACE).expand(command=["echo ${#a[@]} ${b%#}"])
    ScnetSubmitJobOperator(task_id="included", command="{% include 'counts.sh' %}", **PLACE)
