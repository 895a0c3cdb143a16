from __future__ import annotations

import json

import pytest

from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.api.states import NOT_LISTED, JobState, Phase
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.report import NAMED_JOBS, DeletionReport, LeftJob, account_of_left


def ref(job_id: int) -> JobRef:
    return JobRef("1638523853", "test", str(job_id))


RUNNING = JobState(Phase.ACTIVE, "statR", owner="test")


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (DeletionReport(), "no job"),
        (DeletionReport(deleted=[ref(1), ref(2)]), "2 deleted"),
        (DeletionReport([ref(1)], [ref(2)], [ref(3)]), "1 deleted, 1 gone, 1 accepted"),
        (DeletionReport(gone=[ref(1)], left=[LeftJob(ref(2), RUNNING, None)]), "1 gone, 1 left"),
    ],
)
def test_counts(report: DeletionReport, text: str) -> None:
    assert str(report) == text


def test_xcom_is_json_without_what_is_left() -> None:
    report = DeletionReport([ref(2), ref(1)], [ref(3)], [ref(4)], [LeftJob(ref(5), RUNNING, None)])
    xcom = report.as_xcom()
    assert json.loads(json.dumps(xcom)) == {
        "deleted": ["1638523853,test:2:", "1638523853,test:1:"],
        "gone": ["1638523853,test:3:"],
        "accepted": ["1638523853,test:4:"],
    }
    assert parse_jobs(xcom["deleted"]) == report.deleted


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        (RUNNING, None, "1638523853,test:1:  statR 运行 running"),
        (NOT_LISTED, None, "1638523853,test:1:  not listed"),
        (RUNNING, ScnetError("[1] no"), "1638523853,test:1:  statR 运行 running; last error: [1] no"),
        (
            JobState(Phase.ACTIVE, "statR", owner="other"),
            None,
            "1638523853,test:1:  statR 运行 running, listed under user other",
        ),
    ],
    ids=["state", "not listed", "error", "owner"],
)
def test_left_job(state: JobState, error: ScnetError | None, text: str) -> None:
    assert str(LeftJob(ref(1), state, error)) == text


def account(left: int, **report: list[JobRef]) -> list[str]:
    jobs = [LeftJob(ref(n), RUNNING, None) for n in range(left)]
    return account_of_left(DeletionReport(left=jobs, **report), 40, 299.6, advice="Look at them.").splitlines()


def test_account() -> None:
    lines = account(2, deleted=[ref(8)] * 38)
    assert lines[0] == (
        "2 of 40 jobs are not known to have ended after 300 s (38 deleted, 2 left) and may burn core-hours. "
        "Look at them."
    )
    assert lines[1:3] == [
        "  1638523853,test:0:  statR 运行 running",
        "  1638523853,test:1:  statR 运行 running",
    ]
    assert len(lines) == 3


def test_account_of_one() -> None:
    assert account(1)[0].startswith("1 of 40 jobs is not known to have ended")


@pytest.mark.parametrize("left", [1, NAMED_JOBS, NAMED_JOBS + 1, 3 * NAMED_JOBS])
def test_account_names_every_job(left: int) -> None:
    lines = account(left)
    named = min(left, NAMED_JOBS)
    assert [line.split()[0] for line in lines[1 : named + 1]] == [str(ref(n)) for n in range(named)]
    if left > NAMED_JOBS:
        start, _, wire = lines[named + 1].partition(": ")
        assert start == f"  and {left - NAMED_JOBS} more"
        assert parse_jobs(wire) == [ref(n) for n in range(NAMED_JOBS, left)]
    assert len(lines) == named + 1 + (left > NAMED_JOBS)
