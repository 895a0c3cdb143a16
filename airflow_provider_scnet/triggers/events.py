"""What a trigger tells the task that has deferred to it, in JSON types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_scnet import exceptions
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.wording import shown

if TYPE_CHECKING:
    from airflow_provider_scnet.jobs.outcome import Outcome


class Status(Enum):
    """What an event may say. Whatever else it says is no success."""

    ENDED = "ended"
    DELETED = "deleted"
    TIMEOUT = "timeout"
    ERROR = "error"


def ended(jobs: Iterable[str], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """
    Return the event of jobs that have ended, well or badly.

    :param jobs: that were waited for.
    :param outcomes: how they ended, as far as that is known.
    """
    return {"status": Status.ENDED.value, "jobs": list(jobs), "outcomes": [outcome.as_json() for outcome in outcomes]}


def deleted(report: Mapping[str, list[str]]) -> dict[str, Any]:
    """
    Return the event of jobs that are gone.

    :param report: what became of them, for XCom.
    """
    return {"status": Status.DELETED.value, "report": dict(report)}


def timeout(jobs: Iterable[str]) -> dict[str, Any]:
    """
    Return the event of a deadline that has passed.

    :param jobs: that were waited for.
    """
    return {"status": Status.TIMEOUT.value, "jobs": list(jobs)}


def failed(error: Exception) -> dict[str, Any]:
    """
    Return the event of an error.

    :param error: a :class:`ScnetError`, or what else went wrong.
    """
    if not isinstance(error, ScnetError):
        return {"status": Status.ERROR.value, "kind": ScnetError.__name__, "message": text_of(error)}
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == exceptions.__name__)
    told = {"message": str(error), "code": error.code, "call": error.call}
    return {"status": Status.ERROR.value, "kind": kind.__name__, **told}


def read(event: Mapping[str, Any] | None, *expected: Status) -> Status:
    """
    Return what an event says.

    :param expected: what it may say.
    :raises ScnetError: in the class that the trigger failed with; or if it says anything else.
    """
    said = event.get("status") if isinstance(event, Mapping) else None
    if event and said == Status.ERROR.value:
        raise _error_of(event)
    for status in expected:
        if said == status.value:
            return status
    raise ScnetError(
        f"The trigger says {shown(said)}, which this version of the provider does not know. The jobs may go on.",
        remedy="Do workers and triggerer run the same version?",
    )


def text_of(error: Exception) -> str:
    """
    Return what may be shown of an error, which the database keeps. Only our own texts and Airflow's word that there is
    no such Connection are known to hold no secret: what cannot be read of a Connection may be quoted in others.

    :param error: whatever went wrong.
    """
    if isinstance(error, ScnetError | AirflowNotFoundException):
        return str(error)
    return f"{type(error).__name__}, which is no error of SCNet's."


def outcomes_of(event: Mapping[str, Any]) -> list[Outcome]:
    """
    Return how the jobs of an event ended.

    :param event: of jobs that have ended.
    :raises ScnetError: if some are not accounted for, and none ended badly: that is no success.
    """
    from airflow_provider_scnet.jobs.outcome import Outcome

    outcomes = [Outcome.from_json(told) for told in event["outcomes"]]
    missing = set(event["jobs"]) - {str(outcome.ref) for outcome in outcomes}
    if missing and all(outcome.is_good for outcome in outcomes):
        raise ScnetError(f"The trigger does not say how these jobs ended: {', '.join(sorted(missing))}.")
    return outcomes


def is_of_earlier_try(event: Mapping[str, Any] | None, try_number: int) -> bool:
    """
    Tell whether an event was meant for an earlier try: Airflow 3.0 hands it to the next one, too, instead of beginning
    anew.

    :param try_number: of the task instance.
    """
    meant = event.get("try_number") if isinstance(event, Mapping) else None
    return isinstance(meant, int) and meant < try_number


def _error_of(event: Mapping[str, Any]) -> ScnetError:
    kind = getattr(exceptions, str(event.get("kind")), ScnetError)
    if not (isinstance(kind, type) and issubclass(kind, ScnetError)):
        kind = ScnetError
    return kind(str(event.get("message")), code=event.get("code"), call=event.get("call"))
