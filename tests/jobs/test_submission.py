"""Exactly once, whatever the service does to an answer and Airflow to a task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import (
    ScnetError,
    ScnetJobsNotDeletedError,
    ScnetPermissionError,
    ScnetQueueFullError,
    ScnetStoppedError,
    ScnetSubmitRejectedError,
    ScnetTransientError,
)
from airflow_provider_scnet.jobs.lives import Life
from airflow_provider_scnet.jobs.memory import KEY, Notebook, read_since
from airflow_provider_scnet.jobs.naming import JOB_NAME, JobTag, specification_tag, task_tag
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.jobs.submission import (
    LOOK_EVERY,
    PATIENCE_WITH_LISTS,
    SETTLING_TIME,
    Submission,
    Target,
)
from airflow_provider_scnet.testing import ScnetEmulator
from airflow_provider_scnet.testing.job import Job
from tests.conftest import SCHEDULER, SECOND_SCHEDULER, client_of
from tests.tags import tag_of

COMMAND = "sleep 3600"
TASK = {"dag_id": "flow", "run_id": "manual", "task_id": "submit", "map_index": -1}
FAILED = "Batch job submission failed:"
POLICY = f"{FAILED} Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
LOST: list[dict[str, Any]] = [
    {"drop": True},
    {"body": "<html>"},
    {"status": 502},
    {"code": "10001"},
    {"code": "10012"},
    {"code": "10013"},
    {"code": "815005"},
    {"code": "0", "data": None},
    {"code": "0", "data": "soon"},
    {"code": "0", "data": "00101"},
    {"code": "0", "data": "9" * 31},
    {"code": "4711"},
    {"code": "815007", "msg": f"sbatch: error: {FAILED} Socket timed out on send/recv operation"},
    {"code": "815007", "data": f"sbatch: error: {FAILED} Unable to contact slurm controller (connect failure)"},
    {"code": "815007", "msg": "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"},
]
#: Pages of HTTP, by whether what was asked for may have been done.
OPEN_PAGES = [200, 204, 300, 302, 303, 304, 400, 403, 406, 408, 409, 418, 499, 500, 501, 502, 503, 504, 511]
REFUSING_PAGES = [301, 307, 308, 401, 404, 405, 407, 411, 413, 414, 415, 421, 426, 431]
MALFORMED = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: 1,2\r\n\r\n{}",
    "no HTTP": b"hello\r\n\r\n",
    "another HTTP": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status that is none": b"HTTP/1.1 OK\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
    "cut header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    "not compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "compressed in a way of its own": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    "redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
    "interim answer only": b"HTTP/1.1 102 Processing\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


def tag_and_members(
    *, command: str = COMMAND, array_size: int | None = None, **other: Any
) -> tuple[JobTag, dict[str, str]]:
    """The tag of a task instance, and the job that it submits."""
    where: dict[str, Any] = {"job_queue": "debug", "work_dir": "/public/home/me", "walltime": "10:00:00"}
    members = JobSpecification(command=command, array_size=array_size, **where).as_members("")
    tag = tag_of(**{**TASK, **other}, specification=specification_tag(members), array_size=array_size or 0)
    return tag, {**members, JOB_NAME: tag.name("flow")}


def name_of(**other: Any) -> str:
    """As a job of a task instance is called."""
    return tag_and_members(**{"try_number": 1, **other})[0].name("flow")


def name_tag(**other: Any) -> JobTag:
    return tag_and_members(**other)[0]


class Store(dict[str, Any]):
    """Airflow's state store of a task, which raises from the write ``fails_at`` on."""

    fails_at: int | None = None
    writes = 0

    def set(self, key: str, value: Any) -> None:
        if self.writes == self.fails_at:
            raise RuntimeError("the API server is away")
        self.writes += 1
        self[key] = value


@pytest.fixture
def prepare(scnet: ScnetEmulator) -> Callable[..., Submission]:
    """One try."""

    def prepare(
        *,
        try_number: int = 1,
        generation: int = 0,
        retries: int | None = None,
        since: int = 0,
        earlier: str = "",
        keeps: bool = False,
        command: str = COMMAND,
        store: Store | None = None,
        client: Any = None,
        **other: Any,
    ) -> Submission:
        tag, members = tag_and_members(generation=generation, try_number=try_number, command=command, **other)
        life = Life(tag, retries=generation if retries is None else retries, since=since, earlier_task=earlier)
        target = Target(SCHEDULER, scnet.user, life, members, keeps=keeps)
        notebook = Notebook(store, life, logger=logging.getLogger())
        began = datetime.fromtimestamp(scnet.clock.now(), UTC) - timedelta(days=1)
        return Submission(client or client_of(scnet), target, notebook, is_retry=try_number > 1, since=began)

    return prepare


