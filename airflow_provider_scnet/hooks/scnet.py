"""From an Airflow Connection to SCNet, and the verbs a DAG author uses."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Connection

from airflow_provider_scnet.auth import PLATFORM_COMPUTE_USER, read_claims
from airflow_provider_scnet.client import ScnetClient
from airflow_provider_scnet.deletion import DeleteOptions, Deletion
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetRequestError,
    quote,
)
from airflow_provider_scnet.jobs import JobRef, JobState, check_scheduler_id, check_user, parse_jobs
from airflow_provider_scnet.observation import current_states
from airflow_provider_scnet.report import DeletionReport
from airflow_provider_scnet.transport import DEFAULT_TIMEOUT, Transport, hpc_base_url


class ScnetHook(BaseHook):
    """
    Work with the HPC jobs of one SCNet region.

    Nothing is read or sent before it is needed.

    :param scnet_conn_id: the Connection; its password is the region's token and its host the HPC gateway.
    """

    conn_name_attr = "scnet_conn_id"
    default_conn_name = "scnet_default"
    conn_type = "scnet"
    hook_name = "SCNet"

    def __init__(self, scnet_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scnet_conn_id = scnet_conn_id

    @cached_property
    def client(self) -> ScnetClient:
        """The client for this Connection's gateway."""
        connection = self._connection
        try:
            return ScnetClient(
                hpc_base_url(self._address(connection), allow_http=self._flag("allow_http", default=False)),
                self._token,
                Transport(connection=self.scnet_conn_id, timeout=self._timeout(), verify=self._verify()),
            )
        except ScnetRequestError as error:
            raise ScnetRequestError(f"Connection {self.scnet_conn_id!r}, {error}") from None

    @cached_property
    def scheduler_id(self) -> str:
        """
        The scheduler of plain job ids: the Connection's extra ``scheduler_id``, else the region's only one.

        :raises ScnetRequestError: if the region has none or several.
        """
        if given := self._extra.get("scheduler_id"):
            return check_scheduler_id(given)
        schedulers = self.client.list_schedulers()
        if len(schedulers) != 1:
            listed = ", ".join(f"{scheduler_id} ({name})" for scheduler_id, name in schedulers.items()) or "none"
            raise ScnetRequestError(
                f"scheduler_id: SCNet lists {len(schedulers)} schedulers for connection {self.scnet_conn_id!r}: {listed}. "
                f"Name one in extra `scheduler_id` of the Connection, or as scheduler_id=... of the task."
            )
        return next(iter(schedulers))

    @cached_property
    def user(self) -> str:
        """
        The cluster user of plain job ids: the Connection's extra ``user``, else the token's ``computeUser``.

        :raises ScnetCredentialError: if neither says it.
        """
        if given := self._extra.get("user"):
            return check_user(given)
        user = read_claims(self._token).get("computeUser")
        if not user:
            raise ScnetCredentialError(
                f"user: the token of connection {self.scnet_conn_id!r} does not name its cluster user. Set extra `user` "
                f"of the Connection, or user=... of the task, to the account on the cluster."
            )
        return check_user(user)

    def parse_jobs(self, jobs: Any, *, scheduler_id: str | None = None, user: str | None = None) -> list[JobRef]:
        """
        Turn whatever a DAG hands over into references; plain ids are completed from the Connection.

        :param jobs: see :func:`airflow_provider_scnet.jobs.parse_jobs`.
        :param scheduler_id: scheduler of plain ids, if not the Connection's.
        :param user: cluster user of plain ids, if not the Connection's.
        :raises ScnetJobReferenceError: before any request, naming the element that is no reference.
        """
        return parse_jobs(
            jobs,
            scheduler_id=scheduler_id if _given(scheduler_id) else lambda: self.scheduler_id,
            user=user if _given(user) else lambda: self.user,
        )

    def delete_jobs(
        self,
        jobs: Any,
        *,
        verify: bool = True,
        timeout: float | timedelta = 300,
        poll_interval: float | timedelta = 5,
        missing_ok: bool = True,
        batch_size: int = 50,
    ) -> DeletionReport:
        """
        Delete jobs and wait until each was seen not to be active any more.

        :param jobs: references or plain ids, see :meth:`parse_jobs`.
        :param verify: whether to look; without it, an accepted request is believed.
        :param timeout: seconds until jobs that are left become an error.
        :param poll_interval: seconds between two looks.
        :param missing_ok: whether a job that SCNet does not know counts as gone.
        :param batch_size: jobs in one request.
        :raises ScnetJobsNotDeletedError: naming the jobs that are left at the deadline.
        :raises ScnetPermanentError: if a retry cannot help; see the table of errors in the README.
        """
        options = DeleteOptions(verify, timeout, poll_interval, missing_ok, batch_size)
        refs = self.parse_jobs(jobs)
        if not refs:
            self.log.info("No jobs to delete.")
            return DeletionReport()
        return Deletion(self.client, refs, options, logger=self.log).run()

    def get_job_states(self, jobs: Any) -> dict[JobRef, JobState]:
        """
        Tell the states of jobs, from the live lists and, for jobs that ended a while ago, from the history.

        :param jobs: references or plain ids, see :meth:`parse_jobs`.
        """
        return current_states(self.client, self.parse_jobs(jobs))

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the schedulers, which needs host and token; the answer is fit for the Connection form."""
        try:
            schedulers = self.client.list_schedulers()
        except (ScnetError, AirflowNotFoundException) as error:
            return False, str(error)
        listed = ", ".join(f"{scheduler_id} ({name})" for scheduler_id, name in schedulers.items()) or "none"
        return True, f"SCNet accepts the token at {self.client.base_url}. Schedulers: {listed}."

    @cached_property
    def _connection(self) -> Connection:
        try:
            return self.get_connection(self.scnet_conn_id)
        except AirflowNotFoundException:
            raise AirflowNotFoundException(
                f"scnet_conn_id={self.scnet_conn_id!r}: there is no such Connection. Create it in the UI (Admin, "
                f"Connections) or with `airflow connections add {quote(self.scnet_conn_id)} --conn-type scnet ...`."
            ) from None

    @cached_property
    def _extra(self) -> dict[str, Any]:
        extra = self._connection.extra_dejson
        return extra if isinstance(extra, dict) else {}

    @property
    def _token(self) -> str:
        token = (self._connection.password or "").strip()
        if not token:
            raise ScnetCredentialError(
                f"Connection {self.scnet_conn_id!r}, password: empty. Store the region's token there."
            )
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ScnetCredentialError(
                f"Connection {self.scnet_conn_id!r}, password: not a token (it has blanks or other characters that no "
                f"token has). Copy it again, without quotes and line breaks."
            )
        if read_claims(token).get("computeUser") == PLATFORM_COMPUTE_USER:
            raise ScnetCredentialError(
                f"Connection {self.scnet_conn_id!r}, password: this is the platform's token. Job calls need the token "
                f"of the region (the list entry whose clusterId is not 0)."
            )
        return token

    def _address(self, connection: Connection) -> str:
        host = (connection.host or "").strip()
        if not host:
            raise ScnetRequestError("host: empty. Set it to the region's HPC gateway, e.g. https://hpc.example:65051.")
        if "://" in host:
            return host
        authority, slash, path = host.partition("/")
        port = f":{connection.port}" if connection.port and ":" not in authority else ""
        return f"{connection.schema or 'https'}://{authority}{port}{slash}{path}"

    def _timeout(self) -> float:
        value = self._extra.get("timeout", DEFAULT_TIMEOUT)
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0
        if not 0 < seconds < float("inf"):
            raise ScnetRequestError(f"extra `timeout`={quote(value)!r}: must be a positive number of seconds.")
        return seconds

    def _verify(self) -> bool | str:
        value = self._extra.get("verify", True)
        if not isinstance(value, str) or value.strip().lower() in ("", "true", "false"):
            return self._flag("verify", default=True)
        if not os.path.exists(value.strip()):
            raise ScnetRequestError(
                f"extra `verify`={quote(value)!r}: no such file. Give true, false or the path of a CA file."
            )
        return value.strip()

    def _flag(self, name: str, *, default: bool) -> bool:
        """Forms and URIs give booleans as text, and ``bool("false")`` is true."""
        value = self._extra.get(name, default)
        text = str(value).strip().lower()
        if text not in ("", "true", "false"):
            raise ScnetRequestError(f"extra `{name}`={quote(value)!r}: must be true or false.")
        return default if text == "" else text == "true"


def _given(value: Any) -> bool:
    return value not in (None, "", "None")
