from __future__ import annotations

import json
import re
import threading
import time
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobCancelledError,
    ScnetJobOutOfMemoryError,
    ScnetJobSpecificationError,
    ScnetStoppedError,
    ScnetWaitTimeoutError,
)
from airflow_provider_scnet.jobs import known
from airflow_provider_scnet.jobs.namespace import namespace
from airflow_provider_scnet.jobs.naming import JobTag
from airflow_provider_scnet.jobs.outcome import Ending, Outcome
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.triggers import events
from tests.conftest import SCHEDULER, TaskInstance

JOB: dict[str, Any] = {
    "task_id": "submit",
    "command": "sleep 3600",
    "job_queue": "debug",
    "work_dir": "/public/home/acexample01",
    "walltime": timedelta(hours=2),
    "scheduler_id": SCHEDULER,
}


def test_submission_returns_and_pushes_the_reference(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance()
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": ti})
    (job,) = scnet_default.jobs
    assert ref == ti.pushed["job"] == job.ref
    assert type(ref) is str
    assert job.name.startswith("submit_")


def test_submission_where_it_is_told_to(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**{**JOB, "scheduler_id": "2000000000"}, job_name="channel flow")
    assert operator.execute({"ti": TaskInstance(map_index=4)}).startswith("2000000000,")
    assert re.fullmatch(r"channel_flow_\w{12}_m4_g0_t1c0_s\w{8}", scnet_default.jobs[0].name)
    assert scnet_default.calls == {"submit": 1}  # nothing had to be asked


def test_reference_is_what_the_delete_takes(scnet_default: ScnetEmulator) -> None:
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()})
    assert ScnetDeleteJobsOperator(task_id="delete", jobs=ref).execute({})["deleted"] == [ref]


@pytest.mark.parametrize(
    "bad", [{"nodes": 0}, {"nodes": 1, "node_list": "n1"}, {"job_queue": ""}, {"command": "#!/bin/sh\ntrue"}], ids=str
)
def test_bad_argument_of_a_submission_is_an_error_of_the_dag(bad: dict[str, Any]) -> None:
    with pytest.raises(ScnetJobSpecificationError, match=next(reversed(bad))):
        ScnetSubmitJobOperator(**{**JOB, **bad})


def test_bad_value_of_a_template_stops_before_any_request(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB, nodes="{{ params.nodes }}")
    operator.nodes = "many"  # as it is rendered
    with pytest.raises(ScnetJobSpecificationError, match="nodes='many'"):
        operator.execute({"ti": TaskInstance()})
    assert not scnet_default.requests


