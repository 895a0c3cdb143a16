"""From an Airflow Connection to SCNet, and the verbs a DAG author uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_scnet.auth import (
    PLATFORM_COMPUTE_USER,
    KeyTokens,
    StoredToken,
    TokenSource,
    call_with_token,
    read_claims,
    read_expiry,
)
from airflow_provider_scnet.client import ScnetClient
from airflow_provider_scnet.connection import Settings, read_settings
from airflow_provider_scnet.connection_form import connection_form_widgets, ui_field_behaviour
from airflow_provider_scnet.deletion import Deletion
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetJobReferenceError,
    ScnetRequestError,
    without_frames,
)
from airflow_provider_scnet.jobs import JobRef, JobState, check_user, parse_jobs
from airflow_provider_scnet.observation import current_states
from airflow_provider_scnet.options import DeleteOptions
from airflow_provider_scnet.platform_client import Center, PlatformClient
from airflow_provider_scnet.report import DeletionReport
from airflow_provider_scnet.transport import Transport, hpc_base_url


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
        self._tokens.token()  # an end that is final, or a region that is unknown, shows before any other request
        gateways = [self._settings.gateway] if self._settings.gateway else self._discovered_gateways()
        field = "`host`" if self._settings.gateway else "the gateway's address (SCNet named it; `host` outranks it)"
        return ScnetClient(gateways, self._tokens, self._transport(field))

    @cached_property
    def scheduler_id(self) -> str:
        """
        The scheduler of plain job ids: the Connection's extra ``scheduler_id``, else the region's only one.

        :raises ScnetRequestError: if the region has none or several.
        """
        if self._settings.scheduler_id:
            return self._settings.scheduler_id
        schedulers = self.client.schedulers
        if len(schedulers) != 1:
            raise ScnetRequestError(
                f"scheduler_id: SCNet lists {len(schedulers)} schedulers for connection {self.scnet_conn_id!r}: "
                f"{_listed(schedulers)}. Name one in extra `scheduler_id` of the Connection, or as scheduler_id=... "
                f"of the task."
            )
        return next(iter(schedulers))

    @cached_property
    def user(self) -> str:
        """
        The cluster user of plain job ids: the Connection's extra ``user``, else the token's ``computeUser``, else what
        the platform says.

        :raises ScnetCredentialError: if none of them says it.
        """
        user = self._settings.user or read_claims(self._tokens.token()).get("computeUser") or self._center_user()
        try:
            return check_user(user)
        except ScnetJobReferenceError as error:
            raise ScnetCredentialError(
                f"SCNet names a strange cluster user for connection {self.scnet_conn_id!r}: {error} Set extra `user`."
            ) from None

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
        """
        Find out everything a task would: token, region, gateway, scheduler, cluster user.

        :return: whether all was found, and a message for the Connection form that names each or what failed.
        """
        found: list[str] = []
        try:
            for find in (self._tell_token, self._tell_gateway, self._tell_user):
                found.append(find())
        except (ScnetError, AirflowNotFoundException) as error:
            return False, " ".join([*found, str(error)])
        return True, " ".join(found)

    def _tell_token(self) -> str:
        token = self._tokens.token()
        region = read_claims(token).get("clusterId") or "of the token"
        expiry = read_expiry(token)
        end = f"until {datetime.fromtimestamp(expiry, UTC):%Y-%m-%d %H:%M} UTC" if expiry else "with no known end"
        kind = "AK/SK pair, token" if self._settings.keys else "Token"
        return f"{kind} valid {end}; region {region}."

    def _tell_gateway(self) -> str:
        schedulers = self.client.list_schedulers()
        return f"Gateway {self.client.base_url} accepts it; schedulers: {_listed(schedulers)}."

    def _tell_user(self) -> str:
        return f"Cluster user: {self.user}."

    @cached_property
    def _settings(self) -> Settings:
        try:
            connection = self.get_connection(self.scnet_conn_id)
        except AirflowNotFoundException:
            raise AirflowNotFoundException(
                f"scnet_conn_id={self.scnet_conn_id!r}: there is no such Connection. Create it in the UI (Admin, "
                f"Connections) or with `airflow connections import FILE`; the README shows what it needs."
            ) from None
        return read_settings(self.scnet_conn_id, connection)

    @cached_property
    def _tokens(self) -> TokenSource:
        """The stored token while it lives, then the keys; or just the one that is given."""
        settings = self._settings
        claims = read_claims(settings.token)
        if claims.get("computeUser") == PLATFORM_COMPUTE_USER:
            raise ScnetCredentialError(
                f"Connection {self.scnet_conn_id!r}, password: this is the platform's token. Job calls need the token "
                f"of the region (the list entry whose clusterId is not 0)."
            )
        region = str(claims.get("clusterId") or settings.region)
        if settings.region not in ("", region):
            raise ScnetCredentialError(
                f"Connection {self.scnet_conn_id!r}, password: the token is of region {region}, but extra `region` is "
                f"{settings.region!r}. Store a token of that region, or correct `region`."
            )
        keys = None
        if settings.keys:
            keys = KeyTokens(settings.keys, self._platform, region=region, connection=self.scnet_conn_id)
        if not settings.token and keys:
            return keys
        return StoredToken(settings.token, self._platform, keys=keys, connection=self.scnet_conn_id)

    @cached_property
    def _platform(self) -> PlatformClient:
        return PlatformClient(
            self._settings.api_url,
            self._settings.platform_url,
            api=self._transport("extra `api_url`"),
            platform=self._transport("extra `platform_url`"),
        )

    @cached_property
    @without_frames
    def _center(self) -> Center:
        return call_with_token(self._tokens, self._platform.get_center)

    def _center_user(self) -> str:
        if not self._center.user:
            raise ScnetCredentialError(
                f"user: neither the token of connection {self.scnet_conn_id!r} nor the platform names its cluster "
                f"user. Set extra `user` of the Connection, or user=... of the task, to the account on the cluster."
            )
        return self._center.user

    def _discovered_gateways(self) -> list[str]:
        urls = self._center.gateways
        if not urls:
            raise ScnetRequestError(
                f"Connection {self.scnet_conn_id!r}, extra `region`: the region {self._center.name!r} offers no HPC "
                f"gateway that is enabled, so no jobs can run there. Name another region, or the gateway in `host`."
            )
        gateways: list[str] = []
        errors: list[ScnetRequestError] = []
        for url in dict.fromkeys(urls):
            try:
                gateway = hpc_base_url(url, field="address from the platform", allow_http=self._settings.allow_http)
                gateways.append(gateway)
            except ScnetRequestError as error:
                self.log.warning("Leaving out a gateway of connection %s: %s", self.scnet_conn_id, error)
                errors.append(error)
        if not gateways:
            raise errors[0]
        return list(dict.fromkeys(gateways))

    def _transport(self, field: str) -> Transport:
        return Transport(
            connection=self.scnet_conn_id,
            field=field,
            timeout=self._settings.timeout,
            verify=self._settings.verify,
        )


def _listed(schedulers: Mapping[str, str]) -> str:
    return ", ".join(f"{scheduler_id} ({name})" for scheduler_id, name in schedulers.items()) or "none"


def _given(value: Any) -> bool:
    return value not in (None, "", "None")
