from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_provider_scnet import __version__
from airflow_provider_scnet.get_provider_info import get_provider_info

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


def test_every_named_module_and_class_exists(info: dict[str, Any]) -> None:
    for kind in ("operators", "hooks"):
        for item in info[kind]:
            for module in item["python-modules"]:
                assert importlib.import_module(module)
    for connection in info["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        assert getattr(importlib.import_module(module), name).conn_type == connection["connection-type"]
