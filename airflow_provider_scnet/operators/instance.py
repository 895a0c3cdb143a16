"""What Airflow tells of a task instance that submits: who it is, and since when it lives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.jobs.lives import Life


def life_of(context: Context, *, retries: int, specification: str, array_size: int = 0) -> Life:
    """
    Return the present life of a task instance.

    :param retries: of the task, as the DAG has them now.
    :param specification: stands for command and resources.
    :param array_size: how many members the job has; 0 if it is no array.
    :raises ScnetTransientError: if the namespace of this Airflow cannot be read.
    """
    from airflow_provider_scnet.jobs.lives import Life
    from airflow_provider_scnet.jobs.memory import read_since
    from airflow_provider_scnet.jobs.namespace import namespace
    from airflow_provider_scnet.jobs.naming import JobTag, TaskTags, iteration_tag

    ti: Any = context["ti"]
    run = context.get("dag_run")
    loop: Any = context.get("loop")  # Airflow 3.4
    tasks = TaskTags.of(
        namespace(),
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        began=began_of(run),
    )
    tag = JobTag(
        tasks.current,
        map_index=-1 if ti.map_index is None else ti.map_index,
        generation=ti.max_tries,
        # A clear may make another region of later passes, which then begin with the generation of the first ones.
        iteration=iteration_tag(f"{ti.region_id} {loop.index}") if loop else "",
        specification=specification,
        try_number=ti.try_number,
        clears=getattr(run, "clear_number", None) or 0,
        array_size=array_size,
    )
    since = 0
    if ti.try_number > 1:
        since = max(_begun_by(ti), read_since(context.get("task_state_store"), tag))
    return Life(tag, tasks.earlier, retries, since, counts_clears=counts_clears())


def began_of(run: Any) -> datetime | None:
    """
    Return when a DAG run began for the first time, as far as Airflow tells. One that had ended begins anew when it is
    cleared: then it is known only since when it was due.

    :param run: of the context.
    """
    began: datetime | None = getattr(run, "start_date", None)
    if not getattr(run, "clear_number", None):
        return began
    due = getattr(run, "run_after", None) or getattr(run, "data_interval_end", None)
    return min(filter(None, (began, due)), default=None)


def counts_clears() -> bool:
    """Tell whether Airflow counts every clear of a run; before 3.2, it counts only those that follow its end."""
    from airflow import __version__

    return tuple(map(int, re.findall(r"\d+", __version__)[:2])) >= (3, 2)


def may_have_run(context: Context) -> bool:
    """
    Tell whether a task instance may have sent something already. A second try is enough, whatever ``retries`` says:
    after a restart of the scheduler there may be one although none was asked for. A reschedule (Airflow 3.4) counts as
    no try.
    """
    return context["ti"].try_number > 1 or (context.get("task_reschedule_count") or 0) > 0


def _begun_by(ti: Any) -> int:
    """
    The try that is known to have begun this life; 0 if none is. Nothing but a clear follows a try that has succeeded:
    Airflow 3.0 to 3.3 then name what that try has returned among what is to be cleared of it. So they do of a try that
    was lost after it had returned, which Airflow 3.2 and later tells from it by the count of clears.
    """
    try:
        import airflow.sdk  # noqa: F401
    except ImportError:  # Airflow 2
        return 1 + last if (last := _last_success(ti)) else 0
    told = getattr(getattr(ti, "_ti_context_from_server", None), "xcom_keys_to_clear", None)
    return int(ti.try_number) if "return_value" in (told or ()) else 0


def _last_success(ti: Any) -> int:
    """Airflow 2 keeps every try, and tasks may read its database; who calls an operator by hand has no tries there."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory as Tries
    from airflow.utils.session import create_session

    if not isinstance(ti, TaskInstance):
        return 0

    key = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    with create_session() as session:
        succeeded = session.query(Tries.try_number).filter_by(**key, state="success")
        return max((number for (number,) in succeeded if number < ti.try_number), default=0)
