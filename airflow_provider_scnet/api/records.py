"""A job as SCNet describes it: its spelling comes in, our names go out. No other module reads a member of a job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from airflow_provider_scnet.api.states import JobState, phase_of
from airflow_provider_scnet.wording import quote

BEIJING = timezone(timedelta(hours=8))
"""All of SCNet's times are Beijing time without a zone."""
JOB_ID = "jobId"
REFERENCE_NAMES = {
    "scheduler_id": ("jobManagerId", "strJobManagerID", "jobmanagerId"),
    "user": ("clusterUserName", "userName"),
    "job_id": (JOB_ID,),
}
"""What SCNet calls the parts of a reference, in its lists, its history and its list of all regions."""
_RUN_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]?\d):([0-5]?\d)")


@dataclass(frozen=True)
class JobRecord:
    """
    One job out of the live list, a live detail or the history (API pages query-job, query-job-detail,
    query-history-job). Texts are empty and other members ``None`` where SCNet says nothing.

    :param job_id: the scheduler's id, e.g. ``197`` or ``5_1``.
    :param own_number: of a member of an array that has a number of its own beside ``5_1``; empty otherwise.
    :param scheduler_id: the scheduler; a live detail does not tell.
    :param scheduler_name: the scheduler's display name, named by details and the history.
    :param user: the cluster user it belongs to.
    :param status: SCNet's ``stat*`` code (``jobStatus``, in the history ``jobState``).
    :param word: the scheduler's own word, e.g. ``RUNNING``.
    :param reason: the scheduler's reason for that.
    :param exit_code: the script's ``rc:signal``, live only.
    :param accounting_code: the history's ``jobExitStatus``: 0 is a good end; it is no exit code of the script.
    :param nodes: *names* of the nodes it runs on, as SCNet writes them.
    :param node_count: how many nodes it has, or asked for.
    :param cores: likewise, in all; so are ``gpus`` and ``dcus``.
    :param stdout: file that its output goes to; single jobs and the history tell.
    :param stderr: file that its errors go to, likewise.
    :param submitted_at: when it was submitted, in UTC.
    :param started_at: when it started, in UTC.
    :param ended_at: when it ended, in UTC.
    :param run_time: how long it has run.
    :param past: whether the history tells it, where codes mean something else than in live calls.
    """

    job_id: str
    scheduler_id: str = ""
    scheduler_name: str = ""
    user: str = ""
    name: str = ""
    queue: str = ""
    status: str = ""
    word: str = ""
    reason: str = ""
    exit_code: str = ""
    accounting_code: int | None = None
    nodes: str = ""
    node_count: int | None = None
    cores: int | None = None
    gpus: int | None = None
    dcus: int | None = None
    work_dir: str = ""
    stdout: str = ""
    stderr: str = ""
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run_time: timedelta | None = None
    past: bool = False
    own_number: str = ""

    @classmethod
    def read(cls, wire: object, *, scheduler_id: str = "", past: bool = False) -> JobRecord | None:
        """
        Read a job out of an answer. Types vary: ids and codes come as numbers, too, and any member may be missing.

        :param wire: one job as SCNet describes it.
        :param scheduler_id: the scheduler that was asked, if it was one; live lists do not name it.
        :param past: whether the history was asked.
        :return: the job; ``None`` for what has no id, and so is none.
        """
        if not isinstance(wire, Mapping) or wire.get(JOB_ID) is None:
            return None
        attributes = _attributes(wire)
        status, word = _status_and_word(wire, attributes)
        number = str(wire[JOB_ID]).strip()
        member = member_of(wire)
        return cls(
            job_id=member or number,
            own_number=number if member and not member.startswith(f"{number}_") else "",
            scheduler_id=_first(wire, *REFERENCE_NAMES["scheduler_id"]) or scheduler_id,
            scheduler_name=_first(wire, "jobmanagerName"),
            user=_first(wire, "user", "userName"),
            name=_first(wire, "jobName") or _first(attributes, "JobName"),
            queue=_first(wire, "queue"),
            status=status,
            word=word,
            reason=_first(attributes, "Reason") or _first(wire, "reason"),
            # The outer one is empty in practice.
            exit_code=_first(attributes, "ExitCode") or _first(wire, "exitCode"),
            accounting_code=_whole_number(wire.get("jobExitStatus")),
            nodes=_first(wire, "nodeUsed", "jobExecHost"),
            node_count=_count(wire, attributes, "nodect", "nodeNumReq", "needNodes", attribute="NumNodes"),
            cores=_count(wire, attributes, "procNumUsed", "jobProcNum", "procNumReq", attribute="NumCPUs"),
            gpus=_count(wire, attributes, "gpuNumUsed", "jobGpuNum", "gpuNumReq"),
            dcus=_count(wire, attributes, "dcuNumUsed", "dcuNumReq"),
            work_dir=_first(wire, "workDir", "workdir"),
            stdout=_first(wire, "outputPath", "stdout"),
            stderr=_first(wire, "errorPath", "stderr"),
            submitted_at=_moment(wire, "jobSubmitTime", "jobQueueTime"),
            started_at=_moment(wire, "jobStartTime"),
            ended_at=_moment(wire, "jobEndTime"),
            run_time=_run_time(wire),
            past=past,
        )

    def is_called(self, job_id: str) -> bool:
        """
        Tell whether it is a job.

        :param job_id: the job's.
        """
        return job_id in (self.job_id, self.own_number)

    def by_own_number(self) -> JobRecord | None:
        """Return a member of an array as the job that it is beside that; ``None`` if it has no number of its own."""
        return replace(self, job_id=self.own_number, own_number="") if self.own_number else None

    @property
    def state(self) -> JobState:
        """What follows from status and word."""
        phase = phase_of(self.status, self.word, past=self.past)
        return JobState(phase, quote(self.status, 20), quote(self.word, 40), quote(self.user, 40))


