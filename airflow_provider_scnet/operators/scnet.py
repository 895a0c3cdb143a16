"""Deleting SCNet jobs, as a task of a pipeline or as its teardown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_scnet.jobs.options import DeleteOptions

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.hooks.scnet import ScnetHook


class ScnetDeleteJobsOperator(BaseOperator):
    """
    Delete SCNet jobs and succeed only when each was seen not to be active any more.

    As a teardown: ``ScnetDeleteJobsOperator(...).as_teardown(setups=submit, on_failure_fail_dagrun=True)``.
    Deleting is idempotent, so retries are safe. Returns
    ``{"deleted": [...], "gone": [...], "accepted": [...]}``, references as text.

    :param jobs: (templated) what to delete: references, plain ids, mappings, texts or nested sequences of these, see
        :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`. Nothing (``None``, ``""``, ``[]``) is a success.
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
    :raises ValueError: at DAG parsing, for a number that cannot be.
    :raises ScnetJobReferenceError: before any request, if ``jobs`` holds something else.
    :raises ScnetJobsNotDeletedError: naming the jobs that are left at the deadline.
    """

    template_fields: Sequence[str] = ("jobs", "scnet_conn_id", "scheduler_id", "user")
    ui_color = "#f6d5d5"

    def __init__(
        self,
        *,
        jobs: Any,
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

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Delete the jobs; see the class."""
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse

        self._hook = hook = ScnetHook(self.scnet_conn_id)
        refs = hook.parse_jobs(self.jobs, scheduler_id=self.scheduler_id, user=self.user)
        if not refs:  # what a teardown is not told of goes on running
            self.log.log(logging.WARNING if self.is_teardown else logging.INFO, "No jobs to delete.")
            return {"deleted": [], "gone": [], "accepted": []}
        return hook.delete_jobs(refs, **self._options()).as_xcom()

    def on_kill(self) -> None:
        """End the running deletion at once, so that its log still tells which jobs are left."""
        if self._hook:
            self._hook.stop()

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(DeleteOptions)}
