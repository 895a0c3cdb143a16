from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_scnet.api.records import REFERENCE_NAMES, JobRecord, beijing_time
from airflow_provider_scnet.api.states import JobState, Phase
from airflow_provider_scnet.testing import ScnetEmulator

# A job as the live detail and the history of the real service were seen to describe it.
DETAIL = {
    "jobId": 197,
    "jobName": "demo",
    "user": "acexample01",
    "queue": "debug",
    "jobStatus": "statC",
    "exitCode": "",
    "reason": "None",
    "workDir": "/public/home/acexample01/run1",
    "jobmanagerName": "Cluster",
    "nodeUsed": "b08r1n14",
    "jobRunTime": "1-02:03:04",
    "jobSubmitTime": "2024-01-02T03:04:00",
    "jobStartTime": "2024-01-02T03:04:05",
    "jobEndTime": "2024-01-03T05:07:09",
    "jobInitAttr": {"JobState": "FAILED", "ExitCode": "37:0", "Reason": "NonZeroExitCode", "NumCPUs": 1},
}
PAST = {
    "jobId": "197",
    "jobmanagerId": 1638523853,
    "jobmanagerName": "Cluster",
    "userName": "acexample01",
    "jobName": "demo",
    "queue": "debug",
    "jobState": "statD",
    "jobExitStatus": 10005,
    "jobQueueTime": "2024-01-02 03:04:00",
    "jobStartTime": "2024-01-02 03:04:05",
    "jobEndTime": "2024-01-03 05:07:09",
    "jobExecHost": "b08r1n14",
    "workdir": "/public/home/acexample01/run1",
}


def test_live_detail() -> None:
    assert JobRecord.read(DETAIL) == JobRecord(
        job_id="197",
        scheduler_name="Cluster",
        user="acexample01",
        name="demo",
        queue="debug",
        status="statC",
        word="FAILED",
        reason="NonZeroExitCode",
        exit_code="37:0",
        nodes="b08r1n14",
        cores=1,
        work_dir="/public/home/acexample01/run1",
        submitted_at=datetime(2024, 1, 1, 19, 4, tzinfo=UTC),
        started_at=datetime(2024, 1, 1, 19, 4, 5, tzinfo=UTC),
        ended_at=datetime(2024, 1, 2, 21, 7, 9, tzinfo=UTC),
        run_time=timedelta(days=1, hours=2, minutes=3, seconds=4),
    )


def test_past_job() -> None:
    assert JobRecord.read(PAST) == JobRecord(
        job_id="197",
        scheduler_id="1638523853",
        scheduler_name="Cluster",
        user="acexample01",
        name="demo",
        queue="debug",
        status="statD",
        accounting_code=10005,
        nodes="b08r1n14",
        work_dir="/public/home/acexample01/run1",
        submitted_at=datetime(2024, 1, 1, 19, 4, tzinfo=UTC),
        started_at=datetime(2024, 1, 1, 19, 4, 5, tzinfo=UTC),
        ended_at=datetime(2024, 1, 2, 21, 7, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize("wire", [None, "job", 5, [], {}, {"jobId": None}, {"jobName": "demo"}])
def test_what_is_no_job(wire: Any) -> None:
    assert JobRecord.read(wire) is None


@pytest.mark.parametrize("job_id", ["197", 197, " 197\n"])
def test_ids_are_text(job_id: Any) -> None:
    assert JobRecord.read({"jobId": job_id}) == JobRecord("197")


@pytest.mark.parametrize(
    "members",
    [
        dict.fromkeys(("jobName", "user", "queue", "jobStatus", "nodeUsed", "jobStartTime", "jobRunTime"), ""),
        dict.fromkeys(("jobName", "user", "jobInitAttr", "jobExitStatus", "jobEndTime", "exitCode"), None),
        {"jobInitAttr": "JobState=RUNNING", "jobExitStatus": "done", "jobRunTime": "UNLIMITED", "jobStartTime": "N/A"},
        {"jobInitAttr": [], "jobExitStatus": True, "jobRunTime": 5, "jobEndTime": "Unknown"},
    ],
)
def test_members_that_say_nothing(members: dict[str, Any]) -> None:
    assert JobRecord.read({"jobId": "197", **members}) == JobRecord("197")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:00", 0), ("01:02:03", 3723), ("1-00:00:00", 86400), ("12-01:02:03", 1040523), ("99:00:00", 356400)],
)
def test_run_time(text: str, seconds: int) -> None:
    record = JobRecord.read({"jobId": "197", "jobRunTime": text})
    assert record is not None
    assert record.run_time == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("job_id", "array", "task", "read"),
    [
        (41, "17", "1", ("17_1", "41")),
        ("17", "17", "3", ("17_3", "")),  # the member that was started last has the array's number
        (17, 17, 0, ("17_0", "")),
        ("17", "17", "1-5%1", ("17", "")),  # what waits of it
        ("17_1", "17", "1", ("17_1", "")),
        ("17", "0", "0", ("17", "")),
        ("17", "", "", ("17", "")),
        ("17", None, None, ("17", "")),
        ("17", "17", "4294967294", ("17", "")),
    ],
)
@pytest.mark.parametrize("attribute", ["jobInitAttr", "initContentAttr"])
def test_member_that_is_called_by_a_number(
    attribute: str, job_id: Any, array: Any, task: Any, read: tuple[str]
) -> None:
    record = JobRecord.read({"jobId": job_id, attribute: {"ArrayJobId": array, "ArrayTaskId": task}})
    assert record
    assert (record.job_id, record.own_number) == read
    assert [record.is_called(one) for one in ("17_1", "41")] == [one in read for one in ("17_1", "41")]


