"""1,000 running jobs of one scheduler, 20 ms for each request: batches and lists against one by one."""

from __future__ import annotations

import logging
import os
import time

import requests

from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.testing import ScnetEmulator

JOBS = 1000
LATENCY = 0.02
MOST_REQUESTS = 60
LEAST_RATIO = 20


def run() -> bool:
    """Print both figures and their ratio; tell whether the promises are kept."""
    logging.disable(logging.INFO)
    with ScnetEmulator(latency=LATENCY) as scnet:
        seconds, count = _measure(scnet, _provider)
    with ScnetEmulator(latency=LATENCY) as scnet:
        plain_seconds, plain_count = _measure(scnet, _one_by_one)
    ratio = plain_seconds / seconds
    print(f"Delete {JOBS} running jobs, {LATENCY * 1000:.0f} ms for each request")
    print(f"  this provider            {seconds:8.2f} s  {count:5d} requests  (promise: at most {MOST_REQUESTS})")
    print(f"  one by one, checked      {plain_seconds:8.2f} s  {plain_count:5d} requests")
    print(f"  ratio                    {ratio:8.1f}                  (promise: at least {LEAST_RATIO})\n")
    return count <= MOST_REQUESTS and ratio >= LEAST_RATIO


def _measure(scnet: ScnetEmulator, delete) -> tuple[float, int]:
    refs = parse_jobs(";".join(scnet.add_job().ref for _ in range(JOBS)))
    started = time.perf_counter()
    delete(scnet, refs)
    seconds = time.perf_counter() - started
    if scnet.active_jobs:
        raise RuntimeError(f"{len(scnet.active_jobs)} jobs are still active")
    return seconds, len(scnet.requests)


def _provider(scnet: ScnetEmulator, refs) -> None:
    os.environ["AIRFLOW_CONN_SCNET_DEFAULT"] = scnet.connection()
    ScnetHook().delete_jobs(refs)


def _one_by_one(scnet: ScnetEmulator, refs) -> None:
    """What a careful script does with `requests`: one delete and one look for each job, over one connection."""
    base, headers = f"{scnet.url}/hpc/openapi/v2/jobs", {"token": scnet.token}
    with requests.Session() as session:
        for ref in refs:
            form = {"jobMethod": "5", "strJobInfoMap": str(ref)}
            session.delete(base, data=form, headers=headers, timeout=30).raise_for_status()
            job = session.get(f"{base}/{ref.job_id}", headers=headers, timeout=30).json()["data"]
            if job["jobInitAttr"]["JobState"] != "CANCELLED":
                raise RuntimeError(f"{ref} still runs")
