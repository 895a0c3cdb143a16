"""Waiting for SCNet jobs to end well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_scnet.exceptions import ScnetJobReferenceError, ScnetTransientError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.jobs.waiting import Watch

SHOWN_JOBS = 3
"""Of jobs that ended badly, those whose logs are shown."""


class ScnetJobSensor(BaseSensorOperator):
    """
    Wait until jobs have ended well: ``COMPLETED`` as the scheduler's word, or what the history has for it. A code
    alone, an empty answer or a job that nobody knows is no success.

    A job that ended badly fails the task at once, whatever its ``retries``, for it stays so; with ``soft_fail`` it is
    skipped. A job that SCNet does not know is waited for until ``timeout``.

    :param jobs: (templated) what to wait for, see :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`; of an array
        all members count.
    :param scnet_conn_id: (templated) the Airflow Connection.
    :param scheduler_id: (templated) scheduler of plain ids; default: the Connection's, else the region's only one.
    :param user: (templated) cluster user of plain ids; default: the Connection's, else the token's, else
        what the platform says.
    :param log_lines: lines of stderr and stdout of a job that ended badly that are shown in the task's log; 0 for none.
    :param fail_fast: fail as soon as one job has ended badly; ``False``: when all have ended, naming each.
    :raises ScnetJobReferenceError: before any request, if ``jobs`` holds something else, or nothing.
    :raises ScnetJobFailedError: in the subclass that says how, if a job ended badly.
    :raises AirflowSensorTimeout: after ``timeout``.
    """

    template_fields: Sequence[str] = ("jobs", "scnet_conn_id", "scheduler_id", "user")
    ui_color = "#d5e0f6"

    def __init__(
        self,
        *,
        jobs: Any,
        scnet_conn_id: str = "scnet_default",
        scheduler_id: str | None = None,
        user: str | None = None,
        fail_fast: bool = True,
        log_lines: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs
        self.scnet_conn_id = scnet_conn_id
        self.scheduler_id = scheduler_id
        self.user = user
        self.fail_fast = fail_fast
        self.log_lines = log_lines
        self._watch: Watch | None = None

    def poke(self, context: Context) -> bool:
        """Look at the jobs once; a look that fails for now is no verdict."""
        from airflow_provider_scnet.jobs.logs import show_logs
        from airflow_provider_scnet.jobs.waiting import BLANK_FOR, error_of

        watch = self._watch = self._watch or self._begin()
        self._look(watch)
        if watch.is_unsure and self.reschedule:  # the next poke remembers nothing of this one
            watch.client.patience.sleep(BLANK_FOR)
            self._look(watch)
        failed = [outcome for outcome in watch.outcomes if not outcome.is_good]
        if failed and (self.fail_fast or not watch.open):
            for outcome in failed[:SHOWN_JOBS]:
                show_logs(watch.client, outcome.log_ref, self.log_lines, logger=self.log)
            raise error_of(failed, is_final=True)
        if watch.open:
            self.log.info("%d of %d jobs go on.", len(watch.open), len(watch.open) + len(watch.outcomes))
        return not watch.open

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except ScnetTransientError as error:
            self.log.warning("Could not look at the jobs: %s", error)

    def _begin(self) -> Watch:
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse
        from airflow_provider_scnet.jobs.waiting import Watch

        hook = ScnetHook(self.scnet_conn_id)
        refs = hook.parse_jobs(self.jobs, scheduler_id=self.scheduler_id, user=self.user)
        if not refs:
            raise ScnetJobReferenceError(f"jobs={self.jobs!r}: there is no job to wait for. Was its reference pushed?")
        return Watch(hook.client, refs, logger=self.log)
