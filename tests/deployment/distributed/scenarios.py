"""What goes wrong while others work on, each in a run of its own: they all go at the same time."""

from __future__ import annotations

from airflow_provider_scnet.testing.words import VANISHED
from tests.deployment.distributed.conftest import Distributed


def answer_lost(airflow: Distributed) -> None:
    """The connection breaks after the job was made."""
    lost = airflow.scnet.fail("submit", drop=True, effect=True, when="answer_lost_")
    run = airflow.begin("answer_lost")
    run.wait_for_end()
    assert lost.hits == 1
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def answer_late(airflow: Distributed) -> None:
    """The answer comes too late for the task, which Airflow tries again."""
    held = airflow.scnet.fail("submit", hold=True, when="answer_late_")
    run = airflow.begin("answer_late")
    run.wait_for_end()
    held.release()
    assert run.tries("submit") == 2
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def task_killed(airflow: Distributed) -> None:
    run = airflow.begin_held("task_killed")
    run.kill("submit")
    run.held.release()
    run.wait_for_end()
    assert run.tries("submit") == 2
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def killed_and_marked(airflow: Distributed) -> None:
    """A person takes a submission that was killed for a success: no XCom tells of its job."""
    run = airflow.begin_held("killed_and_marked")
    run.kill("submit")
    run.held.release()
    run.wait_for_state("submit", "up_for_retry")
    run.mark("submit", "success")
    run.wait_for_end()
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def run_cleared(airflow: Distributed) -> None:
    """While its work runs."""
    run = airflow.begin("run_cleared")
    run.wait_for_state("wait", "deferred")
    (old,) = run.account.jobs
    run.clear_all()
    run.wait_for_jobs(2)
    assert run.job(old)["state"] == "CANCELLED"  # before the new one was submitted
    run.wait_for_state("wait", "deferred")
    run.mark("wait", "success")
    run.wait_for_end()
    assert run.states() == {"submit": "success", "wait": "success", "delete": "success"}
    assert run.account.summary == (2, 0)


def work_cleared(airflow: Distributed) -> None:
    """While the teardown deletes; Airflow adds setup and teardown by itself."""
    run = airflow.begin_deleting("work_cleared")
    (old,) = run.account.jobs
    run.clear("work")
    assert run.job(old)["active"]
    run.held.release()
    run.wait_for_jobs(2)
    assert run.job(old)["state"] == "CANCELLED"
    run.wait_for_end()
    assert run.states() == {"submit": "success", "work": "success", "delete": "success"}
    assert run.account.summary == (2, 0)


def delete_killed(airflow: Distributed) -> None:
    run = airflow.begin_deleting("delete_killed")
    run.kill("delete")
    run.held.release()
    run.wait_for_end()
    assert run.tries("delete") == 2
    assert run.states() == {"submit": "success", "delete": "success"}
    assert run.account.summary == (1, 0)


def deferred_failed(airflow: Distributed) -> None:
    run = airflow.begin_waiting("deferred_failed")
    run.mark("submit", "failed")
    run.wait_for(lambda: run.account.summary == (1, 0))
    assert run.states() == {"submit": "failed"}


def deferred_success(airflow: Distributed) -> None:
    run = airflow.begin_waiting("deferred_success")
    run.mark("submit", "success")
    run.wait_for(lambda: run.account.summary == (1, 0))
    assert run.states() == {"submit": "success"}


def deferred_cleared(airflow: Distributed) -> None:
    run = airflow.begin_waiting("deferred_cleared")
    (old,) = run.account.jobs
    run.clear("submit")
    run.wait_for_jobs(2)
    assert run.job(old)["state"] == "CANCELLED"
    run.wait_until_waiting()
    run.mark("submit", "failed")
    run.wait_for(lambda: run.account.summary == (2, 0))
    assert run.states() == {"submit": "failed"}


def member_cancelled(airflow: Distributed) -> None:
    """While it waits, so that no record of it is left: the others end well."""
    run = airflow.begin("member_cancelled")
    run.wait_for_end()
    assert run.states() == {"submit": "success", "cancel": "success", "wait": "failed", "delete": "success"}
    assert [job["state"] for job in run.account.jobs] == ["COMPLETED", "COMPLETED", VANISHED]
    assert "1 of 3 members cancelled while waiting: they left no record" in run.log("wait")


TOGETHER = [
    answer_lost,
    answer_late,
    task_killed,
    killed_and_marked,
    run_cleared,
    work_cleared,
    delete_killed,
    deferred_failed,
    deferred_success,
    deferred_cleared,
    member_cancelled,
]
