from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import certifi
import pytest
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_scnet.api.platform import API_URL, PLATFORM_URL, AccessKeys
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.connection.settings import ConnectionFields, Settings, read_settings
from airflow_provider_scnet.exceptions import (
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetRequestError,
)
from airflow_provider_scnet.wording import Secret

KEYS = {"access_key": "hunter2-access", "secret_key": "hunter2-secret"}
STANDARD = ("host", "port", "schema", "login", "password")
TOKEN = "hunter2-token"


def settings(**fields: Any) -> Settings:
    """Read a Connection; what is no standard field goes into `extra`."""
    extra = fields.pop("extra", None)
    standard = {name: fields.pop(name) for name in STANDARD if name in fields}
    text = extra if isinstance(extra, str) else json.dumps(fields)
    return read_settings(ConnectionFields("hpc", Connection(conn_id="hpc", conn_type="scnet", **standard, extra=text)))


def with_token(**fields: Any) -> Settings:
    return settings(**{"password": TOKEN, "host": "https://hpc.example:65051", **fields})


def with_keys(**fields: Any) -> Settings:
    return settings(**{"login": "alice", **KEYS, **fields})


# --- what is right ---------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    assert with_token() == Settings(
        conn_id="hpc",
        gateway="https://hpc.example:65051/hpc",
        token=Token.read(TOKEN),
        keys=None,
        region="",
        scheduler_id="",
        user="",
        api_url="https://api.scnet.cn",
        platform_url="https://www.scnet.cn",
        timeout=30.0,
        verify=True,
        allow_http=False,
    )
    assert (API_URL, PLATFORM_URL) == ("https://api.scnet.cn", "https://www.scnet.cn")


def test_keys_need_nothing_else() -> None:
    given = with_keys()
    assert given.keys == AccessKeys("alice", Secret(KEYS["access_key"]), Secret(KEYS["secret_key"]))
    assert (given.gateway, given.token.text) == ("", "")


def test_token_and_keys() -> None:
    given = with_keys(password=TOKEN)
    assert given.token.text == TOKEN
    assert given.keys


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize(
    "name", ["region", "scheduler_id", "user", "api_url", "platform_url", "timeout", "verify", "allow_http", *KEYS]
)
def test_untouched_field_of_the_form(name: str, empty: Any) -> None:
    assert with_token(**{name: empty}) == with_token()