def member_of(wire: Mapping[Any, Any]) -> str:
    """
    Return the id of a member of an array that SCNet calls by a number. Each has one of its own once it has started;
    that of the one that started last is the array's, and a delete of it would end them all.

    :param wire: one job as SCNet describes it.
    :return: empty if it is no member, or called by a member's id anyway.
    """
    attributes = _attributes(wire)
    number, array, member = (
        str(value).strip() for value in (wire.get(JOB_ID), attributes.get("ArrayJobId"), attributes.get("ArrayTaskId"))
    )
    are_numbers = all(re.fullmatch(r"0|[1-9][0-9]{0,29}", text) for text in (number, array, member))
    return f"{array}_{member}" if are_numbers and array != "0" and len(member) < 10 else ""


def beijing_time(moment: datetime) -> str:
    """
    Write a time as SCNet's parameters want it, ``YYYY-MM-DD HH:MM:SS`` in Beijing.

    :param moment: a time with a zone.
    """
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _attributes(wire: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduler's own attributes; single jobs have them as an object, the list of all regions as JSON text."""
    found: dict[str, Any] = {}
    for name in ("initContentAttr", "jobInitAttr"):
        attributes = wire.get(name)
        if isinstance(attributes, str):
            try:
                attributes = json.loads(attributes)
            except (ValueError, RecursionError):
                continue
        if isinstance(attributes, Mapping):
            found.update(attributes)
    return found


def _status_and_word(wire: Mapping[str, Any], attributes: Mapping[str, Any]) -> tuple[str, str]:
    """
    Codes and words stand in various places, the history of all regions has words where others have codes. All words
    that are found count: one of them may say that the job goes on.
    """
    said = str(wire.get("jobStatus") or wire.get("jobState") or "").strip()
    status, words = (said, []) if said.startswith("stat") else ("", [said])
    words += [*_words(attributes, "JobState", "jobState", "State"), *_words(wire, "JobState", "State")]
    return status, " ".join(dict.fromkeys(filter(None, words)))


def _words(wire: Mapping[str, Any], *names: str) -> Iterator[str]:
    for name in names:
        value = wire.get(name)
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if not text.strip().startswith("stat"):
            yield text.strip()


def _first(wire: Mapping[str, Any], *names: str) -> str:
    """The first of some members that says anything, as text."""
    for name in names:
        if text := str(wire.get(name) or "").strip():
            return text
    return ""


def _moment(wire: Mapping[str, Any], *names: str) -> datetime | None:
    """Live calls put a ``T`` between date and time, the history a blank; a job that waits has none."""
    try:
        moment = datetime.fromisoformat(_first(wire, *names))
        return (moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _run_time(wire: Mapping[str, Any]) -> timedelta | None:
    told = _duration(wire.get("jobRunTime"))
    return _seconds(wire.get("jobWalltimeUsed")) if told is None else told


def _duration(value: object) -> timedelta | None:
    """``HH:MM:SS``, from 24 hours on ``D-HH:MM:SS``."""
    match = _RUN_TIME.fullmatch(str(value).strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _seconds(value: object) -> timedelta | None:
    """The history has text with decimals, or a number."""
    text = str(value).strip()
    return timedelta(seconds=float(text)) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text) else None


def _count(wire: Mapping[str, Any], attributes: Mapping[str, Any], *names: str, attribute: str = "") -> int | None:
    """
    The first that is more than nothing: what is used is 0 as long as the job waits, and where SCNet does not count. A
    number of nodes may stand before what each of them is to have (``2:ppn=32``).
    """
    told = [*(wire.get(name) for name in names), attributes.get(attribute)]
    numbers = [int(match[0]) for value in told if (match := re.match(r"[0-9]{1,9}(?!\w)", str(value).strip()))]
    return next((number for number in numbers if number), 0 if numbers else None)


def _whole_number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) and not isinstance(value, bool) else None
