from __future__ import annotations

import pickle
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_scnet.exceptions import (
    ERROR_CODES,
    ScnetAccountError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetError,
    ScnetJobReferenceError,
    ScnetJobsNotDeletedError,
    ScnetPermanentError,
    ScnetPermissionError,
    ScnetRequestError,
    ScnetSubmitRejectedError,
    ScnetTransientError,
    error_from_code,
)

CALL = "DELETE /hpc/openapi/v2/jobs"
#: Codes and labels as SCNet documents them. It has no label for 404, 405.
TABLE = {
    "10001": ("内部错误", ScnetTransientError),
    "10003": ("参数不全", ScnetRequestError),
    "10004": ("参数无效", ScnetRequestError),
    "10007": ("用户已被冻结", ScnetAccountError),
    "10008": ("权限不足", ScnetCredentialError),
    "10009": ("没有权限访问接口", ScnetPermissionError),
    "10010": ("文件校验失败", ScnetRequestError),
    "10011": ("文件过大", ScnetRequestError),
    "10012": ("连接中断", ScnetTransientError),
    "10013": ("操作超时", ScnetTransientError),
    "10014": ("配额设置失败", ScnetRequestError),
    "815005": ("作业提交失败(调度系统没返回)", ScnetTransientError),
    "815007": ("作业提交失败(调度系统sbatch失败)", ScnetSubmitRejectedError),
    "404": ("", ScnetAddressError),
    "405": ("", ScnetAddressError),
}
PERMANENT = [
    ScnetPermanentError,
    ScnetRequestError,
    ScnetAddressError,
    ScnetCredentialError,
    ScnetPermissionError,
    ScnetAccountError,
    ScnetSubmitRejectedError,
    ScnetJobReferenceError,
]


def from_code(code: str, msg: str | None = None, data: Any = None, **more: Any) -> ScnetError:
    return error_from_code(code, msg=msg, data=data, call=CALL, connection="scnet_default", **more)


@pytest.mark.parametrize("code", TABLE)
def test_code(code: str) -> None:
    label, error_class = TABLE[code]
    error, row = from_code(code), ERROR_CODES[code]
    assert type(error) is error_class
    assert row.code == code
    assert row.label == label or not label
    assert row.meaning.isascii()
    assert row.meaning
    assert row.remedy.endswith(".")
    advice = row.remedy.replace("{address}", "`host`")
    assert str(error) == f"[{code}] {row.label} · {row.meaning} ({CALL}, connection scnet_default). {advice}"


def test_there_are_no_other_codes() -> None:
    assert ERROR_CODES.keys() == TABLE.keys()


def test_message_of_the_design() -> None:
    assert str(from_code("10007")) == (
        "[10007] 用户已被冻结 · user frozen (DELETE /hpc/openapi/v2/jobs, connection scnet_default). "
        "Recharge or unfreeze the account on the platform; a new token does not help."
    )


@pytest.mark.parametrize("code", ["1", "", "99999", "911404", "nonsense"])
def test_unknown_code_is_a_plain_error(code: str) -> None:
    error = from_code(code, "what")
    assert type(error) is ScnetError
    assert error.code == code
    assert str(error).startswith(f"[{code}] 未知错误码")


@pytest.mark.parametrize(
    ("msg", "data", "said"),
    [
        ("auth_fail", "token is invalid", " SCNet said: auth_fail; token is invalid. "),
        ("auth_fail", None, " SCNet said: auth_fail. "),
        (None, "token is invalid", " SCNet said: token is invalid. "),
        (" ", "\n", ""),
        (None, {"a": 1}, ""),
        (None, [1], ""),
    ],
)
def test_message_quotes_what_scnet_said(msg: str | None, data: Any, said: str) -> None:
    text = str(from_code("10008", msg, data))
    assert (said in text) if said else ("SCNet said" not in text)


def test_details() -> None:
    error = from_code("10012", "m", ["d"], retry_after=7.0)
    assert isinstance(error, ScnetTransientError)
    assert (error.code, error.msg, error.data, error.call) == ("10012", "m", ["d"], CALL)
    assert error.retry_after == 7.0
    assert error.report is None


def test_retry_after_is_ignored_where_a_retry_is_not_meant() -> None:
    assert type(from_code("10003", retry_after=7.0)) is ScnetRequestError


@pytest.mark.parametrize("error_class", PERMANENT)
def test_permanent_errors_fail_the_task_now(error_class: type[ScnetError]) -> None:
    assert issubclass(error_class, ScnetPermanentError)
    assert issubclass(error_class, AirflowFailException)


@pytest.mark.parametrize("error_class", [ScnetError, ScnetTransientError, ScnetJobsNotDeletedError])
def test_other_errors_leave_the_task_its_retries(error_class: type[ScnetError]) -> None:
    assert issubclass(error_class, AirflowException)
    assert not issubclass(error_class, AirflowFailException)


def test_job_reference_error_is_a_value_error() -> None:
    assert issubclass(ScnetJobReferenceError, ValueError)


@pytest.mark.parametrize("error_class", [ScnetError, ScnetTransientError, ScnetJobsNotDeletedError, *PERMANENT])
def test_pickle(error_class: type[ScnetError]) -> None:
    error = error_class("text", code="1", msg="m", data={"a": [1]}, call=CALL)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is error_class
    assert (copy.args, vars(copy)) == (error.args, vars(error))


def test_message_is_one_bounded_line() -> None:
    text = str(from_code("1\n" * 10**5, "m\r\n" * 10**5, "d\x1b" * 10**5))
    assert text.isprintable()
    assert len(text) < 1000


def test_message_can_be_written_to_a_log_file() -> None:
    """JSON may hold half a surrogate pair, which UTF-8 cannot express."""
    text = str(from_code("10001", "queue \ud83d full"))
    assert text.encode("utf-8")
