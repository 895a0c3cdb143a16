"""The Airflow that the tests run on, with a LocalExecutor on a database in a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.triggers import kills
from tests.deployment.components import IS_AIRFLOW_2, Deployment, api_server, usual_settings

HERE = Path(__file__).parent
LONGEST_SILENCE = kills.QUESTIONS * kills.LONGEST_ANSWER + kills.SILENCE + 10
"""Seconds after which Airflow is asked again, with some for the triggerer to see what was done to a task."""


class LocalDeployment(Deployment):
    """
    The running Airflow, beside an emulator in this process.

    :param home: its `AIRFLOW_HOME`, still empty.
    :param scnet: the service that its connection leads to.
    """

    def __init__(self, home: Path, scnet: ScnetEmulator) -> None:
        self.scnet = scnet
        shutil.copytree(HERE / "dags", home / "dags")
        settings = {
            **usual_settings(home),
            "AIRFLOW_CONN_SCNET_DEFAULT": scnet.connection(),
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if IS_AIRFLOW_2 else "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            # Airflow 2's scheduler takes note that a DAG has changed, with the DAG that it read up to ten seconds ago,
            # and adds what is new never. And neither is to wait with writing.
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        }
        components = {"scheduler": ["scheduler"], "triggerer": ["triggerer"]}
        if not IS_AIRFLOW_2:
            components = {"api-server": api_server(settings), "dag-processor": ["dag-processor"], **components}
        super().__init__(home, settings, components)

    def warm_up(self) -> None:
        """
        Airflow 3.0 to 3.2 are asked what became of a task, and take their time over the first question of a kind. If
        they do not answer it, nobody asks for a while, and a test that marks a task meanwhile would be in vain.
        """
        self.trigger("warm_up")
        self.wait_for(lambda: self.is_triggered("warm_up", "submit"))
        self.do("mark", dag_id="warm_up", task_id="submit", state="failed")
        deadline = time.monotonic() + LONGEST_SILENCE
        self.wait_for(lambda: not self.active("warm_up") or time.monotonic() > deadline)

    def edit(self, dag_id: str, old: str, new: str) -> None:
        """Change the file of a DAG that has its name, and let Airflow read it at once."""
        path = self.home / "dags" / f"{dag_id}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def jobs(self, name: str) -> list[Job]:
        """The jobs whose own name this is."""
        return [job for job in self.scnet.jobs if job.name.startswith(f"{name}_")]

    def active(self, name: str) -> list[Job]:
        """Those of them that go on."""
        return [job for job in self.jobs(name) if job.active]


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    with ScnetEmulator() as scnet:
        running = LocalDeployment(tmp_path_factory.mktemp("airflow"), scnet)
        try:
            running.begin_components()
            running.warm_up()
            yield running
        finally:
            running.close()
