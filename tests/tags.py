"""Tags of the jobs of a task, as tests need them."""

from __future__ import annotations

from typing import Any

from airflow_provider_scnet.jobs.lives import Life
from airflow_provider_scnet.jobs.naming import JobTag, iteration_tag, task_tag

NAMESPACE = "tests"
"""Of the Airflow that all tests share, see ``conftest``."""


def tag_of(
    *,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int = -1,
    generation: int = 0,
    iteration: str | None = None,
    namespace: str = NAMESPACE,
    **other: Any,
) -> JobTag:
    """Return the tag of a task instance."""
    task = task_tag(dag_id, run_id, task_id, namespace)
    passed = "" if iteration is None else iteration_tag(iteration)
    return JobTag(task, map_index, generation, passed, **other)


def life_of(tag: JobTag, **other: Any) -> Life:
    """Return the life of a task instance that has just been made, or retried, or cleared."""
    return Life(tag, **{"retries": tag.generation, **other})
