"""The submit call: its many members, and how the emulated job's life follows from its command."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.wire import ApiError, RecordedRequest, media_type

REQUIRED = ("SUBMIT_TYPE", "JOB_NAME", "WORK_DIR", "QUEUE", "WALL_TIME", "APPNAME")
#: What a job runs: commands, or a script file that lies on the cluster.
SUBMIT_TYPES = {"cmd": "CMD_FILE", "sched": "SCHED_FILE"}
COUNTS = ("NNODE", "NPROC", "PPN", "MULTI_SUB")
#: Cards on each node, of which clients also ask for none.
CARDS = ("NGPU", "NDCU")
WALL_TIME = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")
SLEEP = re.compile(r"sleep\s+(\d+(?:\.\d+)?)")
ECHO = re.compile(r"echo\s+(.*)")
EXIT = re.compile(r"exit\s+(\d+)")


@dataclass(frozen=True)
class Life:
    """
    How a submitted job will go.

    :param runtime: seconds until it ends.
    :param outcome: Slurm's word for the end.
    :param exit_code: Slurm's ``rc:signal``.
    """

    runtime: float
    outcome: str
    exit_code: str


@dataclass(frozen=True)
class Submission:
    """
    A valid submit request.

    :param scheduler_id: scheduler to submit to.
    :param options: the members of ``mapAppJobInfo`` that are not empty, without their ``GAP_``; ``CMD_FILE`` is the
        text that is run, also where it comes from a script file.
    :param life: how the job will go.
    """

    scheduler_id: str
    options: dict[str, str]
    life: Life

    @property
    def log_paths(self) -> dict[str, str]:
        """Where stdout and stderr go, if that was said."""
        members = {"stdout": "STD_OUT_FILE", "stderr": "STD_ERR_FILE"}
        return {stream: self.options[member] for stream, member in members.items() if member in self.options}

    @property
    def logs(self) -> dict[str, str]:
        """What its ``echo`` commands will have written, those that end in ``>&2`` to stderr."""
        logs = {"stdout": "", "stderr": ""}
        for step in _steps(self.options["CMD_FILE"]):
            if match := ECHO.fullmatch(step):
                text, is_error = match[1].removesuffix(">&2").strip(), match[1].endswith(">&2")
                logs["stderr" if is_error else "stdout"] += text.strip("'\"") + "\n"
        return {} if self.life.exit_code == "0:53" else logs

    @property
    def script(self) -> str:
        """The script file that was submitted, if it was one."""
        return self.options["SCHED_FILE"] if self.options["SUBMIT_TYPE"] == "sched" else ""

    @property
    def wall_time(self) -> float:
        """Seconds it may run."""
        return _seconds(self.options["WALL_TIME"])

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        listed = self.options.get("NODE_STRING", "")
        return int(self.options.get("NNODE", listed.count(",") + 1))

    @property
    def procs(self) -> int:
        """Number of cores."""
        return int(self.options.get("NPROC", self.nodes * int(self.options.get("PPN", 1))))

    @property
    def gpus(self) -> int:
        """Number of GPUs, on all nodes together."""
        return self.nodes * int(self.options.get("NGPU", 0))

    @property
    def dcus(self) -> int:
        """Number of DCU cards, likewise."""
        return self.nodes * int(self.options.get("NDCU", 0))

    def job_ids(self, number: str, behaviour: Behaviour) -> list[str]:
        """
        Return the ids that the scheduler gives: a single one, or one for each member of an array.

        :param number: the next one that is free.
        :param behaviour: says how members are numbered.
        """
        size, first = int(self.options.get("MULTI_SUB", 0)), behaviour.first_member
        if size == 1 and behaviour.plain_single:
            return [number]
        return [f"{number}_{member}" for member in range(first, first + size)] or [number]


def read_submission(request: RecordedRequest, schedulers: Collection[str], behaviour: Behaviour) -> Submission:
    """
    Check a submit request.

    :param schedulers: ids that exist.
    :param behaviour: says which queues exist, and which submissions are accepted.
    :raises ApiError: what the service would answer.
    """
    if media_type(request.headers) != "application/json":
        raise ApiError("10003")
    try:
        content = json.loads(request.body)
    except ValueError:
        raise ApiError("10004") from None
    if not isinstance(content, dict):
        raise ApiError("10004")
    scheduler_id, info = content.get("strJobManagerID"), content.get("mapAppJobInfo")
    if scheduler_id in (None, "") or info is None:
        raise ApiError("10003")
    if isinstance(scheduler_id, bool) or str(scheduler_id) not in schedulers or not isinstance(info, dict):
        raise ApiError("10004")
    options = _options(info, behaviour)
    if options["QUEUE"] not in behaviour.queues:
        raise ApiError("815007", f"sbatch: error: invalid partition specified: {options['QUEUE']}")
    return Submission(str(scheduler_id), options, life_of(options))


def _options(info: dict[str, object], behaviour: Behaviour) -> dict[str, str]:
    options = _texts(info, behaviour)
    submit_type = options.get("SUBMIT_TYPE", "")
    work = SUBMIT_TYPES.get(submit_type, "CMD_FILE")
    nodes_given = ("NNODE" in options) + ("NODE_STRING" in options)
    if nodes_given == 0 or any(name not in options for name in (*REQUIRED, work)):
        raise ApiError("10003")
    counts_good = all(re.fullmatch(r"[1-9]\d*", options.get(name, "1")) for name in COUNTS)
    counts_good = counts_good and all(re.fullmatch(r"\d+", options.get(name, "0")) for name in CARDS)
    if (
        nodes_given == 2
        or not counts_good
        or submit_type not in (SUBMIT_TYPES if behaviour.takes_script_files else ("cmd",))
        or not WALL_TIME.fullmatch(options["WALL_TIME"])
    ):
        raise ApiError("10004")
    if submit_type == "sched":
        if not options["SCHED_FILE"].startswith("/"):
            raise ApiError("10004")
        options["CMD_FILE"] = behaviour.scripts.get(options["SCHED_FILE"], "")
    return options


def _texts(info: dict[str, object], behaviour: Behaviour) -> dict[str, str]:
    """All values are documented as text; of other members some clients send truth values."""
    texts: dict[str, str] = {}
    for name, value in info.items():
        if isinstance(value, str):
            texts[name.removeprefix("GAP_")] = value
        elif name.startswith("GAP_") or not behaviour.takes_extra_members:
            raise ApiError("10004")
    return {name: text for name, text in texts.items() if text.strip()}


def life_of(options: dict[str, str]) -> Life:
    """
    Work out how a job goes.

    It runs as long as its ``sleep`` commands (one second without any), fails if its last command is
    ``false`` or ``exit N`` with N other than 0, and is stopped by ``GAP_WALL_TIME``.

    :param options: valid members of ``mapAppJobInfo``, without their ``GAP_``.
    """
    if not options["WORK_DIR"].startswith("/") or "$" in options["WORK_DIR"]:
        # Slurm expands nothing there, so the log cannot be opened: seen as 0:53 without any log.
        return Life(0.0, "FAILED", "0:53")
    if "\r" in options["CMD_FILE"]:
        # CRLF line ends were seen to break the script.
        return Life(1.0, "FAILED", "127:0")
    steps = _steps(options["CMD_FILE"])
    naps = [float(match[1]) for step in steps if (match := SLEEP.fullmatch(step))]
    runtime = sum(naps) if naps else 1.0
    limit = _seconds(options["WALL_TIME"])
    if runtime > limit:
        return Life(limit, "TIMEOUT", "0:15")
    last = steps[-1] if steps else "true"
    leave = EXIT.fullmatch(last)
    code = int(leave[1]) % 256 if leave else int(last == "false")
    return Life(runtime, "FAILED" if code else "COMPLETED", f"{code}:0")


def _seconds(wall_time: str) -> float:
    hours, minutes, seconds = (int(part) for part in wall_time.split(":"))
    return hours * 3600.0 + minutes * 60 + seconds


def _steps(command: str) -> list[str]:
    return [step.strip() for step in re.split(r"[\n;]|&&", command) if step.strip()]
