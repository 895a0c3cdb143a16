"""1,000 running jobs of one scheduler: batches and lists against one by one."""

from __future__ import annotations

import time

import requests

from airflow_provider_scnet.testing import ScnetEmulator
from benchmarks.measure import LATENCY, Measured, measure

JOBS = 1000
RUNS = 3
"""Of the quick one of the two; the median counts."""
LEAST_RATIO = 20


def run() -> bool:
    """Print both figures and their ratio; tell whether the promise is kept."""
    ours = sorted((_batches_and_lists() for _ in range(RUNS)), key=lambda measured: measured.seconds)[RUNS // 2]
    with ScnetEmulator(latency=LATENCY) as scnet:
        plain = _one_by_one(scnet, _fill(scnet))
        _check(scnet)
    ratio = plain.seconds / ours.seconds
    print(f"{JOBS:,} running jobs, beside what a careful script does")
    print(
        f"  this provider            {ours.seconds:8.2f} s  {ours.requests:5d} requests  (and {ours.waits:.0f} s waits)"
    )
    print(f"  one by one, checked      {plain.seconds:8.2f} s  {plain.requests:5d} requests")
    print(f"  ratio                    {ratio:8.1f}  (promise: at least {LEAST_RATIO})\n")
    return ratio >= LEAST_RATIO


def _batches_and_lists() -> Measured:
    with ScnetEmulator(latency=LATENCY) as scnet:
        measured = measure(scnet, _fill(scnet))
        _check(scnet)
    return measured


def _fill(scnet: ScnetEmulator) -> list[str]:
    return [scnet.add_job().ref for _ in range(JOBS)]


def _check(scnet: ScnetEmulator) -> None:
    if scnet.active_jobs:
        raise RuntimeError(f"{len(scnet.active_jobs)} jobs are still active")


def _one_by_one(scnet: ScnetEmulator, refs: list[str]) -> Measured:
    """What a careful script does with `requests`: one delete and one look for each job, over one connection."""
    base, headers = f"{scnet.url}/hpc/openapi/v2/jobs", {"token": scnet.token}
    started = time.perf_counter()
    with requests.Session() as session:
        for ref in refs:
            form = {"jobMethod": "5", "strJobInfoMap": ref}
            session.delete(base, data=form, headers=headers, timeout=30).raise_for_status()
            job_id = ref.split(":")[1]
            job = session.get(f"{base}/{job_id}", headers=headers, timeout=30).json()["data"]
            if job["jobInitAttr"]["JobState"] != "CANCELLED":
                raise RuntimeError(f"{ref} still runs")
    return Measured(len(scnet.requests), time.perf_counter() - started, 0.0, f"{len(refs)} deleted")
