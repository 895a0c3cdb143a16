"""Somebody else's client, scnet-cli, as its makers publish it, in an environment of its own, and an emulator for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER

HERE = Path(__file__).parent
PROGRAM = HERE.parents[1] / ".venv" / "interop" / "bin" / "scnet"
BEIJING = "Asia/Shanghai"
LONGEST_COMMAND = 120
"""Seconds; a machine may be busy."""


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """These tests need another client's environment: they run only where this folder is named (`make test-interop`)."""
    paths = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(HERE) for path in paths) else True


@dataclass(frozen=True)
class Cli:
    """
    scnet-cli on the command line.

    :param home: its `SCNET_HOME`, with its configuration and its tokens.
    :param beyond: a proxy at which nobody answers: whatever it wants from a host that is not this one fails.
    """

    home: Path
    beyond: str

    def run(self, *arguments: str, zone: str = BEIJING) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "SCNET_HOME": str(self.home),
            "TZ": zone,
            "COLUMNS": "1000",  # its tables are cut to the width of the terminal
            "PYTHONUTF8": "1",
            "HTTP_PROXY": self.beyond,
            "HTTPS_PROXY": self.beyond,
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [PROGRAM, *arguments],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=LONGEST_COMMAND,
        )

    def __call__(self, *arguments: str, zone: str = BEIJING) -> str:
        """Run a command that has to work, and return what it prints."""
        done = self.run(*arguments, zone=zone)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def data(self, *arguments: str, zone: str = BEIJING) -> Any:
        """Run a command that has to work, and return the data that it shows as JSON."""
        return json.loads(self("--output", "json", *arguments, zone=zone))


@pytest.fixture
def scnet() -> Iterator[ScnetEmulator]:
    with ScnetEmulator(schedulers={SCHEDULER: "Cluster"}) as emulator:
        yield emulator


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Cli]:
    """Configure the client for an emulator."""
    if not PROGRAM.exists():
        reason = f"There is no {PROGRAM.relative_to(HERE.parents[1])}; `make test-interop` makes it."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)

    def configure(scnet: ScnetEmulator, **changes: str) -> Cli:
        profile = {
            "user": scnet.account.login,
            "access_key": scnet.account.access_key,
            "secret_key": scnet.account.secret_key,
            # Both: what is not given here leads to the real service.
            "base_overrides": {"api": scnet.url, "www": scnet.url},
            **changes,
        }
        home = tmp_path / "scnet"
        home.mkdir()
        (home / "config.json").write_text(json.dumps({"current": "default", "profiles": {"default": profile}}))
        return Cli(home, scnet.dead_url())

    return configure


@pytest.fixture
def cli(connect: Callable[..., Cli], scnet: ScnetEmulator) -> Cli:
    return connect(scnet)
