"""DAG runs on a real Airflow, in this process, with a database of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLE_DAGS

HOME = Path(os.environ["AIRFLOW_HOME"])


@dataclass
class Run:
    """What Airflow's database says after a run."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    returned: dict[str, Any]


@pytest.fixture(scope="session")
def airflow() -> None:
    dags = HOME / "dags"
    shutil.copytree(EXAMPLE_DAGS, dags / "examples")
    shutil.copytree(Path(__file__).parent / "dags", dags / "shapes")
    (python,) = re.findall(r"```python\n(.*?)```", (EXAMPLE_DAGS.parent / "README.md").read_text(), flags=re.DOTALL)
    (dags / "readme.py").write_text(python)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def run_dag(airflow: None) -> Callable[..., Run]:
    def run(dag_id: str, **changes: dict[str, Any]) -> Run:
        """Run a DAG after changing attributes of some of its tasks, given as task_id={...}."""
        try:
            from airflow.dag_processing.dagbag import DagBag
        except ImportError:  # Airflow < 3.2
            from airflow.models.dagbag import DagBag
        bag = DagBag(HOME / "dags")
        assert not bag.import_errors
        dag = bag.dags[dag_id]
        for task_id, attributes in changes.items():
            for name, value in attributes.items():
                setattr(dag.get_task(task_id), name, value)
        return _read(dag_id, dag.test().run_id)

    return run


def _read(dag_id: str, run_id: str) -> Run:
    with sqlite3.connect(HOME / "airflow.db") as database:
        key = (dag_id, run_id)
        where = "WHERE dag_id = ? AND run_id = ?"
        state = database.execute(f"SELECT state FROM dag_run {where}", key).fetchone()[0]
        rows = database.execute(f"SELECT task_id, state, try_number FROM task_instance {where}", key).fetchall()
        xcoms = database.execute(f"SELECT task_id, value FROM xcom {where} AND key = 'return_value'", key).fetchall()
    return Run(
        state,
        {task_id: state for task_id, state, _ in rows},
        {task_id: tries for task_id, _, tries in rows},
        {task_id: _decoded(value) for task_id, value in xcoms},
    )


def _decoded(value: Any) -> Any:
    """Airflow 3 encodes what it has encoded already."""
    while isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return value
