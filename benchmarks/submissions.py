"""What a submission costs in requests: where all is given, and where all has to be found out."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow_provider_scnet.operators.scnet import ScnetSubmitJobOperator
from airflow_provider_scnet.testing import ScnetEmulator

JOB = {
    "task_id": "submit",
    "command": "sleep 3600",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01",
    "walltime": timedelta(hours=2),
}
FIRST_TRY = {"dag_id": "bench", "run_id": "manual", "task_id": "submit", "map_index": -1, "max_tries": 0}


def run() -> bool:
    """Print a line for each promise; tell whether all are kept."""
    print("Submitting one job, first try")
    with ScnetEmulator() as scnet:
        given = _show("a token and scheduler_id given", 1, scnet, scnet.connection(), scheduler_id="1638523853")
    with ScnetEmulator() as scnet:
        found_out = _show("AK/SK, all else found out", 4, scnet, scnet.aksk_connection())
    print()
    return given and found_out


def _show(title: str, most: int, scnet: ScnetEmulator, connection: str, **arguments: Any) -> bool:
    ti = SimpleNamespace(**FIRST_TRY, try_number=1, xcom_push=lambda key, value: None)
    quiet = redirect_stdout(io.StringIO())  # Airflow's log would stand between the lines
    airflow = {"AIRFLOW_CONN_SCNET_DEFAULT": connection, "AIRFLOW_VAR_SCNET_NAMESPACE": "bench"}
    with patch.dict(os.environ, airflow), quiet:
        ScnetSubmitJobOperator(**JOB, **arguments).execute({"ti": ti})
    is_kept = len(scnet.requests) <= most and len(scnet.active_jobs) == 1
    print(f"  {title:<56}{len(scnet.requests):8d}  {f'<= {most}':>7}{'' if is_kept else '  BROKEN'}")
    return is_kept
