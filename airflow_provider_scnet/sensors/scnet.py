"""Waiting for SCNet jobs to end well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)

from airflow_provider_scnet.api.forks import cached_property
from airflow_provider_scnet.exceptions import ScnetJobReferenceError, ScnetTransientError
from airflow_provider_scnet.jobs.options import lines, seconds
from airflow_provider_scnet.jobs.rendering import SpelledFields
from airflow_provider_scnet.triggers import events
from airflow_provider_scnet.triggers.deadline import backstop_of, deadline_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_scnet.api.reference import JobRef
    from airflow_provider_scnet.hooks.scnet import ScnetHook
    from airflow_provider_scnet.jobs.outcome import Outcome
    from airflow_provider_scnet.jobs.waiting import Watch

SHOWN_JOBS = 3
"""Of jobs that ended badly, those whose logs are shown."""


class ScnetJobSensor(SpelledFields, BaseSensorOperator):
    """
    Wait until jobs have ended well: ``COMPLETED`` as the scheduler's word, or what the history has for it. A code
    alone, an empty answer or a job that nobody knows is no success.

    A job that ended badly fails the task at once, whatever its ``retries``, for it stays so; with ``soft_fail`` it is
    skipped. A job that SCNet does not know is waited for until ``timeout``.

    XCom ``job_records`` tells what each job has cost, ``job_record`` that of a single one, see
    :meth:`airflow_provider_scnet.jobs.outcome.Outcome.as_record`.

    :param jobs: (templated) what to wait for, see :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`; of an array
        all members count.
    :param scnet_conn_id: (templated) the Airflow Connection.
    :param scheduler_id: (templated) scheduler of plain ids; default: the Connection's, else the region's only one.
    :param user: (templated) cluster user of plain ids; default: the Connection's, else the token's, else
        what the platform says.
    :param log_lines: lines of stderr and stdout of a job that ended badly that are shown in the task's log, 0 for none;
        default: 50. Given explicitly, the end of stdout is shown of jobs that ended well, too.
    :param fail_fast: fail as soon as one job has ended badly; ``False``: when all have ended, naming each.
    :param deferrable: wait without a worker; default: Airflow's ``[operators] default_deferrable``.
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
        log_lines: int | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs
        self.scnet_conn_id = scnet_conn_id
        self.scheduler_id = scheduler_id
        self.user = user
        self.fail_fast = fail_fast
        self.log_lines = None if log_lines is None else lines("log_lines", log_lines)
        self.deferrable = deferrable
        self._watch: Watch | None = None
        self._keep_fields_plain()

    def execute(self, context: Context) -> Any:
        """Wait; see the class."""
        if not self.deferrable:
            return super().execute(context)
        try:
            if self.poke(context):
                return None
        except Exception as error:
            is_soft = self.soft_fail and isinstance(error, AirflowFailException)
            if is_soft or self.never_fail:
                raise AirflowSkipException("Skipping, for soft_fail or never_fail is set.") from error
            raise
        self._defer(context)

    def poke(self, context: Context) -> bool:
        """Look at the jobs once; a look that fails for now is no verdict."""
        from airflow_provider_scnet.jobs.waiting import BLANK_FOR

        watch = self._watch = self._watch or self._begin()
        self._look(watch)
        if watch.is_unsure and self.reschedule:  # the next poke remembers nothing of this one
            watch.client.patience.sleep(BLANK_FOR)
            self._look(watch)
        if watch.open and (not self.fail_fast or all(outcome.is_good for outcome in watch.outcomes)):
            self.log.info("%d of %d jobs go on.", len(watch.open), len(watch.open) + len(watch.outcomes))
            return False
        self._conclude(context, watch.outcomes)
        return True

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """
        Go on when the trigger has waited.

        :param event: what it has to say.
        """
        if events.is_of_earlier_try(event, context["ti"].try_number):
            return self.execute(context)
        if events.read(event, events.Status.ENDED, events.Status.TIMEOUT) is events.Status.TIMEOUT:
            raise AirflowSensorTimeout(f"Sensor has timed out: the jobs have not ended within {self.timeout} s.")
        self._conclude(context, events.outcomes_of(event))
        return None

    def _conclude(self, context: Context, outcomes: list[Outcome]) -> None:
        from airflow_provider_scnet.jobs.logs import show_logs
        from airflow_provider_scnet.jobs.outcome import error_of

        records = [outcome.as_record() for outcome in outcomes]
        context["ti"].xcom_push(key="job_records", value=records)
        if len(records) == 1:
            context["ti"].xcom_push(key="job_record", value=records[0])
        failed = [outcome for outcome in outcomes if not outcome.is_good]
        shown = (failed or outcomes)[:SHOWN_JOBS] if failed or self.log_lines else []
        for outcome in shown:
            streams = ("stderr", "stdout") if failed else ("stdout",)
            show_logs(self._hook.client, outcome.log_ref, self.log_lines, streams=streams, logger=self.log)
        if failed:
            raise error_of(failed, is_final=True)

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_scnet.triggers.scnet import ScnetJobTrigger

        timeout: Any = self.timeout  # Airflow 2 leaves a timedelta as it is
        timeout = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        deadline = deadline_of(self, context["ti"], timeout)
        trigger = ScnetJobTrigger(
            scnet_conn_id=self.scnet_conn_id,
            jobs=[str(ref) for ref in self._refs],
            poll_interval=seconds("poke_interval", self.poke_interval),
            deadline=deadline,
            fail_fast=self.fail_fast,
            try_number=context["ti"].try_number,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop_of(deadline))

    def _look(self, watch: Watch) -> None:
        try:
            watch.look()
        except ScnetTransientError as error:
            self.log.warning("Could not look at the jobs: %s", error)

    @cached_property
    def _hook(self) -> ScnetHook:
        from airflow_provider_scnet.hooks.scnet import ScnetHook  # with requests: not at every DAG parse

        return ScnetHook(self.scnet_conn_id)

    @cached_property
    def _refs(self) -> list[JobRef]:
        refs = self._hook.parse_jobs(self.jobs, scheduler_id=self.scheduler_id, user=self.user)
        if not refs:
            raise ScnetJobReferenceError(f"jobs={self.jobs!r}: there is no job to wait for. Was its reference pushed?")
        return refs

    def _begin(self) -> Watch:
        from airflow_provider_scnet.jobs.waiting import Watch

        refs = self._refs
        return Watch(self._hook.client, refs, logger=self.log)
