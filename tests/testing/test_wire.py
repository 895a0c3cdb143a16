from __future__ import annotations

import json
from email.message import Message

import pytest

from airflow_provider_scnet.testing.wire import ApiError, beijing, envelope, from_beijing, parameters, recorded


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("0", {"msg": "success", "code": "0", "data": None}),
        ("10008", {"msg": "auth_fail", "code": "10008", "data": "token is invalid"}),
        ("31337", {"msg": "error_31337", "code": "31337", "data": None}),
    ],
)
def test_envelope_says_what_was_seen(code: str, said: dict[str, object]) -> None:
    assert json.loads(envelope(code).body) == said


def test_parameter_given_twice_reads_as_in_a_servlet() -> None:
    assert parameters("jobMethod=5&jobMethod=5&x=&y=%3B") == {"jobMethod": "5,5", "x": "", "y": ";"}


def test_form_is_read_only_from_a_form() -> None:
    headers = Message()
    assert recorded("delete", "DELETE", "/hpc/jobs?a=1", headers, b"b=2").form == {}
    headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    request = recorded("delete", "DELETE", "/hpc/jobs?a=1", headers, b"b=2")
    assert (request.path, request.query, request.form) == ("/hpc/jobs", {"a": "1"}, {"b": "2"})


def test_beijing_time() -> None:
    assert beijing(1704139445.9) == "2024-01-02T04:04:05"
    assert from_beijing(beijing(1704139445.0, " ")) == 1704139445.0
    assert beijing(None) == ""
    with pytest.raises(ApiError):
        from_beijing("yesterday")