def test_job_whose_task_is_killed_is_deleted(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    operator.execute({"ti": TaskInstance()})
    operator.on_kill()
    assert not scnet_default.active_jobs
    assert scnet_default.calls == {"submit": 1, "delete": 1}


def test_where_is_told_before_anything_is_submitted(scnet_default: ScnetEmulator) -> None:
    """Whoever tears down could look in the wrong place, and would not know."""

    class Mute(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise RuntimeError(f"no XCom {key}")

    with pytest.raises(RuntimeError, match="no XCom job_origin"):
        ScnetSubmitJobOperator(**JOB).execute({"ti": Mute()})
    assert not scnet_default.requests


def test_kill_while_the_answer_is_under_way(scnet_default: ScnetEmulator) -> None:
    """Airflow 3 calls ``on_kill`` from its signal handler, and the task goes on for some seconds."""
    operator = ScnetSubmitJobOperator(**JOB)
    ti = TaskInstance()
    scnet_default.fail("submit", effect=True, code="0", data="101", when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match=r"told to stop while it submitted, or waited for, job .*101"):
        operator.execute({"ti": ti})
    assert not scnet_default.active_jobs
    assert "job" not in ti.pushed


def test_kill_whose_delete_fails_strikes_nobody(
    scnet_default: ScnetEmulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    operator.execute({"ti": TaskInstance()})
    scnet_default.fail("delete", code="10012")
    operator.on_kill()
    assert "may go on, for it could not be deleted" in caplog.text + capsys.readouterr().out


def test_kill_while_the_task_prepares(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = ScnetSubmitJobOperator(**{**JOB, "scheduler_id": None})
    answer = [{"id": int(SCHEDULER), "text": "Cluster"}]
    scnet_default.fail("clusters", code="0", data=answer, when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match="told to stop"):
        operator.execute({"ti": TaskInstance()})
    assert not scnet_default.jobs


def test_user_is_the_tokens(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some store their login name of the portal as the cluster user."""
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet_default.connection(user="alice"))
    assert ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()}) == scnet_default.jobs[0].ref


def test_kill_before_anything_is_submitted(scnet_default: ScnetEmulator) -> None:
    operator = ScnetSubmitJobOperator(**JOB)
    scnet_default.fail("list", latency=0.01, when=lambda request: not operator.on_kill())
    with pytest.raises(ScnetStoppedError, match="told to stop"):
        operator.execute({"ti": TaskInstance(try_number=2)})
    assert not scnet_default.jobs


@pytest.mark.parametrize("moved_on", [{"try_number": 2}, {"task_reschedule_count": 1}], ids=str)
def test_job_of_an_earlier_run_of_the_task_is_found(scnet_default: ScnetEmulator, moved_on: dict[str, int]) -> None:
    """A reschedule leaves the number of the try as it is."""
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()})
    again: Any = {"ti": TaskInstance(try_number=moved_on.get("try_number", 1)), **moved_on}
    assert ScnetSubmitJobOperator(**JOB).execute(again) == ref
    assert scnet_default.calls["submit"] == 1


def test_passes_of_a_loop_are_told_apart(scnet_default: ScnetEmulator) -> None:
    for region, index in (("a", 0), ("a", 1), ("b", 1)):
        loop = SimpleNamespace(index=index)
        ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance(region_id=region), "loop": loop})
    assert len({job.name for job in scnet_default.jobs}) == 3
    assert all(re.fullmatch(r"submit_\w{12}_l\w{8}_g0_t1c0_s\w{8}", job.name) for job in scnet_default.jobs)


def test_template_fields_of_a_submission() -> None:
    assert {"command", "walltime", "nodes", "job_name", "scnet_conn_id"} < set(ScnetSubmitJobOperator.template_fields)
    assert "exclusive" not in ScnetSubmitJobOperator.template_fields


# --- waiting --------------------------------------------------------------------------------------------------------

WAITING = {**JOB, "wait": True, "poll_interval": 0.1}


def ends(scnet: ScnetEmulator, word: str, **details: Any) -> Any:
    """A job ends so at the second look; to be handed over as the condition of a fault that never strikes."""

    def at_second_look(request: Any) -> bool:
        if scnet.calls["list"] >= 1:
            (job,) = scnet.active_jobs or scnet.jobs
            vars(job).update(details)
            job.become(word)
        return False

    return scnet.fail("list", code="10001", when=at_second_look, times=None)


def test_wait_tells_what_the_job_has_cost(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance()
    ends(scnet_default, "COMPLETED")
    ref = ScnetSubmitJobOperator(**WAITING).execute({"ti": ti})
    record = ti.pushed["job_record"]
    assert (ti.pushed["job"], record["ref"], record["ending"]) == (ref, ref, "completed")
    assert (record["exit_code"], record["cores"], record["queue"]) == ("0:0", 1, "debug")
    assert json.loads(json.dumps(record)) == record


def test_reference_is_told_before_the_wait(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance()
    told: list[bool] = []
    scnet_default.fail("list", code="10001", when=lambda request: told.append("job" in ti.pushed), times=None)
    ends(scnet_default, "COMPLETED")
    ScnetSubmitJobOperator(**WAITING).execute({"ti": ti})
    assert all(told)


def test_bad_end_fails_the_try_and_shows_the_log(
    scnet_default: ScnetEmulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ti = TaskInstance()
    ends(scnet_default, "OUT_OF_MEMORY", logs={"stderr": "oom-kill\n", "stdout": ""})
    with pytest.raises(ScnetJobOutOfMemoryError, match="out of memory") as failure:
        ScnetSubmitJobOperator(**WAITING).execute({"ti": ti})
    assert not isinstance(failure.value, AirflowFailException)  # a retry submits a new one
    assert ti.pushed["job_record"]["ending"] == "out of memory"
    assert "oom-kill" in caplog.text + capsys.readouterr().out


@pytest.mark.parametrize("with_store", [True, False])
def test_job_that_ended_well_is_a_success_whether_or_not_that_can_be_noted(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch, with_store: bool
) -> None:
    """The task resumes in a process of its own, which may not get the namespace that is part of a note."""
    job = scnet_default.add_job("COMPLETED")
    ref = JobRef(SCHEDULER, job.user, job.job_id)
    outcome = Outcome.of(ref, {JobRecord(job.job_id, word="COMPLETED"): Ending.COMPLETED})
    monkeypatch.setenv("AIRFLOW_VAR_SCNET_NAMESPACE", "x" * 120)
    namespace.cache_clear()
    context: Any = {"ti": TaskInstance(), "task_state_store": Store({}) if with_store else None}
    event = events.ended([job.ref], [outcome])
    assert ScnetSubmitJobOperator(**WAITING).execute_complete(context, event) == job.ref
    namespace.cache_clear()


@pytest.mark.parametrize("log_lines", [None, 0, 5])
def test_output_of_a_good_end_is_shown_on_request(
    scnet_default: ScnetEmulator,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    log_lines: int | None,
) -> None:
    caplog.set_level("INFO")
    ends(scnet_default, "COMPLETED", logs={"stdout": "converged\n", "stderr": "warning\n"})
    ScnetSubmitJobOperator(**WAITING, log_lines=log_lines).execute({"ti": TaskInstance()})
    said = caplog.text + capsys.readouterr().out
    assert ("converged" in said, "warning\n" in said) == (log_lines == 5, False)


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_job_that_is_left_when_time_is_up(scnet_default: ScnetEmulator, cancel_on_kill: bool) -> None:
    operator = ScnetSubmitJobOperator(**WAITING, timeout=0.3, cancel_on_kill=cancel_on_kill)
    with pytest.raises(ScnetWaitTimeoutError, match="was deleted" if cancel_on_kill else "It goes on"):
        operator.execute({"ti": TaskInstance()})
    assert bool(scnet_default.active_jobs) is not cancel_on_kill


def test_job_that_cannot_be_deleted_when_time_is_up(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scnet_default.fail("delete", code="10009", times=None)
    with pytest.raises(ScnetError, match="may burn core-hours"):
        ScnetSubmitJobOperator(**WAITING, timeout=0.2).execute({"ti": TaskInstance()})


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_kill_while_waiting(scnet_default: ScnetEmulator, cancel_on_kill: bool) -> None:
    """Airflow 3 goes on after ``on_kill``; the wait has to end by itself."""
    store: dict[str, Any] = {}
    operator = ScnetSubmitJobOperator(**{**WAITING, "poll_interval": 600}, cancel_on_kill=cancel_on_kill)

    def kill() -> None:
        while not scnet_default.calls["list"]:
            time.sleep(0.05)
        operator.on_kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(ScnetStoppedError, match="waited for"):
        operator.execute({"ti": TaskInstance(), "task_state_store": Store(store)})
    assert bool(scnet_default.active_jobs) is not cancel_on_kill
    assert bool(store["scnet_submission"]["killed"]) is cancel_on_kill


def test_execution_timeout_while_waiting(scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow interrupts the wait first, and calls ``on_kill`` then."""
    store: dict[str, Any] = {}

    class TimeOut(BaseException):
        """As Airflow's is."""

    def interrupt(patience: Patience, seconds: float) -> None:
        raise TimeOut

    monkeypatch.setattr(Patience, "sleep", interrupt)
    operator = ScnetSubmitJobOperator(**WAITING)
    with pytest.raises(TimeOut):
        operator.execute({"ti": TaskInstance(), "task_state_store": Store(store)})
    operator.on_kill()
    assert not scnet_default.active_jobs
    assert store["scnet_submission"]["killed"]


@pytest.mark.parametrize("map_index", [-1, 0, 3])
def test_time_out_of_a_mapped_task_spares_its_siblings(scnet_default: ScnetEmulator, map_index: int) -> None:
    asked: list[dict[str, Any]] = []
    ti = TaskInstance(map_index=map_index)
    ti.xcom_pull = lambda **where: asked.append(where) or ["1,u:1:", "1,u:2:"]  # as if all had been asked
    with pytest.raises(Exception, match="timeout"):
        ScnetSubmitJobOperator(**WAITING).resume_execution("__fail__", {"error": "Trigger timeout"}, {"ti": ti})
    assert [where.get("map_indexes", -1) for where in asked] == [map_index]
    assert not scnet_default.calls["delete"]


class Store:
    """Airflow's state store of a task."""

    def __init__(self, noted: dict[str, Any]) -> None:
        self._noted = noted

    def get(self, key: str) -> Any:
        return self._noted.get(key)

    def set(self, key: str, value: Any) -> None:
        self._noted[key] = value


def deferred(operator: ScnetSubmitJobOperator, ti: TaskInstance) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as pause:
        operator.execute({"ti": ti})
    return pause.value


@pytest.mark.parametrize(("given", "told"), [(3, 3), ("3", 3), (None, 0), ("None", 0)])
def test_whoever_waits_knows_how_many_members_there_must_be(
    scnet_default: ScnetEmulator, given: Any, told: int
) -> None:
    operator = ScnetSubmitJobOperator(**WAITING, deferrable=True, array_size=given)
    arguments = deferred(operator, TaskInstance(get_ti_count=None)).trigger.serialize()[1]
    assert {JobTag.read(job.name).array_size for job in scnet_default.jobs} == {told}
    assert JobTag.read(arguments["job_name"]).array_size == told


def test_array_of_which_a_member_is_cancelled_while_it_waits_has_not_ended_well(
    scnet_default: ScnetEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "PROVEN_AFTER", 0.3)
    scnet_default.waiting_rest, scnet_default.array_pace = True, 0.5
    operator = ScnetSubmitJobOperator(**{**WAITING, "command": "true"}, array_size=3)

    def cancel_the_last(request: Any) -> bool:
        if scnet_default.jobs[-1].active:
            scnet_default.jobs[-1].become("VANISHED")
        return False

    scnet_default.fail("list", code="0", times=None, when=cancel_the_last)
    with pytest.raises(ScnetJobCancelledError, match="1 of 3 members"):
        operator.execute({"ti": TaskInstance(get_ti_count=None)})


def test_deferral(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance(get_ti_count=None)
    pause = deferred(ScnetSubmitJobOperator(**WAITING, deferrable=True, timeout=timedelta(hours=1)), ti)
    _, arguments = pause.trigger.serialize()
    (job,) = scnet_default.jobs
    assert ti.pushed["job"] == job.ref
    assert (arguments["jobs"], arguments["job_name"], arguments["cancel_on_kill"]) == ([job.ref], job.name, True)
    assert arguments["deadline"] == pytest.approx(time.time() + 3600, abs=60)
    assert pause.timeout > timedelta(hours=1)  # behind the deadline that the trigger keeps
    assert not any(secret in json.dumps(arguments) for secret in scnet_default.secrets)


def test_wait_without_an_end(scnet_default: ScnetEmulator) -> None:
    pause = deferred(ScnetSubmitJobOperator(**WAITING, deferrable=True), TaskInstance(get_ti_count=None))
    assert (pause.trigger.serialize()[1]["deadline"], pause.timeout) == (None, None)


def test_event_of_a_deadline_deletes_the_job(scnet_default: ScnetEmulator) -> None:
    ti = TaskInstance()
    ref = ScnetSubmitJobOperator(**JOB).execute({"ti": ti})
    with pytest.raises(ScnetWaitTimeoutError, match="was deleted"):
        ScnetSubmitJobOperator(**WAITING).execute_complete({"ti": ti}, {"status": "timeout", "jobs": [ref]})
    assert not scnet_default.active_jobs


@pytest.mark.parametrize("deferrable", [False, True])
def test_time_out_tells_which_of_two_jobs_goes_on(scnet_default: ScnetEmulator, deferrable: bool) -> None:
    """Else a teardown that knows its jobs from XCom ends the duplicate, and the older one runs on."""
    ti = TaskInstance()
    operator = ScnetSubmitJobOperator(**WAITING, cancel_on_kill=False, timeout=0.5)
    context: Any = {"ti": ti}
    name = operator._prepare(context).name
    older, younger = scnet_default.add_job(name=name), scnet_default.add_job(name=name)
    event = {"status": "timeout", "jobs": [older.ref], "asked": [younger.ref]}
    duplicate = JobRef(SCHEDULER, older.user, younger.job_id)
    give_up = partial(operator._wait, context, duplicate, timeout=0.5)
    if deferrable:
        give_up = partial(operator.execute_complete, context, event)
    with pytest.raises(ScnetWaitTimeoutError, match=f"{older.ref} .*goes on"):
        give_up()
    assert ti.pushed["job"] == older.ref


@pytest.mark.parametrize("event", [None, {"status": "deleted", "report": {}}, {"status": "done", "jobs": ["x"]}])
def test_event_that_nobody_knows_is_no_success(scnet_default: ScnetEmulator, event: Any) -> None:
    with pytest.raises(ScnetError, match="does not know"):
        ScnetSubmitJobOperator(**WAITING).execute_complete({"ti": TaskInstance()}, event)


@pytest.mark.parametrize("how", ["xcom", "store", "name"])
@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_airflows_own_time_out_deletes_the_job(scnet_default: ScnetEmulator, how: str, cancel_on_kill: bool) -> None:
    noted: dict[str, Any] = {}
    ti = TaskInstance()
    context: Any = {"ti": ti, "task_state_store": Store(noted)}
    ref = ScnetSubmitJobOperator(**JOB).execute(context)
    ti.xcom_pull = lambda **where: ref if how == "xcom" else None
    if how != "store":
        noted.clear()
    operator = ScnetSubmitJobOperator(**WAITING, cancel_on_kill=cancel_on_kill)
    with pytest.raises(Exception, match="timeout"):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert bool(scnet_default.active_jobs) is not cancel_on_kill


def test_trigger_that_broke_leaves_the_job_to_the_next_try(scnet_default: ScnetEmulator) -> None:
    ScnetSubmitJobOperator(**JOB).execute({"ti": TaskInstance()})
    with pytest.raises(Exception, match="Trigger failure"):
        ScnetSubmitJobOperator(**WAITING).resume_execution("__fail__", {"error": "Trigger failure"}, {"ti": None})
    assert scnet_default.active_jobs


@pytest.mark.parametrize(
    ("option", "value"),
    [("poll_interval", 0), ("timeout", -1), ("timeout", "1 h"), ("log_lines", -1), ("log_lines", "all")],
)
def test_bad_option_of_a_wait_is_an_error_of_the_dag(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        ScnetSubmitJobOperator(**{**JOB, option: value})
