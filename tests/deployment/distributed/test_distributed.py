"""
A distributed Airflow of which things die: each run ends with the account of the emulator, which knows every job.

Whatever kills a component that others need comes alone; the rest goes together. The order is that of the file: secrets
come last, when there is something to find them in.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_scnet.jobs.namespace import CLAIM, KEY
from tests.deployment.distributed.conftest import SLOTS, WORKERS, Distributed, Neighbour, Run
from tests.deployment.distributed.dags.many import MANY
from tests.deployment.distributed.scenarios import TOGETHER

pytestmark = pytest.mark.integration
GUIDE = Path(__file__).parents[3] / "docs" / "en" / "operations.md"
AT_ONCE, HELD_UP = 200, 20
"""First submissions of an Airflow that begin in the same moment, and those of them that are suspended meanwhile."""
RUN_ID = "manual__2026-01-01T00:00:00+00:00"
"""Of runs in two Airflows."""
AWAY = 40.0
"""Seconds for which Airflow's API server is away: longer than its clients try."""


def look_for_secrets(airflow: Distributed) -> list[str]:
    """Look into all that is kept just now; return what that is."""
    kept = {str(path): path.read_bytes() for path in airflow.home.rglob("*") if path.is_file()}
    del kept[str(airflow.home / "emulator.log")]  # it prints the connections to copy
    kept |= airflow.services.kept()
    kept["arguments of triggers"] = json.dumps(airflow.do("trigger_arguments")).encode()
    secrets = [secret.encode() for secret in airflow.scnet.secrets]
    assert [name for name, content in kept.items() if any(secret in content for secret in secrets)] == []
    return list(kept)


def test_two_hundred_first_submissions_agree_on_a_namespace(airflow: Distributed) -> None:
    forget_namespace(airflow)
    command = [sys.executable, "-m", "tests.deployment.distributed.agreeing", str(AT_ONCE), str(HELD_UP)]
    began = time.monotonic()
    agreeing = subprocess.run(command, env=airflow.environment, check=True, capture_output=True, text=True)
    print(f"\n{AT_ONCE} first submissions, {HELD_UP} of them held up: {time.monotonic() - began:.0f} s")
    taken = json.loads(agreeing.stdout.splitlines()[-1])
    assert len(taken) == AT_ONCE
    assert set(taken) == {airflow.namespace}
    assert airflow.do("variable", key=CLAIM) is None
    forget_namespace(airflow)


def forget_namespace(airflow: Distributed) -> None:
    """As before the first submission; nothing runs."""
    for key in (KEY, CLAIM):
        airflow.do("delete_variable", key=key)


@pytest.fixture(scope="module")
def together(airflow: Distributed) -> Iterator[dict[str, Future[None]]]:
    """Scenarios that do not disturb each other, all at the same time."""
    with ThreadPoolExecutor(len(TOGETHER)) as threads:
        yield {scenario.__name__: threads.submit(scenario, airflow) for scenario in TOGETHER}


@pytest.mark.parametrize("name", [scenario.__name__ for scenario in TOGETHER])
def test_what_goes_wrong_while_others_work(together: dict[str, Future[None]], name: str) -> None:
    """Each scenario asserts for itself; what it raises is raised here."""
    together[name].result()


def test_all_of_them_were_in_one_namespace(airflow: Distributed, together: dict[str, Future[None]]) -> None:
    """They were the first, and began together."""
    assert airflow.do("variable", key=CLAIM) is None
    for name in together:
        run = Run(airflow, name, airflow.do("run_id", dag_id=name))
        assert run.own.jobs
        assert run.own == run.account


