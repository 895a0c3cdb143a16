"""
scnet-cli 0.1.0, a public command-line client that knows nothing of this project, works with the emulator: somebody
else's reading of what the service is.

The emulator refuses none of its job calls. What does not come out as one would wish is the client's:

- It takes its history windows from the local clock, while SCNet's times are Beijing time: outside that time zone the
  last hours' jobs are missing.
- It calls its filter for names fuzzy. Whether SCNet's is one nobody has published: `name_filter` says.
- It takes a renewal only as plain text, as it was seen; where a list comes, as documented, `auth renew` fails, and all
  other commands log in anew.
- It logs in anew if a gateway refuses its token, but not if center does: a token that is revoked before the region was
  looked up is an error until `auth login --force`.
- It calls a delete that was answered with code 0 done, and never looks: a job whose delete had no effect runs on.
- With several schedulers it takes the first one that is listed.
- Files, containers, desktops, members and models are calls that the emulator does not have: they get 404.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_scnet.testing import ScnetEmulator
from tests.interop.conftest import HERE, Cli

SUBMIT = ("job", "submit", "--name", "theirs", "--queue", "debug", "--walltime", "01:00:00")
SCRIPT = "/public/home/acexample01/run.slurm"


def jobs_in(listing: dict[str, Any]) -> list[str]:
    assert listing["total"] == len(listing["list"])
    return [record["jobId"] for record in listing["list"]]


# --- login and tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["first", "last"])
def test_login(scnet: ScnetEmulator, cli: Cli, place: Any) -> None:
    scnet.platform_entry = place
    tokens = {entry["clusterId"]: entry for entry in cli.data("auth", "login")}
    assert {region_id: entry["clusterName"] for region_id, entry in tokens.items()} == {"0": "ac", "11112": "region-a"}
    assert {entry["token"] for entry in tokens.values()} <= scnet.secrets
    assert cli.data("auth", "whoami")["userName"] == "alice"
    assert cli.data("cluster", "list")[0]["id"] == 1638523853
    assert scnet.calls["tokens"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret_key": "sk-other"}, "AK/SK签名校验失败"),
        ({"user": "acexample01"}, "用户不存在"),
    ],
)
def test_login_that_is_refused(
    scnet: ScnetEmulator, connect: Callable[..., Cli], changes: dict[str, str], reason: str
) -> None:
    done = connect(scnet, **changes).run("auth", "login")
    assert (done.returncode, reason in done.stdout) == (1, True), done.stdout


def test_region_in_which_the_account_is_stopped_is_left_out(scnet: ScnetEmulator, cli: Cli) -> None:
    scnet.add_region("11113", "region-b", stopped=True)
    assert "region-b(11113)" in cli("auth", "login")
    assert cli.data("auth", "regions")["name"] == "region-a"


def test_one_of_several_regions(scnet: ScnetEmulator, cli: Cli) -> None:
    other = scnet.add_region("11113", "region-b")
    job = scnet.add_job(region=other)
    assert "11112(region-a), 11113(region-b)" in cli.run("job", "list").stdout
    assert jobs_in(json.loads(cli("--output", "json", "--cluster", "11113", "job", "list"))) == [job.job_id]


@pytest.mark.parametrize("revoke", [False, True])
def test_renewal(connect: Callable[..., Cli], revoke: bool) -> None:
    """Tokens with less than a minute to go are renewed before each call."""
    with ScnetEmulator(token_lifetime=30) as scnet:
        scnet.new_tokens_revoke = revoke
        cli = connect(scnet)
        for _ in range(2):
            assert jobs_in(cli.data("job", "list")) == []
        assert scnet.calls["renew"] >= 2
        assert scnet.calls["tokens"] == 1
        renewed = cli.data("auth", "login")
        assert {entry["token"] for entry in renewed} <= scnet.secrets


@pytest.mark.parametrize("region", [[], ["--cluster", "11112"]])
def test_renewal_that_is_asked_for(scnet: ScnetEmulator, cli: Cli, region: list[str]) -> None:
    cli("auth", "login")
    assert "续约成功" in cli("auth", "renew", *region)
    assert jobs_in(cli.data("job", "list")) == []
    assert (scnet.calls["renew"], scnet.calls["tokens"]) == (1, 1)


@pytest.mark.parametrize("shape", ["object", "list"])
def test_renewal_in_another_shape_ends_in_a_login(connect: Callable[..., Cli], shape: Any) -> None:
    with ScnetEmulator(token_lifetime=30) as scnet:
        cli = connect(scnet)
        cli("auth", "login")
        scnet.renewal_shape = shape
        assert "续约响应异常" in cli.run("auth", "renew").stdout
        scnet.clock_skew = 2 * 3600.0
        scnet.clock.advance(3600)  # what is issued from now on has an hour to go, by the client's clock
        assert jobs_in(cli.data("job", "list")) == []
        assert (scnet.calls["renew"], scnet.calls["tokens"]) == (2, 2)


def test_revoked_token_ends_in_a_login(scnet: ScnetEmulator, cli: Cli) -> None:
    job = scnet.add_job()
    cli("auth", "login")
    scnet.regions[0].revoke_tokens()
    assert "auth_fail" in cli.run("job", "list").stdout  # of center
    cli("auth", "login", "--force")
    assert jobs_in(cli.data("job", "list")) == [job.job_id]
    scnet.regions[0].revoke_tokens()
    assert jobs_in(cli.data("job", "list")) == [job.job_id]
    assert scnet.calls["tokens"] == 3


# --- regions and figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/", "/hpc", "/hpc/"])
def test_regions(scnet: ScnetEmulator, cli: Cli, ending: str) -> None:
    scnet.regions[0].gateways = [{"url": scnet.dead_url(), "enable": False}, scnet.url + ending]
    center = cli.data("auth", "regions")
    assert (center["id"], center["clusterUserInfo"]["userName"]) == (11112, "acexample01")
    assert jobs_in(cli.data("job", "list")) == []


def test_queues_and_figures(scnet: ScnetEmulator, cli: Cli) -> None:
    scnet.add_job()
    scnet.add_job("PENDING")
    assert [queue["queueName"] for queue in cli.data("queue", "list")] == ["debug", "normal"]
    assert [bucket["y"] for bucket in cli.data("job", "stats")] == [1, 1, 0, 0, 0]
    assert "总计 │ 2" in re.sub(r" +", " ", cli("job", "stats"))
    assert cli.data("usage", "storage")[0]["path"] == "/public/home/acexample01"
    for figure in ("walltime", "cores", "storage"):
        cli("usage", figure)
    scnet.fail("machine_time", code="0", data=7200)
    assert cli.data("usage", "walltime")["coreHours"] == 2


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_command_is_submitted_and_watched(scnet: ScnetEmulator, cli: Cli) -> None:
    assert "101" in cli(*SUBMIT, "--ppn", "4", "--nodes", "2", "--cmd", "echo begin\nsleep 600\nexit 37")
    job = scnet.job(101)
    assert (job.user, job.name, job.nodes, job.procs, job.wall_time) == ("acexample01", "theirs", 2, 8, 3600)
    live = cli.data("job", "detail", "101")
    assert (live["source"], live["data"]["jobStatus"], live["data"]["nodeUsed"]) == (
        "realtime",
        "statR",
        "node01,node02",
    )
    assert "begin" in cli("job", "logs", "101")
    scnet.clock.advance(601)
    ended = cli.data("job", "detail", "101")["data"]
    assert (ended["jobStatus"], ended["jobInitAttr"]["ExitCode"]) == ("statC", "37:0")


def test_script_file_is_submitted(scnet: ScnetEmulator, cli: Cli) -> None:
    scnet.scripts[SCRIPT] = "#!/bin/bash\nsleep 60\n"
    cli(*SUBMIT, "--nproc", "4", "--script", SCRIPT)
    job = scnet.job(101)
    assert (job.script_path, job.ends_at and job.ends_at - job.submitted_at, job.procs) == (SCRIPT, 60, 4)


def test_submission_that_is_refused(scnet: ScnetEmulator, cli: Cli) -> None:
    done = cli.run("job", "submit", "--name", "theirs", "--queue", "nosuch", "--ppn", "1", "--cmd", "true")
    assert (done.returncode, "invalid partition specified: nosuch" in done.stdout) == (1, True), done.stdout


def test_live_list(scnet: ScnetEmulator, cli: Cli) -> None:
    running, waiting = scnet.add_job(name="demo_1"), scnet.add_job("PENDING", name="demo_2", queue="normal")
    scnet.add_job(user="bob")
    assert jobs_in(cli.data("job", "list")) == [running.job_id, waiting.job_id]
    assert len(jobs_in(cli.data("job", "list", "--all-users"))) == 3
    assert jobs_in(cli.data("job", "list", "--status", "queued")) == [waiting.job_id]
    assert jobs_in(cli.data("job", "list", "--queue", "normal")) == [waiting.job_id]
    assert jobs_in(cli.data("job", "list", "--job-id", running.job_id)) == [running.job_id]
    assert jobs_in(cli.data("job", "list", "--name", "demo")) == []
    scnet.name_filter = "fuzzy"
    assert jobs_in(cli.data("job", "list", "--name", "demo")) == [running.job_id, waiting.job_id]
    assert len(cli.data("job", "list", "--start", "1", "--limit", "1")["list"]) == 1


def test_several_jobs_are_deleted_at_once(scnet: ScnetEmulator, cli: Cli) -> None:
    jobs = [scnet.add_job() for _ in range(3)]
    cli("job", "delete", "--yes", jobs[0].job_id, jobs[2].job_id)
    assert [job.state for job in jobs] == ["CANCELLED", "RUNNING", "CANCELLED"]
    (request,) = [request for request in scnet.requests if request.call == "delete"]
    assert request.form["strJobInfoMap"] == f"{jobs[0].ref};{jobs[2].ref};"
    assert request.query == {}


# --- the past --------------------------------------------------------------------------------------------------------


def test_history(scnet: ScnetEmulator, cli: Cli) -> None:
    failed = scnet.add_job("FAILED", ended_ago=3600, runtime=500, name="demo_1")
    late = scnet.add_job("TIMEOUT", ended_ago=7200)
    old = scnet.add_job("COMPLETED", ended_ago=8 * 86400)
    assert jobs_in(cli.data("job", "history")) == [failed.job_id, late.job_id]
    assert len(jobs_in(cli.data("job", "history", "--days", "30"))) == 3
    assert jobs_in(cli.data("job", "history", "--state", "timeout")) == [late.job_id]
    assert jobs_in(cli.data("job", "history", "--name", "demo_1")) == [failed.job_id]
    assert "8分20秒" in cli("job", "history")
    past = cli.data("job", "detail", old.job_id)
    assert (past["source"], past["data"]["jobState"], past["data"]["jobExitStatus"]) == ("history", "statC", 0)


def test_history_of_a_window(scnet: ScnetEmulator, cli: Cli) -> None:
    scnet.add_job("COMPLETED", ended_ago=3600)
    wanted = scnet.add_job("COMPLETED", ended_ago=10 * 86400)
    end = datetime.fromtimestamp(wanted.ended_at or 0, timezone(timedelta(hours=8)))
    window = [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (end - timedelta(hours=1), end)]
    assert jobs_in(cli.data("job", "history", "--from", window[0], "--to", window[1], zone="UTC")) == [wanted.job_id]


def test_history_by_the_clock_of_another_time_zone(scnet: ScnetEmulator, cli: Cli) -> None:
    scnet.add_job("COMPLETED", ended_ago=3600)
    early = scnet.add_job("COMPLETED", ended_ago=9 * 3600)
    assert jobs_in(cli.data("job", "history", zone="UTC")) == [early.job_id]


def test_log_of_a_job_that_only_the_history_knows(scnet: ScnetEmulator, cli: Cli) -> None:
    job = scnet.add_job("FAILED", ended_ago=3600)
    job.logs = {"stdout": "step 1\n", "stderr": "no mesh\n"}
    assert "step 1" in cli("job", "logs", job.job_id)
    assert "no mesh" in cli("job", "logs", job.job_id, "--err")
    assert scnet.calls["history_detail"] == 2


# --- theirs and ours -------------------------------------------------------------------------------------------------


def run_airflow(home: Path, scnet: ScnetEmulator, *arguments: str) -> str:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW_CONN_SCNET_DEFAULT": scnet.aksk_connection(),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_jobs_of_theirs_are_deleted_by_our_operator(scnet: ScnetEmulator, cli: Cli, tmp_path: Path) -> None:
    """Also one that their own delete was told to have ended, which goes on."""
    for _ in range(2):
        cli(*SUBMIT, "--ppn", "1", "--cmd", "sleep 3000")
    scnet.job(101).ignores_delete = 1
    assert "successfully!" in cli("job", "delete", "--yes", "101")
    assert [job.state for job in scnet.jobs] == ["RUNNING", "RUNNING"]

    run_airflow(tmp_path, scnet, "db", "migrate")
    said = run_airflow(tmp_path, scnet, "dags", "test", "delete_theirs", "--conf", '{"jobs": ["101", "102"]}')
    assert [job.state for job in scnet.jobs] == ["CANCELLED", "CANCELLED"], said
    assert cli.data("job", "detail", "102")["data"]["jobInitAttr"]["JobState"] == "CANCELLED"
