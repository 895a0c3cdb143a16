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

from airflow_provider_scnet.testing.__main__ import main


@pytest.fixture(autouse=True)
def handlers():
    """Leave the signal handlers as they were."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_comes(monkeypatch, capsys, number):
    seen = {}

    class Use:
        def wait(self) -> None:
            seen["text"] = text = capsys.readouterr().out
            line = re.search(r"^export AIRFLOW_CONN_SCNET_DEFAULT='(.*)'$", text, re.MULTILINE)
            seen["connection"] = connection = json.loads(line[1])
            url, headers = f"{connection['host']}/hpc/openapi/v2/cluster", {"token": connection["password"]}
            seen["code"] = requests.get(url, headers=headers, timeout=10).json()["code"]
            line = re.search(r"^export AIRFLOW_CONN_SCNET_AKSK='(.*)'$", text, re.MULTILINE)
            seen["keys"] = json.loads(line[1])
            signal.raise_signal(number)

    monkeypatch.setattr("airflow_provider_scnet.testing.__main__.Event", Use)
    assert main(["--port", "0", "--latency", "0.001", "--cancel-delay", "5"]) == 0
    host, token = seen["connection"]["host"], seen["connection"]["password"]
    assert seen["code"] == "0"
    assert (seen["keys"]["login"], seen["keys"]["extra"]["api_url"]) == ("alice", host)
    for line in (f"  URL    {host}\n", f"  token  {token}\n", f"  jobs   {host}/  "):
        assert line in seen["text"]


@pytest.mark.parametrize("port", [None, 65536])
def test_a_port_that_cannot_be_had(capsys, port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port or taken.getsockname()[1]
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
