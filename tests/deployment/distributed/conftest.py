"""
A distributed Airflow: PostgreSQL, Redis, two Celery workers and the rest, each a process of its own. Beside it, where a
test asks for it, a small one that uses the same account of SCNet.
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider_scnet.jobs.namespace import KEY
from airflow_provider_scnet.jobs.naming import JobTag, task_tag
from tests.deployment.components import Deployment, api_server, usual_settings
from tests.deployment.distributed.emulated import Account, Emulated, PlannedFault
from tests.deployment.distributed.services import Services, what_is_missing

pytest.register_assert_rewrite("tests.deployment.distributed.scenarios")
HERE = Path(__file__).parent
WORKERS = ("worker-1", "worker-2")
SLOTS = 8
"""Tasks that a worker runs at the same time."""
LOST_AFTER = "20"
"""Seconds without a heartbeat after which the scheduler gives a task up; each worker's tasks beat every second."""


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """These tests need services and an environment of their own: they run only where this folder is named."""
    paths = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in paths) else True


class Simulating(Deployment):
    """
    A running Airflow whose tasks submit jobs.

    :param home: its `AIRFLOW_HOME`; the DAGs are there already.
    :param settings: beside the usual ones.
    :param components: name -> arguments of `airflow`, beside the usual ones.
    :param scnet: the service that its connection leads to.
    """

    def __init__(
        self, home: Path, settings: Mapping[str, str], components: Mapping[str, Sequence[str]], scnet: Emulated
    ) -> None:
        self.scnet = scnet
        settings = {**usual_settings(home), "AIRFLOW_CONN_SCNET_DEFAULT": scnet.aksk_connection, **settings}
        usual = {
            "api-server": api_server(settings),
            "scheduler": ["scheduler"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer"],
        }
        super().__init__(home, settings, {**usual, **components})

    @property
    def namespace(self) -> str:
        """What tells its jobs from those of others; empty if no task has made it yet."""
        return self.do("variable", key=KEY) or ""

    def begin(self, dag_id: str, run_id: str | None = None) -> Run:
        """Start a run of a DAG, with an id of its own unless one is given."""
        return Run(self, dag_id, self.trigger(dag_id, run_id))

    def begin_held(self, dag_id: str) -> Run:
        """Start a run whose job is made, but whose submission gets no answer yet."""
        held = self.scnet.fail("submit", hold=True, when=f"{dag_id}_")
        run = self.begin(dag_id)
        run.held = held
        run.wait_for(lambda: held.held)
        return run

    def begin_deleting(self, dag_id: str) -> Run:
        """Start a run whose delete is on its way: it gets no answer, and the job runs on."""
        run = self.begin_held(dag_id)
        submission, deletion = run.held, run.hold_delete()
        submission.release()
        run.wait_for(lambda: deletion.held)
        assert run.account.summary == (1, 1)
        return run

    def begin_waiting(self, dag_id: str) -> Run:
        """Start a run whose only task waits, without a worker."""
        run = self.begin(dag_id)
        run.wait_until_waiting()
        return run


class Distributed(Simulating):
    """
    The running Airflow.

    :param home: its `AIRFLOW_HOME`, still empty.
    :param services: what it keeps its state in.
    :param scnet: the service that its connection leads to.
    """

    def __init__(self, home: Path, services: Services, scnet: Emulated) -> None:
        self.services = services
        shutil.copytree(HERE / "dags", home / "dags")
        shutil.copy(HERE.parents[2] / "example_dags" / "scnet_delete_jobs.py", home / "dags")
        settings = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "64",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": services.database_url,
            "AIRFLOW__CELERY__BROKER_URL": services.broker_url,
            "AIRFLOW__CELERY__RESULT_BACKEND": services.database_url.replace("postgresql+psycopg2", "db+postgresql"),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": LOST_AFTER,
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        }
        # Without a server for its logs: the second would find the port taken.
        workers = {name: ["celery", "worker", "--celery-hostname", name, "--skip-serve-logs"] for name in WORKERS}
        super().__init__(home, settings, workers, scnet)

    @property
    def slots_held(self) -> int:
        """How many slots of workers are taken."""
        return int(self.do("slots_held"))


class Neighbour(Simulating):
    """
    Another Airflow, with a metadata database of its own, that runs the same DAG file with the same account of SCNet.

    :param airflow: the one that it knows nothing of.
    """

    def __init__(self, airflow: Distributed) -> None:
        home = airflow.home / "neighbour"
        (home / "dags").mkdir(parents=True)
        shutil.copy(HERE / "dags" / "simulations.py", home / "dags")
        settings = {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow.services.make_database("neighbour"),
        }
        super().__init__(home, settings, {}, airflow.scnet)


