"""The Airflow that the tests run on, with a LocalExecutor on a database in a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.deployment.components import IS_AIRFLOW_2, Deployment, api_server, usual_settings

HERE = Path(__file__).parent


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
        }
        components = {"scheduler": ["scheduler"], "triggerer": ["triggerer"]}
        if not IS_AIRFLOW_2:
            components = {"api-server": api_server(settings), "dag-processor": ["dag-processor"], **components}
        super().__init__(home, settings, components)

    def warm_up(self) -> None:
        """Airflow 3.0 to 3.2 are asked what became of a task, and take their time over the first question of a kind."""
        self.trigger("warm_up")
        self.wait_for(lambda: self.is_triggered("warm_up", "submit"))
        self.do("mark", dag_id="warm_up", task_id="submit", state="failed")
        self.wait_for(lambda: self.state("warm_up", "submit") == "failed")

    def jobs(self, name: str) -> list[Job]:
        """The jobs whose own name this is."""
        return [job for job in self.scnet.jobs if job.name.startswith(f"{name}_")]

    def active(self, name: str) -> list[Job]:
        """Those of them that go on."""
        return [job for job in self.jobs(name) if job.active]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    with ScnetEmulator() as scnet:
        running = LocalDeployment(tmp_path_factory.mktemp("airflow"), scnet)
        try:
            running.begin_components()
            running.warm_up()
            yield running
        finally:
            running.close()