@pytest.fixture
def submit(prepare: Callable[..., Submission]) -> Callable[..., JobRef]:
    return lambda **how: prepare(**how).run()


Submit = Callable[..., JobRef]


@contextmanager
def answering(scnet: ScnetEmulator, answer: bytes) -> Iterator[str]:
    """A gateway in front of the emulator, which answers submissions in its own way once they are done."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            kept = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
            url, body = f"{scnet.url}{self.path}", self.rfile.read(length)
            reply = requests.request(self.command, url, data=body, headers=kept, timeout=30)
            if self.command == "POST":
                self.wfile.write(answer)
                self.close_connection = True
                return
            self.send_response(reply.status_code)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def active(scnet: ScnetEmulator) -> list[str]:
    return [job.ref for job in scnet.active_jobs]


def test_first_try_costs_one_request(scnet: ScnetEmulator, submit: Submit) -> None:
    assert [submit()] == active(scnet)
    assert scnet.calls == {"submit": 1}


@pytest.mark.parametrize("lost", LOST, ids=str)
def test_lost_answer_is_found_by_the_same_try(scnet: ScnetEmulator, submit: Submit, lost: dict[str, Any]) -> None:
    scnet.submit_lag = 20
    scnet.fail("submit", effect=True, **lost)
    assert [submit()] == active(scnet)


@pytest.mark.parametrize("lost", LOST, ids=str)
def test_no_second_submission_after_an_answer_that_leaves_it_open(
    scnet: ScnetEmulator, submit: Submit, lost: dict[str, Any]
) -> None:
    """The next try looks first, finds nothing, and submits."""
    began = scnet.clock.now()
    scnet.fail("submit", **lost)
    with pytest.raises(ScnetTransientError, match=r"not known whether job flow_\w+ was submitted.*next try looks"):
        submit()
    assert scnet.calls["submit"] == 1
    assert scnet.clock.now() - began >= SETTLING_TIME
    assert [submit(try_number=2)] == active(scnet)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "SUSPENDED"])
def test_retry_adopts_the_job_of_the_earlier_try(scnet: ScnetEmulator, submit: Submit, state: str) -> None:
    """As after a worker that was lost between submission and XCom."""
    ref = submit()
    the_job(scnet, ref).become(state)
    assert submit(try_number=2) == ref
    assert active(scnet) == [ref]


def test_retry_adopts_a_job_that_is_listed_late(scnet: ScnetEmulator, submit: Submit) -> None:
    ref = submit()
    scnet.submit_lag = 45
    assert submit(try_number=2) == ref
    assert active(scnet) == [ref]


@pytest.mark.parametrize("ago", [60, 3600])
def test_job_that_ended_well_is_the_result(scnet: ScnetEmulator, submit: Submit, ago: int) -> None:
    """Live, where nothing but its detail has the scheduler's word, or in the history."""
    ref = submit()
    the_job(scnet, ref).become("COMPLETED")
    scnet.clock.advance(ago)
    assert submit(try_number=2) == ref
    assert scnet.calls["submit"] == 1


@pytest.mark.parametrize("ago", [1, 3600])
@pytest.mark.parametrize("word", ["FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED"])
def test_job_that_ended_badly_is_submitted_again(scnet: ScnetEmulator, submit: Submit, word: str, ago: int) -> None:
    ref = submit()
    the_job(scnet, ref).become(word)
    scnet.clock.advance(ago)
    again = submit(try_number=2)
    assert again != ref
    assert active(scnet) == [again]


@pytest.mark.parametrize("fault", [None, {"status": 503}], ids=str)
def test_array_of_which_the_live_list_shows_only_what_ended_well(
    scnet: ScnetEmulator, submit: Submit, fault: dict[str, Any] | None
) -> None:
    """A member failed so long before the others ended that only the history has it."""
    scnet.raw_state_in_lists = True
    name = name_of()
    for job_id, word, ago in (("7_1", "FAILED", 400), ("7_2", "COMPLETED", 10)):
        scnet.add_job(word, job_id=job_id, name=name, ended_ago=ago)
    if fault:
        scnet.fail("history", times=None, **fault)
        with pytest.raises(ScnetTransientError, match="503"):
            submit(try_number=2)
    else:
        assert [submit(try_number=2)] == active(scnet)


