from __future__ import annotations

import socket
from typing import Any

import certifi
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_scnet.api.states import Phase
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetJobReferenceError,
    ScnetJobsNotDeletedError,
    ScnetPermissionError,
    ScnetRequestError,
)
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.jobs.specification import JobSpecification
from airflow_provider_scnet.testing import ScnetEmulator
from tests.conftest import SCHEDULER, SECOND_SCHEDULER

FAST = {"poll_interval": 0.01}
CA_FILE = certifi.where()


@pytest.fixture
def single(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A region with one scheduler, as nearly all have."""
    with ScnetEmulator() as scnet:
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        yield scnet


def connect(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator, **fields: Any) -> ScnetHook:
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection(**fields))
    return ScnetHook()


def test_building_a_hook_does_nothing() -> None:
    assert ScnetHook("no_such_connection").scnet_conn_id == "no_such_connection"


def test_delete_jobs_completes_plain_ids(single: ScnetEmulator) -> None:
    jobs = [single.add_job(), single.add_job()]
    report = ScnetHook().delete_jobs([job.job_id for job in jobs])
    assert [str(ref) for ref in report.deleted] == [job.ref for job in jobs]
    assert not single.active_jobs


def test_records_of_a_list_are_references(single: ScnetEmulator) -> None:
    jobs = [single.add_job(), single.add_job()]
    hook = ScnetHook()
    report = hook.delete_jobs(hook.client.list_jobs(jobs[0].scheduler_id).records)
    assert [str(ref) for ref in report.deleted] == [job.ref for job in jobs]


def test_records_of_another_scheduler_stay_there(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> None:
    """Two schedulers may use the same number; a list does not say whose it is."""
    ours = scnet.add_job(job_id="77", scheduler_id=SCHEDULER)
    theirs = scnet.add_job(job_id="77", scheduler_id=SECOND_SCHEDULER)
    hook = connect(monkeypatch, scnet, scheduler_id=SCHEDULER)
    report = hook.delete_jobs(hook.client.list_jobs(SECOND_SCHEDULER).records)
    assert [str(ref) for ref in report.deleted] == [theirs.ref]
    assert ours.active


def test_full_references_need_no_discovery(single: ScnetEmulator) -> None:
    ScnetHook().delete_jobs(single.add_job().ref)
    assert single.calls == {"delete": 1, "clusters": 1, "list": 1, "detail": 1}  # to delete and to look


@pytest.mark.parametrize("nothing", [None, "", "None", [], "[]", [None]])
def test_nothing_to_delete_sends_nothing(single: ScnetEmulator, nothing: Any) -> None:
    report = ScnetHook().delete_jobs(nothing)
    assert report.as_xcom() == {"deleted": [], "gone": [], "accepted": []}
    assert not single.requests


@pytest.mark.parametrize("broken", ["197 198", {"user": "u"}, ["1", 2.5], "a,b:c", object()])
def test_broken_reference_sends_nothing(single: ScnetEmulator, broken: Any) -> None:
    with pytest.raises(ScnetJobReferenceError):
        ScnetHook().delete_jobs([single.add_job().ref, broken])
    assert not single.requests


def test_bad_option_sends_nothing(single: ScnetEmulator) -> None:
    with pytest.raises(ValueError, match="timeout=-1"):
        ScnetHook().delete_jobs(single.add_job().ref, timeout=-1)
    assert not single.requests


def test_defaults_of_the_connection(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> None:
    hook = connect(monkeypatch, scnet, scheduler_id=int(SECOND_SCHEDULER), user="acexample01")
    job = scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    assert hook.delete_jobs(job.job_id).deleted == [JobRef(SECOND_SCHEDULER, "acexample01", job.job_id)]
    assert scnet.calls["clusters"] == 1  # to look


def test_arguments_outrank_the_connection(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> None:
    hook = connect(monkeypatch, scnet, scheduler_id=SCHEDULER, user="a")
    assert hook.parse_jobs(7, scheduler_id=SECOND_SCHEDULER, user="b") == [JobRef(SECOND_SCHEDULER, "b", "7")]


@pytest.mark.parametrize("nothing", [None, "", " ", "None", "null"])
def test_what_is_not_given_comes_from_the_connection(
    monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator, nothing: Any
) -> None:
    hook = connect(monkeypatch, scnet, scheduler_id=SCHEDULER, user="a")
    assert hook.parse_jobs(7, scheduler_id=nothing, user=nothing) == [JobRef(SCHEDULER, "a", "7")]


def test_defaults_of_a_deletion_can_be_given(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> None:
    hook = connect(monkeypatch, scnet, scheduler_id=SCHEDULER, user="a")
    job = scnet.add_job(scheduler_id=SECOND_SCHEDULER)
    report = hook.delete_jobs(job.job_id, scheduler_id=SECOND_SCHEDULER, user=job.user)
    assert [str(ref) for ref in report.deleted] == [job.ref]


def test_unknown_option_is_named(single: ScnetEmulator) -> None:
    with pytest.raises(TypeError, match="timeot"):
        ScnetHook().delete_jobs(single.add_job().ref, timeot=3)
    assert not single.requests


def test_several_schedulers_have_to_be_chosen_from(monkeypatch: pytest.MonkeyPatch, scnet: ScnetEmulator) -> None:
    with pytest.raises(ScnetRequestError, match=rf"2 schedulers .*{SCHEDULER} \(Cluster\), {SECOND_SCHEDULER}"):
        connect(monkeypatch, scnet).parse_jobs("7")


def test_platform_token_is_recognised(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator) -> None:
    token = single.mint_token(platform=True, computeUser="root")
    with pytest.raises(ScnetCredentialError, match="looks like the platform's token") as caught:
        connect(monkeypatch, single, password=token).parse_jobs("7")
    assert token not in str(caught.value)
    assert not single.requests


def test_platform_token_that_looks_like_a_regions_is_refused_by_the_gateway(
    monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator
) -> None:
    """Some carry an ordinary cluster user and a region's number: only the list of tokens tells them apart."""
    token = single.mint_token(platform=True, computeUser="acexample01")
    with pytest.raises(ScnetCredentialError, match=r"^\[10008\]"):
        connect(monkeypatch, single, password=token).delete_jobs("7")


def test_token_without_claims_needs_a_user(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator) -> None:
    with pytest.raises(ScnetCredentialError, match="the token is not accepted"):
        connect(monkeypatch, single, password="opaque-token", scheduler_id="1").parse_jobs("7")


def test_get_job_states(single: ScnetEmulator) -> None:
    running, old = single.add_job(), single.add_job("COMPLETED", ended_ago=3600)
    states = ScnetHook().get_job_states([running.ref, old.ref])
    assert [state.phase for state in states.values()] == [Phase.ACTIVE, Phase.ENDED]


def test_failure_reaches_the_caller(single: ScnetEmulator) -> None:
    job = single.add_job()
    job.ignores_delete = True
    with pytest.raises(ScnetJobsNotDeletedError, match=job.ref):
        ScnetHook().delete_jobs(job.ref, timeout=0.05, **FAST)


def test_deletion_that_cannot_begin_names_its_jobs(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", single.aksk_connection())
    single.fail("center", code="10009", times=None)
    job = single.add_job()
    with pytest.raises(ScnetPermissionError, match=rf"1 of 1 job is not known to have ended.*\n  {job.ref}") as caught:
        ScnetHook().delete_jobs(job.ref)
    assert [str(left.ref) for left in caught.value.report.left] == [job.ref]


# --- the Connection, as a newcomer gets it wrong ----------------------------------------------------------------------


def test_missing_connection_says_how_to_make_it() -> None:
    with pytest.raises(AirflowNotFoundException, match=r"scnet_conn_id='nope'.*airflow connections import"):
        ScnetHook("nope").delete_jobs("1,u:1:")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"password": None}, "password: empty"),
        ({"password": "  "}, "password: empty"),
        ({"password": "hunter2 with blanks"}, "password: not a token"),
        ({"password": "hunter2\nX: y"}, "password: not a token"),
        ({"password": "密码hunter2"}, "password: not a token"),
        ({"host": "ftp://hpc.example"}, "host='ftp://hpc.example'"),
        ({"host": "http://hpc.example:65051"}, "plain http would send the token unencrypted"),
        ({"host": "https://bob:hunter2@hpc.example"}, "credentials go elsewhere"),
        ({"host": "https://hpc.example:port"}, "not an address"),
        ({"host": "hpc example"}, "not an address"),
        ({"timeout": "soon"}, "extra `timeout`='soon'"),
        ({"timeout": -3}, "extra `timeout`='-3'"),
        ({"verify": "/no/such/file.pem"}, "extra `verify`='/no/such/file.pem': no such file"),
        ({"allow_http": "maybe"}, "extra `allow_http`='maybe'"),
        ({"scheduler_id": "Cluster"}, "scheduler_id='Cluster'"),
        ({"user": "a b"}, "user='a b'"),
    ],
)
def test_wrong_field_is_named(
    monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScnetError) as caught:
        connect(monkeypatch, single, **fields).delete_jobs("7")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "delete" not in single.calls


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "https://hpc.example:65051/hpc/"}, "https://hpc.example:65051/hpc"),
        ({"host": "hpc.example", "port": 65051}, "https://hpc.example:65051/hpc"),
        ({"host": "hpc.example:65052", "port": 65051}, "https://hpc.example:65052/hpc"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8765}, "http://127.0.0.1:8765/hpc"),
        ({"host": "http://hpc.example", "allow_http": "true"}, "http://hpc.example/hpc"),
    ],
)
def test_ways_to_write_the_address(
    monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator, fields: dict[str, Any], address: str
) -> None:
    assert connect(monkeypatch, single, **fields).client.base_url == address


