from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

from airflow_provider_scnet import __version__
from airflow_provider_scnet.get_provider_info import get_provider_info

KINDS: dict[str, type] = {
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "triggers": BaseTrigger,
    "hooks": BaseHook,
}
"""What there is of each kind, and what it is derived from."""
SCHEMAS = Path(airflow.__file__).parent
PROJECT = Path(__file__).parent.parent


@pytest.fixture
def info() -> dict[str, Any]:
    return get_provider_info()


@pytest.mark.parametrize("name", ["provider_info.schema.json", "provider.yaml.schema.json"])
def test_metadata_fit_the_schema(info: dict[str, Any], name: str) -> None:
    schema = json.loads((SCHEMAS / name).read_text())
    if "dependencies" in schema["required"]:
        # Airflow 2.11 wants them in provider.yaml, and drops them on the way to what is checked at run time.
        info["dependencies"] = metadata.requires("airflow-provider-scnet")

    assert jsonschema.validate(info, schema) is None


def test_metadata_import_nothing() -> None:
    module = get_provider_info.__module__
    program = f"import sys; import {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"

    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=PROJECT, capture_output=True, text=True)

    assert set(done.stdout.split()) - sys.stdlib_module_names == {"__main__", "airflow_provider_scnet"}, done.stderr


def test_distribution_and_version(info: dict[str, Any]) -> None:
    assert metadata.version(info["package-name"]) == __version__ == info["versions"][0]


def test_entry_point_leads_here() -> None:
    entries = metadata.distribution("airflow-provider-scnet").entry_points
    assert [entry.load() for entry in entries.select(group="apache_airflow_provider")] == [get_provider_info]


@pytest.mark.parametrize(("kind", "base"), KINDS.items())
def test_every_class_that_airflow_may_run_is_in_a_named_module(info: dict[str, Any], kind: str, base: type) -> None:
    (integration,) = info["integrations"]
    (item,) = info[kind]
    assert item["integration-name"] == integration["integration-name"]
    named = set().union(*(classes_of(module, base) for module in item["python-modules"]))
    room = importlib.import_module(f"airflow_provider_scnet.{kind}")
    made = set().union(
        *(classes_of(f"{room.__name__}.{found.name}", base) for found in pkgutil.iter_modules(room.__path__))
    )
    assert made == named != set()


def classes_of(module: str, base: type) -> set[type]:
    """Our own classes that a module offers and that are derived from one of Airflow's."""
    offered = [value for value in vars(importlib.import_module(module)).values() if isinstance(value, type)]
    return {value for value in offered if issubclass(value, base) and value.__module__.startswith("airflow_provider")}


def test_nothing_else_is_provided(info: dict[str, Any]) -> None:
    assert set(info) == {
        *("package-name", "name", "description", "state", "source-date-epoch", "versions"),
        *("integrations", *KINDS, "connection-types"),
    }


def test_every_named_hook_exists(info: dict[str, Any]) -> None:
    for connection in info["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        assert getattr(importlib.import_module(module), name).conn_type == connection["connection-type"]


@pytest.mark.integration
def test_airflow_shows_all_of_it(info: dict[str, Any], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airflow", "providers", "get", info["package-name"], "--full", "--output", "json"]
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}

    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True)

    begins = re.search(r"\[\s*\{", done.stdout)  # after what is logged
    assert begins, done.stdout
    shown = json.loads(done.stdout[begins.start() :])[0]
    assert {kind: shown[kind] for kind in ("integrations", *KINDS)} == {
        kind: info[kind] for kind in ("integrations", *KINDS)
    }
    assert [set(connection) for connection in shown["connection-types"]] == [set(info["connection-types"][0])]
