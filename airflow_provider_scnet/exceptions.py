"""SCNet's error codes, and one exception class for each way Airflow should react to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_scnet import sbatch
from airflow_provider_scnet.wording import quote, sentences


class ScnetError(AirflowException):
    """
    Something went wrong with SCNet; the task's own retries apply.

    Raised as itself for a code nobody has documented: failing at once is only for what a retry surely
    cannot help.

    :param message: what happened, to which job or connection.
    :param remedy: what the reader should do; it follows the message in ``str()``.
    :param code: SCNet's code (or the HTTP status when there was no envelope), as text.
    :param msg: SCNet's ``msg``.
    :param data: SCNet's ``data``, of whatever type.
    :param call: verb and path, e.g. ``DELETE /hpc/openapi/v2/jobs``.
    :param answered: whether SCNet itself said so, in an envelope; else it was the network, a gateway or this package.
    :param without_effect: whether what was asked for surely was not done: it was refused, or not even sent. A
        submission that failed in any other way may have worked.
    """

    report: Any = None
    """What a deletion had already done when this error ended it: its ``DeletionReport``."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str | None = None,
        msg: str | None = None,
        data: Any = None,
        call: str | None = None,
        answered: bool = False,
        without_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.account = ""
        self.code = code
        self.msg = msg
        self.data = data
        self.call = call
        self.answered = answered
        self.without_effect = without_effect

    def __str__(self) -> str:
        return sentences(self.message, self.remedy, self.account)

    def advise(self, remedy: str) -> Self:
        """
        Say what to do instead of what the code's own row says.

        :return: the error itself.
        """
        self.remedy = remedy
        return self

    def with_report(self, report: Any, account: str) -> Self:
        """
        Add what a deletion had done when this error ended it.

        :param account: the same for the reader: which jobs are left.
        :return: the error itself.
        """
        self.report, self.account = report, account
        return self


class ScnetStoppedError(AirflowException):
    """
    The task was told to stop. It is no :class:`ScnetError` on purpose: nothing that handles SCNet's errors holds it
    back.
    """


class ScnetTransientError(ScnetError):
    """
    The service or the way to it failed; the same call may succeed later.

    :param retry_after: seconds the service asked us to wait (``Retry-After``), if it did.
    :param too_many: whether it took nothing of the request, for there were too many (HTTP 429).
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, too_many: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after
        self.too_many = too_many


class ScnetJobsNotDeletedError(ScnetError):
    """The deadline passed and some jobs were not seen to end; ``report.left`` names them."""


class ScnetPermanentError(ScnetError, AirflowFailException):
    """A retry cannot help: the task fails now, whatever its ``retries``."""


class ScnetRequestError(ScnetPermanentError):
    """What was asked is wrong: a parameter, an address, a field of the Connection."""


class ScnetUnknownTagError(ScnetPermanentError, ScnetJobsNotDeletedError):
    """No job has had a tag of ``job_tags``, says a history that was read in full: it is misspelt, or of elsewhere."""


class ScnetAddressError(ScnetRequestError):
    """What answered is not SCNet's service: unknown path, wrong verb or a redirect."""


class ScnetCredentialError(ScnetPermanentError):
    """The token is missing, wrong or expired."""


class ScnetPermissionError(ScnetPermanentError):
    """The credential is valid but lacks the right to this call."""


class ScnetAccountError(ScnetPermanentError):
    """The account is frozen or stopped: a matter for the platform's billing or support."""


class ScnetSubmitRejectedError(ScnetPermanentError):
    """The scheduler rejected the submission (queue, QOS, memory, wall time, ...)."""


class ScnetQueueFullError(ScnetTransientError):
    """The scheduler takes no more jobs of this user or account for now: it passes when others have ended."""


class ScnetJobFailedError(ScnetError):
    """
    A job ended badly.

    :param ref: the job; of several, the first one.
    :param state: how SCNet calls its state.
    :param reason: the scheduler's reason, if it gave one.
    :param exit_code: ``rc:signal``, if SCNet told it.
    """

    def __init__(
        self, message: str, *, ref: str = "", state: str = "", reason: str = "", exit_code: str = "", **kwargs: Any
    ) -> None:
        super().__init__(message, **kwargs)
        self.ref, self.state, self.reason, self.exit_code = ref, state, reason, exit_code


