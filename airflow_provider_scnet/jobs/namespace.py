"""Which Airflow a job belongs to: those that share an SCNet account must not take each other's jobs for their own."""

from __future__ import annotations

import base64
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from airflow_provider_scnet.exceptions import ScnetRequestError, ScnetTransientError
from airflow_provider_scnet.wording import quote, shown

KEY = "scnet_namespace"
"""The Airflow Variable that holds it."""
CLAIM = "scnet_namespace_claim"
"""The Variable in which tasks agree who makes it; it is deleted afterwards."""
SETTLING_TIME = 10.0
"""Seconds after which a claim that nobody has replaced is one that everybody sees."""
STALE_AFTER = 60.0
"""Seconds after which the claim of a task that did not go on with it is replaced."""
LONGEST_AGREEMENT = 180.0
"""Seconds for which a task tries to agree with the others before its try is given up."""
LOOK_EVERY = 1.0
"""Seconds between the first two looks at what the others do."""
LONGEST_PAUSE = 15.0
"""Seconds between two looks later on: hundreds of tasks that look all the time would keep the API server busy."""
_DESCRIPTION = "Made by airflow-provider-scnet; part of the names of SCNet jobs. Do not change it while jobs run."
_MADE = re.compile(r".+-(\d{8}T\d{6}Z)")
_LONGEST = 100
_BUILT_IN = ("EnvironmentVariablesBackend", "ExecutionAPISecretsBackend", "MetastoreBackend")


@dataclass(frozen=True)
class Namespace:
    """
    What tells the jobs of one Airflow from those of others.

    :param text: as the Variable has it. One that was made ends with the moment when, in UTC.
    """

    text: str

    @classmethod
    def read(cls, text: str) -> Namespace:
        """
        Check a value of the Variable.

        :raises ScnetRequestError: if it is empty, longer than 100 characters, or not printable.
        """
        value = text.strip()
        if not value or len(value) > _LONGEST or not value.isprintable():
            raise ScnetRequestError(
                f"Airflow Variable {KEY}={shown(text)}: must be 1 to {_LONGEST} printable characters. Restore its "
                f"earlier value if jobs are running; otherwise delete the Variable, and a new value is made."
            )
        return cls(value)

    @property
    def made_at(self) -> datetime | None:
        """When it was made; ``None`` if somebody has set it by hand."""
        match = _MADE.fullmatch(self.text)
        try:
            return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if match else None
        except ValueError:
            return None

    def is_younger_than(self, moment: datetime | None) -> bool:
        """
        Tell whether a DAG run that began at a moment may have jobs that were named without a namespace.

        :param moment: with a time zone.
        """
        return moment is not None and self.made_at is not None and moment < self.made_at

    def __str__(self) -> str:
        return quote(self.text)


@cache
def namespace() -> Namespace:
    """
    Return the namespace of this Airflow, which is read once in a process; the first task that needs it makes it.

    :raises ScnetTransientError: if it cannot be read. Nothing else ever stands for it: another name would hide jobs.
    :raises ScnetRequestError: if the Variable holds something that cannot be one.
    """
    return Namespace.read(_read(KEY) or _agree())


def describe_namespace() -> str:
    """Say in one sentence what the namespace is, for the test of a Connection; nothing is made."""
    try:
        text = _read(KEY)
    except ScnetTransientError as error:
        return f"Namespace: {error.message}"
    return f"Namespace: {quote(text)}." if text else f"Namespace: none yet; the first submission sets Variable {KEY}."


def _agree() -> str:
    """
    Make a namespace that all tasks agree on, though any number of them begin at once. Airflow's Variables know no
    "insert only if absent", so that whoever writes last wins. Hence two steps: tasks claim, and only the one whose
    claim has stood for a while writes the namespace. A task that is held up between reading and writing can replace a
    claim, but it looks for the namespace once more before it makes one.
    """
    now = time.monotonic
    ends_at = now() + LONGEST_AGREEMENT
    mine, seen, seen_since, pause = "", "", now(), LOOK_EVERY
    while now() < ends_at:
        if made := _read(KEY):
            return made
        claim = _read(CLAIM) or ""
        if claim != seen:
            seen, seen_since = claim, now()
        if claim in ("", mine) or now() - seen_since > STALE_AFTER:
            mine = _random()
            _claim_and_make(mine)
        else:
            time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))  # not all of them at the same time
            pause = min(1.5 * pause, LONGEST_PAUSE)
    raise _unreadable(
        f"Tasks did not agree on a namespace within {LONGEST_AGREEMENT:.0f} s: Variable {KEY} is still missing."
    )


