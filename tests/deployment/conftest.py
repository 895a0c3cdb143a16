"""A real Airflow: scheduler, triggerer and what else the version needs, each a process of its own, on a database."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.deployment.driver import MARK

HERE = Path(__file__).parent
IS_AIRFLOW_2 = __import__("airflow").__version__.startswith("2.")
COMPONENTS = ["scheduler", "triggerer"] if IS_AIRFLOW_2 else ["api-server", "dag-processor", "scheduler", "triggerer"]
LINES = 40
"""Of each log that are shown when something does not happen."""
LONGEST_STOP = 60.0
"""Seconds for a process to end that was asked to."""
PATIENCE = 120.0
"""Seconds for anything to happen; a machine may be busy."""


class Deployment:
    """
    The running Airflow.

    :param home: its `AIRFLOW_HOME`, still empty.
    :param scnet: the service that its connection leads to.
    """

    def __init__(self, home: Path, scnet: ScnetEmulator) -> None:
        self.scnet = scnet
        self._home = home
        self._environment = {**os.environ, **_settings(home), "AIRFLOW_CONN_SCNET_DEFAULT": scnet.connection()}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        shutil.copytree(HERE / "dags", home / "dags")
        self._run("db", "migrate")
        if IS_AIRFLOW_2:
            self._run("dags", "reserialize")
        for component in COMPONENTS:
            self.start(component)
        driver = [sys.executable, "-u", str(HERE / "driver.py")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        log = (home / "driver.log").open("wb")
        self._driver = subprocess.Popen(driver, env=self._environment, stderr=log, **pipes)

    def warm_up(self) -> None:
        """Airflow 3.0 to 3.2 are asked what became of a task, and take their time over the first question of a kind."""
        if not IS_AIRFLOW_2:
            self.wait_for(self._is_api_awake)
        self.trigger("warm_up")
        self.wait_for(lambda: self.is_triggered("warm_up", "submit"))
        self.do("mark", dag_id="warm_up", task_id="submit", state="failed")
        self.wait_for(lambda: self.state("warm_up", "submit") == "failed")

    def _is_api_awake(self) -> bool:
        """Its first answer to a worker may take longer than a worker waits for it."""
        with suppress(requests.RequestException):
            url = f"{self._environment['AIRFLOW__CORE__EXECUTION_API_SERVER_URL']}health"
            return requests.get(url, timeout=PATIENCE).ok
        return False

    def start(self, component: str) -> None:
        """Start one of the processes."""
        log = (self._home / f"{component}.log").open("ab")
        command = [sys.executable, "-m", "airflow", component]
        if component == "api-server":
            command += ["--port", self._environment["TEST_API_PORT"], "--host", "127.0.0.1", "--workers", "1"]
        self._processes[component] = subprocess.Popen(
            command, env=self._environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def kill(self, component: str) -> None:
        """Kill one of them, and its children, so that it cannot clean up."""
        process = self._processes.pop(component)
        # Some have a process group of their own, so that to kill that of their parent is not enough.
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
        process.wait()

    def stop(self, component: str) -> None:
        """End one of them as an operator does who restarts it."""
        process = self._processes[component]
        process.terminate()
        try:
            process.wait(LONGEST_STOP)
        finally:
            self.kill(component)

    def close(self) -> None:
        """End them all."""
        self._driver.kill()
        for component in list(self._processes):
            self.kill(component)

    def do(self, command: str, **arguments: Any) -> Any:
        """Do what a person does; see the driver."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps([command, arguments]) + "\n")
        self._driver.stdin.flush()
        for line in self._driver.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise RuntimeError((self._home / "driver.log").read_text())

    def trigger(self, dag_id: str) -> None:
        """Start a run, as soon as the DAG is known."""
        self.wait_for(lambda: self.do("is_known", dag_id=dag_id))
        self.do("trigger", dag_id=dag_id)

    def state(self, dag_id: str, task_id: str) -> str | None:
        """The state of a task instance."""
        return self.do("instances", dag_id=dag_id).get(task_id, {}).get("state")

    def is_triggered(self, dag_id: str, task_id: str) -> bool:
        """Whether a task is deferred, and a triggerer has begun with it."""
        return bool(self.do("instances", dag_id=dag_id).get(task_id, {}).get("is_triggered"))

    def tries(self, dag_id: str, task_id: str) -> int:
        """The number of its try."""
        return self.do("instances", dag_id=dag_id)[task_id]["tries"]

    def wait_for(self, what: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Wait until something is so."""
        deadline = time.monotonic() + patience
        while not (seen := what()):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.3)
        return seen

    def jobs(self, name: str) -> list[Job]:
        """The jobs whose own name this is."""
        return [job for job in self.scnet.jobs if job.name.startswith(f"{name}_")]

    def active(self, name: str) -> list[Job]:
        """Those of them that go on."""
        return [job for job in self.jobs(name) if job.active]

    def logs(self) -> str:
        """What the processes have said last."""
        return "\n".join(
            f"=== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-LINES:])
            for path in sorted(self._home.glob("*.log"))
        )

    def _run(self, *command: str) -> None:
        run = [sys.executable, "-m", "airflow", *command]
        subprocess.run(run, env=self._environment, check=True, capture_output=True)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def _settings(home: Path) -> dict[str, str]:
    port, worker_logs, trigger_logs = _free_ports(3)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        "PATH": path,
        "PYTHONPATH": str(HERE.parent.parent),
        "TEST_API_PORT": str(port),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if IS_AIRFLOW_2 else "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__INTERNAL_API_SECRET_KEY": "only for this test",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__SECRET_KEY": "only for this test",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only for this test " * 5,
        "AIRFLOW__API_AUTH__JWT_ISSUER": "test",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": str(PATIENCE),
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    }


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with ScnetEmulator() as scnet:
        running = Deployment(tmp_path_factory.mktemp("airflow"), scnet)
        try:
            running.warm_up()
            yield running
        finally:
            running.close()