class ScnetJobTimeLimitError(ScnetJobFailedError):
    """A job reached its wall time."""


class ScnetJobOutOfMemoryError(ScnetJobFailedError):
    """A job needed more memory than it had."""


class ScnetJobNodeFailureError(ScnetJobFailedError):
    """A node of a job failed."""


class ScnetJobCancelledError(ScnetJobFailedError):
    """A job was cancelled."""


class ScnetJobPreemptedError(ScnetJobFailedError):
    """A job had to make room for others."""


class ScnetWaitTimeoutError(ScnetError):
    """A job was waited for as long as ``timeout`` allows; the message says whether it was deleted."""


class ScnetJobReferenceError(ScnetPermanentError, ValueError):
    """What was given as ``jobs`` is not a job reference; nothing was sent."""


class ScnetJobSpecificationError(ScnetPermanentError, ValueError):
    """What was asked for as a job cannot be one; nothing was sent."""


@dataclass(frozen=True)
class ErrorCode:
    """
    One row of the service's error table.

    :param code: as on the wire.
    :param label: the official Chinese label.
    :param meaning: the same in English.
    :param remedy: what the reader of the error should do; ``{address}`` stands for the field of the Connection that
        holds the address.
    :param error_class: the exception that stands for it.
    """

    code: str
    label: str
    meaning: str
    remedy: str
    error_class: type[ScnetError]


LOOK_FIRST = (
    "Usually passes. The effect of a submission is unknown: look for the job before submitting it again. Deleting "
    "looks by itself."
)
_NOT_A_JOB_CODE = "Meant for file calls, odd for jobs: check that {address} is the HPC gateway."
_BASE_URL = "Check {address} of the Connection: it must be an address of SCNet's; a gateway's may end in `/hpc`."

ERROR_CODES: dict[str, ErrorCode] = {
    row.code: row
    for row in (
        ErrorCode(
            "10001",
            "内部错误",
            "internal error",
            "Usually passes. If it stays, check that the token is a region's, not the platform's.",
            ScnetTransientError,
        ),
        ErrorCode(
            "10003",
            "参数不全",
            "parameter missing",
            "The request did not arrive complete. If it is a DELETE, check that no proxy drops its body.",
            ScnetRequestError,
        ),
        ErrorCode(
            "10004",
            "参数无效",
            "invalid parameter",
            "Check scheduler id, cluster user and job id.",
            ScnetRequestError,
        ),
        ErrorCode(
            "10007",
            "用户已被冻结",
            "user frozen",
            "Recharge or unfreeze the account on the platform; a new token does not help.",
            ScnetAccountError,
        ),
        ErrorCode(
            "10008",
            "权限不足",
            "token invalid, expired or of another region",
            "Store a current token of this gateway's region in the Connection's password.",
            ScnetCredentialError,
        ),
        ErrorCode(
            "10009",
            "没有权限访问接口",
            "no permission for this call",
            "Ask the owner of the account to grant the right to manage jobs.",
            ScnetPermissionError,
        ),
        ErrorCode("10010", "文件校验失败", "file check failed", _NOT_A_JOB_CODE, ScnetRequestError),
        ErrorCode("10011", "文件过大", "file too large", _NOT_A_JOB_CODE, ScnetRequestError),
        ErrorCode("10012", "连接中断", "connection interrupted", LOOK_FIRST, ScnetTransientError),
        ErrorCode("10013", "操作超时", "operation timed out", LOOK_FIRST, ScnetTransientError),
        ErrorCode("10014", "配额设置失败", "quota setting failed", _NOT_A_JOB_CODE, ScnetRequestError),
        ErrorCode(
            "815005",
            "作业提交失败(调度系统没返回)",
            "the scheduler did not answer",
            LOOK_FIRST,
            ScnetTransientError,
        ),
        ErrorCode(
            "815007",
            "作业提交失败(调度系统sbatch失败)",
            "the scheduler rejected the job (sbatch)",
            "Correct queue, QOS, memory, cores or wall time as SCNet's text says.",
            ScnetSubmitRejectedError,
        ),
        ErrorCode("404", "路径不存在", "unknown path", _BASE_URL, ScnetAddressError),
        ErrorCode("405", "请求方法不允许", "verb not allowed", _BASE_URL, ScnetAddressError),
    )
}
"""Every code that a job call is documented or known to answer (API page control-job; field reports for 404, 405)."""


