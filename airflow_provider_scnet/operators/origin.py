"""Where a task submits its jobs: what the DAG file says of that, and what the task itself tells before it does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_scnet.api.reference import is_nothing

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

KEY = "job_origin"
"""Of the XCom in which a task instance tells where it submits."""
AT_RUN_TIME = object()
"""Stands for a value that only the running task knows."""
_TEMPLATE = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Origin:
    """
    Where a task instance submits, and who deletes its jobs.

    :param scnet_conn_id: the Connection, rendered.
    :param scheduler_id: the scheduler, rendered; ``None`` for the Connection's.
    :param map_index: of the task instance, or -1.
    :param deleted_by: ids of the tasks that delete its jobs by ``submitted_by``.
    """

    scnet_conn_id: str
    scheduler_id: str | None = None
    map_index: int = -1
    deleted_by: Sequence[str] = ()

    @classmethod
    def of(cls, operator: Any, context: Context) -> Self:
        """
        Return what a running task has to tell.

        :param operator: the task, rendered.
        """
        map_index = context["ti"].map_index
        return cls(
            str(operator.scnet_conn_id),
            None if is_nothing(operator.scheduler_id) else str(operator.scheduler_id),
            -1 if map_index is None else map_index,
            _deleters_of(operator),
        )

    @classmethod
    def read(cls, told: Any) -> Self | None:
        """
        Return what a task has told; ``None`` for anything else.

        :param told: the content of the XCom.
        """
        if not isinstance(told, Mapping) or not isinstance(told.get("scnet_conn_id"), str):
            return None
        return cls(**{field.name: told[field.name] for field in fields(cls) if field.name in told})


def tell(operator: Any, context: Context) -> None:
    """
    Tell where a task submits. To be called before anything is sent: then whoever has submitted has told.

    :param operator: the task, rendered.
    """
    context["ti"].xcom_push(key=KEY, value=asdict(Origin.of(operator, context)))


def told_by(ti: Any, task_id: str, map_index: int | None = None) -> list[Origin]:
    """
    Return what the instances of a task of this run have told.

    :param ti: the task instance that asks.
    :param map_index: of the instances; ``None`` for all.
    """
    where: dict[str, Any] = {} if map_index is None else {"map_indexes": [map_index]}
    told = [Origin.read(one) for one in ti.xcom_pull(task_ids=[task_id], key=KEY, **where) or []]
    return [origin for origin in told if origin]


def declared(operator: Any, name: str) -> Any:
    """
    Return what the DAG file says of an argument, or :data:`AT_RUN_TIME`.

    :param operator: a task, mapped or not.
    :param name: of an argument that is a text or nothing.
    """
    value = _mapped(operator, name) if hasattr(operator, "partial_kwargs") else getattr(operator, name, None)
    if is_nothing(value):
        return None
    return value if isinstance(value, str) and not _TEMPLATE.search(value) else AT_RUN_TIME


def _mapped(operator: Any, name: str) -> Any:
    """What `expand` gets is a mapping; what `expand_kwargs` gets, a list of them, or something that gives one later."""
    expanded = operator.expand_input.value
    given = [expanded] if isinstance(expanded, Mapping) else expanded
    if not isinstance(given, list | tuple) or any(not isinstance(one, Mapping) or name in one for one in given):
        return AT_RUN_TIME
    # Airflow 3 looks at `default_args` only when it makes the instances.
    dag = operator.dag if operator.has_dag() else None
    for args in (operator.partial_kwargs, *(getattr(one, "default_args", None) for one in (operator.task_group, dag))):
        if args and name in args:
            return args[name]
    return _default(operator.operator_class, name)


def _default(kind: type, name: str) -> Any:
    """A class may hand arguments on to the one that it is made of."""
    for one in kind.__mro__:
        parameter = inspect.signature(one.__init__).parameters.get(name)  # type: ignore[misc]
        if parameter is not None:
            return parameter.default
    return AT_RUN_TIME


def _deleters_of(operator: Any) -> list[str]:
    tasks = operator.dag.tasks if operator.has_dag() else []
    return [task.task_id for task in tasks if operator.task_id in submitters_of(task)]


def submitters_of(task: Any) -> list[str]:
    """
    Return the ids in a task's ``submitted_by``, which a mapped task holds as it was given.

    :param task: any task.
    """
    given = getattr(task, "partial_kwargs", {}).get("submitted_by", getattr(task, "submitted_by", None))
    several = given if isinstance(given, list | tuple | set) else [given]
    return [one if isinstance(one, str) else getattr(getattr(one, "operator", one), "task_id", "") for one in several]
