"""What the documentation says holds, and both languages say the same."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_scnet.exceptions import ERROR_CODES, ScnetPermanentError
from airflow_provider_scnet.get_provider_info import get_provider_info
from airflow_provider_scnet.jobs import JobRef, parse_jobs
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
RETRIED = {"en": {True: "yes", False: "no"}, "zh": {True: "是", False: "否"}}

both = pytest.mark.parametrize("language", READMES)


def text(language: str) -> str:
    return READMES[language].read_text(encoding="utf-8")


def rows(language: str) -> list[list[str]]:
    """All rows of all tables, without the lines under the headings."""
    lines = [line for line in text(language).splitlines() if line.startswith("|") and not set(line) <= set("|-: ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def blocks(language: str) -> list[str]:
    return re.findall(r"```\w+\n(.*?)```", text(language), flags=re.DOTALL)


def first_cells(language: str) -> set[str]:
    return {name for row in rows(language) for name in re.findall(r"`(\w+)`", row[0])}


@both
def test_error_table_is_the_codes_table(language: str) -> None:
    table = {row[0].strip("`"): row for row in rows(language) if row[0].strip("`") in ERROR_CODES}
    assert set(table) == set(ERROR_CODES)
    for code, (_, label, meaning, error_class, retried, remedy) in table.items():
        row = ERROR_CODES[code]
        assert (label, error_class) == (row.label, f"`{row.error_class.__name__}`")
        assert retried == RETRIED[language][not issubclass(row.error_class, ScnetPermanentError)]
        if language == "en":
            assert (meaning, remedy) == (row.meaning, row.remedy)


@both
def test_every_parameter_has_its_row_and_default(language: str) -> None:
    parameters = inspect.signature(inspect.unwrap(ScnetDeleteJobsOperator.__init__)).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    table = {row[0].strip("`"): row[1].strip("`") for row in rows(language) if len(row) == 3}
    for name, default in own.items():
        expected = "–" if default is inspect.Parameter.empty else str(default)
        assert table[name].strip('"') == expected


@both
def test_every_field_of_the_connection_has_its_row(language: str) -> None:
    (connection,) = get_provider_info()["connection-types"]
    fields = {"host", "port", "login", "password", *connection["conn-fields"]}
    assert fields <= first_cells(language)


@both
def test_every_named_class_exists(language: str) -> None:
    from airflow_provider_scnet import exceptions

    named = set(re.findall(r"`(Scnet\w+Error)`", text(language)))
    assert named <= set(vars(exceptions))
    classes = {name for name in vars(exceptions) if re.fullmatch(r"Scnet\w+Error", name)}
    assert classes - named <= {"ScnetPermanentError"}


@both
def test_accepted_forms_are_accepted(language: str) -> None:
    examples = [row[1] for row in rows(language) if "JobRef(" in row[1] or "197" in row[1]]
    values = [code for cell in examples for code in re.findall(r"`([^`]+)`", cell) if "197" in code]
    assert len(values) >= 7
    for value in values:
        assert parse_jobs(eval(value, {"JobRef": JobRef}), scheduler_id="1638523853", user="test")


@both
def test_commands_exist(language: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", text(language)))
    assert {"demo", "test", "help"} <= named <= targets


@both
def test_links_lead_somewhere(language: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text(language))
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_both_languages_have_the_same_structure() -> None:
    def shape(language: str) -> tuple[list[int], list[int], int]:
        headings = [len(h) for h in re.findall(r"^(#+) ", text(language), flags=re.MULTILINE)]
        return headings, [len(row) for row in rows(language)], text(language).count("\n- ")

    assert shape("en") == shape("zh")
    assert blocks("en") == blocks("zh")


@pytest.mark.parametrize("variable", ["AIRFLOW_CONN_SCNET_TOKEN", "AIRFLOW_CONN_SCNET_DEFAULT"])
def test_connections_of_the_environment_are_read(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_scnet.connection import read_settings
    from airflow_provider_scnet.hooks.scnet import ScnetHook

    (block,) = [block for block in blocks("en") if "export AIRFLOW_CONN" in block]
    shell = f'{block}\nprintf %s "${variable}"'
    value = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout
    monkeypatch.setenv(variable, value)
    name = variable.removeprefix("AIRFLOW_CONN_").lower()
    assert read_settings(name, ScnetHook.get_connection(name)).conn_id == name


def test_commands_of_the_connection_run(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("en") if "airflow connections add" in block]
    look = "airflow connections get scnet_default -o json\nairflow connections get scnet_token -o json"
    shell = f"set -e\nairflow db migrate\n{block}\n{look}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "AIRFLOW_HOME": str(tmp_path), "SCNET_TOKEN": "a.token"}
    out = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert '"login": "alice"' in out.stdout
    assert '"host": "https://hpc.example:65051"' in out.stdout
