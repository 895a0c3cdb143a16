"""Deleting SCNet jobs as a task of a pipeline or as its teardown."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_scnet.exceptions import ScnetError, ScnetJobsNotDeletedError
from airflow_provider_scnet.jobs.options import DeleteOptions, seconds
from airflow_provider_scnet.jobs.rendering import SpelledFields
from airflow_provider_scnet.operators.instance import began_of
from airflow_provider_scnet.operators.submit import ScnetSubmitJobOperator
from airflow_provider_scnet.operators.submitters import Inquiry, task_ids_of
from airflow_provider_scnet.triggers import events
from airflow_provider_scnet.triggers.deadline import backstop_of, deadline_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.jobs.deletion import Deletion
    from airflow_provider_scnet.jobs.sweep import Sought, Sweep


class NotGiven(tuple[()]):
    """No jobs, of an argument that was left out: ``None``, ``[]`` and ``()`` are given."""

    __slots__ = ()


NOT_GIVEN = NotGiven()


class ScnetDeleteJobsOperator(SpelledFields, BaseOperator):
    """
    Delete SCNet jobs and succeed only when each was seen not to be active any more.

    As a teardown: ``ScnetDeleteJobsOperator(task_id="delete_jobs", submitted_by=submit).as_teardown(setups=submit,
    on_failure_fail_dagrun=True)``. Give ``jobs``, or one of ``submitted_by`` and ``job_tags``, or both.
    Deleting is idempotent, so retries are safe. Returns
    ``{"deleted": [...], "gone": [...], "accepted": [...]}``, references as text.

    :param jobs: (templated) what to delete: references, plain ids, mappings, texts or nested sequences of these, see
        :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`. Nothing (``None``, ``""``, ``[]``, ``()``) is a success.
    :param submitted_by: tasks of :class:`ScnetSubmitJobOperator`, mapped or not, what they return, or their ids with
        the groups they are in; one or several. All jobs of this run that carry these tasks in their names are deleted,
        whatever XCom says. Where a task instance has not told its job, lists have to show none for ``absent_for``.
    :param job_tags: (templated) for a run that cannot tear down any more: what stands for its tasks in the names of
        their jobs, ``k3m2x4a7pq5t`` in ``channel_flow_k3m2x4a7pq5t_m3_g2``; texts or one with commas. All jobs that
        carry one of them are deleted, whichever run they are of. A tag that no job has had in 30 days is an error that
        is not retried: it is misspelt, or of another Connection. Nothing is a success, as with ``jobs``. See
        :func:`airflow_provider_scnet.jobs.naming.task_tag`.
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
    :param deferrable: go on without a worker if the jobs are not gone at the first look; default: Airflow's
        ``[operators] default_deferrable``.
    :raises ValueError: at DAG parsing, for a number or a task that cannot be.
    :raises ScnetJobReferenceError: before any request, if ``jobs`` holds something else.
    :raises ScnetRequestError: before any request, if ``job_tags`` does.
    :raises ScnetJobsNotDeletedError: naming the jobs that are left at the deadline.
    :raises ScnetUnknownTagError: naming tags of ``job_tags`` that no job has had; no retry.
    """

    template_fields: Sequence[str] = ("jobs", "job_tags", "scnet_conn_id", "scheduler_id", "user")
    ui_color = "#f6d5d5"

    def __init__(
        self,
        *,
        jobs: Any = NOT_GIVEN,
        submitted_by: Any = None,
        job_tags: str | Sequence[str] = (),
        scnet_conn_id: str = "scnet_default",
        scheduler_id: str | None = None,
        user: str | None = None,
        verify: bool = DeleteOptions.verify,
        timeout: float | timedelta = DeleteOptions.timeout,
        poll_interval: float | timedelta = DeleteOptions.poll_interval,
        absent_for: float | timedelta = DeleteOptions.absent_for,
        missing_ok: bool = DeleteOptions.missing_ok,
        batch_size: int = DeleteOptions.batch_size,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.jobs = () if jobs is NOT_GIVEN else jobs
        self.job_tags = job_tags
        self.scnet_conn_id = scnet_conn_id
        self.scheduler_id = scheduler_id
        self.user = user
        self.verify = verify
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.absent_for = absent_for
        self.missing_ok = missing_ok
        self.batch_size = batch_size
        self.deferrable = deferrable
        self._hook: ScnetHook | None = None
        self._doubt = ""
        self._keep_fields_plain()
        DeleteOptions(**self._options())
        self.submitted_by = task_ids_of(submitted_by, ScnetSubmitJobOperator, self)
        if jobs is NOT_GIVEN and not job_tags and not self.submitted_by:
            raise ValueError("jobs, submitted_by, job_tags: give at least one of them.")
        if job_tags and self.submitted_by:
            raise ValueError("submitted_by, job_tags: give one of the two; each run has tags of its own.")

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the jobs; see the class."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse
        from airflow_provider_scnet.jobs.deletion import drive
        from airflow_provider_scnet.jobs.naming import read_task_tags
        from airflow_provider_scnet.jobs.sweep import Sought

        tags = read_task_tags(self.job_tags)
        self._hook = hook = ScnetHook(self.scnet_conn_id)
        refs = hook.parse_jobs(self.jobs, scheduler_id=self.scheduler_id, user=self.user)
        sought = None
        if tags:
            sought = Sought(tags, hook.submitting_user, all_told=False, to_be_found=tags)
        elif self.submitted_by:
            refs, sought = self._inquire(hook, refs, context)
        elif not refs:
            return self._told({})
        engine = self._engine(hook, refs, sought)
        rounds = engine.rounds()
        if self.deferrable and next(rounds, None) is not None:
            rounds.close()
            self._defer(context, engine)
        drive(rounds, hook.client.patience)
        return self._told(engine.report().as_xcom())

    def execute_complete(self, context: Context, event: Any = None, doubt: str = "") -> dict[str, list[str]]:
        """
        Go on when the trigger has deleted.

        :param event: what it has to say.
        :param doubt: why a job may be left all the same, see :class:`airflow_provider_scnet.operators.submitters.Told`.
        """
        if events.is_of_earlier_try(event, context["ti"].try_number):
            return self.execute(context)
        self._doubt = doubt
        events.read(event, events.Status.DELETED)
        return self._told(event["report"])

    def on_kill(self) -> None:
        """End the running deletion at once, so that its log still tells which jobs are left."""
        if self._hook:
            self._hook.stop()

    def _inquire(self, hook: ScnetHook, refs: list[JobRef], context: Context) -> tuple[list[JobRef], Sought | None]:
        """What tasks have told of their jobs, and how to find those that they have not told of."""
        from airflow_provider_scnet.jobs.namespace import namespace
        from airflow_provider_scnet.jobs.naming import TaskTags
        from airflow_provider_scnet.jobs.sweep import Sought

        ti = context["ti"]
        told = Inquiry(self, context, logger=self.log).ask()
        self._doubt = told.doubt
        refs = list(dict.fromkeys([*refs, *hook.parse_jobs(told.refs)]))
        try:
            of_this_airflow = namespace()
        except ScnetError as error:  # no reason to leave the jobs that are known
            self._doubt = " ".join(filter(None, [told.doubt, str(error)]))
            return refs, None
        run: dict[str, Any] = {"dag_id": ti.dag_id, "run_id": ti.run_id}
        run["began"] = began_of(context.get("dag_run"))
        tasks, gone = (
            [tag for task_id in ids for tag in TaskTags.of(of_this_airflow, task_id=task_id, **run)]
            for ids in (self.submitted_by, told.gone)
        )
        whose = Sought(tasks, hook.submitting_user, told.is_all, told.map_index, items=told.items, gone=gone)
        return refs, whose

    def _engine(self, hook: ScnetHook, refs: list[JobRef], sought: Sought | None) -> Deletion | Sweep:
        from airflow_provider_scnet.jobs.sweep import Sweep

        options = DeleteOptions(**self._options())
        if sought is None:
            return hook.deletion(refs, options)
        return Sweep(hook.client, refs, sought, options, logger=self.log)

    def _defer(self, context: Context, engine: Deletion | Sweep) -> NoReturn:
        from airflow_provider_scnet.triggers.scnet import ScnetDeleteJobsTrigger

        timeout = seconds("timeout", self.timeout)
        deadline = deadline_of(self, context["ti"], timeout) or time.time() + timeout
        trigger = ScnetDeleteJobsTrigger(
            scnet_conn_id=self.scnet_conn_id,
            jobs=[str(ref) for ref in engine.refs],
            deadline=deadline,
            options=DeleteOptions(**self._options()).as_json(),
            sought=None if engine.sought is None else asdict(engine.sought),
            try_number=context["ti"].try_number,
        )
        kwargs = {"doubt": self._doubt} if self._doubt else None
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=backstop_of(deadline))

    def _told(self, report: dict[str, list[str]]) -> dict[str, list[str]]:
        if self._doubt:
            raise ScnetJobsNotDeletedError(
                f"The jobs that are known do not run any more, but others may: {self._doubt} Look at the platform."
            )
        if not any(report.values()):
            self._say_that_nothing_is_left_to_do()
        return {"deleted": [], "gone": [], "accepted": [], **report}

    def _say_that_nothing_is_left_to_do(self) -> None:
        """What a teardown is not told of goes on running."""
        self.log.log(logging.WARNING if self.is_teardown else logging.INFO, "No jobs to delete.")

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(DeleteOptions)}
