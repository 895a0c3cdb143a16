"""A job as the different calls of SCNet describe it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.wire import beijing
from airflow_provider_scnet.testing.words import WordStyle, first_word, is_requeueable, is_terminal, written

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
#: ``jobExitStatus`` of the history, as far as it is recorded: a good end, a time-out, a script that failed.
ACCOUNTING_CODES = {"COMPLETED": 0, "TIMEOUT": 10006}
FAILED_SCRIPT = 10005
#: What all jobs count as: the application that is submitted by the only template there is.
APP_TYPE = "BASE"
#: Seconds after its end at which a job is accounted; 36 and 44 are recorded.
ACCOUNTING_SECONDS = 40
EXIT_CODES = {"COMPLETED": "0:0", "CANCELLED": "0:15", "TIMEOUT": "0:15", "OUT_OF_MEMORY": "0:125"}


#: Documented members of the history of which no value is recorded.
UNRECORDED = (
    "jobWaitTime",
    "jobResponseTime",
    "jobMemUsed",
    "jobVmemUsed",
    "jobReqCpu",
    "jobReqGpu",
    "jobReqMem",
    "jobExtAttr",
)


@dataclass(frozen=True)
class Look:
    """
    How the live calls see jobs.

    :param moment: what they show is the state at this moment, seconds since the epoch.
    :param code_lead: seconds for which the code of a job that a delete has named is ahead of its state.
    :param word_style: how the scheduler's words are written.
    """

    moment: float
    code_lead: float = 0.0
    word_style: WordStyle = "long"

    def state(self, job: Job) -> str:
        """
        Return Slurm's word for a job.

        :param job: a job that was there at this moment.
        """
        return job.state_at(self.moment) or job.state


def live_code(job: Job, look: Look) -> str:
    """
    Return the ``jobStatus`` of the live calls.

    :param job: a job that was there.
    :param look: how it is seen.
    """
    state = look.state(job)
    if is_terminal(state) or job.in_lead(look.moment, look.code_lead):
        return "statC"
    return LIVE_CODES.get(state, "statX")


def history_code(job: Job) -> str:
    """
    Return the ``jobState`` of the history.

    :param job: a job that has ended.
    """
    vague = "statEX" if is_requeueable(job.state) else "statD"
    return HISTORY_CODES.get(first_word(job.state), vague)


def accounting_code(job: Job) -> int:
    """
    Return the ``jobExitStatus`` of the history, which is no exit code of the script.

    :param job: a job that has ended.
    """
    # Nothing is recorded of other ends, but that they are not 0.
    return ACCOUNTING_CODES.get(first_word(job.state), FAILED_SCRIPT)


def accounted_at(job: Job) -> float | None:
    """
    Return when a job was accounted, seconds since the epoch; None if it has not ended.

    :param job: a job that has ended.
    """
    return None if job.ended_at is None else job.ended_at + ACCOUNTING_SECONDS


def elapsed_seconds(job: Job) -> int:
    """
    Return for how long a job has run so far, in seconds.

    :param job: any job.
    """
    return int(_elapsed(job, job.clock.now()))


def listed_record(job: Job, look: Look) -> Record:
    """
    Describe a job as the live list does.

    :param job: a job that was there.
    :param look: how it is seen.
    """
    return {
        "jobId": job.job_id,
        "jobName": job.name,
        "jobStatus": live_code(job, look),
        "queue": job.queue,
        "user": job.user,
        "nodeUsed": "" if _started(job, look.moment) is None else job.node_names,
        "procNumUsed": job.procs,
        "jobRunTime": _duration(_elapsed(job, look.moment)),
        "jobStartTime": beijing(_started(job, look.moment)),
        "workDir": job.work_dir,
        "reason": _reason(look.state(job)),
    }


def raw_attributes(job: Job, look: Look) -> Record:
    """
    Return the scheduler's own key-value pairs (``jobInitAttr``).

    :param job: a job that was there.
    :param look: how it is seen.
    """
    state = look.state(job)
    return {
        "JobName": job.name,
        "JobState": written(state, look.word_style),
        "ExitCode": _exit_code(job, state),
        "Reason": _reason(state),
        "WorkDir": job.work_dir,
        "NumCPUs": job.procs,
        "NumNodes": job.nodes,
        "StartTime": beijing(_started(job, look.moment)) or "Unknown",
    }


def detail_record(job: Job, look: Look, scheduler_name: str) -> Record:
    """
    Describe a job as the live detail does.

    :param job: a job that was there.
    :param look: how it is seen.
    :param scheduler_name: display name of its scheduler.
    """
    has_started = _started(job, look.moment) is not None
    return {
        **listed_record(job, look),
        "appType": APP_TYPE,
        "jobmanagerName": scheduler_name,
        "jobmanagerType": "SLURM",
        "outputPath": job.log_path("stdout"),
        "errorPath": job.log_path("stderr"),
        "exitCode": "",
        "jobInitAttr": raw_attributes(job, look),
        "jobSubmitTime": beijing(job.submitted_at),
        "jobEndTime": beijing(job.ended_by(look.moment)),
        "cpuTimeUsed": _duration(_elapsed(job, look.moment) * job.procs),
        "nodeNumReq": job.nodes,
        "procNumReq": job.procs,
        "gpuNumReq": job.gpus,
        "gpuNumUsed": job.gpus * has_started,
        "dcuNumReq": job.dcus,
        "dcuNumUsed": job.dcus * has_started,
        "aveRSS": "",
        "aveVMSize": "",
    }


def history_record(job: Job, scheduler_name: str, job_id: str | None = None) -> Record:
    """
    Describe a job as the history does.

    :param job: a job that has ended.
    :param scheduler_name: display name of its scheduler.
    :param job_id: the member that the record is about, where the job stands for several.
    """
    job_id = job_id or job.job_id
    elapsed = elapsed_seconds(job)
    return {
        "jobId": job_id,
        "jobmanagerId": int(job.scheduler_id),
        "jobmanagerName": scheduler_name,
        "userName": job.user,
        "groupName": job.user,
        "owner": job.user,
        "account": job.user,
        "jobName": job.name,
        "queue": job.queue,
        "appType": APP_TYPE,
        "jobState": history_code(job),
        "jobExitStatus": accounting_code(job),
        "jobQueueTime": beijing(job.submitted_at, " "),
        "jobStartTime": beijing(job.started_at, " "),
        "jobEndTime": beijing(job.ended_at, " "),
        "acctTime": beijing(accounted_at(job), " "),
        "walltime": int(job.wall_time),
        "jobWalltimeUsed": f"{elapsed:.4f}",
        "jobCpuTime": elapsed * job.procs,
        "jobProcNum": job.procs,
        "jobGpuNum": job.gpus,
        "needNodes": str(job.nodes),
        "nodect": job.nodes,
        "jobExecHost": "" if job.started_at is None else job.node_names,
        "workdir": job.work_dir,
        "command": job.script_path,
        "stdout": job.log_path("stdout", job_id),
        "stderr": None,
        **dict.fromkeys(UNRECORDED),
    }


def _reason(state: str) -> str:
    return REASONS.get(first_word(state), "None")


def _exit_code(job: Job, state: str) -> str:
    if not is_terminal(state):
        return "0:0"
    # The job's own exit code is that of its last end.
    own = job.exit_code if state == job.outcome else None
    return own or EXIT_CODES.get(first_word(state), "1:0")


def _started(job: Job, moment: float) -> float | None:
    return job.started_at if job.started_at is not None and job.started_at <= moment else None


def _elapsed(job: Job, moment: float) -> float:
    started_at = _started(job, moment)
    if started_at is None:
        return 0.0
    ended_at = job.ended_by(moment)
    return (moment if ended_at is None else ended_at) - started_at


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02}:{minutes:02}:{rest:02}"
