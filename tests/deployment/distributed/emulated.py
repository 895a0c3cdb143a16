"""The emulator as a process of its own, and its account of what became of jobs."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.deployment.components import free_ports

PATIENCE = 60.0
ARRAY_PACE = 45.0
"""Seconds between the starts of two members of an array: so long they wait."""


@dataclass(frozen=True)
class Account:
    """
    What became of the jobs of one name.

    :param jobs: as the emulator tells them.
    """

    jobs: list[dict[str, Any]]

    @property
    def summary(self) -> tuple[int, int]:
        """How many there ever were, and how many of them go on or will."""
        return len(self.jobs), sum(job["active"] or job["will_run"] for job in self.jobs)


@dataclass(frozen=True)
class PlannedFault:
    """A fault that another process has been told of."""

    url: str
    number: int

    @property
    def hits(self) -> int:
        """How many requests it has struck."""
        return self._tell("hits")

    @property
    def held(self) -> int:
        """How many requests wait for it to be released."""
        return self._tell("held")

    def release(self) -> None:
        """Let the answers go that are held, and strike no more."""
        requests.delete(f"{self.url}/{self.number}", timeout=PATIENCE).raise_for_status()

    def _tell(self, what: str) -> int:
        return next(
            fault[what] for fault in requests.get(self.url, timeout=PATIENCE).json() if fault["id"] == self.number
        )


class Emulated:
    """
    The emulator, driven through its control interface.

    :param home: where its log goes.
    """

    def __init__(self, home: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "airflow_provider_scnet.testing", "--port", str(port), "--seed", "test"]
        command += ["--waiting-rest", "--array-pace", str(ARRAY_PACE)]
        with (home / "emulator.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        self._log = home / "emulator.log"

    @property
    def aksk_connection(self) -> str:
        """The connection it prints, with keys that renew the token."""
        (line,) = [line for line in self._log.read_text().splitlines() if "AIRFLOW_CONN_SCNET_AKSK=" in line]
        return line.partition("=")[2].strip("'")

    def account(self, name: str) -> Account:
        """Tell what became of the jobs whose own name this is."""
        return Account([job for job in self._get("state")["jobs"] if job["name"].startswith(f"{name}_")])

    @property
    def calls(self) -> dict[str, int]:
        """How many requests there were of each call."""
        return dict(self._get("state")["calls"])

    @property
    def secrets(self) -> list[str]:
        """What must not be found anywhere."""
        return list(self._get("secrets"))

    def fail(self, call: str, **how: Any) -> PlannedFault:
        """Plan a fault; `when` is a text that its requests contain."""
        answer = requests.post(f"{self.url}/emulator/faults", json={"call": call, **how}, timeout=PATIENCE)
        answer.raise_for_status()
        return PlannedFault(f"{self.url}/emulator/faults", answer.json()["id"])

    def end_jobs(self, name: str) -> None:
        """Let the jobs end well whose own name this is."""
        self._post("jobs", {"name": f"{name}_", "state": "COMPLETED"})

    def end_job(self, job: dict[str, Any]) -> None:
        """Let one job end well."""
        self._post("jobs", {"name": job["name"], "state": "COMPLETED"})

    def go_away(self, seconds: float) -> None:
        """Let nobody connect for so long."""
        self._post("outage", {"seconds": seconds})

    def revoke_tokens(self) -> None:
        """Refuse all tokens that were issued so far."""
        requests.delete(f"{self.url}/emulator/tokens", timeout=PATIENCE).raise_for_status()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _get(self, what: str) -> Any:
        answer = requests.get(f"{self.url}/emulator/{what}", timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def _post(self, what: str, body: dict[str, Any]) -> None:
        requests.post(f"{self.url}/emulator/{what}", json=body, timeout=PATIENCE).raise_for_status()

    def wait_until_it_serves(self) -> None:
        """Wait until it has been started, or is back."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._get("state")
                return
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