def test_time_with_a_zone_of_its_own() -> None:
    record = JobRecord.read({"jobId": "197", "jobEndTime": "2026-03-24T12:58:56.000+0000"})
    assert record is not None
    assert record.ended_at == datetime(2026, 3, 24, 12, 58, 56, tzinfo=UTC)


@pytest.mark.parametrize("text", ["0001-01-01 00:00:00", "9999-12-31T23:59:59", "2024-13-01T00:00:00"])
def test_times_that_no_job_has_break_nothing(text: str) -> None:
    record = JobRecord.read({"jobId": "197", "jobEndTime": text})
    assert record is not None
    assert record.ended_at is None or record.ended_at.year == 9999


def test_beijing_time() -> None:
    assert beijing_time(datetime(2024, 1, 31, 20, 0, tzinfo=UTC)) == "2024-02-01 04:00:00"


def test_emulated_jobs_are_read_by_every_call(scnet: ScnetEmulator, client: Any) -> None:
    job = scnet.add_job("COMPLETED", ended_ago=60, name="demo")
    now = datetime.fromtimestamp(scnet.clock.now(), UTC)
    (listed,) = client.list_jobs(job.scheduler_id).records
    detailed = client.get_job(job.job_id)
    past = client.list_history(job.scheduler_id, user=job.user, since=now - timedelta(days=1), until=now).records[0]
    for record in (listed, detailed, past):
        assert (record.job_id, record.user, record.name, record.status) == (job.job_id, job.user, "demo", "statC")
        assert record.started_at == datetime.fromtimestamp(int(job.started_at or 0), UTC)
    assert (detailed.word, detailed.exit_code, past.accounting_code) == ("COMPLETED", "0:0", 0)
    assert (past.scheduler_id, past.scheduler_name, detailed.scheduler_name) == (job.scheduler_id, "Cluster", "Cluster")


def test_names_of_a_reference() -> None:
    assert REFERENCE_NAMES.keys() == {"scheduler_id", "user", "job_id"}


# --- what follows from status and word ------------------------------------------------------------------------------

ACTIVE, DOUBTFUL, INTERRUPTED = Phase.ACTIVE, Phase.DOUBTFUL, Phase.INTERRUPTED
CLAIMED, ENDED = Phase.CLAIMED, Phase.ENDED


def live(status: Any, word: Any = None) -> dict[str, Any]:
    return {"jobStatus": status, "jobInitAttr": {"JobState": word}}


def state_of(wire: dict[str, Any]) -> JobState:
    record = JobRecord.read({"jobId": "1", **wire})
    assert record is not None
    return record.state