@pytest.mark.parametrize(
    ("value", "verify"), [("true", True), (False, False), ("False", False), ("", True), (CA_FILE, CA_FILE)]
)
def test_verify(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator, value: Any, verify: Any) -> None:
    assert connect(monkeypatch, single, verify=value).client._transport._verify == verify


def test_uri_form_of_the_connection(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator) -> None:
    host = single.url.replace(":", "%3A").replace("/", "%2F")
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", f"scnet://:{single.token}@{host}/?timeout=7&verify=false")
    hook = ScnetHook()
    assert hook.test_connection()[0]
    assert hook.client._transport._timeout == (7, 7)


# --- the Test button --------------------------------------------------------------------------------------------------


def test_connection_tells_what_it_found(single: ScnetEmulator) -> None:
    good, message = ScnetHook().test_connection()
    assert good
    assert f"{SCHEDULER} (Cluster)" in message
    assert single.token not in message


def dead_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("fields", "fault", "message"),
    [
        ({"password": "expired-or-foreign"}, {}, "[10008]"),
        ({}, {"body": "<html>Welcome</html>", "content_type": "text/html", "times": None}, "a web page"),
        ({"host": "dead"}, {}, "nothing answers at this address"),
        ({}, {"redirect": "https://login.example/sso"}, "a redirect to 'login.example', not followed"),
        ({"password": None}, {}, "password: empty"),
    ],
    ids=["bad token", "web page", "dead host", "redirect", "no token"],
)
def test_connection_tells_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator, fields: dict[str, Any], fault: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr("airflow_provider_scnet.api.transport.ATTEMPTS", 1)
    if fault:
        single.fail("clusters", **fault)
    if fields.get("host") == "dead":
        fields = {"host": dead_address()}
    good, text = connect(monkeypatch, single, **fields).test_connection()
    assert not good
    assert message in text
    assert "expired-or-foreign" not in text


