"""What Airflow's own DAG processor makes of a file, which it sends from one process to another."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import HOME, PATIENCE

pytestmark = pytest.mark.integration
IS_AIRFLOW_2 = __import__("airflow").__version__.startswith("2.")
PROCESS = ["dags", "reserialize"] if IS_AIRFLOW_2 else ["dag-processor", "--num-runs", "1"]
"""Airflow 2 has no such process on SQLite."""

DAGS = """
from enum import StrEnum

from airflow.providers.common.compat.sdk import DAG
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor

Queue = StrEnum("Queue", {"SHORT": "debug"})
ref = JobRef("1638523853", "test", "197")

with DAG("references", schedule=None):
    ScnetDeleteJobsOperator(task_id="delete", jobs=ref)
    ScnetDeleteJobsOperator(task_id="delete_nested", jobs=[{"jobs": (ref, {ref})}, ref])
    ScnetJobSensor(task_id="wait", jobs=[ref])
    ScnetDeleteJobsOperator.partial(task_id="delete_partial", jobs=ref).expand(user=["a", "b"])
    ScnetDeleteJobsOperator.partial(task_id="delete_mapped").expand(jobs=[ref, [ref]])
    ScnetJobSensor.partial(task_id="wait_mapped").expand_kwargs([{"jobs": ref}])
    ScnetSubmitJobOperator(
        task_id="submit", command="true", job_queue=Queue.SHORT, work_dir="/public/home/me", walltime="01:00:00"
    )

with DAG("beside_them", schedule=None):
    ScnetDeleteJobsOperator(task_id="delete", jobs="197")
"""


def copy_database(source: Path, target: Path) -> None:
    """
    By SQLite itself. Whoever opens and closes the file of a database takes all locks from it that this process holds,
    and one who opens it meanwhile destroys what Airflow goes on with here ("database disk image is malformed").
    """
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


@pytest.mark.usefixtures("airflow")
def test_references_reach_airflow(tmp_path: Path) -> None:
    """An instance of a subclass of text makes a whole file vanish from Airflow 3, without an import error."""
    copy_database(HOME / "airflow.db", tmp_path / "airflow.db")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "references.py").write_text(DAGS)
    settings = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags")}
    done: Any = subprocess.run(
        [sys.executable, "-m", "airflow", *PROCESS],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        known = {dag_id for (dag_id,) in database.execute("SELECT dag_id FROM serialized_dag")}
    assert {"references", "beside_them"} <= known, done.stdout + done.stderr
