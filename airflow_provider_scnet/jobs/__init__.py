"""What we do with jobs, and the types of it that a DAG author meets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.api.states import JobState, Phase

__all__ = ["JobRef", "JobState", "Phase"]

_HOMES = {"JobRef": "reference", "JobState": "states", "Phase": "states"}


def __getattr__(name: str) -> Any:
    """Load a type when it is asked for: each operator imports a module of this room, and a DAG file pays for it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"airflow_provider_scnet.api.{_HOMES[name]}"), name)