def test_connection_with_an_unknown_id() -> None:
    good, message = ScnetHook("nope").test_connection()
    assert (good, "no such Connection" in message) == (False, True)


def test_token_of_another_region(monkeypatch: pytest.MonkeyPatch, single: ScnetEmulator) -> None:
    token = single.mint_token(clusterId="99999")
    with pytest.raises(ScnetCredentialError, match="of another region"):
        connect(monkeypatch, single, password=token).delete_jobs(single.add_job().ref)


def test_read_log(scnet_default: ScnetEmulator) -> None:
    job = scnet_default.add_job()
    job.logs = {"stdout": "one\ntwo\n"}
    assert ScnetHook().read_log(job.ref, lines=1) == "two"
    assert ScnetHook().read_log(job.ref, stream="stderr") == ""
    with pytest.raises(ValueError, match="name one job"):
        ScnetHook().read_log([])


def test_submit_job(scnet_default: ScnetEmulator) -> None:
    wanted = {"command": "true", "job_queue": "debug", "work_dir": "/a", "walltime": "01:00:00"}
    hook = ScnetHook()
    hook.scheduler_id = "1638523853"
    assert hook.submit_job(wanted, name="flow") == scnet_default.jobs[0].ref
    assert hook.submit_job(JobSpecification(**wanted)) == scnet_default.jobs[1].ref
    assert [job.name for job in scnet_default.jobs] == ["flow", "airflow"]