@pytest.mark.parametrize("told", [2, 4])
def test_array_of_which_members_were_cancelled_while_they_waited_is_no_result(
    scnet: ScnetEmulator, submit: Submit, told: int
) -> None:
    """They leave no record; else each retry would find the same array again, whose wait fails."""
    name = name_of(array_size=4)
    for member in range(1, 1 + told):
        scnet.add_job("COMPLETED", job_id=f"7_{member}", name=name, ended_ago=400)
    submitted = submit(try_number=2, array_size=4)
    assert (submitted == f"{SCHEDULER},{scnet.user}:7:") is (told == 4)
    assert scnet.calls["submit"] == (told < 4)


@pytest.mark.parametrize("word", ["COMPLETED", "FAILED"])
def test_array_of_which_the_history_tells_before_the_live_list(scnet: ScnetEmulator, submit: Submit, word: str) -> None:
    """Its members are listed late, and one has ended already."""
    name = name_of()
    store = Store({KEY: {"name": name, "sent_at": 1.0, "ref": f"{SCHEDULER},{scnet.user}:7:"}})
    scnet.add_job()  # so that no list is empty
    scnet.clock.advance(600)
    scnet.submit_lag = 50
    quick, _ = (scnet.add_job(job_id=f"7_{member}", name=name) for member in (1, 2))
    quick.become(word)
    began = scnet.clock.now()
    assert submit(try_number=2, store=store) == f"{SCHEDULER},{scnet.user}:7:"
    assert scnet.clock.now() - began >= scnet.submit_lag
    assert scnet.calls["submit"] == 0


def test_job_that_may_be_started_again_is_deleted_first(scnet: ScnetEmulator, submit: Submit) -> None:
    ref = submit()
    scnet.requeue_after = 50
    the_job(scnet, ref).become("PREEMPTED")
    again = submit(try_number=2)
    scnet.clock.advance(600)
    assert active(scnet) == [again]


def test_job_that_is_being_cancelled_is_not_adopted(scnet: ScnetEmulator, submit: Submit) -> None:
    """As after a clear that looks like a retry: ``on_kill`` has sent the delete."""
    scnet.cancel_delay = 100
    ref = submit()
    the_job(scnet, ref).cancel(100)
    again = submit(try_number=2)
    assert again != ref
    assert active(scnet) == [again]


def test_clear_ends_the_job_of_the_earlier_generation(scnet: ScnetEmulator, submit: Submit) -> None:
    old = submit()
    scnet.cancel_delay = 30
    new = submit(try_number=2, generation=1)
    assert new != old
    assert active(scnet) == [new]


def test_nothing_is_submitted_while_a_job_of_an_earlier_generation_goes_on(
    scnet: ScnetEmulator, submit: Submit
) -> None:
    old = submit()
    the_job(scnet, old).ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError, match=old):
        submit(try_number=2, generation=1)
    assert active(scnet) == [old]


@pytest.mark.parametrize(
    "other", [{"run_id": "other"}, {"task_id": "other"}, {"dag_id": "other"}, {"map_index": 3}], ids=str
)
def test_job_of_another_task_instance_is_left_alone(
    scnet: ScnetEmulator, submit: Submit, other: dict[str, Any]
) -> None:
    alien = submit(**other)
    ours = submit(try_number=2, generation=5)
    assert active(scnet) == [alien, ours]


def test_of_several_the_oldest_is_kept_whichever_runs(scnet: ScnetEmulator, submit: Submit) -> None:
    """Everybody who looks chooses the same, at whatever moment."""
    first, *others = submit(), submit(), submit()
    the_job(scnet, first).become("PENDING")
    assert submit(try_number=2) == first
    assert active(scnet) == [first]
    assert not set(others) & set(active(scnet))


def test_requeue_makes_no_job_younger(scnet: ScnetEmulator, submit: Submit) -> None:
    """It moves the time of the submission, but not the number."""
    first, _ = submit(), submit()
    scnet.requeue_after = 10
    the_job(scnet, first).become("PREEMPTED")
    scnet.clock.advance(30)
    assert submit(try_number=2) == first
    assert active(scnet) == [first]


# --- clears ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["RUNNING", "COMPLETED"])
def test_clear_that_leaves_max_tries_as_they_were_is_no_retry(scnet: ScnetEmulator, submit: Submit, word: str) -> None:
    """One try of two has succeeded, ``retries`` were set to 0, and the task was cleared: 1 + 0 is the 1 of before."""
    old = submit(generation=1, clears=0)
    the_job(scnet, old).become(word)
    new = submit(try_number=2, generation=1, retries=0, clears=1)
    assert new != old
    assert active(scnet) == [new]
    assert submit(try_number=3, generation=1, retries=0, clears=1) == new  # the worker was lost


