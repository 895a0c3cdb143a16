"""What Airflow keeps of runs in which everything goes wrong holds no secret: logs, database, output."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_provider_scnet.testing import Bystander, Fault, RecordedRequest, ScnetEmulator
from airflow_provider_scnet.testing.wire import Answer, envelope
from tests.conftest import EXAMPLE_DAGS
from tests.integration.conftest import PATIENCE

pytestmark = pytest.mark.integration

ROOT = EXAMPLE_DAGS.parent
# In `airflow dags test`, Airflow 3 logs at level DEBUG what it was asked to mask; a real supervisor omits the body.
AIRFLOWS_OWN = re.compile(r"Sending request\b.*?msg=MaskSecret\(value=(?P<value>.*), name=None, type='MaskSecret'\)")
DRAWS_LOCAL_VARIABLES = version("apache-airflow") > "3"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def forms(secret: str) -> Iterator[str]:
    """A secret, its telling parts, and what is left of it in base64 whatever stands before and after."""
    pieces = [secret]
    if secret.count(".") == 2:  # the first part of a JWT is the same in all of them
        _, payload, signature = secret.split(".")
        pieces += [payload[:20], signature[:12]]
    elif len(secret) > 24:
        pieces += [secret[:12], secret[-12:]]
    yield from pieces
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        yield encoded[4 if offset else 0 : 28]


def kept_by_airflow(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file under AIRFLOW_HOME, and every value of the database."""
    for path in sorted(home.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(home)), path.read_bytes()
    with sqlite3.connect(f"file:{home / 'airflow.db'}?mode=ro", uri=True) as database:
        database.text_factory = bytes
        tables = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes):
                        yield f"table {table}", value
                        yield f"table {table}, unescaped", value.replace(b'\\"', b'"').replace(b"\\/", b"/")


def leaks(places: Iterable[tuple[str, bytes]], wanted: Iterable[str]) -> set[str]:
    """Name the places in which something shows; the secrets themselves are not to appear in a test's output either."""
    needles = {form.encode() for secret in wanted for form in forms(secret)}
    return {where for where, content in places if any(needle in content for needle in needles)}


def echo(fault: Fault, *, code: str = "", msg: str | None = None) -> Fault:
    """Make a fault answer with all that was sent, as a debugging page or in an envelope."""

    def answer_with(request: RecordedRequest) -> bool:
        sent = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        if code:
            fault.answer = envelope(code, msg, f"{request.method} {request.path} {sent} {request.body}")
        else:
            fault.answer = Answer(f"{sent}\n{json.dumps(dict(request.headers))}\n{request.body}".encode(), 500)
        return True

    fault.when = answer_with
    return fault


@dataclass
class Airflow:
    """An Airflow of its own, run from the command line."""

    home: Path
    key: str = field(default_factory=lambda: Fernet.generate_key().decode(), repr=False)
    output: list[str] = field(default_factory=list, repr=False)

    def __call__(self, *arguments: str, **environment: str) -> str:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        variables |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__FERNET_KEY": self.key,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            **environment,
        }
        result = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        text = ANSI.sub("", result.stdout + result.stderr)
        self.output.append(text)
        return text


@pytest.fixture(scope="module")
def scnet() -> Iterator[ScnetEmulator]:
    with ScnetEmulator(access_key=secrets.token_hex(16), secret_key=secrets.token_hex(16)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def bystander(scnet: ScnetEmulator) -> Bystander:
    return scnet.bystander()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, scnet: ScnetEmulator) -> Airflow:
    airflow = Airflow(tmp_path_factory.mktemp("airflow"))
    (airflow.home / "dags").mkdir()
    for example in EXAMPLE_DAGS.glob("scnet_*.py"):
        (airflow.home / "dags" / example.name).write_text(example.read_text().replace("minutes=1", "seconds=1"))
    airflow("db", "migrate")
    # Not `connections add`: its audit entry, Airflow's own, holds the access and secret key in plain text.
    given = airflow.home.parent / f"{airflow.home.name}.json"
    given.write_text(json.dumps({"scnet_default": json.loads(scnet.aksk_connection(password=scnet.mint_token(-3600)))}))
    assert "scnet_default" in airflow("connections", "import", str(given))
    given.unlink()
    return airflow


