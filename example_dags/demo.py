"""
Watch it happen without an account: three of the example DAGs on a real Airflow, against an SCNet emulator over real
HTTP. An answer is lost, a simulation fails, and nothing is left.

Run it with ``make demo``. It ends with status 0 only if the emulator has no active job left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from airflow_provider_scnet.testing import ScnetEmulator

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".demo"
LOG = HOME / "airflow.log"
MOST_LINES = 8
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOCATION = re.compile(r"\s+\[airflow[._].*|\s+loc=\S+.*")
DAGS = {"scnet_simulation": {}, "scnet_single_task": {}, "scnet_parameter_sweep": {"cases": 6}}
TOLD = re.compile(
    r"(It is not known whether the job was submitted|Job \S+ \(.*\) is this task's|Job \S+  failed \(.*\)|"
    r"The last .* of std\w+ of|step \d|converged).*"
)


def main() -> int:
    """Run the DAGs and give an account of what the emulator saw."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    with ScnetEmulator(cancel_delay=1) as scnet:
        # The first submission works, but its answer is lost on the way.
        scnet.fail("submit", drop=True, effect=True)
        print(f"SCNet emulator at {scnet.url}; Airflow's own output in {LOG}\n")
        environment = _environment(scnet)
        os.environ.update(environment)
        _step("Airflow: create an SQLite database", "db", "migrate", environment=environment)
        said = {dag_id: _run(dag_id, conf, environment) for dag_id, conf in DAGS.items()}
        for dag_id in DAGS:
            _tell_of_run(dag_id, said[dag_id])
        return _tell_of_jobs(scnet)


def _environment(scnet: ScnetEmulator) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **inherited,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SCNET_DEFAULT": scnet.connection(),
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def _run(dag_id: str, conf: dict[str, int], environment: dict[str, str]) -> list[str]:
    """Run a DAG; return what its tasks have said that is worth reading."""
    begins = LOG.stat().st_size
    _step(f"Airflow: run {dag_id}", "dags", "test", dag_id, "-c", json.dumps(conf), environment=environment)
    with LOG.open(errors="replace") as log:
        log.seek(begins)
        said = ANSI.sub("", log.read())
    # Airflow 2 prints some of it twice.
    return list(dict.fromkeys(LOCATION.sub("", match[0]).strip() for match in TOLD.finditer(said)))[:MOST_LINES]


def _step(title: str, *arguments: str, environment: dict[str, str]) -> None:
    print(f"  {title} ...", end="", flush=True)
    started = time.monotonic()
    with LOG.open("a") as log:
        subprocess.run(["airflow", *arguments], env=environment, stdout=log, stderr=log, check=False)
    print(f" {time.monotonic() - started:.0f} s")


def _tell_of_run(dag_id: str, said: list[str]) -> None:
    """Ask Airflow what became of the run's tasks."""
    from airflow.models.dagrun import DagRun  # not before the environment says where its database is
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag_id).first()
        instances = session.query(TaskInstance).filter_by(dag_id=dag_id).order_by(TaskInstance.start_date).all()
        tasks = Counter((ti.task_id, str(ti.state)) for ti in instances)
        result = instances[0].xcom_pull(task_ids="delete_jobs", session=session) if instances else None
        state = run.state if run else "missing"
    print(f"\n{dag_id}: run {state}")
    for (task_id, state), count in tasks.items():
        print(f"  {task_id:<16} {state}{f' ({count} times)' if count > 1 else ''}")
    for line in said:
        print(f"  | {line}")
    if result:
        print(f"  the teardown's account: {json.dumps(result)}")


def _tell_of_jobs(scnet: ScnetEmulator) -> int:
    print(f"\nWhat the emulator saw: {', '.join(f'{count} {call}' for call, count in scnet.calls.items())}")
    deletes = [request.form["strJobInfoMap"] for request in scnet.requests if request.call == "delete"]
    for job in scnet.jobs:
        sent = sum(job.ref in delete.split(";") for delete in deletes)
        print(f"  job {job.job_id:<5} {job.name:<28} {job.state:<10} deletes sent: {sent}")
    if not scnet.jobs:
        print(f"\nNo job was submitted: see {LOG}")
        return 1
    if scnet.active_jobs:
        print(f"\n{len(scnet.active_jobs)} jobs are STILL ACTIVE: see {LOG}")
        return 1
    print(f"\n{len(scnet.jobs)} jobs submitted, none left active.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