@pytest.mark.parametrize("word", ["RUNNING", "COMPLETED"])
def test_what_airflow_says_of_a_clear_counts(scnet: ScnetEmulator, submit: Submit, word: str) -> None:
    """A DAG that was without the task at that moment leaves all numbers as they were."""
    old = submit(generation=1)
    the_job(scnet, old).become(word)
    new = submit(try_number=2, generation=1, clears=1, since=2)
    assert new != old
    assert active(scnet) == [new]


def test_other_tasks_clears_cost_no_running_job(scnet: ScnetEmulator, submit: Submit) -> None:
    ref = submit(generation=1, clears=0)
    assert submit(try_number=2, generation=1, clears=3) == ref
    assert active(scnet) == [ref]


@pytest.mark.parametrize("word", ["RUNNING", "COMPLETED"])
def test_job_of_another_command_is_no_result(scnet: ScnetEmulator, submit: Submit, word: str) -> None:
    old = submit()
    the_job(scnet, old).become(word)
    new = submit(try_number=2, command="sleep 7200")
    assert new != old
    assert active(scnet) == [new]


def test_life_is_remembered(scnet: ScnetEmulator, submit: Submit) -> None:
    """What told of the clear is gone with the try that has seen it."""
    store = Store()
    old = submit(generation=1, store=store)
    the_job(scnet, old).become("COMPLETED")
    scnet.fail("submit", status=503)
    with pytest.raises(ScnetTransientError):
        submit(try_number=2, generation=1, clears=1, since=2, store=store)
    since = read_since(store, name_tag(generation=1))
    assert since == 2
    assert submit(try_number=3, generation=1, clears=1, since=since, store=store) != old


def test_job_of_an_earlier_life_is_kept_if_that_is_asked_for(scnet: ScnetEmulator, submit: Submit) -> None:
    ref = submit()
    assert submit(try_number=2, generation=1, keeps=True) == ref
    assert active(scnet) == [ref]


def test_worker_that_is_cut_off_leaves_the_job_of_a_later_life_alone(scnet: ScnetEmulator, submit: Submit) -> None:
    later = submit(try_number=3, generation=4)
    with pytest.raises(ScnetStoppedError, match=f"try 3 has job {later}.* still runs try 2"):
        submit(try_number=2, generation=2)
    assert active(scnet) == [later]


def test_job_of_an_earlier_life_is_deleted_once_however_often_lists_show_it(
    scnet: ScnetEmulator, submit: Submit
) -> None:
    submit()
    scnet.lag = 40
    submit(try_number=2, generation=1)
    assert scnet.calls["delete"] == 1


@pytest.mark.parametrize("how", [{"command": "sleep 7200"}, {"word": "COMPLETED"}, {"word": "FAILED"}], ids=str)
def test_what_is_not_kept(scnet: ScnetEmulator, submit: Submit, how: dict[str, str]) -> None:
    """Another command, or a job that has ended: a clear asks for it anew."""
    old = submit()
    the_job(scnet, old).become(how.pop("word", "RUNNING"))
    new = submit(try_number=2, generation=1, keeps=True, **how)
    assert new != old
    assert active(scnet) == [new]


# --- other Airflows, and 0.2.0 --------------------------------------------------------------------------------------


def test_job_of_another_airflow_is_not_touched(scnet: ScnetEmulator, submit: Submit) -> None:
    theirs = submit(namespace="production")
    ours = submit(try_number=2)
    assert active(scnet) == [theirs, ours]
    assert submit(try_number=2, generation=1) not in (theirs, ours)
    assert theirs in active(scnet)


@pytest.mark.parametrize(("generation", "is_adopted"), [(0, True), (1, False)])
def test_job_that_0_2_0_has_named(scnet: ScnetEmulator, submit: Submit, generation: int, is_adopted: bool) -> None:
    """At the upgrade, a retry adopts it, and a clear deletes it."""
    earlier = task_tag("flow", "manual", "submit")
    job = scnet.add_job(name=f"flow_{earlier}_g0")
    ref = submit(try_number=2, generation=generation, earlier=earlier)
    assert (ref == job.ref) is is_adopted
    assert active(scnet) == [ref]


