"""A job as the different calls of SCNet describe it."""

from __future__ import annotations

from airflow_provider_scnet.testing.cluster import Job, is_terminal
from airflow_provider_scnet.testing.wire import beijing

Record = dict[str, object]

#: Live calls: everything that has ended is statC there, whatever its outcome.
LIVE_CODES = {
    "RUNNING": "statR",
    "PENDING": "statQ",
    "CONFIGURING": "statQ",
    "COMPLETING": "statE",
    "SUSPENDED": "statS",
    "REQUEUED": "statRQ",
}
HISTORY_CODES = {"COMPLETED": "statC", "CANCELLED": "statDE", "TIMEOUT": "statT", "NODE_FAIL": "statN"}
REASONS = {
    "PENDING": "Priority",
    "FAILED": "NonZeroExitCode",
    "TIMEOUT": "TimeLimit",
    "NODE_FAIL": "NodeDown",
    "OUT_OF_MEMORY": "OutOfMemory",
}
EXIT_CODES = {"COMPLETED": "0:0", "CANCELLED": "0:15", "TIMEOUT": "0:15", "OUT_OF_MEMORY": "0:125"}


def live_code(job: Job) -> str:
    """Return the ``jobStatus`` of the live calls."""
    state = job.state
    return "statC" if is_terminal(state) else LIVE_CODES.get(state, "statX")


def history_code(job: Job) -> str:
    """
    Return the ``jobState`` of the history.

    :param job: a job that has ended.
    """
    return HISTORY_CODES.get(_word(job), "statD")


def listed_record(job: Job) -> Record:
    """Describe a job as the live list does."""
    return {
        "jobId": job.job_id,
        "jobName": job.name,
        "jobStatus": live_code(job),
        "queue": job.queue,
        "user": job.user,
        "nodeUsed": job.nodes,
        "procNumUsed": job.procs,
        "jobRunTime": _duration(_elapsed(job)),
        "jobStartTime": beijing(job.started_at),
        "workDir": job.work_dir,
        "reason": REASONS.get(_word(job), "None"),
    }


def raw_attributes(job: Job) -> Record:
    """Return the scheduler's own key-value pairs (``jobInitAttr``)."""
    return {
        "JobName": job.name,
        "JobState": job.state,
        "ExitCode": _exit_code(job),
        "Reason": REASONS.get(_word(job), "None"),
        "WorkDir": job.work_dir,
        "NumCPUs": str(job.procs),
        "NumNodes": str(job.nodes),
        "StartTime": beijing(job.started_at) or "Unknown",
    }


def detail_record(job: Job, scheduler_name: str) -> Record:
    """
    Describe a job as the live detail does.

    :param scheduler_name: display name of its scheduler.
    """
    return {
        **listed_record(job),
        "appType": "BASE",
        "jobmanagerName": scheduler_name,
        "jobmanagerType": "SLURM",
        "outputPath": f"{job.work_dir}/std.out.{job.job_id}",
        "errorPath": f"{job.work_dir}/std.err.{job.job_id}",
        "exitCode": "",
        "jobInitAttr": raw_attributes(job),
        "jobSubmitTime": beijing(job.submitted_at),
        "jobEndTime": beijing(job.ended_at),
        "cpuTimeUsed": _duration(_elapsed(job) * job.procs),
        "nodeNumReq": job.nodes,
        "procNumReq": job.procs,
        "gpuNumReq": 0,
        "gpuNumUsed": 0,
        "dcuNumReq": 0,
        "dcuNumUsed": 0,
        "aveRSS": "",
        "aveVMSize": "",
    }


def history_record(job: Job, scheduler_name: str) -> Record:
    """
    Describe a job as the history does.

    :param job: a job that has ended.
    :param scheduler_name: display name of its scheduler.
    """
    code, _, signal = _exit_code(job).partition(":")
    ended, elapsed = beijing(job.ended_at, " "), int(_elapsed(job))
    return {
        "jobId": job.job_id,
        "jobmanagerId": job.scheduler_id,
        "jobmanagerName": scheduler_name,
        "userName": job.user,
        "groupName": job.user,
        "owner": job.user,
        "account": job.user,
        "jobName": job.name,
        "queue": job.queue,
        "appType": "BASE",
        "jobState": history_code(job),
        "jobExitStatus": int(code) or int(signal),
        "jobQueueTime": beijing(job.submitted_at, " "),
        "jobStartTime": beijing(job.started_at, " "),
        "jobEndTime": ended,
        "acctTime": ended,
        "walltime": elapsed,
        "jobWalltimeUsed": elapsed,
        "jobCpuTime": elapsed * job.procs,
        "jobProcNum": job.procs,
        "jobGpuNum": 0,
        "needNodes": str(job.nodes),
        "nodect": job.nodes,
        "workdir": job.work_dir,
        "command": job.command,
        "stdout": f"{job.work_dir}/std.out.{job.job_id}",
        "stderr": None,
    }


def _word(job: Job) -> str:
    return job.state.partition(" ")[0]


def _exit_code(job: Job) -> str:
    if job.active:
        return "0:0"
    return job.exit_code or EXIT_CODES.get(_word(job), "1:0")


def _elapsed(job: Job) -> float:
    if job.started_at is None:
        return 0.0
    ended_at = job.ended_at
    return (job.clock.now() if ended_at is None else ended_at) - job.started_at


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
