"""The tasks whose jobs a deletion has to account for: which they are, and what they have told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_scnet.exceptions import ScnetRequestError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

NEVER_RAN = ("skipped", "upstream_failed", "removed")
"""States of task instances that have submitted nothing, at least since the last clear."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """
    What tasks have told of their jobs.

    :param refs: what they pushed to XCom.
    :param is_all: every one of their instances has pushed something, or never ran.
    """

    refs: list[Any]
    is_all: bool


def task_ids_of(submitted_by: Any, kind: type, conn_id: str) -> list[str]:
    """
    Return the ids of tasks, groups and all.

    :param submitted_by: operators, mapped or not, what they return, or ids; one or several.
    :param kind: class of operator that puts a task's tag into the names of its jobs.
    :param conn_id: the Connection that will be used to find the jobs.
    :raises ValueError: for anything else.
    """
    if submitted_by is None:
        return []
    several = submitted_by if isinstance(submitted_by, list | tuple | set) else [submitted_by]
    return list(dict.fromkeys(_task_id_of(one, kind, conn_id) for one in several))


def _task_id_of(one: Any, kind: type, conn_id: str) -> str:
    if isinstance(one, str):
        return one
    operator = getattr(one, "operator", one)  # of an XComArg
    task_id = getattr(operator, "task_id", None)
    if not isinstance(task_id, str):
        raise ValueError(f"submitted_by={one!r}: must be a task, what a task returns, a task id, or a list of these.")
    made_of = getattr(operator, "operator_class", type(operator))  # of a mapped one
    if isinstance(made_of, type) and not issubclass(made_of, kind):
        raise ValueError(
            f"submitted_by: task {task_id!r} is a {made_of.__name__}. Only jobs of {kind.__name__} carry their task in "
            f"their names; hand over what {task_id!r} returns as jobs=..."
        )
    theirs = getattr(operator, "partial_kwargs", {}).get("scnet_conn_id") or getattr(operator, "scnet_conn_id", conn_id)
    if theirs != conn_id:
        raise ValueError(
            f"submitted_by: task {task_id!r} submits with scnet_conn_id={theirs!r}, this task looks with {conn_id!r}. "
            f"Give each Connection a task of its own."
        )
    return task_id


def shared_map_index(operator: Any, task_ids: Sequence[str], map_index: int | None) -> int | None:
    """
    Return the map index whose jobs are meant, or ``None`` for all: within a mapped task group, each item has jobs of
    its own, which are no concern of its siblings.

    :param operator: the task that deletes.
    :param task_ids: the tasks that submit.
    :param map_index: of the task instance that deletes.
    :raises ScnetRequestError: if its DAG has no such task: what is misspelt would be found to have no jobs.
    """
    if not operator.has_dag():
        return None
    tasks = operator.dag.task_dict
    for task_id in task_ids:
        if task_id not in tasks:
            like = [known for known in tasks if known.rpartition(".")[2] == task_id.rpartition(".")[2]]
            hint = f" Do you mean {' or '.join(map(repr, like))}?" if like else ""
            raise ScnetRequestError(f"submitted_by={task_id!r}: DAG {operator.dag.dag_id!r} has no such task.{hint}")
    ours = _mapped_group_of(operator)
    is_shared = ours is not None and all(_mapped_group_of(tasks[task_id]) == ours for task_id in task_ids)
    return map_index if is_shared else None


def _mapped_group_of(operator: Any) -> str | None:
    group = operator.get_closest_mapped_task_group()
    return None if group is None else group.group_id


def ask(context: Context, task_ids: Sequence[str], map_index: int | None, *, logger: Any = log) -> Told:
    """
    Ask Airflow what tasks of this run have told. That Airflow does not answer means that they have not told all.

    :param task_ids: the tasks.
    :param map_index: of their instances; ``None`` for all.
    """
    where: dict[str, Any] = {} if map_index is None else {"map_indexes": [map_index]}
    try:
        refs = [ref for ref in context["ti"].xcom_pull(task_ids=list(task_ids), key="job", **where) or [] if ref]
        total, silent = _count(context, task_ids, map_index)
        # Who has not run since a clear may have run before: what is left of that, or nothing, says little of its job.
        is_known = not silent or not getattr(context.get("dag_run"), "clear_number", 0)
        return Told(refs, is_known and total > 0 and len(refs) == total - silent)
    except Exception as error:
        logger.warning("Airflow does not say what %s told (%s).", ", ".join(task_ids), type(error).__name__)
        return Told([], is_all=False)


def _count(context: Context, task_ids: Sequence[str], map_index: int | None) -> tuple[int, int]:
    """The instances of the tasks, and how many of them never ran."""
    ti: Any = context["ti"]
    if hasattr(ti, "get_ti_count"):
        where = {"dag_id": ti.dag_id, "task_ids": list(task_ids), "run_ids": [ti.run_id]}
        where |= {} if map_index is None else {"map_index": map_index}
        return int(ti.get_ti_count(**where)), int(ti.get_ti_count(**where, states=list(NEVER_RAN)))
    run: Any = context["dag_run"]  # Airflow 2
    states = [
        str(one.state)
        for one in run.get_task_instances()
        if one.task_id in task_ids and map_index in (None, one.map_index)
    ]
    return len(states), sum(state in NEVER_RAN for state in states)