def test_name_with_digits_without_end_stops_no_search(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.add_job(name=f"flow_{'a' * 12}_g{'1' * 5000}")
    ref = submit()
    assert submit(try_number=2) == ref


def test_of_several_that_wait_the_oldest_is_kept(scnet: ScnetEmulator, submit: Submit) -> None:
    refs = []
    for _ in range(3):
        refs.append(submit())
        the_job(scnet, refs[-1]).become("PENDING")
        scnet.clock.advance(60)
    assert submit(try_number=2) == refs[0]
    assert active(scnet) == refs[:1]


def test_lists_that_tell_nothing_keep_it_from_being_submitted(scnet: ScnetEmulator, submit: Submit) -> None:
    submit()
    scnet.fail("list", status=503, times=None)
    with pytest.raises(ScnetTransientError, match="503"):
        submit(try_number=2)
    assert scnet.calls["submit"] == 1


def test_cut_list_is_no_proof(scnet: ScnetEmulator, submit: Submit) -> None:
    for _ in range(30):
        scnet.add_job()
    submit()
    scnet.list_cap = 10
    with pytest.raises(ScnetTransientError, match="not complete"):
        submit(try_number=2)
    assert scnet.calls["submit"] == 1


def test_list_that_fails_for_a_while(scnet: ScnetEmulator, submit: Submit) -> None:
    ref = submit()
    scnet.fail("list", status=503, times=6)
    assert submit(try_number=2) == ref


# --- what is refused ------------------------------------------------------------------------------------------------


def test_full_queue_is_no_failure(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.fail("submit", code="815007", msg="sbatch: error: QOSMaxSubmitJobPerUserLimit")
    with pytest.raises(ScnetQueueFullError, match="Passes when other jobs have ended"):
        submit()
    assert scnet.calls == {"submit": 1}


def test_full_queue_of_which_the_first_line_is_missing(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    scnet.fail("submit", code="815007", msg=f"sbatch: error: {POLICY}")
    with pytest.raises(ScnetQueueFullError, match=r"Passes when other jobs have ended.*If no other job is left, ask"):
        submit(store=store)
    assert [submit(try_number=2, store=store)] == active(scnet)
    assert scnet.calls == {"submit": 2}


def test_rejection_shows_what_was_sent(scnet: ScnetEmulator, submit: Submit) -> None:
    said = f"sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: {POLICY}"
    scnet.fail("submit", code="815007", msg=said)
    with pytest.raises(
        ScnetSubmitRejectedError, match=r"QOS policy.*GAP_QUEUE=debug, GAP_WALL_TIME=10:00:00"
    ) as failure:
        submit()
    assert "sleep" not in str(failure.value)
    assert scnet.calls == {"submit": 1}


def test_nothing_is_looked_for_after_a_refusal(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.fail("submit", code="10004")
    with pytest.raises(ScnetError, match="10004"):
        submit()
    assert scnet.calls == {"submit": 1}


@pytest.mark.parametrize("status", REFUSING_PAGES)
def test_page_that_refuses_the_request_as_such(scnet: ScnetEmulator, submit: Submit, status: int) -> None:
    """No list is read, and the next try knows that nothing was sent. After 401 the call is made once more."""
    store = Store()
    scnet.fail("submit", status=status, body="<html>", times=None)
    with pytest.raises(ScnetError, match=f"HTTP {status}"):
        submit(store=store)
    assert scnet.calls["submit"] == (2 if status == 401 else 1)
    scnet.clear_faults()
    assert [submit(try_number=2, store=store)] == active(scnet)
    assert scnet.calls["list"] == 0


@pytest.mark.parametrize("status", OPEN_PAGES)
def test_page_that_proves_nothing(scnet: ScnetEmulator, submit: Submit, status: int) -> None:
    scnet.fail("submit", effect=True, status=status, body="" if status in (204, 304) else "<html>")
    assert [submit()] == active(scnet)
    assert scnet.calls["submit"] == 1


@pytest.mark.parametrize("status", [400, 429, 500, *REFUSING_PAGES])
def test_success_that_comes_with_a_refusal_proves_nothing(scnet: ScnetEmulator, submit: Submit, status: int) -> None:
    scnet.fail("submit", effect=True, status=status, body='{"code":"0","data":"197"}')
    assert [submit()] == active(scnet)
    assert scnet.calls["submit"] == 1


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED)
def test_answer_that_breaks_the_rules_proves_nothing(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], answer: bytes
) -> None:
    store = Store()
    with answering(scnet, answer) as url:
        submitted = prepare(client=client_of(scnet, gateways=[f"{url}/hpc"]), store=store).run()
    assert [submitted] == active(scnet)
    assert scnet.calls["submit"] == 1


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED)
def test_store_does_not_say_that_nothing_was_sent(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], answer: bytes
) -> None:
    store = Store()
    scnet.submit_lag = 200
    with answering(scnet, answer) as url, pytest.raises(ScnetTransientError, match="not known whether job"):
        prepare(client=client_of(scnet, gateways=[f"{url}/hpc"]), store=store).run()
    assert store[KEY]["sent_at"]