def _claim_and_make(mine: str) -> None:
    """
    Claim, and make the namespace if nobody else has claimed. What was read of the claim counts for less time than
    anybody's claim has to stand: whoever claims after that finds the namespace. Too slow a look is taken again.
    """
    claimed_at = time.monotonic()
    _write(CLAIM, mine)
    time.sleep(SETTLING_TIME)
    is_made, looked_at = _read(KEY), time.monotonic()
    if _read(CLAIM) != mine:
        return
    if not is_made:
        is_slow = time.monotonic() - looked_at > SETTLING_TIME / 3
        is_stale = time.monotonic() - claimed_at > STALE_AFTER / 2  # somebody may be about to replace the claim
        if is_slow or is_stale:
            return
        began = time.monotonic()
        _write(KEY, f"{mine}-{datetime.fromtimestamp(time.time(), UTC):%Y%m%dT%H%M%SZ}")
        if time.monotonic() - began > SETTLING_TIME / 3:  # somebody may be about to write one, too: the last one counts
            time.sleep(SETTLING_TIME)
    with suppress(Exception):  # it is in nobody's way
        _variable().delete(CLAIM)


def _random() -> str:
    """50 bits."""
    return base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10]


def _variable() -> Any:
    if _channel() is None:  # an API server, on which the class for tasks fails with Airflow 3.0; or Airflow 2
        from airflow.models.variable import Variable as OfDatabase

        return OfDatabase
    from airflow.providers.common.compat.sdk import Variable

    return Variable


def _channel() -> Any:
    """By which a task of Airflow 3 asks its API server; ``None`` for anything else."""
    try:
        from airflow.sdk.execution_time import task_runner
    except ImportError:  # Airflow 2
        return None
    return getattr(task_runner, "SUPERVISOR_COMMS", None)


def _read(key: str) -> str | None:
    """
    Return the value of a Variable; ``None`` if there is none. Airflow goes on to the next secrets backend where one
    fails, so that those of the user are asked first, without that: what they hold may be hidden by their failure.
    """
    try:
        for backend in _backends_of_the_user():
            if (held := backend.get_variable(key=key)) is not None:
                return str(held)
        value = _variable().get(key, None)
        if value is None:
            value = _asked_again(key)
    except Exception as error:
        raise _unreadable(f"Airflow Variable {key} cannot be read ({type(error).__name__}).") from error
    return None if value is None else str(value)


def _asked_again(key: str) -> str | None:
    """
    Ask for a Variable that Airflow says is not there: it says so, too, where its database or API server has failed, or
    where the value cannot be decrypted.

    :raises Exception: if nobody knows whether it is there.
    """
    channel = _channel()
    return _in_database(key) if channel is None else _from_api_server(channel, key)


def _in_database(key: str) -> str | None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        held: Any = session.query(Variable).filter(Variable.key == key).one_or_none()
        if held is not None and held.val is None:
            raise ValueError("not decrypted")
        return None if held is None else str(held.val)


def _from_api_server(channel: Any, key: str) -> str | None:
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import comms

    is_there = False
    if key == KEY and hasattr(comms, "GetVariableKeys"):  # Airflow 3.3; a claim may be deleted just now
        is_there = key in channel.send(comms.GetVariableKeys(prefix=key)).keys
    try:
        answer = channel.send(comms.GetVariable(key=key))
    except AirflowRuntimeError as error:
        answer = error.error
    if isinstance(answer, comms.VariableResult) and answer.value is not None:
        return answer.value
    if is_there or getattr(answer, "error", None) is not ErrorType.VARIABLE_NOT_FOUND:
        raise LookupError(f"{getattr(answer, 'error', 'no value')}")
    return None


def _write(key: str, value: str) -> None:
    """Airflow 2 and 3.0 fail if somebody else writes the same Variable just then: that is then held instead."""
    try:
        _variable().set(key, value, description=_DESCRIPTION)
    except Exception as error:
        if _read(key):
            return
        raise _unreadable(f"Airflow Variable {key} cannot be written ({type(error).__name__}).") from error


def _backends_of_the_user() -> list[Any]:
    try:
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
    except ImportError:  # Airflow 2
        from airflow.configuration import ensure_secrets_loaded

        loaded: list[Any] = ensure_secrets_loaded()
    else:
        loaded = ensure_secrets_backend_loaded()
    return [backend for backend in loaded if type(backend).__name__ not in _BUILT_IN]


def _unreadable(what: str) -> ScnetTransientError:
    return ScnetTransientError(
        what,
        remedy=f"It is part of the names of this Airflow's jobs, so that nothing is submitted or looked for without "
        f"it. Check Airflow's database, API server and secrets backend; or set the Variable {KEY} by hand.",
    )
