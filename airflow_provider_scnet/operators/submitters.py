"""The tasks whose jobs a deletion has to account for: which they are, and what they have told."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_scnet.api.reference import is_nothing
from airflow_provider_scnet.exceptions import ScnetRequestError
from airflow_provider_scnet.operators.instance import counts_clears
from airflow_provider_scnet.operators.origin import AT_RUN_TIME, Origin, declared, submitters_of, told_by

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

NEVER_RAN = ("skipped", "upstream_failed")
"""States of task instances that have submitted nothing, at least since the last clear."""
REMOVED = "removed"
"""State of a task instance that the DAG, or the list it is mapped over, has no more; it may have run before."""
REMEDIES = {
    "scnet_conn_id": "Give each Connection a task of its own.",
    "scheduler_id": "Give each scheduler a task of its own, or leave scheduler_id out here: all of them are looked at.",
}
"""For tasks that submit elsewhere."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """
    What tasks have told of their jobs.

    :param refs: what they pushed to XCom.
    :param is_all: every one of their instances has pushed something, or never ran.
    :param map_index: of the instances that are meant; ``None`` for all.
    :param items: how many items the mapped task group has that they are in; jobs of others are meant as well.
    :param gone: ids of tasks that the DAG has no more, whose jobs are meant as well, whatever map index.
    :param doubt: why a job may be left even if all that is told and listed is deleted; empty if none can be.
    """

    refs: list[Any]
    is_all: bool
    map_index: int | None = None
    items: int | None = None
    gone: Sequence[str] = ()
    doubt: str = ""


def task_ids_of(submitted_by: Any, kind: type, looks: Any) -> list[str]:
    """
    Return the ids of tasks, groups and all.

    :param submitted_by: operators, mapped or not, what they return, or ids; one or several.
    :param kind: class of operator that puts a task's tag into the names of its jobs.
    :param looks: the task that will look for the jobs.
    :raises ValueError: for anything else, or a task that submits elsewhere.
    """
    if submitted_by is None:
        return []
    several = submitted_by if isinstance(submitted_by, list | tuple | set) else [submitted_by]
    return list(dict.fromkeys(_task_id_of(one, kind, looks) for one in several))


def _task_id_of(one: Any, kind: type, looks: Any) -> str:
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
    for name in REMEDIES:
        difference = _difference(task_id, name, declared(operator, name), declared(looks, name))
        if difference:
            raise ValueError(f"submitted_by: {difference}")
    return task_id


def _difference(task_id: str, name: str, theirs: Any, ours: Any) -> str:
    """Why a task looks in the wrong place for the jobs of another one; what is not known yet is compared later."""
    are_known = theirs is not AT_RUN_TIME and ours is not AT_RUN_TIME
    if not are_known or str(theirs) == str(ours) or is_nothing(theirs) or is_nothing(ours):
        return ""
    return f"task {task_id!r} submits with {name}={theirs!r}, this task looks with {ours!r}. {REMEDIES[name]}"


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
        is_known = not silent or _never_ran_before(context, task_ids)
        return Told(refs, is_known and total > 0 and len(refs) == total - silent)
    except Exception as error:
        logger.warning("Airflow does not say what %s told (%s).", ", ".join(task_ids), type(error).__name__)
        return Told([], is_all=False)


def _never_ran_before(context: Context, task_ids: Sequence[str]) -> bool:
    """Whether instances that never ran since the last clear are known not to have run before it."""
    if getattr(context.get("dag_run"), "clear_number", 0):
        return False
    if hasattr(context["ti"], "get_ti_count"):
        return counts_clears()
    silent = [one for one in _instances(context) if one.task_id in task_ids and str(one.state) in NEVER_RAN]
    return not any(one.try_number for one in silent)  # Airflow 2, where a clear keeps it


def _count(context: Context, task_ids: Sequence[str], map_index: int | None) -> tuple[int, int]:
    """The instances of the tasks, and how many of them never ran."""
    of_tasks = partial(count, context, task_ids=task_ids, map_index=map_index)
    return of_tasks(), of_tasks(states=NEVER_RAN)


def count(
    context: Context,
    *,
    task_ids: Sequence[str] | None = None,
    map_index: int | None = None,
    states: Sequence[str] | None = None,
) -> int:
    """
    Count task instances of this run.

    :param task_ids: of these tasks; ``None`` for all.
    :param map_index: with this map index; ``None`` for all.
    :param states: in one of these states; ``None`` for all.
    """
    ti: Any = context["ti"]
    if not hasattr(ti, "get_ti_count"):  # Airflow 2
        return sum(
            (task_ids is None or one.task_id in task_ids)
            and map_index in (None, one.map_index)
            and (states is None or str(one.state) in states)
            for one in _instances(context)
        )
    where: dict[str, Any] = {"dag_id": ti.dag_id, "run_ids": [ti.run_id]}
    where |= {} if task_ids is None else {"task_ids": list(task_ids)}
    where |= {} if map_index is None else {"map_index": map_index}
    where |= {} if states is None else {"states": list(states)}
    return int(ti.get_ti_count(**where))


def _instances(context: Context) -> list[Any]:
    run: Any = context["dag_run"]
    return list(run.get_task_instances())


def _states(context: Context, task_id: str) -> dict[int, str]:
    """Map index -> state of the instances of a task of this run."""
    ti: Any = context["ti"]
    if not hasattr(ti, "get_task_states"):  # Airflow 2
        return {one.map_index: str(one.state) for one in _instances(context) if one.task_id == task_id}
    told = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    return {-1 if key == task_id else int(key.rpartition("_")[2]): str(state) for key, state in told.items()}


class Inquiry:
    """
    What Airflow tells a deletion of the tasks whose jobs it has to account for.

    :param operator: the task that deletes, rendered.
    :param context: of its instance.
    """

    def __init__(self, operator: Any, context: Context, *, logger: Any = log) -> None:
        self._operator = operator
        self._context = context
        self._log = logger
        self._ids: list[str] = operator.submitted_by
        self._tasks: dict[str, Any] = operator.dag.task_dict if operator.has_dag() else {}
        self._map_index = shared_map_index(operator, self._ids, context["ti"].map_index)
        self._doubts: list[str] = []
        self._tellers: list[str] = []  # those of the tasks that are gone that have told where they submit

    def ask(self) -> Told:
        """
        Ask which jobs are meant, and which of them are told.

        :raises ScnetRequestError: if a task submits elsewhere, or its DAG has no such task.
        """
        for task_id in self._ids:
            self._check(task_id)
        told = ask(self._context, self._ids, self._map_index, logger=self._log)
        items, has_removed = self._asked("which items of its task group are left", self._items, (None, False))
        gone = self._asked("which tasks of this run its DAG has no more", self._gone, [])
        refs = [*told.refs, *self._asked("what these have told", lambda: self._refs_of(self._tellers), [])]
        is_all = told.is_all and not has_removed and not gone
        return Told(refs, is_all, self._map_index, items, gone, " ".join(self._doubts))

    def _asked(self, what: str, ask_airflow: Callable[[], Any], otherwise: Any) -> Any:
        """No answer is no reason to leave the jobs that are known, but one not to end well."""
        try:
            return ask_airflow()
        except Exception as error:
            self._doubts.append(f"Airflow does not say {what} ({type(error).__name__}).")
            return otherwise

    # --- where they submit -------------------------------------------------------------------------------------------

    def _check(self, task_id: str) -> None:
        """What the DAG file says, and what was told; whoever has not told must have had nothing to tell."""
        for name in REMEDIES:
            self._refuse(_difference(task_id, name, self._declared(task_id, name), getattr(self._operator, name)))
        origins = self._origins(task_id, self._map_index)
        for origin in origins:
            self._refuse(self._difference_of(task_id, origin))
        if self._declared(task_id, "scnet_conn_id") is AT_RUN_TIME:
            self._doubt_untold(task_id, origins, lambda index: self._map_index in (None, index))

    def _declared(self, task_id: str, name: str) -> Any:
        return declared(self._tasks[task_id], name) if task_id in self._tasks else None

    def _refuse(self, difference: str) -> None:
        if difference:
            raise ScnetRequestError(f"submitted_by: {difference}")

    def _difference_of(self, task_id: str, origin: Origin) -> str:
        differences = (
            _difference(task_id, name, getattr(origin, name), getattr(self._operator, name)) for name in REMEDIES
        )
        return next(filter(None, differences), "")

    def _origins(self, task_id: str, map_index: int | None = None) -> list[Origin]:
        try:
            return told_by(self._context["ti"], task_id, map_index)
        except Exception as error:
            self._log.warning("Airflow does not say where %s submitted (%s).", task_id, type(error).__name__)
            return []

    def _doubt_untold(self, task_id: str, origins: Collection[Origin], is_meant: Callable[[int], bool]) -> None:
        """Nothing is submitted before it was told where; but the try after it, which has not, takes that away."""
        told = {origin.map_index for origin in origins}
        never_ran = () if getattr(self._context.get("dag_run"), "clear_number", 0) else NEVER_RAN
        states = self._asked(f"what became of {task_id!r}", lambda: _states(self._context, task_id), {})
        untold = [index for index, state in states.items() if is_meant(index) and state not in never_ran]
        if set(untold) - told:
            self._doubts.append(
                f"Task {task_id!r} gets its scnet_conn_id at run time, and has not told which it submitted with: "
                f"{len(set(untold) - told)} of its instances may have jobs that {self._operator.scnet_conn_id!r} does "
                f"not show."
            )

    # --- what exists no more -----------------------------------------------------------------------------------------

    def _items(self) -> tuple[int | None, bool]:
        """How many items the mapped task group has; and whether it had more."""
        if self._map_index is None:
            return None, False
        ours = [self._operator.task_id]
        items = count(self._context, task_ids=ours) - count(self._context, task_ids=ours, states=[REMOVED])
        has_removed = bool(count(self._context, task_ids=[*ours, *self._ids], states=[REMOVED]))
        for task_id in self._ids if has_removed else ():
            self._doubt_elsewhere(task_id, range(items))
        return items, has_removed

    def _doubt_elsewhere(self, task_id: str, items: range) -> None:
        """Each item may have a Connection of its own: then an item that is left has to look with that of one gone."""
        origins = self._origins(task_id)
        looked_at = {origin.scnet_conn_id for origin in origins if origin.map_index in items}
        removed = [origin for origin in origins if origin.map_index not in items]
        for origin in removed:
            if origin.scnet_conn_id not in {*looked_at, self._operator.scnet_conn_id}:
                self._doubts.append(self._difference_of(f"{task_id}[{origin.map_index}]", origin))
        if self._declared(task_id, "scnet_conn_id") is AT_RUN_TIME:
            self._doubt_untold(task_id, removed, lambda index: index not in items)

    def _gone(self) -> list[str]:
        """
        Tasks of this run that were renamed, or that its DAG has no more for another reason: a worker may know before
        the scheduler, so that their state tells too little. Names that are of no SCNet task do no harm: jobs are looked
        for by what stands for a task in their own names, and only who has told where it submits has told of jobs.
        """
        if not self._tasks or getattr(self._operator.dag, "partial", False):
            return []
        if self._map_index is not None and not count(self._context, states=[REMOVED]):
            return []  # one question that is cheap, where many items ask
        return [task_id for task_id in self._unknown_ids() if self._answers_for(task_id)]

    def _unknown_ids(self) -> list[str]:
        ti: Any = self._context["ti"]
        if not hasattr(ti, "get_task_states"):  # Airflow 2
            known = dict.fromkeys(one.task_id for one in _instances(self._context))
            return [task_id for task_id in known if task_id not in self._tasks]
        told = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        return list(dict.fromkeys(one for key, state in told.items() for one in self._unknown_of(key, state)))

    def _unknown_of(self, key: str, state: Any) -> list[str]:
        """A key is a task id, or one and a map index: `case_1` may be either."""
        if key in self._tasks:
            return []
        mapped = self._tasks.get(re.sub(r"_\d+$", "", key))
        if mapped is None:
            return list(dict.fromkeys([key, re.sub(r"_\d+$", "", key)]))
        return [] if _is_mapped(mapped) and state != REMOVED else [key]

    def _answers_for(self, task_id: str) -> bool:
        """Tell whether this task deletes the jobs of one that is gone: it was told to, or whoever was is gone, too."""
        origins = told_by(self._context["ti"], task_id)  # without an answer, nothing of it may be touched
        deleters = {deleter for origin in origins for deleter in origin.deleted_by}
        is_orphan = not origins or bool(deleters and not deleters & self._tasks.keys())
        is_told = self._operator.task_id in deleters
        if not is_told and not (self._operator.is_teardown and is_orphan and not self._is_of_others(origins)):
            return False
        if origins:
            self._tellers.append(task_id)
        self._doubts += filter(None, dict.fromkeys(self._difference_of(task_id, origin) for origin in origins))
        return True

    def _is_of_others(self, origins: Collection[Origin]) -> bool:
        """Whether all its jobs are elsewhere, and other teardowns look there."""
        places = {origin.scnet_conn_id for origin in origins}
        teardowns = [task for task in self._tasks.values() if task.is_teardown and submitters_of(task)]
        looked_at = {declared(task, "scnet_conn_id") for task in teardowns}
        return bool(places) and self._operator.scnet_conn_id not in places and places <= looked_at

    def _refs_of(self, tellers: list[str]) -> list[Any]:
        """Anybody may push an XCom called `job`: only theirs are references."""
        if not tellers:
            return []
        return [ref for ref in self._context["ti"].xcom_pull(task_ids=tellers, key="job") or [] if ref]


def _is_mapped(operator: Any) -> bool:
    return hasattr(operator, "partial_kwargs") or _mapped_group_of(operator) is not None