@pytest.mark.parametrize(
    ("record", "phase"),
    [
        *((live(f"stat{letter}"), ACTIVE) for letter in ("R", "Q", "H", "S", "W", "RQ")),
        *((live(f"stat{letter}"), DOUBTFUL) for letter in ("E", "X", "T", "N", "EX")),
        *((live(f"stat{letter}"), DOUBTFUL) for letter in ("F", "P", "CA", "CG", "PD", "", "Z", "c")),
        *((live(f"stat{letter}"), CLAIMED) for letter in ("C", "DE", "D")),
        *(({"jobState": f"stat{letter}"}, phase) for letter, phase in (("C", CLAIMED), ("T", DOUBTFUL), ("R", ACTIVE))),
        # The scheduler's word outranks the code.
        *((live("statC", word), ACTIVE) for word in ("RUNNING", "PENDING", "COMPLETING", "CONFIGURING")),
        *((live("statC", word), ACTIVE) for word in ("SUSPENDED", "REQUEUED", "STOPPED")),
        *((live("statC", word), CLAIMED) for word in ("NEW", "COMPLETE", "?")),
        *((live("statR", word), ACTIVE) for word in ("NEW", "COMPLETE", "?")),
        *((live("statX", word), DOUBTFUL) for word in ("NEW", "COMPLETE", "?")),
        *((live("statR", word), ENDED) for word in ("COMPLETED", "FAILED", "TIMEOUT")),
        *((live("statE", word), ENDED) for word in ("OUT_OF_MEMORY", "DEADLINE", "CANCELLED")),
        *((live("statC", word), INTERRUPTED) for word in ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED")),
        *((live("statX", word), ENDED) for word in ("CANCELLED by 1001", "CANCELLED+", " completed ")),
        (live("statC", ""), CLAIMED),
        (live("statC", None), CLAIMED),
        (live("statC", "  "), CLAIMED),
        ({"jobStatus": " statC "}, CLAIMED),
        ({"jobStatus": "statC", "jobInitAttr": None}, CLAIMED),
        ({"jobStatus": "statC", "jobInitAttr": "JobState=RUNNING"}, CLAIMED),
        # Wherever a word has been seen; where there are several, the least finished counts.
        ({"jobStatus": "statC", "jobInitAttr": '{"JobState": "RUNNING"}'}, ACTIVE),
        ({"jobStatus": "statC", "initContentAttr": '{"JobState": "COMPLETED"}'}, ENDED),
        ({"jobStatus": "statC", "initContentAttr": {"jobState": "COMPLETED"}}, ENDED),
        ({"jobStatus": "statC", "jobInitAttr": {"State": "FAILED"}}, ENDED),
        ({"jobStatus": "statC", "JobState": "FAILED"}, ENDED),
        ({"jobStatus": "statC", "jobInitAttr": {"JobState": "FAILED", "State": "RUNNING"}}, ACTIVE),
        ({"jobStatus": "statC", "jobInitAttr": {"JobState": ["COMPLETED", "REQUEUED"]}}, ACTIVE),
        ({"jobStatus": "statC", "jobInitAttr": "[" * 100_000}, CLAIMED),
        # The history of all regions has words where others have codes.
        ({"jobState": "COMPLETED"}, ENDED),
        ({"jobState": "CANCELLED by 0"}, ENDED),
        ({"jobState": "RUNNING"}, ACTIVE),
        ({"jobStatus": "COMPLETED", "jobInitAttr": {"JobState": "RUNNING"}}, ACTIVE),
        ({}, DOUBTFUL),
        ({"jobStatus": None, "jobState": None}, DOUBTFUL),
        ({"jobStatus": 5}, DOUBTFUL),
    ],
    ids=str,
)
@pytest.mark.usefixtures("without_gc")
def test_phase(record: dict[str, Any], phase: Phase) -> None:
    assert state_of(record).phase is phase


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        *((f"stat{letters}", ENDED) for letters in ("C", "DE", "D", "T")),
        *((f"stat{letters}", INTERRUPTED) for letters in ("N", "RQ", "EX", "X", "E", "ZZ")),
        *((f"stat{letters}", ACTIVE) for letters in ("R", "Q", "H", "S", "W")),
        ("COMPLETED", ENDED),
        ("PREEMPTED", INTERRUPTED),
        ("RUNNING", ACTIVE),
        ("", DOUBTFUL),
    ],
)
def test_phase_in_the_history(state: str, phase: Phase) -> None:
    record = JobRecord.read({"jobId": "1", "jobState": state}, past=True)
    assert record is not None
    assert record.state.phase is phase


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (live("statR"), "statR 运行 running"),
        (live("statC", "CANCELLED by 1"), "statC 完成 completed, failed or cancelled CANCELLED by 1"),
        ({"jobState": "COMPLETED"}, "COMPLETED"),
        (live("statZZ"), "statZZ"),
        ({}, "not known to be finished"),
        (live("stat\n" + "x" * 100, "y\x1b" * 100), f"stat {'x' * 15}… {'y ' * 20}…"),
    ],
)
def test_state_as_text(record: dict[str, Any], text: str) -> None:
    assert str(state_of(record)) == text


@pytest.mark.parametrize(
    ("record", "owner"),
    [({"user": "u"}, "u"), ({"userName": "u"}, "u"), ({"user": "", "userName": "u"}, "u"), ({}, "")],
)
def test_owner(record: dict[str, Any], owner: str) -> None:
    assert state_of(record).owner == owner


def test_owner_fits_into_a_log_line() -> None:
    owner = state_of({"user": "x\nAll jobs are accounted for\x1b" + "y" * 1000}).owner
    assert owner.isprintable()
    assert len(owner) < 300


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"procNumUsed": 64, "procNumReq": 32, "nodeNumReq": "2", "gpuNumUsed": 0, "gpuNumReq": 8}, (2, 64, 8, None)),
        ({"jobProcNum": "64", "nodect": 2, "jobGpuNum": 0, "dcuNumReq": 4}, (2, 64, 0, 4)),
        ({"needNodes": "3:ppn=32"}, (3, None, None, None)),
        ({"jobInitAttr": {"NumNodes": 4, "NumCPUs": "128"}}, (4, 128, None, None)),
        ({"procNumUsed": "many", "nodeNumReq": None}, (None, None, None, None)),
    ],
)
def test_counts(told: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    record = JobRecord.read({"jobId": "1", **told})
    assert record is not None
    assert (record.node_count, record.cores, record.gpus, record.dcus) == counts


def test_run_time_of_the_history() -> None:
    record = JobRecord.read({"jobId": "1", "jobWalltimeUsed": "500.0000"}, past=True)
    assert record is not None
    assert record.run_time == timedelta(seconds=500)