class Run:
    """
    The only run of a DAG whose jobs bear its name.

    :param airflow: where it runs.
    """

    held: PlannedFault
    """The fault that holds an answer."""

    def __init__(self, airflow: Simulating, dag_id: str, run_id: str) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = run_id

    @property
    def account(self) -> Account:
        """What became of its jobs, and of those of the same DAG in another Airflow."""
        return self.airflow.scnet.account(self.dag_id)

    @property
    def own(self) -> Account:
        """What became of those of them whose names stand for its submissions in this Airflow."""
        tag = self.tag("submit")
        return Account([job for job in self.account.jobs if JobTag.read(job["name"]).task == tag])

    def tag(self, task_id: str) -> str:
        """What stands for a task of it in the names of jobs, computed as the guide says."""
        return task_tag(self.dag_id, self.run_id, task_id, self.airflow.namespace)

    def job(self, known: dict[str, Any]) -> dict[str, Any]:
        """What has become of one of them."""
        return next(job for job in self.account.jobs if job["job_id"] == known["job_id"])

    @property
    def state(self) -> str:
        """The state of the run."""
        return str(self.airflow.do("run_state", dag_id=self.dag_id))

    def states(self) -> dict[str, str | None]:
        """The states of its tasks."""
        return {name: one["state"] for name, one in self._instances().items()}

    def tries(self, task_id: str) -> int:
        """The number of a task's try."""
        return int(self._instances()[task_id]["tries"])

    def log(self, task_id: str) -> str:
        """All that a task has logged."""
        folder = self.airflow.home / "logs" / f"dag_id={self.dag_id}" / f"run_id={self.run_id}" / f"task_id={task_id}"
        return "".join(path.read_text() for path in sorted(folder.rglob("*.log*")))

    def wait_for(self, what: Callable[[], object]) -> None:
        """Wait until something is so, on a machine that may have much else to do."""
        self.airflow.wait_for(what, patience=400)

    def wait_for_state(self, task_id: str, state: str) -> None:
        """Wait until a task is in a state."""
        self.wait_for(lambda: self.states().get(task_id) == state)

    def wait_for_jobs(self, number: int) -> None:
        """Wait until it has created so many jobs."""
        self.wait_for(lambda: len(self.account.jobs) == number)

    def wait_for_end(self) -> None:
        """Wait until the run has ended."""
        self.wait_for(lambda: self.state in ("success", "failed"))

    def wait_for_looks(self) -> None:
        """Wait until somebody has looked at jobs again, twice."""
        looks = self.airflow.scnet.calls["list"]
        self.wait_for(lambda: self.airflow.scnet.calls["list"] >= looks + 2)

    def wait_until_waiting(self) -> None:
        """Wait until all submissions are with the triggerer, and that has begun with them."""

        def all_wait() -> bool:
            submissions = [one for name, one in self._instances().items() if name.startswith("submit")]
            return bool(submissions) and all(one["is_triggered"] for one in submissions)

        self.wait_for(all_wait)

    def hold_delete(self) -> PlannedFault:
        """Lose the next delete of its only job: whoever sends it hears nothing until that is released."""
        (job,) = self.account.jobs
        self.held = self.airflow.scnet.fail("delete", hold=True, drop=True, when=f":{job['job_id']}:")
        return self.held

    def kill(self, task_id: str) -> None:
        """Kill the process of a task, so that it cannot clean up."""
        process = psutil.Process(self._pid(task_id))
        process.kill()
        psutil.wait_procs([process], timeout=60)

    def worker(self, task_id: str) -> str:
        """The worker that a task runs on."""
        pid = self._pid(task_id)
        return next(name for name in WORKERS if pid in self.airflow.pids(name))

    def mark(self, task_id: str, state: str) -> None:
        """Mark a task as a person does."""
        self.airflow.do("mark", dag_id=self.dag_id, task_id=task_id, state=state)

    def clear(self, *task_ids: str) -> None:
        """Clear tasks and what comes after them."""
        self.airflow.do("clear", dag_id=self.dag_id, task_ids=list(task_ids))

    def clear_all(self) -> None:
        """Clear the run."""
        self.airflow.do("clear_run", dag_id=self.dag_id)

    def _pid(self, task_id: str) -> int:
        return int(self._instances()[task_id]["pid"])

    def _instances(self) -> dict[str, dict[str, Any]]:
        return self.airflow.do("instances", dag_id=self.dag_id)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Distributed]:
    lacking = [*what_is_missing(), *([] if importlib.util.find_spec("celery") else ["the Python package celery"])]
    if lacking:
        pytest.fail(
            f"Missing here: {', '.join(lacking)}. `make test-deployment` makes the Python environment; PostgreSQL and "
            "Redis have to be installed (Debian, as root: apt-get install postgresql redis-server).",
            pytrace=False,
        )
    home = tmp_path_factory.mktemp("airflow")
    with ExitStack() as running:
        running.push(lambda kind, *_: _keep_logs(home) if kind or request.session.testsfailed else None)
        services = Services(home)
        running.callback(services.close)
        scnet = Emulated(home)
        running.callback(scnet.close)
        scnet.wait_until_it_serves()
        airflow = Distributed(home, services, scnet)
        running.callback(airflow.close)
        airflow.begin_components()
        yield airflow


@pytest.fixture
def neighbour(airflow: Distributed) -> Iterator[Neighbour]:
    neighbour = Neighbour(airflow)
    try:
        neighbour.begin_components()
        yield neighbour
    finally:
        neighbour.close()


def _keep_logs(home: Path) -> None:
    """Where a person can find them: the folder of the run may be gone soon."""
    kept = HERE.parents[2] / ".airflow" / f"deployment-{time.strftime('%Y%m%d-%H%M%S')}"
    shutil.copytree(home, kept, ignore=shutil.ignore_patterns("*.db", "__pycache__"), dirs_exist_ok=True)
    print(f"\nThe logs are kept in {kept}.")
