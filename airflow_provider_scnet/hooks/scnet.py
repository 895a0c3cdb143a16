"""The verbs a DAG author uses on the HPC jobs of one SCNet region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_scnet.api.forks import cached_property
from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.api.reference import JobRef, check_user, is_nothing
from airflow_provider_scnet.api.states import JobState
from airflow_provider_scnet.connection.form import connection_form_widgets, ui_field_behaviour
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.connection.settings import ConnectionFields, read_settings
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.evidence import read_states
from airflow_provider_scnet.jobs.logs import read_log
from airflow_provider_scnet.jobs.namespace import describe_namespace
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.jobs.report import DeletionReport, account_of_left, report_of_nothing
from airflow_provider_scnet.jobs.specification import JobSpecification


class ScnetHook(BaseHook):
    """
    Work with the HPC jobs of one SCNet region.

    Nothing is read or sent before it is needed.

    :param scnet_conn_id: the Connection, with an AK/SK pair or a region's token.
    """

    conn_name_attr = "scnet_conn_id"
    default_conn_name = "scnet_default"
    conn_type = "scnet"
    hook_name = "SCNet"

    def __init__(self, scnet_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scnet_conn_id = scnet_conn_id
        self._patience = Patience()

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """Return the form's own fields, for Airflow < 3.2; later ones read the provider's metadata."""
        return connection_form_widgets()

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return labels and placeholders of the standard fields, for Airflow < 3.2."""
        return ui_field_behaviour()

    @cached_property
    def client(self) -> ScnetClient:
        """
        The client for the Connection's region. Without ``host``, its gateways are discovered through the platform.

        :raises ScnetCredentialError: if there is no token to be had.
        :raises ScnetRequestError: if the region or its gateways cannot be told.
        """
        return self._region.client

    @cached_property
    def scheduler_id(self) -> str:
        """
        The scheduler of plain job ids: the Connection's extra ``scheduler_id``, else the region's only one.

        :raises ScnetRequestError: if the region has none or several.
        """
        return self._region.scheduler_id

    @cached_property
    def user(self) -> str:
        """
        The cluster user of plain job ids: the Connection's extra ``user``, else the token's, else what the platform
        says.

        :raises ScnetCredentialError: if none of them says it.
        """
        return self._region.user

    @cached_property
    def submitting_user(self) -> str:
        """
        The cluster user that new jobs belong to: the token's, whatever the Connection says; else :attr:`user`.

        :raises ScnetCredentialError: if nothing says it.
        :raises ScnetJobReferenceError: if no reference could name it.
        """
        return check_user(self.client.own_user() or self.user)

    def parse_jobs(self, jobs: Any, *, scheduler_id: str | None = None, user: str | None = None) -> list[JobRef]:
        """
        Turn whatever a DAG hands over into references; plain ids are completed from the Connection.

        :param jobs: see :func:`airflow_provider_scnet.jobs.parsing.parse_jobs`.
        :param scheduler_id: scheduler of plain ids, if not the Connection's.
        :param user: cluster user of plain ids, if not the Connection's.
        :raises ScnetJobReferenceError: before any request, naming the element that is no reference.
        """
        return parse_jobs(
            jobs,
            scheduler_id=(lambda: self.scheduler_id) if is_nothing(scheduler_id) else scheduler_id,
            user=(lambda: self.user) if is_nothing(user) else user,
        )

    def delete_jobs(
        self, jobs: Any, *, scheduler_id: str | None = None, user: str | None = None, **options: Any
    ) -> DeletionReport:
        """
        Delete jobs and wait until each was seen not to be active any more.

        :param jobs: references or plain ids, see :meth:`parse_jobs`.
        :param scheduler_id: scheduler of plain ids, if not the Connection's.
        :param user: cluster user of plain ids, if not the Connection's.
        :param options: ``verify``, ``timeout``, ``poll_interval``, ``absent_for``, ``missing_ok`` and ``batch_size``,
            see :class:`airflow_provider_scnet.jobs.options.DeleteOptions`.
        :raises ScnetJobsNotDeletedError: naming the jobs that are left at the deadline.
        :raises ScnetPermanentError: if a retry cannot help; see the table of errors in the guides.
        """
        how = DeleteOptions(**options)
        refs = self.parse_jobs(jobs, scheduler_id=scheduler_id, user=user)
        if not refs:
            self.log.info("No jobs to delete.")
            return DeletionReport()
        return self.deletion(refs, how).run()

    def deletion(self, refs: list[JobRef], options: DeleteOptions) -> Deletion:
        """
        Prepare a deletion, for whoever does not sleep between its rounds.

        :param refs: the jobs.
        :param options: how to delete.
        :raises ScnetError: if there is no client to be had; it names the jobs that are left.
        """
        return Deletion(self._client_for(refs), refs, options, logger=self.log)

    def _client_for(self, refs: list[JobRef]) -> ScnetClient:
        try:
            return self.client
        except ScnetError as error:
            report = report_of_nothing(refs)
            account = account_of_left(report, len(refs), 0.0, advice="Mend that, then run this task again.")
            raise error.with_report(report, account) from None

    def stop(self) -> None:
        """
        End whatever this hook is doing within a second: no further request is sent, and whoever waits for one gets a
        :class:`~airflow_provider_scnet.exceptions.ScnetStoppedError`. May be called by a signal handler.
        """
        self._patience.stop()

    def submit_job(self, specification: JobSpecification | Mapping[str, Any], *, name: str | None = None) -> JobRef:
        """
        Submit a job, once. Nothing keeps a second call from submitting it again: in a task, use
        ``ScnetSubmitJobOperator``, which looks first.

        :param specification: what to run and where; a mapping holds the arguments of
            :class:`airflow_provider_scnet.jobs.specification.JobSpecification`.
        :param name: of the job.
        :raises ScnetJobSpecificationError: before any request, naming the argument that cannot be.
        :raises ScnetTransientError: if it is not known whether it was submitted.
        """
        if isinstance(specification, Mapping):
            specification = JobSpecification(**specification)
        members = specification.as_members(name or "airflow")
        user = self.submitting_user
        return JobRef(self.scheduler_id, user, self.client.submit_job(self.scheduler_id, members))

    def get_job_states(self, jobs: Any) -> dict[JobRef, JobState]:
        """
        Tell the states of jobs, from the live lists and, for jobs that ended a while ago, from the history.

        :param jobs: references or plain ids, see :meth:`parse_jobs`.
        """
        return read_states(self.client, self.parse_jobs(jobs))

    def read_log(self, job: Any, *, stream: str = "stdout", lines: int = 50) -> str:
        """
        Read the end of a job's log.

        :param job: one job, see :meth:`parse_jobs`.
        :param stream: ``stdout`` or ``stderr``.
        :param lines: how many at most; SCNet gives up to 1,000, of which 16 kB are kept.
        :return: the text; empty if there is no such file.
        :raises ValueError: for another stream, or if it is not one job.
        """
        refs = self.parse_jobs(job)
        if len(refs) != 1:
            raise ValueError(f"job={job!r}: name one job, these are {len(refs)}.")
        return "\n".join(read_log(self.client, refs[0], stream, lines))

    def test_connection(self) -> tuple[bool, str]:
        """
        Find out everything a task would: token, region, gateway, scheduler, cluster user; and the namespace of this
        Airflow's jobs.

        :return: whether all was found, and a message for the Connection form that names each or what failed; what
            could not be decided comes first.
        """
        doubts: list[str] = []
        found: list[str] = []
        try:
            for sentence in self._region.describe(doubts):
                found.append(sentence)
        except (ScnetError, AirflowNotFoundException) as error:
            return False, " ".join([*doubts, *found, str(error)])
        return True, " ".join([*doubts, *found, describe_namespace()])

    @cached_property
    def _region(self) -> Region:
        try:
            # In no local variable: the repr of a Connection shows the password.
            fields = ConnectionFields(self.scnet_conn_id, self.get_connection(self.scnet_conn_id))
        except AirflowNotFoundException:
            raise AirflowNotFoundException(
                f"scnet_conn_id={self.scnet_conn_id!r}: there is no such Connection. Create it in the UI (Admin, "
                f"Connections) or with `airflow connections import FILE`; the README shows what it needs."
            ) from None
        return Region(read_settings(fields), patience=self._patience, logger=self.log)
