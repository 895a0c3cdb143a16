"""Submitting SCNet jobs as a task of a pipeline, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_scnet.api.forks import cached_property
from airflow_provider_scnet.api.reference import check_scheduler_id, is_nothing
from airflow_provider_scnet.exceptions import ScnetError, ScnetStoppedError, ScnetWaitTimeoutError
from airflow_provider_scnet.jobs.options import lines, seconds
from airflow_provider_scnet.jobs.specification import ARRAY_SIZE, JobSpecification
from airflow_provider_scnet.operators.instance import life_of, may_have_run
from airflow_provider_scnet.operators.origin import tell as tell_origin
from airflow_provider_scnet.operators.specified import SpecifiedFields
from airflow_provider_scnet.triggers import events
from airflow_provider_scnet.triggers.deadline import backstop_of, counts_deferred_time, deadline_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.jobs.lives import Life
    from airflow_provider_scnet.jobs.memory import Notebook
    from airflow_provider_scnet.jobs.outcome import Outcome
    from airflow_provider_scnet.jobs.submission import Submission
    from airflow_provider_scnet.jobs.waiting import Watch

ON_CLEAR = ("new", "keep")
LAST_LOOK = 1.0
"""Seconds for a look when time is up: the trigger's last one may have failed."""
LONGEST_RUN = timedelta(days=30)
"""How far back the history is searched where Airflow does not say when the DAG run began."""