def test_worker_is_killed_between_submission_and_xcom(airflow: Distributed) -> None:
    run = airflow.begin_held("worker_killed")
    worker = run.worker("submit")
    airflow.kill(worker)
    run.held.release()
    airflow.start(worker)
    run.wait_for_end()
    assert run.tries("submit") == 2
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def test_worker_is_drained_during_a_delete(airflow: Distributed) -> None:
    run = airflow.begin_deleting("worker_drained")
    worker = run.worker("delete")
    airflow.ask_to_stop(worker)
    airflow.wait_for(lambda: "Warm shutdown" in (airflow.home / f"{worker}.log").read_text())
    assert airflow.is_running(worker)
    run.held.release()
    run.wait_for_end()
    airflow.wait_for(lambda: not airflow.is_running(worker))
    airflow.kill(worker)
    airflow.start(worker)
    assert run.tries("delete") == 1
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def test_api_server_is_away_while_a_submission_ends(airflow: Distributed) -> None:
    run = airflow.begin_held("api_server_away")
    airflow.kill("api-server")
    run.held.release()
    time.sleep(AWAY)
    airflow.start("api-server")
    run.wait_for_end()
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def test_scheduler_and_api_server_are_killed_during_a_delete(airflow: Distributed) -> None:
    run = airflow.begin_deleting("control_plane_killed")
    airflow.kill("scheduler")
    airflow.kill("api-server")
    run.held.release()
    time.sleep(AWAY)
    airflow.start("api-server")
    airflow.start("scheduler")
    run.wait_for_end()
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def test_service_is_away_during_submit_wait_and_delete(airflow: Distributed) -> None:
    waiting = airflow.begin("away_while_waiting")
    waiting.wait_for_state("wait", "deferred")
    submitting, deleting = airflow.begin_held("away_while_submitting"), airflow.begin_deleting("away_while_deleting")
    airflow.scnet.go_away(30)
    airflow.scnet.wait_until_it_serves()
    assert waiting.states()["wait"] == "deferred"
    waiting.mark("wait", "success")
    for run in (waiting, submitting, deleting):
        run.wait_for_end()
        assert set(run.states().values()) == {"success"}
        assert run.account.summary == (1, 0)