def test_text_around_blanks() -> None:
    given = settings(login=" alice ", password=f" {TOKEN}\n", **{name: f" {key}\n" for name, key in KEYS.items()})
    assert given.keys == with_keys().keys
    assert given.token.text == TOKEN


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"region": 11112}, "region", "11112"),
        ({"scheduler_id": 1638523853}, "scheduler_id", "1638523853"),
        ({"user": "acexample01"}, "user", "acexample01"),
        ({"api_url": "https://api.example/"}, "api_url", "https://api.example"),
        ({"platform_url": "https://www.example"}, "platform_url", "https://www.example"),
        ({"api_url": "http://127.0.0.1:8765"}, "api_url", "http://127.0.0.1:8765"),
        ({"platform_url": "http://www.example", "allow_http": True}, "platform_url", "http://www.example"),
        ({"timeout": 7}, "timeout", 7.0),
        ({"timeout": "0.5"}, "timeout", 0.5),
        ({"verify": False}, "verify", False),
        ({"verify": "FALSE"}, "verify", False),
        ({"verify": certifi.where()}, "verify", certifi.where()),
        ({"allow_http": "True"}, "allow_http", True),
        ({"allow_http": "false"}, "allow_http", False),
        ({"host": None, "login": "alice", **KEYS}, "gateway", ""),
        ({"host": "hpc.example"}, "gateway", "https://hpc.example/hpc"),
        ({"host": "hpc.example/hpc/"}, "gateway", "https://hpc.example/hpc"),
        ({"host": "https://hpc.example:1/hpc/openapi/v2"}, "gateway", "https://hpc.example:1/hpc"),
        ({"host": "hpc.example", "port": 65051}, "gateway", "https://hpc.example:65051/hpc"),
        ({"host": "https://hpc.example/hpc", "port": 65051}, "gateway", "https://hpc.example:65051/hpc"),
        ({"host": "hpc.example:1", "port": 2}, "gateway", "https://hpc.example:1/hpc"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8765}, "gateway", "http://127.0.0.1:8765/hpc"),
        ({"host": "https://[::1]", "port": 8765}, "gateway", "https://[::1]:8765/hpc"),
    ],
)
def test_fields(fields: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(with_token(**fields), name) == value


@pytest.mark.parametrize("extra", ["", "[1]", '"text"', "null", "{}"])
def test_extra_that_says_nothing(extra: str) -> None:
    assert settings(password=TOKEN, host="https://hpc.example:65051", extra=extra) == with_token()


def test_no_secret_in_the_text() -> None:
    assert "hunter2" not in repr(with_keys(password=TOKEN))


# --- what is wrong ---------------------------------------------------------------------------------------------------

NOT_URLS = ["nonsense host", "ftp://h.example", "https://", "https://h.example:port", "https://h.example?a=b", "://h"]
WRONG: list[tuple[dict[str, Any], str, type[ScnetError]]] = [
    *[({"host": url}, "host=", ScnetRequestError) for url in NOT_URLS[:-1]],
    *[({"api_url": url}, "extra `api_url`=", ScnetRequestError) for url in [*NOT_URLS, "api.scnet.cn"]],
    *[({"platform_url": url}, "extra `platform_url`=", ScnetRequestError) for url in [*NOT_URLS, "www.scnet.cn"]],
    ({"host": "http://h.example"}, "host=", ScnetRequestError),
    ({"api_url": "http://h.example"}, "extra `api_url`=", ScnetRequestError),
    ({"platform_url": "http://h.example"}, "extra `platform_url`=", ScnetRequestError),
    ({"host": "https://bob:hunter2@h.example"}, "host=", ScnetRequestError),
    ({"api_url": "https://hunter2@h.example"}, "extra `api_url`=", ScnetRequestError),
    ({"host": "h.example", "schema": "ftp"}, "schema", ScnetRequestError),
    ({"host": "h.example", "port": 99999}, "port", ScnetRequestError),
    ({"host": "h.example", "port": -1}, "port", ScnetRequestError),
    *[
        ({"timeout": value}, "extra `timeout`=", ScnetRequestError)
        for value in (0, -1, "soon", "nan", "inf", "1e999", True, [3], {"a": 1}, "30s", 1e10)
    ],
    *[({"verify": v}, "extra `verify`=", ScnetRequestError) for v in ("/no/such.pem", "yes", 1, 0, "~/ca.pem")],
    *[({"allow_http": value}, "extra `allow_http`=", ScnetRequestError) for value in ("maybe", 1, "yes")],
    *[({"scheduler_id": v}, "extra `scheduler_id`", ScnetRequestError) for v in ("Cluster", "1,2", 1.5, "-1")],
    *[({"user": value}, "extra `user`", ScnetRequestError) for value in ("a b", "a:b", "a,b", "a;b", "None")],
    *[
        ({"password": t}, "password:", ScnetCredentialError)
        for t in ("hunter2 x", "hunter2\nX: y", "密hunter2", "a\x7fhunter2")
    ],
    ({"password": None}, "password:", ScnetCredentialError),
    ({"password": "  "}, "password:", ScnetCredentialError),
]


@pytest.mark.parametrize(("fields", "named", "error_class"), WRONG)
def test_wrong_field_is_named(fields: dict[str, Any], named: str, error_class: type[ScnetError]) -> None:
    with pytest.raises(ScnetPermanentError) as caught:
        with_token(**fields)
    message = str(caught.value)
    assert type(caught.value) is error_class
    assert message.startswith("Connection 'hpc', ")
    assert named in message.removesuffix("(host name, port).")
    assert "hunter2" not in message
    assert len(message.splitlines()) == 1


WRONG_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"secret_key": None}, "extra `secret_key`: empty"),
    ({"access_key": ""}, "extra `access_key`: empty"),
    ({"login": None}, "login: empty"),
    ({"login": "  "}, "login: empty"),
    ({"access_key": "hunter2 x"}, "extra `access_key`: not a key"),
    ({"secret_key": "hunter2\nx"}, "extra `secret_key`: not a key"),
    ({"secret_key": "“hunter2”"}, "extra `secret_key`: not a key"),
    ({"login": "al\nice"}, "login"),
    ({"login": "al\x00ice"}, "login"),
]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        *WRONG_KEYS,
        *[({"password": TOKEN, **fields}, named) for fields, named in WRONG_KEYS],
        ({"password": "hunter2 x"}, "password: not a token"),
        ({"access_key": None, "secret_key": None}, "password: empty"),
        ({"login": None, "access_key": None, "secret_key": None}, "password: empty"),
    ],
)
def test_wrong_field_among_keys_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ScnetCredentialError) as caught:
        with_keys(**fields)
    message = str(caught.value)
    assert named in message
    assert message.startswith("Connection 'hpc', ")
    assert "hunter2" not in message


def test_nothing_at_all() -> None:
    with pytest.raises(ScnetCredentialError) as caught:
        settings()
    for part in ("'hpc'", "password", "`login`", "`access_key`", "`secret_key`"):
        assert part in str(caught.value)


def test_ca_file(tmp_path: Path) -> None:
    path = tmp_path / "ca 文件.pem"
    with pytest.raises(ScnetRequestError, match="no such file"):
        with_token(verify=str(path))
    path.write_bytes(Path(certifi.where()).read_bytes())
    assert with_token(verify=str(path)).verify == str(path)