class ScnetSubmitJobOperator(SpecifiedFields, BaseOperator):
    """
    Submit a job to SCNet, exactly once for each life of the task instance, whatever Airflow or SCNet do: every job
    carries its task in its name. A retry adopts the job of an earlier try if command and resources are the same; a
    clear begins a new life, and deletes the job of the earlier one first.

    Returns the reference as text, ``"1638523853,test:197:"``, which ``ScnetDeleteJobsOperator`` takes, and pushes it to
    XCom under ``job``, too, before it waits. With ``wait``, ``job_record`` tells there what the job has cost, see
    :meth:`airflow_provider_scnet.jobs.outcome.Outcome.as_record`.

    :param command: (templated) what the job runs, shell text or a list of its lines, without ``#!`` and ``#SBATCH``
        lines. A script beside the DAG file comes in by ``"{% include 'run.sh' %}"``.
    :param job_queue: (templated) the queue on the cluster; ``queue`` is Airflow's own argument, the workers' queue.
    :param work_dir: (templated) absolute directory on the cluster; it has to exist.
    :param walltime: (templated) after which the scheduler ends the job: a ``timedelta``, ``HH:MM:SS`` or
        ``D-HH:MM:SS``.
    :param job_name: (templated) the job's name begins with it, as far as names of jobs can: 32 characters, others than
        ASCII letters, digits and ``-`` as ``_``; default: the task id.
    :param nodes: (templated) number of nodes; 1 unless ``node_list`` is given.
    :param node_list: (templated) names of nodes instead.
    :param cores_per_node: (templated) cores on each node.
    :param cores: (templated) cores in all instead.
    :param gpus_per_node: (templated) GPUs on each node.
    :param dcus_per_node: (templated) DCU cards on each node.
    :param memory_per_node: (templated) memory on each node, ``4GB`` or ``512MB``.
    :param exclusive: whether nobody else may use the nodes meanwhile.
    :param array_size: (templated) submit an array of so many members.
    :param stdout: (templated) absolute file on the cluster, ``%j`` stands for the job id; default: in ``work_dir``.
    :param stderr: (templated) likewise.
    :param app_name: (templated) the platform's application the job is counted for.
    :param scheduler_options: (templated) further options of the scheduler, text or a list of lines.
    :param scnet_conn_id: (templated) the Airflow Connection.
    :param scheduler_id: (templated) where to submit; default: the Connection's, else the region's only one.
    :param wait: whether to wait until the job has ended well; one that ended badly fails the try, and the next one
        submits anew.
    :param deferrable: wait without a worker; default: Airflow's ``[operators] default_deferrable``.
    :param poll_interval: seconds or ``timedelta`` between two looks while waiting.
    :param timeout: seconds or ``timedelta`` for which to wait at most; a job that is left then is deleted.
    :param log_lines: lines of stderr and stdout of a job that ended badly that are shown in the task's log, 0 for none;
        default: 50. Given explicitly, the end of stdout is shown of a job that ended well, too.
    :param cancel_on_kill: whether the job is deleted when the task is killed, marked or cleared, or its time is up.
    :param on_clear: what becomes of a job that still runs when the task was cleared: ``"new"`` deletes it and submits
        again, ``"keep"`` goes on with it if command and resources are the same. One whose task waits at that moment is
        deleted as when it is killed, unless ``cancel_on_kill`` is off.
    :raises ScnetJobSpecificationError: at DAG parsing where that can tell, else before any request, naming the argument
        that cannot be, or is a script of which Jinja would cut a part.
    :raises ScnetSubmitRejectedError: if the scheduler rejects the job; no retry.
    :raises ScnetQueueFullError: if it takes no more jobs for now.
    :raises ScnetTransientError: if it is not known whether the job was submitted; the next try looks first.
    :raises ScnetJobFailedError: in the subclass that says how, if a job that was waited for ended badly.
    :raises ScnetWaitTimeoutError: after ``timeout``.
    """

    template_fields: Sequence[str] = (
        *(name for name in JobSpecification.__dataclass_fields__ if name != "exclusive"),
        "job_name",
        "scnet_conn_id",
        "scheduler_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"command": "bash", "scheduler_options": "bash"}
    ui_color = "#d5e8d4"

    def __init__(
        self,
        *,
        command: str | Sequence[str],
        job_queue: str = "",  # required, too; but Airflow would only say that it is missing
        work_dir: str,
        walltime: str | timedelta,
        job_name: str | None = None,
        nodes: int | str | None = None,
        node_list: str | None = None,
        cores_per_node: int | str | None = None,
        cores: int | str | None = None,
        gpus_per_node: int | str | None = None,
        dcus_per_node: int | str | None = None,
        memory_per_node: str | None = None,
        exclusive: bool = False,
        array_size: int | str | None = None,
        stdout: str | None = None,
        stderr: str | None = None,
        app_name: str = "BASE",
        scheduler_options: str | Sequence[str] | None = None,
        scnet_conn_id: str = "scnet_default",
        scheduler_id: str | None = None,
        wait: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 30,
        timeout: float | timedelta | None = None,
        log_lines: int | None = None,
        cancel_on_kill: bool = True,
        on_clear: Literal["new", "keep"] = "new",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.job_queue = job_queue
        self.work_dir = work_dir
        self.walltime = walltime
        self.job_name = job_name
        self.nodes = nodes
        self.node_list = node_list
        self.cores_per_node = cores_per_node
        self.cores = cores
        self.gpus_per_node = gpus_per_node
        self.dcus_per_node = dcus_per_node
        self.memory_per_node = memory_per_node
        self.exclusive = exclusive
        self.array_size = array_size
        self.stdout = stdout
        self.stderr = stderr
        self.app_name = app_name
        self.scheduler_options = scheduler_options
        self.scnet_conn_id = scnet_conn_id
        self.scheduler_id = scheduler_id
        self.wait = wait
        self.deferrable = deferrable
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = None if timeout is None else seconds("timeout", timeout)
        self.log_lines = None if log_lines is None else lines("log_lines", log_lines)
        self.cancel_on_kill = cancel_on_kill
        self.on_clear = on_clear
        if on_clear not in ON_CLEAR:
            raise ValueError(f"on_clear={on_clear!r}: must be one of {', '.join(map(repr, ON_CLEAR))}.")
        self._submission: Submission | None = None
        self._watch: Watch | None = None
        self._ref: JobRef | None = None
        self._is_killed = self._is_delete_sent = False
        self._keep_fields_plain()
        self._check_parsed()

    @cached_property
    def _hook(self) -> ScnetHook:
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse

        return ScnetHook(self.scnet_conn_id)

    def execute(self, context: Context) -> str:
        """Submit the job, or find it, and wait for it; see the class."""
        from airflow_provider_scnet.jobs.namespace import namespace

        tell_origin(self, context)
        self._submission = submission = self._prepare(context)
        self.log.info("Namespace of this Airflow's jobs: %s.", namespace())
        if self._is_killed:
            submission.stop()
        self._ref = submission.run()
        if self._is_killed:
            self._delete_at_once(self._ref)
            raise self._stopped(context)
        context["ti"].xcom_push(key="job", value=str(self._ref))
        if not self.wait:
            self._notebook(context, submission.life).note_done(self._ref)
            return str(self._ref)
        if self.deferrable:
            self._defer(context, self._ref)
        return self._wait(context, self._ref, timeout=self.timeout)

    def execute_complete(self, context: Context, event: Any = None) -> str:
        """
        Go on when the trigger has waited.

        :param event: what it has to say.
        """
        if events.is_of_earlier_try(event, context["ti"].try_number):
            return self.execute(context)
        status = events.read(event, events.Status.ENDED, events.Status.TIMEOUT)
        (watched,) = self._hook.parse_jobs(event["jobs"])
        (self._ref,) = self._hook.parse_jobs(event.get("asked") or event["jobs"])
        if status is events.Status.TIMEOUT:
            self._tell_chosen(context, watched)
            return self._wait(context, watched, timeout=LAST_LOOK)
        (outcome,) = events.outcomes_of(event)
        return self._conclude(context, outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """When Airflow has ended the trigger because time is up, it does not say which job that has waited for."""
        is_timeout = next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error")).lower()
        if is_timeout and self.cancel_on_kill and (ref := self._told(context) or self._prepare(context).find()):
            self._delete_verified(context, ref)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Delete the job with one short request; where it is just being submitted, as soon as its id is known."""
        self._is_killed = True
        if self._submission:
            self._submission.stop()
        ref = self._watched or self._find_resumed()
        if ref:
            self._delete_at_once(ref)
            self._hook.stop()

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self, context: Context, ref: JobRef, *, timeout: float | None) -> str:
        from airflow_provider_scnet.jobs.duplicates import Origin
        from airflow_provider_scnet.jobs.waiting import Watch, wait_for

        self._submission = submission = self._submission or self._prepare(context)
        keeps = self.on_clear == "keep"
        origin = Origin(submission.life.tag, submission.dismissed, submission.name, keeps)
        self._ref, self._watch = ref, Watch(self._hook.client, {ref: origin}, logger=self.log)
        try:
            outcomes = wait_for(self._watch, poll_interval=self.poll_interval, timeout=timeout, logger=self.log)
        except ScnetStoppedError:
            raise self._stopped(context) from None
        except BaseException as error:
            if self._is_killed or not isinstance(error, Exception):  # Airflow's time-out, before it calls `on_kill`
                self._note_killed(context)
            raise
        if not outcomes:
            raise self._given_up(context)
        return self._conclude(context, outcomes[0])

    def _defer(self, context: Context, ref: JobRef) -> NoReturn:
        from airflow_provider_scnet.triggers.scnet import ScnetJobTrigger

        deadline = deadline_of(self, context["ti"], self.timeout)
        submission = self._submission or self._prepare(context)
        trigger = ScnetJobTrigger(
            scnet_conn_id=self.scnet_conn_id,
            jobs=[str(ref)],
            poll_interval=self.poll_interval,
            deadline=deadline,
            job_name=submission.name,
            dismissed=sorted(map(str, submission.dismissed)),
            keeps=self.on_clear == "keep",
            cancel_on_kill=self.cancel_on_kill,
            try_number=context["ti"].try_number,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop_of(deadline))

    def _conclude(self, context: Context, outcome: Outcome) -> str:
        from airflow_provider_scnet.jobs.logs import show_logs
        from airflow_provider_scnet.jobs.outcome import error_of

        self._tell_chosen(context, outcome.ref)
        self._ref, self._watch = outcome.ref, None
        context["ti"].xcom_push(key="job_record", value=outcome.as_record())
        self.log.info("Job %s.", outcome)
        if not outcome.is_good:
            show_logs(self._hook.client, outcome.log_ref, self.log_lines, logger=self.log)
            raise error_of([outcome], is_final=False)
        if self.log_lines:
            show_logs(self._hook.client, outcome.log_ref, self.log_lines, streams=("stdout",), logger=self.log)
        self._note(context, lambda notebook: notebook.note_done(outcome.ref))
        return str(outcome.ref)

    def _tell_chosen(self, context: Context, ref: JobRef) -> None:
        """If a job was submitted twice, the older one counts."""
        if ref != self._ref:
            context["ti"].xcom_push(key="job", value=str(ref))

    @property
    def _watched(self) -> JobRef | None:
        """The job that is waited for: another one than was submitted, if that was done twice."""
        return self._watch.current(self._ref) if self._watch and self._ref else self._ref

    def _given_up(self, context: Context) -> ScnetError:
        ref = cast("JobRef", self._watched)
        self._tell_chosen(context, ref)
        what = f"Job {ref} has not ended in time"
        if not self.cancel_on_kill:
            return ScnetWaitTimeoutError(f"{what}. It goes on (cancel_on_kill=False).")
        self.log.warning("%s: deleting it.", what)
        self._delete_verified(context, ref)
        return ScnetWaitTimeoutError(
            f"{what} and was deleted.", remedy="Raise timeout: it includes the time in the queue."
        )

    def _delete_verified(self, context: Context, ref: JobRef) -> None:
        self._hook.delete_jobs([ref])
        self._ref, self._watch = ref, None
        self._note_killed(context)

    # --- killed ------------------------------------------------------------------------------------------------------

    def _stopped(self, context: Context) -> ScnetStoppedError:
        self._note_killed(context)
        return ScnetStoppedError(f"The task was told to stop while it submitted, or waited for, job {self._watched}.")

    def _note_killed(self, context: Context) -> None:
        if self.cancel_on_kill and (ref := self._watched):
            self._note(context, lambda notebook: notebook.note_killed(ref))

    def _delete_at_once(self, ref: JobRef) -> None:
        """In a signal handler, an error would strike whatever was interrupted."""
        if self._is_delete_sent:
            return
        self._is_delete_sent = True
        if not self.cancel_on_kill:
            self.log.warning("Job %s may go on (cancel_on_kill=False).", ref)
            return
        try:
            self._hook.client.tried_once().delete_jobs([ref])
        except ScnetError as error:
            self.log.error("Job %s may go on, for it could not be deleted: %s", ref, error)
        else:
            self.log.warning("Sent a delete of job %s; nobody looks whether it ends.", ref)

    def _find_resumed(self) -> JobRef | None:
        """Airflow 2 kills a deferred task whose ``execution_timeout`` is over before it goes on with it."""
        if self._submission or not self.cancel_on_kill:
            return None
        from airflow.providers.common.compat.sdk import get_current_context  # with much else, on Airflow 2

        try:
            context = get_current_context()
            return self._told(context) if counts_deferred_time(context["ti"]) else None
        except Exception as error:
            self.log.error("A job of this task may go on: Airflow does not tell which (%s).", type(error).__name__)
            return None

    def _told(self, context: Context) -> JobRef | None:
        """The job that this task instance has told of in XCom."""
        ti = context["ti"]
        is_mapped = ti.map_index is not None and ti.map_index >= 0
        of_instance: dict[str, Any] = {"map_indexes": ti.map_index} if is_mapped else {}
        told = self._hook.parse_jobs(ti.xcom_pull(task_ids=ti.task_id, key="job", **of_instance))
        return told[0] if len(told) == 1 else None

    # --- this task instance ------------------------------------------------------------------------------------------

    def _prepare(self, context: Context) -> Submission:
        from airflow_provider_scnet.jobs.submission import Submission, Target

        hook, (life, members) = self._hook, self._described(context)
        scheduler_id = hook.scheduler_id if is_nothing(self.scheduler_id) else check_scheduler_id(self.scheduler_id)
        began = getattr(context.get("dag_run"), "start_date", None)
        return Submission(
            hook.client,
            Target(scheduler_id, hook.submitting_user, life, members, keeps=self.on_clear == "keep"),
            self._notebook(context, life),
            is_retry=may_have_run(context),
            since=began or datetime.now(UTC) - LONGEST_RUN,
            logger=self.log,
        )

    def _described(self, context: Context) -> tuple[Life, dict[str, str]]:
        """The present life of this task instance, and the members of what it submits."""
        from airflow_provider_scnet.jobs.naming import JOB_NAME, specification_tag

        members = JobSpecification(**self._arguments()).as_members("")
        life = life_of(
            context,
            retries=self.retries or 0,
            specification=specification_tag(members),
            array_size=int(members.get(ARRAY_SIZE, 0)),
        )
        own = self.task_id if is_nothing(self.job_name) else str(self.job_name)
        return life, {**members, JOB_NAME: life.tag.name(own)}

    def _note(self, context: Context, write: Callable[[Notebook], None]) -> None:
        """What has happened to a job is so, whether or not this task's life, which is part of a note, can be told."""
        if context.get("task_state_store") is None:
            return
        try:
            notebook = self._notebook(context)
        except ScnetError as error:
            self.log.warning("Could not note what became of the job in Airflow's state store: %s", error)
            return
        write(notebook)

    def _notebook(self, context: Context, life: Life | None = None) -> Notebook:
        from airflow_provider_scnet.jobs.memory import Notebook

        return Notebook(context.get("task_state_store"), life or self._described(context)[0], logger=self.log)
