"""What we do with jobs, and the two types of it that a DAG author meets: ``JobRef`` and ``JobState``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.api.states import JobState

__all__ = ["JobRef", "JobState"]


def __getattr__(name: str) -> Any:
    """Load a type when it is asked for: each operator imports a module of this room, and a DAG file pays for it."""
    if name == "JobRef":
        from airflow_provider_scnet.api.reference import JobRef

        return JobRef
    if name == "JobState":
        from airflow_provider_scnet.api.states import JobState

        return JobState
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