_OF_SBATCH = ERROR_CODES["815007"]
_NOT_ANSWERED = replace(
    _OF_SBATCH,
    meaning="sbatch had no answer from the scheduler",
    remedy=LOOK_FIRST,
    error_class=ScnetTransientError,
)
_QUEUE_FULL = replace(
    _OF_SBATCH,
    meaning="too many jobs are submitted already",
    remedy="Passes when other jobs have ended: give the task more retries and a longer retry_delay, or a pool of so "
    "many slots.",
    error_class=ScnetQueueFullError,
)
_QUEUE_FULL_OR_TOO_LARGE = replace(
    _QUEUE_FULL,
    meaning="too many jobs are submitted already, or this one is too large or too long",
    remedy=f"{_QUEUE_FULL.remedy} If no other job is left, ask for less: the text stands for limits of size and time, "
    "too.",
)


def error_from_code(
    code: str,
    *,
    msg: str | None,
    data: Any,
    call: str,
    connection: str,
    field: str = "`host`",
    overloaded: bool = False,
    retry_after: float | None = None,
) -> ScnetError:
    """
    Build the exception for an envelope whose ``code`` is not ``"0"``.

    :param code: the envelope's code as text.
    :param call: verb and path.
    :param connection: the Airflow connection id, for the message.
    :param field: the field of the Connection that holds the address, for the message.
    :param overloaded: the HTTP status says that the service is in trouble (429, 5xx): what is unknown may pass.
    :param retry_after: seconds from a ``Retry-After`` header, if there was one.
    """
    row = ERROR_CODES.get(code)
    if row is None:
        row = ErrorCode(
            code,
            "未知错误码",
            "undocumented code",
            "If a retry does not help, ask SCNet's support.",
            ScnetTransientError if overloaded else ScnetError,
        )
    texts = [part for part in (msg, data) if isinstance(part, str)]
    if row is _OF_SBATCH:
        row = _of_sbatch("\n".join(texts))
    said = "; ".join(quote(part) for part in texts if part.strip())
    message = sentences(
        f"[{quote(code, 20)}] {row.label} · {row.meaning} ({call}, connection {connection}).",
        f"SCNet said: {said}." if said else "",
    )
    is_refusal = issubclass(row.error_class, ScnetPermanentError | ScnetQueueFullError)
    details: dict[str, Any] = {"code": code, "msg": msg, "data": data, "call": call, "answered": True}
    details["without_effect"] = is_refusal
    if issubclass(row.error_class, ScnetTransientError):
        details["retry_after"] = retry_after
    return row.error_class(message, remedy=row.remedy.format(address=field), **details)


def _of_sbatch(text: str) -> ErrorCode:
    verdict = sbatch.verdict(text)
    if verdict is sbatch.Verdict.UNKNOWN:
        return _NOT_ANSWERED
    if verdict is sbatch.Verdict.QUEUE_FULL:
        return _QUEUE_FULL_OR_TOO_LARGE if sbatch.is_ambiguous(text) else _QUEUE_FULL
    return _OF_SBATCH


def final(kind: type[ScnetJobFailedError]) -> type[ScnetJobFailedError]:
    """
    Return the class of the same name whose errors Airflow does not retry: a job that has failed stays failed.

    :param kind: what the class is a kind of, too.
    """
    return _FINAL[kind]


def _as_final(kind: type[ScnetJobFailedError]) -> type[ScnetJobFailedError]:
    return type(kind.__name__, (kind, AirflowFailException), {"__doc__": kind.__doc__, "__module__": __name__})


_KINDS: list[type[ScnetJobFailedError]] = [ScnetJobFailedError, *ScnetJobFailedError.__subclasses__()]
_FINAL = {kind: _as_final(kind) for kind in _KINDS}
