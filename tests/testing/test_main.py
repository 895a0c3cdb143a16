from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.__main__ import main


@pytest.fixture(autouse=True)
def handlers():
    """Leave the signal handlers as they were."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def started(monkeypatch, capsys):
    """Start the command, look at it while it serves, and stop it."""

    def start(*arguments, look=lambda connection, keys: None):
        seen = {}

        class Use:
            def wait(self) -> None:
                seen["text"] = text = capsys.readouterr().out
                found = re.findall(r"^export AIRFLOW_CONN_SCNET_\w+='(.*)'$", text, re.MULTILINE)
                seen["connections"] = connections = [json.loads(line) for line in found]
                seen["look"] = look(*connections)
                raise KeyboardInterrupt

        monkeypatch.setattr("airflow_provider_scnet.testing.__main__.Event", Use)
        assert main(["--port", "0", *arguments]) == 0
        return seen

    return start


def code(connection, token):
    url = f"{connection['host']}/hpc/openapi/v2/cluster"
    return requests.get(url, headers={"token": token}, timeout=10).json()["code"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_comes(started, number):
    def look(connection, keys):
        assert code(connection, connection["password"]) == "0"
        signal.raise_signal(number)

    seen = started("--latency", "0.001", "--cancel-delay", "5", look=look)
    connection, keys = seen["connections"]
    host, token = connection["host"], connection["password"]
    assert (keys["login"], keys["extra"]["api_url"]) == ("alice", host)
    for line in (f"  URL      {host}\n", f"  token    {token}\n", f"  jobs     {host}/  "):
        assert line in seen["text"]


def test_a_seed_gives_the_same_token_and_keys_after_a_restart(started):
    (first, keys) = started("--seed", "staging")["connections"]
    token = first["password"]
    again = started("--seed", "staging", look=lambda connection, keys: code(connection, token))
    assert again["connections"][0]["password"] == token
    assert "a restart keeps it" in again["text"]
    assert again["connections"][1]["extra"]["access_key"] == keys["extra"]["access_key"]
    assert again["connections"][1]["extra"]["secret_key"] == keys["extra"]["secret_key"]
    assert again["look"] == "0"
    other = started("--seed", "other", look=lambda connection, keys: code(connection, token))
    assert other["look"] == "10008"
    assert other["connections"][1]["extra"]["secret_key"] != keys["extra"]["secret_key"]


def test_without_a_seed_each_start_has_a_token_of_its_own(started):
    first, second = (started() for _ in range(2))
    assert first["connections"][0]["password"] != second["connections"][0]["password"]
    assert "a restart makes another, unless --seed is given" in first["text"]


def test_a_token_of_ones_own(started):
    with ScnetEmulator(user="bob01", login="bob", region_id="5") as scnet:
        token = scnet.token
    seen = started("--token", token, look=lambda connection, keys: code(connection, token))
    assert [connection.get("password") for connection in seen["connections"]] == [token, None]
    assert seen["connections"][1]["login"] == "bob"
    assert seen["look"] == "0"


@pytest.mark.parametrize(
    ("lifetime", "claims", "error"),
    [
        (-60, {}, "its end (claim 'expireTime', milliseconds since the epoch) has passed"),
        (60, {"clusterId": "0"}, "region id '0' is not a number above 0"),
    ],
)
def test_a_token_that_cannot_be_used(capsys, lifetime, claims, error):
    with ScnetEmulator() as scnet:
        token = scnet.mint_token(lifetime, **claims)
    with pytest.raises(SystemExit):
        main(["--token", token])
    err = capsys.readouterr().err
    assert f"argument --token: {error}" in err
    assert token not in err


def test_jobs_and_knobs(started):
    def look(connection, keys):
        url = f"{connection['host']}/hpc/openapi/v2/jobs?strClusterIDList=1638523853"
        return requests.get(url, headers={"token": connection["password"]}, timeout=10).json()["data"]["list"]

    seen = started("--jobs", "3", "--numeric-ids", "--page-cap", "2", look=look)
    assert [record["jobId"] for record in seen["look"]] == [101, 102]


def test_a_port_that_cannot_be_had(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"Cannot listen on 127\.0\.0\.1:{port}: .+\n", err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command(number):
    command = [sys.executable, "-m", "airflow_provider_scnet.testing", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, **pipes) as process:
        while "Ctrl-C" not in process.stdout.readline():
            pass
        process.send_signal(number)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0
