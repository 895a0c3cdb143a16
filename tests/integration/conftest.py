"""DAG runs on a real Airflow, in this process or in one of their own, with a database of their own."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_scnet.jobs import submission
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import EXAMPLE_DAGS

HOME = Path(os.environ["AIRFLOW_HOME"])
ANSI = re.compile(r"\x1b\[[0-9;]*m")
PATIENCE = 300.0
"""Seconds for whatever Airflow does; a machine may be busy."""


@dataclass
class Run:
    """What Airflow says after a run."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    returned: dict[str, Any]


@dataclass
class RunningDag:
    """A run in a process of its own, as `airflow dags test` makes it: Airflow's signal handlers are real there."""

    dag_id: str
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "airflow", "dags", "test", self.dag_id]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return ANSI.sub("", self.log.read_text())

    def finish(self, timeout: float = PATIENCE) -> Run:
        """Wait for its end, and read what became of it."""
        self.process.wait(timeout)
        assert "starting task" in self.output, self.output  # else there is no run to read
        return _read(self.dag_id)


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScnetEmulator]:
    """An SCNet whose lists do not lag, so that whoever looks for a job need not look for long."""
    monkeypatch.setattr(submission, "SETTLING_TIME", 1.0)
    monkeypatch.setattr(submission, "LOOK_EVERY", 0.2)
    with ScnetEmulator() as scnet:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        yield scnet


@pytest.fixture(scope="session")
def airflow() -> None:
    dags = HOME / "dags"
    shutil.copytree(EXAMPLE_DAGS, dags / "examples")
    shutil.copytree(Path(__file__).parent / "dags", dags / "shapes")
    (python,) = re.findall(r"```python\n(.*?)```", (EXAMPLE_DAGS.parent / "README.md").read_text(), flags=re.DOTALL)
    (dags / "readme.py").write_text(python)
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def find_dag(airflow: None) -> Callable[[str], Any]:
    def find(dag_id: str) -> Any:
        try:
            from airflow.dag_processing.dagbag import DagBag
        except ImportError:  # Airflow < 3.2
            from airflow.models.dagbag import DagBag
        bag = DagBag(HOME / "dags")
        assert not bag.import_errors
        return bag.dags[dag_id]

    return find


@pytest.fixture(scope="session")
def _one_api_server() -> None:
    """What Airflow does itself from 3.3 on: below, each task that runs here makes one, in seconds that are wasted."""
    with suppress(ImportError):  # Airflow 2
        from airflow.sdk.execution_time import supervisor

        supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


@pytest.fixture(scope="session")
def run_dag(_one_api_server: None, find_dag: Callable[[str], Any]) -> Callable[..., Run]:
    def run(dag_id: str, conf: dict[str, Any] | None = None, /, **changes: dict[str, Any]) -> Run:
        """Run a DAG after changing attributes of some of its tasks, given as task_id={...}."""
        dag = find_dag(dag_id)
        for task_id, attributes in changes.items():
            task = dag.get_task(task_id)
            for name, value in attributes.items():
                if hasattr(task, "partial_kwargs"):
                    task.partial_kwargs[name] = value
                else:
                    setattr(task, name, value)
        dag.test(run_conf=conf)
        return _read(dag_id)

    return run


@pytest.fixture
def start_dag(airflow: None, tmp_path: Path) -> Iterator[Callable[[str], RunningDag]]:
    started: list[RunningDag] = []

    def start(dag_id: str) -> RunningDag:
        started.append(RunningDag(dag_id, tmp_path / f"{dag_id}.log"))
        return started[-1]

    yield start
    for run in started:
        run.process.kill()
        run.process.wait()


def _read(dag_id: str) -> Run:
    """Ask Airflow's models what became of a DAG's latest run: its tables have other names in other versions."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id.desc()).first()
        instances = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run.run_id).all()
        returned = {
            ti.task_id: ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, session=session) for ti in instances
        }
        return Run(
            run.state,
            {ti.task_id: ti.state for ti in instances},
            {ti.task_id: ti.try_number for ti in instances},
            {task_id: value for task_id, value in returned.items() if value is not None},
        )
