"""A running Airflow: its components, each a process of its own, and what a person does with it."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import psutil
import requests

from tests.deployment.driver import MARK

HERE = Path(__file__).parent
IS_AIRFLOW_2 = __import__("airflow").__version__.startswith("2.")
LINES = 40
"""Of each log that are shown when something does not happen."""
LONGEST_STOP = 60.0
"""Seconds for a process to end that was asked to."""
PATIENCE = 300.0
"""Seconds for anything to happen; a machine may be busy."""


class Deployment:
    """
    The running Airflow.

    :param home: its `AIRFLOW_HOME`; the DAGs are there already.
    :param settings: environment variables that make it what it is, see :func:`usual_settings`.
    :param components: name -> arguments of `airflow`.
    """

    def __init__(self, home: Path, settings: Mapping[str, str], components: Mapping[str, Sequence[str]]) -> None:
        self.home = home
        # It makes a namespace of its own, unlike the process of the tests, which is given one.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_VAR_")}
        self.environment = {**inherited, **settings}
        self._components = components
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = Lock()
        self._driver: subprocess.Popen[str] | None = None

    def begin_components(self) -> None:
        """Make the database, and start them all."""
        self.run("db", "migrate")
        if IS_AIRFLOW_2:
            self.run("dags", "reserialize")
        for component in self._components:
            self.start(component)
        driver = [sys.executable, "-u", str(HERE / "driver.py")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        log = (self.home / "driver.log").open("wb")
        self._driver = subprocess.Popen(driver, env=self.environment, stderr=log, **pipes)
        if not IS_AIRFLOW_2:
            self.wait_for(self.is_api_awake)

    def is_api_awake(self) -> bool:
        """Its first answer to a worker may take longer than a worker waits for it."""
        with suppress(requests.RequestException):
            url = f"{self.environment['AIRFLOW__CORE__EXECUTION_API_SERVER_URL']}health"
            return requests.get(url, timeout=PATIENCE).ok
        return False

    def start(self, component: str) -> None:
        """Start one of the processes."""
        log = (self.home / f"{component}.log").open("ab")
        command = [sys.executable, "-m", "airflow", *self._components[component]]
        self._processes[component] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
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

    def ask_to_stop(self, component: str) -> None:
        """Tell one of them to end, as an operator does who restarts it."""
        self._processes[component].terminate()

    def stop(self, component: str) -> None:
        """End one of them so, and wait."""
        self.ask_to_stop(component)
        try:
            self._processes[component].wait(LONGEST_STOP)
        finally:
            self.kill(component)

    def is_running(self, component: str) -> bool:
        """Whether one of them has not ended."""
        return self._processes[component].poll() is None

    def pids(self, component: str) -> set[int]:
        """The processes of one of them, with all their descendants."""
        root = psutil.Process(self._processes[component].pid)
        return {root.pid, *(child.pid for child in root.children(recursive=True))}

    def close(self) -> None:
        """End them all."""
        if self._driver:
            self._driver.kill()
        for component in list(self._processes):
            self.kill(component)

    def do(self, command: str, **arguments: Any) -> Any:
        """Do what a person does; see the driver."""
        assert self._driver is not None
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        with self._lock:
            self._driver.stdin.write(json.dumps([command, arguments]) + "\n")
            self._driver.stdin.flush()
            for line in self._driver.stdout:
                if line.startswith(MARK):
                    return json.loads(line.removeprefix(MARK))
        raise RuntimeError((self.home / "driver.log").read_text())

    def trigger(self, dag_id: str, run_id: str | None = None) -> str:
        """Start a run, as soon as the DAG is known, and tell its id."""
        self.wait_for(lambda: self.do("is_known", dag_id=dag_id))
        return str(self.do("trigger", dag_id=dag_id, run_id=run_id))

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

    def logs(self) -> str:
        """What the processes have said last."""
        return "\n".join(
            f"=== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-LINES:])
            for path in sorted(self.home.glob("*.log"))
        )

    def run(self, *command: str) -> None:
        """Call `airflow`; what it says goes into a log."""
        with (self.home / "airflow.log").open("ab") as log:
            run = [sys.executable, "-m", "airflow", *command]
            subprocess.run(run, env=self.environment, check=True, stdout=log, stderr=subprocess.STDOUT)


def free_ports(number: int) -> list[int]:
    """Ports on loopback that nobody uses now, and that no outgoing connection is given meanwhile: those are higher."""
    sockets: list[socket.socket] = []
    for port in random.sample(range(20_000, 30_000), 10_000):
        with suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", port)))
        if len(sockets) == number:
            break
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def api_server(settings: Mapping[str, str]) -> list[str]:
    """The arguments that start Airflow's API server where the other components look for it."""
    return ["api-server", "--port", settings["TEST_API_PORT"], "--host", "127.0.0.1", "--workers", "1"]


def usual_settings(home: Path) -> dict[str, str]:
    """Settings of every Airflow here: heartbeats that do not keep a test waiting, and ports that are free."""
    port, worker_logs, trigger_logs = map(str, free_ports(3))
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(HERE.parent.parent),
        "TEST_API_PORT": port,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
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
