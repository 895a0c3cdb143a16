"""What a person does in the UI, done to the database of a running Airflow: one JSON command a line."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.session import create_session

MARK = "@@"
"""Before each answer: Airflow prints to the same place."""


def is_known(dag_id: str) -> bool:
    """Tell whether Airflow has read a DAG."""
    return SerializedDagModel.has_dag(dag_id)


def trigger(dag_id: str) -> str:
    """Start a run."""
    more: dict[str, Any] = {}
    if "triggered_by" in inspect.signature(trigger_dag).parameters:
        from airflow.utils.types import DagRunTriggeredByType

        more = {"triggered_by": DagRunTriggeredByType.TEST}
    return str(trigger_dag(dag_id, **more).run_id)


def instances(dag_id: str) -> dict[str, dict[str, Any]]:
    """Tell what became of the tasks of a DAG's only run."""
    with create_session() as session:
        return {
            f"{ti.task_id}" if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": {
                "state": ti.state and str(getattr(ti.state, "value", ti.state)),
                "tries": ti.try_number,
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


def slots_held() -> int:
    """Tell how many slots of workers are taken."""
    return int(Pool.get_pool("default_pool").occupied_slots())


def run_state(dag_id: str) -> str:
    """Tell what became of a DAG's only run."""
    with create_session() as session:
        return str(session.query(DagRun).filter_by(dag_id=dag_id).one().state)


def clear(dag_id: str, task_ids: list[str]) -> list[str]:
    """Clear tasks and what comes after them; Airflow adds their setups and teardowns by itself."""
    dag = SerializedDagModel.get(dag_id).dag
    selected = list(dag.partial_subset(task_ids, include_downstream=True, include_upstream=False).task_dict)
    with create_session() as session:
        query = session.query(TaskInstance).filter(TaskInstance.dag_id == dag_id)
        clear_task_instances([ti for ti in query if ti.task_id in selected], session)
    return selected


def main() -> None:
    """Serve until nobody asks any more."""
    commands = [is_known, trigger, instances, mark, clear, set_slots, slots_held, run_state]
    by_name = {command.__name__: command for command in commands}
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(MARK + json.dumps(by_name[command](**arguments)), flush=True)


if __name__ == "__main__":
    main()
