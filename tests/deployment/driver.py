"""
What a person does in the UI, done to a running Airflow: one JSON command a line. Clearing goes through the API where
there is one, for that does more than its models do (3.4 drops the state store of the tasks).
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Collection
from typing import Any

import requests
from airflow import __version__
from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.trigger import Trigger
from airflow.models.variable import Variable
from airflow.utils.session import create_session

IS_AIRFLOW_2 = __version__.startswith("2.")
MARK = "@@"
"""Before each answer: Airflow prints to the same place."""


def is_known(dag_id: str) -> bool:
    """Tell whether Airflow has read a DAG."""
    return SerializedDagModel.has_dag(dag_id)


def trigger(dag_id: str, run_id: str | None = None) -> str:
    """Start a run."""
    more: dict[str, Any] = {"run_id": run_id}
    if "triggered_by" in inspect.signature(trigger_dag).parameters:
        from airflow.utils.types import DagRunTriggeredByType

        more["triggered_by"] = DagRunTriggeredByType.TEST
    return str(trigger_dag(dag_id, **more).run_id)


def instances(dag_id: str) -> dict[str, dict[str, Any]]:
    """Tell what became of the tasks of a DAG's only run."""
    with create_session() as session:
        return {
            f"{ti.task_id}" if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": {
                "state": ti.state and str(getattr(ti.state, "value", ti.state)),
                "tries": ti.try_number,
                "max_tries": ti.max_tries,
                "pid": ti.pid,
                "is_triggered": bool(ti.trigger and ti.trigger.triggerer_id),
            }
            for ti in session.query(TaskInstance).filter(TaskInstance.dag_id == dag_id)
        }


def mark(dag_id: str, task_id: str, state: str) -> None:
    """Mark a task as failed or as a success."""
    with create_session() as session:
        for ti in session.query(TaskInstance).filter_by(dag_id=dag_id, task_id=task_id):
            ti.set_state(state, session=session)


def set_slots(pool: str, slots: int) -> None:
    """Make a pool, or give it another number of slots."""
    with create_session() as session:
        known = session.query(Pool).filter_by(pool=pool).first() or Pool(pool=pool, include_deferred=False)
        known.slots = slots
        session.merge(known)


def trigger_arguments() -> list[str]:
    """Tell what the triggers were made with that there are now, in the clear."""
    with create_session() as session:
        return [str(trigger.kwargs) for trigger in session.query(Trigger)]


def slots_held() -> int:
    """Tell how many slots of workers are taken."""
    return int(Pool.get_pool("default_pool").occupied_slots())


def run_state(dag_id: str) -> str:
    """Tell what became of a DAG's only run."""
    with create_session() as session:
        return str(session.query(DagRun).filter_by(dag_id=dag_id).one().state)


def run_id(dag_id: str) -> str:
    """Tell the id of a DAG's only run."""
    with create_session() as session:
        return str(session.query(DagRun.run_id).filter(DagRun.dag_id == dag_id).scalar())


def pause(dag_id: str, is_paused: bool) -> None:
    """Keep the scheduler from starting anything of a DAG, or let it go on."""
    with create_session() as session:
        session.query(DagModel).filter(DagModel.dag_id == dag_id).one().is_paused = is_paused


def remembered(dag_id: str) -> int:
    """Tell how many entries of the tasks of a DAG are in the state store."""
    from airflow.models.task_state_store import TaskStateStoreModel

    with create_session() as session:
        return int(session.query(TaskStateStoreModel).filter(TaskStateStoreModel.dag_id == dag_id).count())


def variable(key: str) -> str | None:
    """Tell what one of Airflow's Variables holds; null if there is none."""
    held = Variable.get(key, default_var=None)
    return None if held is None else str(held)


def delete_variable(key: str) -> None:
    """Delete one of Airflow's Variables, if there is one."""
    Variable.delete(key)


def retries_of(dag_id: str, task_id: str) -> int:
    """Tell how often Airflow would try a task again, as it has read the DAG last."""
    return int(SerializedDagModel.get(dag_id).dag.get_task(task_id).retries)


def set_max_tries(dag_id: str, task_id: str, number: int) -> None:
    """Leave the number that a clear leaves while the DAG is without the task."""
    with create_session() as session:
        session.query(TaskInstance).filter_by(dag_id=dag_id, task_id=task_id).update({"max_tries": number})


def clear(dag_id: str, task_ids: list[Any], **how: Any) -> None:
    """
    Clear tasks of the only run and what comes after them; Airflow adds their setups and teardowns by itself. A task is
    named by its id, or by that and a map index.
    """
    if IS_AIRFLOW_2:
        dag = SerializedDagModel.get(dag_id).dag
        names = [one if isinstance(one, str) else one[0] for one in task_ids]
        subset = dag.partial_subset(names, include_downstream=True, include_upstream=False).task_ids
        indexes = {one[0]: one[1] for one in task_ids if not isinstance(one, str)}
        _clear_instances(dag_id, subset, indexes)
        return
    which = {"dag_run_id": run_id(dag_id), "task_ids": task_ids, "include_downstream": True, "only_failed": False}
    _post(f"dags/{dag_id}/clearTaskInstances", {**which, **how, "dry_run": False})


def clear_run(dag_id: str) -> None:
    """Clear the only run."""
    if IS_AIRFLOW_2:
        _clear_instances(dag_id, SerializedDagModel.get(dag_id).dag.task_ids)
        return
    _post(f"dags/{dag_id}/dagRuns/{run_id(dag_id)}/clear", {"dry_run": False})


def _clear_instances(dag_id: str, task_ids: Collection[str], indexes: dict[str, int] | None = None) -> None:
    with create_session() as session:
        query = session.query(TaskInstance).filter(TaskInstance.dag_id == dag_id)
        chosen = [ti for ti in query if ti.task_id in task_ids]
        clear_task_instances([ti for ti in chosen if (indexes or {}).get(ti.task_id) in (None, ti.map_index)], session)


def _post(path: str, body: dict[str, Any]) -> None:
    server = f"http://127.0.0.1:{os.environ['TEST_API_PORT']}"
    token = requests.get(f"{server}/auth/token", timeout=30).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{server}/api/v2/{path}", json=body, headers=headers, timeout=60)
    assert answer.ok, answer.text


COMMANDS = {
    do.__name__: do
    for do in (
        *(is_known, trigger, run_state, instances, mark, pause, clear, clear_run),
        *(remembered, trigger_arguments, set_slots, slots_held, retries_of, set_max_tries),
        *(variable, delete_variable, run_id),
    )
}


def main() -> None:
    """Serve until nobody asks any more."""
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(MARK + json.dumps(COMMANDS[command](**arguments)), flush=True)


if __name__ == "__main__":
    main()
