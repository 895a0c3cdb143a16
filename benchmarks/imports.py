"""What a DAG file pays for importing operators and sensor, on top of what every DAG file imports."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

RUNS = 5
MOST_MODULES = 25

_PROBE = """
import json, sys, time
try:
    import airflow.sdk
except ImportError:
    import airflow.models.baseoperator
import airflow.providers.common.compat.sdk as sdk
sdk.BaseOperator, sdk.BaseSensorOperator, sdk.AirflowException
before, started = set(sys.modules), time.perf_counter()
import {module}
print(json.dumps([time.perf_counter() - started, sorted(set(sys.modules) - before)]))
"""


def run() -> bool:
    """Print modules and milliseconds beside those of `requests`; tell whether the promise is kept."""
    ours, modules = _measure("airflow_provider_scnet.operators.scnet, airflow_provider_scnet.sensors.scnet")
    theirs, their_modules = _measure("requests")
    print("Import on top of airflow.sdk")
    print(
        f"  operators and sensor     {ours * 1000:8.1f} ms {len(modules):4d} modules  (promise: at most {MOST_MODULES})"
    )
    print(f"  requests, for comparison {theirs * 1000:8.1f} ms {len(their_modules):4d} modules")
    print(f"  ratio                    {theirs / ours:8.1f}\n")
    return len(modules) <= MOST_MODULES and "requests" not in modules


def _measure(module: str) -> tuple[float, list[str]]:
    runs = []
    cached = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as an installed package is
    for _ in range(RUNS):
        probe = [sys.executable, "-W", "ignore", "-c", _PROBE.format(module=module)]
        out = subprocess.run(probe, check=True, capture_output=True, text=True, env=cached).stdout
        runs.append(json.loads(out.splitlines()[-1]))
    return statistics.median(seconds for seconds, _ in runs), runs[0][1]