@pytest.fixture(scope="module")
def faults(scnet: ScnetEmulator, bystander: Bystander, airflow: Airflow) -> list[Fault]:
    """Run the example DAGs, with faults of each kind in each."""
    away = f"{bystander.url}/?come=here"
    faults = [
        echo(scnet.fail("tokens", status=500)),
        echo(scnet.fail("center", code="10008"), code="10008"),
        echo(scnet.fail("submit", code="10008"), code="10008"),
        echo(scnet.fail("delete", status=500)),
    ]
    airflow("dags", "test", "scnet_simulation")
    assert [job.state for job in scnet.jobs] == ["FAILED"]

    # The cases of the sweep fail in one way each, but for the last ones.
    faults += [
        echo(scnet.fail("tokens", code="10009"), code="10009", msg="AK/SK签名校验失败"),
        scnet.fail("tokens", redirect=away),
        scnet.fail("center", redirect=away),
        scnet.fail("submit", redirect=away),
        echo(scnet.fail("delete", code="10009"), code="10009"),
    ]
    airflow("dags", "test", "scnet_parameter_sweep", "-c", json.dumps({"cases": 6}))
    assert len(scnet.jobs) > 1

    # A token alone, renewed, refused in the end.
    faults += [
        echo(scnet.fail("renew", status=500)),
        echo(scnet.fail("list", status=500)),
        echo(scnet.fail("list", code="10008", times=2, after=1), code="10008"),
    ]
    scnet.has_history = False  # so that nothing but the lists can tell
    jobs = json.dumps({"jobs": scnet.add_job().job_id})
    static = scnet.connection(password=scnet.mint_token(-3600))
    airflow("dags", "test", "scnet_delete_jobs", "-c", jobs, AIRFLOW_CONN_SCNET_DEFAULT=static)
    return faults


def test_all_faults_were_met(faults: list[Fault], airflow: Airflow) -> None:
    assert [(fault.call, fault.hits) for fault in faults] == [(fault.call, fault.times) for fault in faults]
    output = "".join(airflow.output)
    for said in ("[10008]", "[10009]", "[HTTP 500]", "not followed"):
        assert said in output


def test_nothing_kept_holds_a_secret(faults: list[Fault], scnet: ScnetEmulator, airflow: Airflow) -> None:
    assert len(scnet.secrets) > 8
    kept = list(kept_by_airflow(airflow.home))
    filled = {where.removeprefix("table ") for where, _ in kept}
    assert {"connection", "task_instance"} <= filled
    for names in ({"rendered_task_instance_fields", "rtif_v2"}, {"xcom", "xcom_v2"}):  # below Airflow 3.4, and there
        assert names & filled
    assert leaks(kept, scnet.secrets) == set()


def test_nothing_printed_holds_a_secret(faults: list[Fault], scnet: ScnetEmulator, airflow: Airflow) -> None:
    lines = [AIRFLOWS_OWN.sub("", line) for text in airflow.output for line in text.splitlines()]
    assert leaks(((line.split("  ")[0], line.encode()) for line in lines), scnet.secrets) == set()


def test_redirects_are_not_followed(faults: list[Fault], bystander: Bystander) -> None:
    assert bystander.requests == []


def test_the_connection_is_stored_encrypted(scnet: ScnetEmulator, airflow: Airflow) -> None:
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        (row,) = database.execute(
            "SELECT password, extra, is_encrypted, is_extra_encrypted FROM connection WHERE conn_id = 'scnet_default'"
        )
    assert row[2:] == (1, 1)
    plain = [Fernet(airflow.key).decrypt(value) for value in row[:2]]
    assert leaks(zip(("password", "extra"), plain, strict=True), scnet.secrets) == {"password", "extra"}


def test_developer_mode_draws_no_secret(scnet: ScnetEmulator, airflow: Airflow) -> None:
    """With `DEV` set, Airflow 3 draws the local variables of each frame; on 3.0 it always does."""
    scnet.clear_faults()
    slow = scnet.fail("delete", latency=60, when=lambda request: "4712" in request.body)
    refused = echo(scnet.fail("delete", code="10009", times=None), code="10009")
    output = airflow(
        *("dags", "test", "drawn"),
        AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent / "dags"),
        AIRFLOW_CONN_SCNET_DEFAULT=scnet.aksk_connection(host=scnet.url),
        DEV="1",
        COLUMNS="400",  # what is drawn is not broken into lines
    )
    scnet.clear_faults()
    assert (slow.hits, refused.hits > 1) == (1, True)
    for what in (" locals ", "transport.py:", "AirflowTaskTimeout", "[10009]"):
        assert what in output or not DRAWS_LOCAL_VARIABLES
    lines = [AIRFLOWS_OWN.sub("", line) for line in output.splitlines()]
    assert leaks(((line[:80], line.encode()) for line in lines), scnet.secrets) == set()


@pytest.mark.parametrize("where", ["log", "database", "base64", "part"])
def test_the_search_finds_what_is_there(tmp_path: Path, where: str) -> None:
    with ScnetEmulator() as scnet:
        token = scnet.token
        with sqlite3.connect(tmp_path / "airflow.db") as database:
            database.execute("CREATE TABLE xcom (value)")
            value = json.dumps(json.dumps({"header": f"a {token}"})).encode() if where == "database" else b"{}"
            database.execute("INSERT INTO xcom VALUES (?)", (value,))
        planted = {"log": token, "base64": base64.b64encode(f"x {token}".encode()).decode(), "part": token[:100]}
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "task.log").write_text(f"INFO - {planted.get(where, 'nothing')}\n")
        found = leaks(kept_by_airflow(tmp_path), scnet.secrets)
        assert ("table xcom" if where == "database" else "logs/task.log") in found
        assert leaks([("elsewhere", b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")], scnet.secrets) == set()
