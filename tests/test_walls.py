"""The walls between the rooms stand: a wrong import fails `make lint`; the public paths never move."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LAYERS, EMULATOR, STANDARD, LIBRARIES, AT_PARSING = (
    "Each room imports only rooms below it",
    "The emulator and the package do not know each other",
    "The emulator needs nothing but the standard library",
    "What every DAG parse imports loads no HTTP library",
    "TID253",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its linter's settings, to be broken."""
    package = "airflow_provider_scnet"
    shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(root: Path) -> str:
    """What the two linters say that know the walls; nothing if they are content."""
    commands = [
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID253", "."],
    ]
    said = ""
    for command in commands:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True)
        said += "" if result.returncode == 0 else result.stdout + result.stderr
    return ANSI.sub("", said)  # older versions print colours into a pipe


def test_walls_stand(copy: Path) -> None:
    assert lint(copy) == ""


@pytest.mark.parametrize(
    ("place", "line", "wall"),
    [
        ("testing/cluster.py", "from airflow_provider_scnet.api.states import Phase", LAYERS),
        ("testing/cluster.py", "from airflow_provider_scnet.wording import quote", LAYERS),
        ("testing/cluster.py", "from airflow.providers.common.compat.sdk import conf", STANDARD),
        ("testing/server.py", "import requests", STANDARD),
        ("jobs/parsing.py", "from airflow_provider_scnet.testing import ScnetEmulator", EMULATOR),
        ("api/states.py", "from airflow_provider_scnet.jobs.options import seconds", LAYERS),
        ("api/gateway.py", "from airflow_provider_scnet.connection.settings import Settings", LAYERS),
        ("jobs/deletion.py", "from airflow_provider_scnet.connection.region import Region", LAYERS),
        ("jobs/deletion.py", "from airflow_provider_scnet.hooks.scnet import ScnetHook", LAYERS),
        ("connection/region.py", "from airflow_provider_scnet.jobs.parsing import parse_jobs", LAYERS),
        (
            "api/transport.py",
            "from airflow_provider_scnet.api.platform import Center",
            "Within api, imports run one way",
        ),
        (
            "jobs/parsing.py",
            "from airflow_provider_scnet.jobs.report import LeftJob",
            "Within jobs, imports run one way",
        ),
        ("wording.py", "from airflow_provider_scnet.exceptions import ScnetError", LAYERS),
        ("get_provider_info.py", "from airflow_provider_scnet.exceptions import ScnetError", LAYERS),
        ("hooks/scnet.py", "from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator", LAYERS),
        ("operators/scnet.py", "from airflow_provider_scnet.jobs.deletion import Deletion", LIBRARIES),
        ("operators/scnet.py", "import requests", LIBRARIES),
        ("triggers/events.py", "import requests", LIBRARIES),
        ("triggers/scnet.py", "from airflow_provider_scnet.hooks.scnet import ScnetHook", AT_PARSING),
        ("triggers/events.py", "from airflow_provider_scnet.sensors.scnet import ScnetJobSensor", LAYERS),
        ("jobs/poller.py", "from airflow_provider_scnet.hooks.scnet import ScnetHook", LAYERS),
        ("operators/scnet.py", "from airflow_provider_scnet.hooks.scnet import ScnetHook", AT_PARSING),
        ("get_provider_info.py", "import requests", AT_PARSING),
        ("jobs/options.py", "import requests", LIBRARIES),
    ],
)
def test_planted_import_is_caught(copy: Path, place: str, line: str, wall: str) -> None:
    file = copy / "airflow_provider_scnet" / place
    future = "from __future__ import annotations\n"
    file.write_text(file.read_text().replace(future, f"{future}\n{line}\n", 1))
    said = lint(copy)
    assert f"{wall} BROKEN" in said or wall == AT_PARSING in said, said


def test_public_paths_stay() -> None:
    """What a DAG may import; all else is ours to move."""
    from airflow_provider_scnet import exceptions, jobs, testing
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
    from airflow_provider_scnet.sensors.scnet import ScnetJobSensor
    from airflow_provider_scnet.triggers.scnet import ScnetDeleteJobsTrigger, ScnetJobTrigger

    assert [getattr(jobs, name).__name__ for name in jobs.__all__] == ["JobRef", "JobState", "Phase"]
    assert {"ScnetEmulator", "Fault", "Job"} <= set(testing.__all__)
    assert issubclass(exceptions.ScnetJobsNotDeletedError, exceptions.ScnetError)
    assert (ScnetHook.conn_type, ScnetDeleteJobsOperator.template_fields[0]) == ("scnet", "jobs")
    assert "command" in ScnetSubmitJobOperator.template_fields
    assert ScnetJobSensor.template_fields[0] == "jobs"
    assert {ScnetDeleteJobsTrigger.__module__, ScnetJobTrigger.__module__} == {"airflow_provider_scnet.triggers.scnet"}
    with pytest.raises(AttributeError, match="no attribute 'parse_jobs'"):
        jobs.parse_jobs  # noqa: B018


def test_room_that_nobody_knows_is_caught(copy: Path) -> None:
    (copy / "airflow_provider_scnet" / "attic.py").write_text('"""A room that nobody has planned."""\n')
    assert "attic" in lint(copy)