def test_permanent_refusal_of_the_lists_does_not_hide_that_a_job_may_run(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.fail("submit", effect=True, drop=True)
    scnet.fail("list", code="10009", times=None)
    with pytest.raises(ScnetPermissionError, match=r"It is not known whether job flow_\w+ was submitted: look for it"):
        submit()


# --- too many requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [{}, {"code": "429"}, {"body": "<html>"}], ids=str)
@pytest.mark.parametrize(("asked", "waited"), [("30", 60), (None, 2 * LOOK_EVERY), ("0", 3)])
def test_too_many_requests_are_waited_for(
    scnet: ScnetEmulator, submit: Submit, answer: dict[str, Any], asked: str | None, waited: float
) -> None:
    headers = {"Retry-After": asked} if asked else {}
    scnet.fail("submit", status=429, headers=headers, times=2, **answer)
    began = scnet.clock.now()
    assert [submit()] == active(scnet)
    assert scnet.calls == {"submit": 3}
    assert scnet.clock.now() - began == pytest.approx(waited, abs=2)


@pytest.mark.parametrize("asked", ["600", "50"])
def test_too_many_requests_for_too_long(scnet: ScnetEmulator, submit: Submit, asked: str) -> None:
    """The try does not wait for ever; the next one knows that nothing was sent."""
    store = Store()
    scnet.fail("submit", status=429, headers={"Retry-After": asked}, times=None)
    began = scnet.clock.now()
    with pytest.raises(
        ScnetTransientError, match=rf"This try submitted nothing\. .* retry_delay of {asked} s"
    ) as caught:
        submit(store=store)
    assert not caught.value.report
    assert scnet.clock.now() - began <= PATIENCE_WITH_LISTS
    scnet.clear_faults()
    sent = scnet.calls["submit"]
    assert [submit(try_number=2, store=store)] == active(scnet)
    assert scnet.calls == {"submit": sent + 1}


def test_stopped_while_it_waits_to_send_again(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = prepare()
    scnet.fail("submit", status=429, headers={"Retry-After": "30"})
    monkeypatch.setattr(scnet.clock, "advance", lambda seconds: submission.stop())
    with pytest.raises(ScnetStoppedError):
        submission.run()
    assert scnet.calls == {"submit": 1}
    assert not active(scnet)


# --- what is remembered ---------------------------------------------------------------------------------------------


def test_retry_that_remembers_its_job_finds_it_at_once(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    ref = submit(store=store)
    began = scnet.clock.now()
    assert submit(try_number=2, store=store) == ref
    assert scnet.clock.now() - began < LOOK_EVERY


def test_retry_that_knows_that_nothing_was_sent_submits_at_once(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    scnet.fail("submit", code="815007", msg="AssocMaxSubmitJobLimit")
    with pytest.raises(ScnetQueueFullError):
        submit(store=store)
    scnet.requests.clear()
    began = scnet.clock.now()
    submit(try_number=2, store=store)
    assert scnet.calls == {"submit": 1}
    assert scnet.clock.now() - began < LOOK_EVERY


@pytest.mark.parametrize("blank", ["empty", "null"])
def test_one_list_that_is_empty_by_accident_is_no_proof(scnet: ScnetEmulator, submit: Submit, blank: Any) -> None:
    store = Store()
    ref = submit(store=store)
    scnet.clock.advance(600)
    data = None if blank == "null" else {"total": 0, "list": []}
    scnet.fail("list", code="0", data=data, times=3)
    assert submit(try_number=2, store=store) == ref
    assert active(scnet) == [ref]


def test_list_that_is_empty_by_accident_when_it_counts(scnet: ScnetEmulator, submit: Submit) -> None:
    """The worker died, and its job is listed just in time."""
    scnet.add_job()
    scnet.clock.advance(600)
    ref, scnet.submit_lag = submit(), SETTLING_TIME - 2
    scnet.fail("list", code="0", data={"total": 0, "list": []}, after=int(SETTLING_TIME / LOOK_EVERY))
    assert submit(try_number=2) == ref
    assert scnet.calls["submit"] == 1


def test_empty_list_costs_one_more_look(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    the_job(scnet, submit(store=store)).become("FAILED")
    scnet.clock.advance(3600)
    began = scnet.clock.now()
    assert [submit(try_number=2, store=store)] == active(scnet)
    assert scnet.clock.now() - began == pytest.approx(LOOK_EVERY, abs=1)


def test_job_that_is_known_to_have_ended_badly_is_submitted_again_at_once(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    the_job(scnet, submit(store=store)).become("FAILED")
    began = scnet.clock.now()
    assert [submit(try_number=2, store=store)] == active(scnet)
    assert scnet.clock.now() - began < LOOK_EVERY


def test_what_was_sent_once_is_not_forgotten_over_a_full_queue(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    scnet.submit_lag = 200
    scnet.fail("submit", drop=True, effect=True)
    with pytest.raises(ScnetTransientError):
        submit(store=store)
    scnet.fail("submit", code="815007", msg="AssocMaxSubmitJobLimit")
    with pytest.raises(ScnetQueueFullError):
        submit(try_number=2, store=store)
    scnet.clock.advance(100)
    assert [submit(try_number=3, store=store)] == active(scnet)


def test_job_that_was_killed_is_not_adopted_out_of_an_old_list(
    scnet: ScnetEmulator, prepare: Callable[..., Submission]
) -> None:
    store = Store()
    ref = prepare(store=store).run()
    note_killed(store, prepare(store=store), ref)
    the_job(scnet, ref).cancel(0)
    scnet.view_age = 30
    scnet.clock.advance(3)
    again = prepare(try_number=2, store=store).run()
    assert again != ref
    assert active(scnet) == [again]


@pytest.mark.parametrize("fault", [{"status": 503}, {"code": "10009"}, {"code": "4711"}], ids=str)
def test_history_that_fails_hides_no_job_that_goes_on(scnet: ScnetEmulator, submit: Submit, fault: Any) -> None:
    scnet.fail("history", times=None, **fault)
    ref = submit()
    assert submit(try_number=2) == ref
    assert not scnet.calls["history"]


def test_history_that_is_refused_for_good_is_not_waited_for(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.fail("history", code="10009", times=None)
    the_job(scnet, submit()).become("FAILED")
    scnet.clock.advance(3600)
    assert [submit(try_number=2)] == active(scnet)


def test_history_that_fails_for_now_keeps_it_from_being_submitted(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.fail("history", status=503, times=None)
    the_job(scnet, submit()).become("COMPLETED")
    scnet.clock.advance(3600)
    with pytest.raises(ScnetTransientError, match="503"):
        submit(try_number=2)
    assert scnet.calls["submit"] == 1


def test_long_history_is_read_twice_at_most(scnet: ScnetEmulator, submit: Submit) -> None:
    for _ in range(500):
        scnet.add_job("FAILED", ended_ago=3600)
    submit(try_number=2)
    assert scnet.calls["history"] <= 2 * 6


@pytest.mark.parametrize("with_store", [True, False])
def test_job_that_is_just_ending_well_is_the_result(scnet: ScnetEmulator, submit: Submit, with_store: bool) -> None:
    store = Store() if with_store else None
    ref = submit(store=store)
    job = the_job(scnet, ref)
    job.become("COMPLETING")
    job.outcome = "COMPLETED"
    job.ends_at = scnet.clock.now() + 70
    assert submit(try_number=2, store=store) == ref
    assert scnet.calls["submit"] == 1


def test_end_that_only_a_late_history_tells_is_waited_for(scnet: ScnetEmulator, submit: Submit) -> None:
    scnet.words_in_details, scnet.history_lag = False, 80
    store = Store()
    ref = submit(store=store)
    the_job(scnet, ref).become("COMPLETED")
    assert submit(try_number=2, store=store) == ref
    assert scnet.calls["submit"] == 1


def test_node_failure_long_ago_is_not_deleted(scnet: ScnetEmulator, submit: Submit) -> None:
    the_job(scnet, submit()).become("NODE_FAIL")
    scnet.clock.advance(3600)
    assert [submit(try_number=2)] == active(scnet)
    assert not scnet.calls["delete"]


def test_gateway_that_does_not_know_the_scheduler(scnet: ScnetEmulator, prepare: Callable[..., Submission]) -> None:
    with ScnetEmulator(schedulers={SECOND_SCHEDULER: "Second"}) as other:
        other.fail("submit", code="10004", times=None)
        other.fail("clusters", code="0", data=[{"id": int(SECOND_SCHEDULER), "text": "Second"}], times=None)
        submission = prepare(client=client_of(scnet, gateways=[f"{other.url}/hpc", f"{scnet.url}/hpc"]))
        assert [submission.run()] == active(scnet)


def test_try_that_is_not_a_retry_but_has_sent_something_looks(scnet: ScnetEmulator, submit: Submit) -> None:
    """Airflow 3.4 reschedules a task without counting a try."""
    store = Store()
    ref = submit(store=store)
    assert submit(try_number=1, store=store) == ref


def test_notes_of_another_generation_count_nothing(scnet: ScnetEmulator, submit: Submit) -> None:
    store = Store()
    old = submit(store=store)
    new = submit(try_number=2, generation=1, store=store)
    assert active(scnet) == [new] != [old]


@pytest.mark.parametrize("noted", [None, "x", [], {}, {"name": 5}, {"name": "demo", "sent_at": 1, "ref": "1"}])
def test_notes_that_are_none(scnet: ScnetEmulator, submit: Submit, noted: Any) -> None:
    ref = submit()
    assert submit(try_number=2, store=Store({KEY: noted})) == ref


@pytest.mark.parametrize("write", [0, 1])
def test_store_that_fails_before_the_submission_fails_the_try(scnet: ScnetEmulator, submit: Submit, write: int) -> None:
    store = Store()
    store.fails_at = write
    with pytest.raises(RuntimeError, match="API server"):
        submit(store=store)
    assert not scnet.requests


def test_store_that_fails_after_the_submission_is_no_failure(
    scnet: ScnetEmulator, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    store.fails_at = 2
    assert [submit(store=store)] == active(scnet)
    assert "Could not note job" in caplog.text


# --- told to stop ---------------------------------------------------------------------------------------------------


def test_stopped_before_it_is_sent(scnet: ScnetEmulator, prepare: Callable[..., Submission]) -> None:
    submission = prepare()
    submission.stop()
    with pytest.raises(ScnetStoppedError):
        submission.run()
    assert not scnet.requests


def test_stopped_while_it_looks(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = prepare(try_number=2)
    monkeypatch.setattr(scnet.clock, "advance", lambda seconds: submission.stop())
    with pytest.raises(ScnetStoppedError):
        submission.run()
    assert scnet.calls["submit"] == 0


def the_job(scnet: ScnetEmulator, ref: str) -> Job:
    return next(job for job in scnet.jobs if job.ref == ref)


def note_killed(store: Store, submission: Submission, ref: JobRef) -> None:
    Notebook(store, submission.life, logger=logging.getLogger()).note_killed(ref)


def killed_and_completed(scnet: ScnetEmulator, prepare: Callable[..., Submission], store: Store) -> JobRef:
    """A job whose kill came too late."""
    submission = prepare(store=store)
    ref = submission.run()
    the_job(scnet, ref).become("COMPLETED")
    note_killed(store, submission, ref)
    return ref


def test_earlier_end_is_no_answer_to_an_open_submission(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], submit: Submit
) -> None:
    store = Store()
    old = killed_and_completed(scnet, prepare, store)
    scnet.submit_lag = 20
    scnet.fail("submit", drop=True, effect=True)
    new = submit(try_number=2, store=store)
    assert new != old
    assert [new] == active(scnet)


def test_earlier_end_does_not_hide_the_job_that_is_known(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], submit: Submit
) -> None:
    store = Store()
    old = killed_and_completed(scnet, prepare, store)
    scnet.clock.advance(100)
    scnet.submit_lag = 20
    new = submit(try_number=2, store=store)
    assert submit(try_number=3, store=store) == new != old
    assert [new] == active(scnet)


def test_earlier_end_does_not_hide_the_job_that_could_not_be_noted(
    scnet: ScnetEmulator, prepare: Callable[..., Submission], submit: Submit
) -> None:
    store = Store()
    old = killed_and_completed(scnet, prepare, store)
    scnet.clock.advance(100)
    scnet.submit_lag = 20
    store.fails_at = store.writes + 1  # what is noted before it is sent can be
    new = submit(try_number=2, store=store)
    assert submit(try_number=3, store=store) == new != old
    assert [new] == active(scnet)


def test_job_is_found_without_a_submission(scnet: ScnetEmulator, prepare: Callable[..., Submission]) -> None:
    store = Store()
    assert prepare(store=store).find() is None
    ref = prepare(store=store).run()
    assert [prepare(store=store).find(), prepare().find()] == [ref, ref]  # it is remembered, or listed
    assert scnet.calls["submit"] == 1
