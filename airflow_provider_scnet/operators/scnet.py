"""Submitting SCNet jobs, and deleting them, as a task of a pipeline or as its teardown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_scnet.api.reference import check_scheduler_id, is_nothing
from airflow_provider_scnet.exceptions import ScnetError, ScnetStoppedError
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.operators.submitters import ask, shared_map_index, task_ids_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.jobs.report import DeletionReport
    from airflow_provider_scnet.jobs.submission import Submission

LONGEST_RUN = timedelta(days=30)
"""How far back the history is searched where Airflow does not say when the DAG run began."""


class ScnetSubmitJobOperator(BaseOperator):
    """
    Submit a job to SCNet, exactly once for each generation of the task instance, whatever Airflow or SCNet do: every
    job carries its task in its name. A retry finds the job of an earlier try and goes on with it; a clear deletes the
    job of the earlier generation first.

    Returns the reference as text, ``"1638523853,test:197:"``, which ``ScnetDeleteJobsOperator`` takes, and pushes it to
    XCom under ``job``, too.

    :param command: (templated) what the job runs, shell text or a list of its lines, without ``#!`` and ``#SBATCH``
        lines. A script beside the DAG file comes in by ``"{% include 'run.sh' %}"``.
    :param job_queue: (templated) the queue on the cluster; ``queue`` is Airflow's own argument, the workers' queue.
    :param work_dir: (templated) absolute directory on the cluster; it has to exist.
    :param walltime: (templated) after which the scheduler ends the job: a ``timedelta``, ``HH:MM:SS`` or
        ``D-HH:MM:SS``.
    :param job_name: (templated) the job's name begins with it; default: the task id.
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
    :raises ScnetJobSpecificationError: at DAG parsing where that can tell, else before any request, naming the argument
        that cannot be.
    :raises ScnetSubmitRejectedError: if the scheduler rejects the job; no retry.
    :raises ScnetQueueFullError: if it takes no more jobs for now.
    :raises ScnetTransientError: if it is not known whether the job was submitted; the next try looks first.
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
        job_queue: str,
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
        self._hook: ScnetHook | None = None
        self._submission: Submission | None = None
        self._ref: JobRef | None = None
        self._is_killed = False
        JobSpecification.check_parsed(self._arguments())

    def execute(self, context: Context) -> str:
        """Submit the job, or find it; see the class."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse

        specification = JobSpecification(**self._arguments())
        self._hook = hook = ScnetHook(self.scnet_conn_id)
        self._submission = submission = self._prepare(hook, specification, context)
        if self._is_killed:
            submission.stop()
        self._ref = submission.run()
        if self._is_killed:
            self._delete_at_once()
            submission.note_killed(self._ref)
            raise ScnetStoppedError(f"The task was told to stop while it submitted job {self._ref}.")
        context["ti"].xcom_push(key="job", value=str(self._ref))
        return str(self._ref)

    def on_kill(self) -> None:
        """Delete the job with one short request; where it is just being submitted, as soon as its id is known."""
        self._is_killed = True
        if self._submission:
            self._submission.stop()
        if self._ref:
            self._delete_at_once()

    def _prepare(self, hook: ScnetHook, specification: JobSpecification, context: Context) -> Submission:
        from airflow_provider_scnet.jobs.memory import Notebook
        from airflow_provider_scnet.jobs.naming import JobTag
        from airflow_provider_scnet.jobs.submission import Submission, Target

        ti = context["ti"]
        tag = JobTag.of(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            generation=ti.max_tries,
        )
        name = tag.name(self.task_id if is_nothing(self.job_name) else str(self.job_name))
        scheduler_id = hook.scheduler_id if is_nothing(self.scheduler_id) else check_scheduler_id(self.scheduler_id)
        began = getattr(context.get("dag_run"), "start_date", None)
        return Submission(
            hook.client,
            Target(scheduler_id, hook.submitting_user, tag, specification.as_members(name)),
            Notebook(context.get("task_state_store"), name, logger=self.log),
            is_retry=ti.try_number > 1,
            since=began or datetime.now(UTC) - LONGEST_RUN,
            logger=self.log,
        )

    def _delete_at_once(self) -> None:
        """In a signal handler, an error would strike whatever was interrupted."""
        if not self._hook or not self._ref:
            return
        try:
            self._hook.client.tried_once().delete_jobs([self._ref])
        except ScnetError as error:
            self.log.error("Job %s may go on, for it could not be deleted: %s", self._ref, error)
        else:
            self.log.warning("Sent a delete of job %s; nobody looks whether it ends.", self._ref)

    def _arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in JobSpecification.__dataclass_fields__}


class ScnetDeleteJobsOperator(BaseOperator):
    """
    Delete SCNet jobs and succeed only when each was seen not to be active any more.

    As a teardown: ``ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submit).as_teardown(setups=submit,
    on_failure_fail_dagrun=True)``. Give ``jobs``, ``submitted_by`` or both.
    Deleting is idempotent, so retries are safe. Returns
    ``{"deleted": [...], "gone": [...], "accepted": [...]}``, references as text.

    :param jobs: (templated) what to delete: references, plain ids, mappings, texts or nested sequences of these, see
        :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`. Nothing (``None``, ``""``, ``[]``) is a success.
    :param submitted_by: tasks of :class:`ScnetSubmitJobOperator`, mapped or not, what they return, or their ids with
        the groups they are in; one or several. All jobs of this run that carry these tasks in their names are deleted,
        whatever XCom says. Where a task instance has not told its job, lists have to show none for ``absent_for``.
    :param scnet_conn_id: (templated) the Airflow Connection.
    :param scheduler_id: (templated) scheduler of plain ids; default: the Connection's, else the region's only one.
    :param user: (templated) cluster user of plain ids; default: the Connection's, else the token's, else
        what the platform says.
    :param verify: look until the jobs ended. ``False`` believes an accepted request: a job may go on running.
    :param timeout: seconds or ``timedelta`` until jobs that are left become an error.
    :param poll_interval: seconds or ``timedelta`` between two looks.
    :param absent_for: seconds or ``timedelta`` for which SCNet must not list a job that it does not know, or say in a
        code that nothing confirms that a job ended.
    :param missing_ok: whether a job that SCNet does not know counts as gone.
    :param batch_size: jobs in one request.
    :raises ValueError: at DAG parsing, for a number or a task that cannot be.
    :raises ScnetJobReferenceError: before any request, if ``jobs`` holds something else.
    :raises ScnetJobsNotDeletedError: naming the jobs that are left at the deadline.
    """

    template_fields: Sequence[str] = ("jobs", "scnet_conn_id", "scheduler_id", "user")
    ui_color = "#f6d5d5"

    def __init__(
        self,
        *,
        jobs: Any = (),
        submitted_by: Any = None,
        scnet_conn_id: str = "scnet_default",
        scheduler_id: str | None = None,
        user: str | None = None,
        verify: bool = DeleteOptions.verify,
        timeout: float | timedelta = DeleteOptions.timeout,
        poll_interval: float | timedelta = DeleteOptions.poll_interval,
        absent_for: float | timedelta = DeleteOptions.absent_for,
        missing_ok: bool = DeleteOptions.missing_ok,
        batch_size: int = DeleteOptions.batch_size,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs
        self.scnet_conn_id = scnet_conn_id
        self.scheduler_id = scheduler_id
        self.user = user
        self.verify = verify
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.absent_for = absent_for
        self.missing_ok = missing_ok
        self.batch_size = batch_size
        self._hook: ScnetHook | None = None
        DeleteOptions(**self._options())
        self.submitted_by = task_ids_of(submitted_by, ScnetSubmitJobOperator, scnet_conn_id)
        if jobs == () and not self.submitted_by:
            raise ValueError("jobs, submitted_by: give at least one of the two.")

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the jobs; see the class."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse

        self._hook = hook = ScnetHook(self.scnet_conn_id)
        refs = hook.parse_jobs(self.jobs, scheduler_id=self.scheduler_id, user=self.user)
        if self.submitted_by:
            return self._sweep(hook, refs, context).as_xcom()
        if not refs:
            self._say_that_nothing_is_left_to_do()
            return {"deleted": [], "gone": [], "accepted": []}
        return hook.delete_jobs(refs, **self._options()).as_xcom()

    def on_kill(self) -> None:
        """End the running deletion at once, so that its log still tells which jobs are left."""
        if self._hook:
            self._hook.stop()

    def _sweep(self, hook: ScnetHook, refs: list[JobRef], context: Context) -> DeletionReport:
        from airflow_provider_scnet.jobs.naming import task_tag
        from airflow_provider_scnet.jobs.sweep import Sought, Sweep

        ti = context["ti"]
        map_index = shared_map_index(self, self.submitted_by, ti.map_index)
        told = ask(context, self.submitted_by, map_index, logger=self.log)
        refs = list(dict.fromkeys([*refs, *hook.parse_jobs(told.refs)]))
        tasks = {task_tag(ti.dag_id, ti.run_id, task_id) for task_id in self.submitted_by}
        sought = Sought(tasks, hook.submitting_user, all_told=told.is_all, map_index=map_index)
        report = Sweep(hook.client, refs, sought, DeleteOptions(**self._options()), logger=self.log).run()
        if report == type(report)():
            self._say_that_nothing_is_left_to_do()
        return report

    def _say_that_nothing_is_left_to_do(self) -> None:
        """What a teardown is not told of goes on running."""
        self.log.log(logging.WARNING if self.is_teardown else logging.INFO, "No jobs to delete.")

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(DeleteOptions)}