def test_all_tokens_are_revoked_during_wait_and_delete(airflow: Distributed) -> None:
    run = airflow.begin("tokens_revoked")
    run.wait_for_state("wait", "deferred")
    run.wait_for_looks()
    airflow.scnet.revoke_tokens()
    issued = airflow.scnet.calls["tokens"]
    run.wait_for(lambda: airflow.scnet.calls["tokens"] > issued)
    run.wait_for_looks()
    assert run.states()["wait"] == "deferred"
    run.hold_delete()
    run.mark("wait", "success")
    run.wait_for(lambda: run.held.held)
    airflow.scnet.revoke_tokens()
    run.held.release()
    run.wait_for_end()
    assert run.states() == {"submit": "success", "wait": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def test_triggerer_is_killed_while_tasks_wait(airflow: Distributed) -> None:
    run = airflow.begin_waiting("triggerer_killed")
    run.wait_for_jobs(MANY[run.dag_id])
    run.wait_until_waiting()
    airflow.kill("triggerer")
    airflow.start("triggerer")
    airflow.scnet.end_jobs(run.dag_id)
    run.wait_for_end()
    assert set(run.states().values()) == {"success"}
    assert [job["state"] for job in run.account.jobs] == ["COMPLETED"] * MANY[run.dag_id]


def test_two_hundred_simulations_and_one_teardown(airflow: Distributed) -> None:
    before, began = sum(airflow.scnet.calls.values()), time.monotonic()
    lost = airflow.scnet.fail("submit", drop=True, effect=True, when="many_", after=50, times=5)
    run = airflow.begin("many")
    run.wait_for_jobs(MANY[run.dag_id])
    run.wait_until_waiting()
    waiting, slots = time.monotonic() - began, airflow.slots_held
    look_for_secrets(airflow)
    airflow.scnet.end_jobs(run.dag_id)
    airflow.wait_for(lambda: run.state in ("success", "failed"), patience=400)
    sent = sum(airflow.scnet.calls.values()) - before
    print(
        f"\n{MANY[run.dag_id]} simulations, {len(WORKERS)} workers of {SLOTS} slots: {waiting:.0f} s until all wait, "
        f"{time.monotonic() - began:.0f} s until all are torn down; {sent} requests; slots held while waiting: {slots}"
    )
    assert set(run.states().values()) == {"success"}
    assert run.account.summary == (MANY[run.dag_id], 0)
    assert (slots, lost.hits) == (0, 5)


def test_another_airflow_with_the_same_run_ids(airflow: Distributed, neighbour: Neighbour) -> None:
    """
    A production and a development Airflow, whose schedules may well make them: whatever happens in the second, the job
    of the first runs on, and no request ever asked for its end.
    """
    prod, dev = [one.begin("shared", RUN_ID) for one in (airflow, neighbour)]
    prod_waits, dev_waits = [one.begin("waits_beside", RUN_ID) for one in (airflow, neighbour)]
    for run in (prod, dev):
        run.wait_for_state("wait", "deferred")
    assert airflow.namespace != neighbour.namespace
    assert (prod.own.summary, dev.own.summary, prod.account.summary) == ((1, 1), (1, 1), (2, 2))
    ended_in_their_own_way(prod_waits, dev_waits)

    (old,) = dev.own.jobs
    held = airflow.scnet.fail("submit", hold=True, when="shared_")
    dev.clear("submit")
    dev.wait_for(lambda: held.held)
    assert dev.job(old)["state"] == "CANCELLED"
    dev.kill("submit")
    held.release()
    dev.wait_for_state("wait", "deferred")
    assert (prod.own.summary, dev.own.summary) == ((1, 1), (2, 1))

    dev.mark("wait", "success")
    dev.wait_for_end()
    assert dev.states() == {"submit": "success", "wait": "success", "delete": "success"}
    assert (prod.own.summary, dev.own.summary) == ((1, 1), (2, 0))
    assert [job["deletes"] for job in prod.own.jobs] == [0]
    assert prod.states()["wait"] == "deferred"

    prod.mark("wait", "success")
    prod.wait_for_end()
    assert prod.states() == {"submit": "success", "wait": "success", "delete": "success"}
    assert (prod.own.summary, prod.account.summary) == ((1, 0), (3, 0))


def ended_in_their_own_way(prod: Run, dev: Run) -> None:
    """Neither of two submissions that wait takes the other's job for a duplicate, or its end for its own."""
    for run in (prod, dev):
        run.wait_until_waiting()
    dev.wait_for_looks()
    assert (prod.own.summary, dev.own.summary, prod.account.summary) == ((1, 1), (1, 1), (2, 2))
    dev.airflow.scnet.end_job(*dev.own.jobs)
    dev.wait_for_end()
    prod.wait_for_looks()
    assert (dev.states(), prod.states()) == ({"submit": "success"}, {"submit": "deferred"})
    assert [(job["state"], job["deletes"]) for job in dev.own.jobs] == [("COMPLETED", 0)]
    assert [(job["active"], job["deletes"]) for job in prod.own.jobs] == [(True, 0)]
    prod.mark("submit", "failed")
    prod.wait_for(lambda: prod.own.summary == (1, 0))


def test_what_a_run_has_left_is_deleted_by_its_tag(airflow: Distributed) -> None:
    """What cannot be saved, and what to do then; the command is that of the guide."""
    airflow.do("set_slots", pool="closed", slots=0)
    never, late = airflow.begin("never_torn_down"), airflow.begin("out_of_time")
    never.wait_for_state("submit", "success")
    never.wait_for_state("delete", "scheduled")
    late.wait_for_end()
    airflow.kill("api-server")
    airflow.do("set_slots", pool="closed", slots=1)
    never.wait_for_end()
    airflow.start("api-server")
    assert (never.states()["delete"], late.states()["delete"]) == ("failed", "skipped")
    assert (never.account.summary, late.account.summary) == ((1, 1), (1, 1))
    tags = [run.tag("submit") for run in (never, late)]
    (command,) = re.findall(r"```bash\nairflow (dags trigger .*)\n```", GUIDE.read_text())
    airflow.wait_for(lambda: airflow.do("is_known", dag_id="scnet_delete_jobs"))
    airflow.run(*shlex.split(command.replace("k3m2x4a7pq5t", ", ".join(tags))))
    airflow.wait_for(lambda: airflow.do("run_state", dag_id="scnet_delete_jobs") == "success", patience=240)
    assert (never.account.summary, late.account.summary) == ((1, 0), (1, 0))


def test_no_secret_in_logs_or_database(airflow: Distributed) -> None:
    assert len(airflow.scnet.secrets) > 10
    assert sum("attempt=" in name for name in look_for_secrets(airflow)) > sum(MANY.values())
