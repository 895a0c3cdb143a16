"""What is told to those who change the package: the map of the house, and what CI runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import CODE, Rows, tables

ROOT = Path(__file__).parent.parent
TOLD_ELSEWHERE = {".ci", "airflow_provider_scnet"}


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    """The settings of the tools."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def rows_under(heading: str) -> Rows:
    """The rows, without the heading, of the one table with this first column."""
    (found,) = [rows for rows in tables(ROOT / "CONTRIBUTING.md") if rows[0][0] == heading]
    return found[1:]


def test_map_of_the_house_is_what_the_linter_holds(tools: dict[str, Any]) -> None:
    contracts = tools["importlinter"]["contracts"]
    (rooms,) = [contract for contract in contracts if contract.get("containers") == ["airflow_provider_scnet"]]
    walls = [set(layer.split(" | ")) for layer in rooms["layers"]]
    assert [set(CODE.findall(row[0])) for row in rows_under("Room")] == walls


def test_every_folder_has_its_place_on_the_map(tools: dict[str, Any]) -> None:
    told = {name for row in rows_under("Folder") for name in CODE.findall(row[0])}
    packed = tools["hatch"]["build"]["targets"]["sdist"]["only-include"]
    assert told == {name for name in packed if (ROOT / name).is_dir()} - TOLD_ELSEWHERE


def test_every_step_of_ci_is_told() -> None:
    steps = re.findall(r"^step ([a-z -]+?) *(?:#.*)?$", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    told = [code for row in rows_under("Step") for code in CODE.findall(row[0])]
    assert told == [f"make {goal}" for step in steps for goal in step.split()]
