from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from airflow_provider_scnet.exceptions import ScnetRequestError, ScnetTransientError
from airflow_provider_scnet.jobs import namespace as module
from airflow_provider_scnet.jobs.namespace import CLAIM, KEY, Namespace, describe_namespace, namespace

AIRFLOW_V_2 = importlib.util.find_spec("airflow.sdk") is None


class Variables:
    """
    Airflow's Variables, shared by the tasks of one Airflow; ``strikes`` is called before each read and write, and
    before what was read is told.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.strikes: Any = lambda verb, key: None

    def get(self, key: str, default: str | None) -> str | None:
        self.strikes("get", key)
        held = self.held.get(key, default)
        self.strikes("got", key)
        return held

    def set(self, key: str, value: str, description: str) -> None:
        self.strikes("set", key)
        self.held[key] = value

    def delete(self, key: str) -> None:
        self.strikes("delete", key)
        self.held.pop(key, None)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[Variables]:
    """Of an Airflow that has made no namespace yet, and quick enough for a test."""
    variables = Variables()
    monkeypatch.delenv(f"AIRFLOW_VAR_{KEY.upper()}", raising=False)
    monkeypatch.setattr(module, "_variable", lambda: variables)
    monkeypatch.setattr(module, "_asked_again", lambda key: None)

    for name, seconds in (("SETTLING_TIME", 0.3), ("LOOK_EVERY", 0.05), ("STALE_AFTER", 1.5)):
        monkeypatch.setattr(module, name, seconds)
    namespace.cache_clear()
    yield variables
    namespace.cache_clear()


def made_by_many(number: int) -> set[str]:
    """What each of many processes gets."""
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(namespace.__wrapped__().text)) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == number
    return set(made)


def test_it_is_read_once_in_a_process(monkeypatch: pytest.MonkeyPatch, variables: Variables) -> None:
    variables.held[KEY] = "production"
    assert namespace().text == "production"
    variables.held[KEY] = "another"
    assert namespace().text == "production"


def test_it_may_be_set_in_the_environment() -> None:
    assert str(namespace()) == "tests"


def test_first_task_makes_it(variables: Variables) -> None:
    made = namespace()
    assert variables.held == {KEY: made.text}
    assert made.made_at
    assert abs(made.made_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_many_at_once_agree(variables: Variables) -> None:
    variables.strikes = lambda verb, key: time.sleep(0.01)
    assert made_by_many(30) == {variables.held[KEY]}


def test_task_that_is_held_up_before_it_claims_agrees(variables: Variables) -> None:
    """It has seen no claim, and its own comes long after the namespace was made."""
    held_up = []

    def strike(verb: str, key: str) -> None:
        if (verb, key) == ("set", CLAIM) and not held_up:
            held_up.append(verb)
            time.sleep(1)

    variables.strikes = strike
    assert made_by_many(5) == {variables.held[KEY]}
    assert CLAIM not in variables.held


@pytest.mark.parametrize("late", [KEY, CLAIM])
def test_two_tasks_that_are_held_up_one_after_the_other_agree(
    variables: Variables, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """The second claims after the first has looked whether anybody has, and the first is told late that nobody had."""
    monkeypatch.setattr(module, "STALE_AFTER", 10)
    turns: list[tuple[str, str]] = []
    has_looked = threading.Event()

    def strike(verb: str, key: str) -> None:
        turns.append((verb, key))
        if (verb, key) == ("set", CLAIM) and turns.count((verb, key)) == 2:
            has_looked.wait(10)
        if (verb, key) == ("got", late) and ("set", CLAIM) in turns and not has_looked.is_set():
            has_looked.set()
            time.sleep(1)

    variables.strikes = strike
    assert made_by_two_that_see_no_claim(variables) == {variables.held[KEY]}
    assert has_looked.is_set()
    assert CLAIM not in variables.held


def made_by_two_that_see_no_claim(variables: Variables) -> set[str]:
    """Both begin before either claims."""
    both, strike = threading.Barrier(2), variables.strikes
    seen = threading.local()

    def wait_for_each_other(verb: str, key: str) -> None:
        if (verb, key) == ("got", CLAIM) and not hasattr(seen, "claim"):
            seen.claim = True
            both.wait(10)
            return
        strike(verb, key)

    variables.strikes = wait_for_each_other
    return made_by_many(2)


def test_claim_that_fails_because_another_comes_at_the_same_time(variables: Variables) -> None:
    """As on Airflow 2 and 3.0, which delete and insert."""

    def strike(verb: str, key: str) -> None:
        if (verb, key) == ("set", CLAIM) and CLAIM not in variables.held:
            variables.held[CLAIM] = "another"
            raise OSError("duplicate key value violates unique constraint")

    variables.strikes = strike
    assert namespace().text == variables.held[KEY]


def test_claim_of_a_task_that_is_lost_is_replaced(variables: Variables) -> None:
    variables.held[CLAIM] = "of a task that died"
    assert namespace().text == variables.held[KEY]


@pytest.mark.parametrize(("verb", "key"), [("get", KEY), ("get", CLAIM), ("set", CLAIM), ("set", KEY)])
def test_variable_that_cannot_be_read_or_written_fails_the_try(variables: Variables, verb: str, key: str) -> None:
    def strike(*call: str) -> None:
        if call == (verb, key):
            raise OSError("the API server is away")

    variables.strikes = strike
    with pytest.raises(ScnetTransientError, match=f"Variable {key} cannot be .*nothing is submitted"):
        namespace()
    assert KEY not in variables.held


@pytest.mark.skipif(AIRFLOW_V_2, reason="tasks of Airflow 2 ask the database")
@pytest.mark.parametrize("error", ["API_SERVER_ERROR", "PERMISSION_DENIED"])
def test_api_server_that_fails_is_no_proof_that_there_is_none(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    """Airflow's own reader takes any error of the API server for a Variable that does not exist."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable

    if error not in ErrorType.__members__:
        pytest.skip("unknown to this Airflow")

    class Channel:
        written: ClassVar[list[Any]] = []

        def send(self, message: Any) -> Any:
            if isinstance(message, GetVariable) and message.key == KEY:
                return ErrorResponse(error=ErrorType[error])
            if isinstance(message, GetVariable):
                return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            self.written.append(message)
            raise OSError

    monkeypatch.delenv(f"AIRFLOW_VAR_{KEY.upper()}", raising=False)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Channel(), raising=False)
    namespace.cache_clear()
    with pytest.raises(ScnetTransientError, match=f"Variable {KEY} cannot be read"):
        namespace()
    assert not [one for one in Channel.written if type(one).__name__ == "PutVariable"]


@pytest.mark.skipif(not AIRFLOW_V_2, reason="tasks of Airflow 3 ask the API server")
def test_variable_that_the_database_does_not_tell_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable
    from cryptography.fernet import Fernet, MultiFernet
    from sqlalchemy import create_engine
    from sqlalchemy.orm import scoped_session, sessionmaker
    from sqlalchemy.pool import StaticPool

    # A database of its own: that of the other tests may have all tables, or none.
    empty: Any = create_engine("sqlite://", poolclass=StaticPool)
    monkeypatch.setattr("airflow.settings.Session", scoped_session(sessionmaker(bind=empty)))
    monkeypatch.delenv(f"AIRFLOW_VAR_{KEY.upper()}", raising=False)
    namespace.cache_clear()
    with pytest.raises(ScnetTransientError, match=f"Variable {KEY} cannot be read"):
        namespace()  # no such table: Airflow goes on without a word
    table: Any = Variable.__table__
    table.create(empty)
    earlier: Any
    present: Any
    earlier, present = (MultiFernet([Fernet(Fernet.generate_key())]) for _ in range(2))
    earlier.is_encrypted = present.is_encrypted = True
    monkeypatch.setattr("airflow.models.crypto._fernet", earlier)
    Variable.set(KEY, "abc")
    monkeypatch.setattr("airflow.models.crypto._fernet", present)
    with pytest.raises(ScnetTransientError, match=f"Variable {KEY} cannot be read"):
        namespace()


def test_secrets_backend_that_fails_hides_nothing(variables: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow would go on to the database, where there is none, or another one."""

    class Vault:
        def get_variable(self, key: str) -> str:
            raise OSError("sealed")

    variables.held[KEY] = "another"
    monkeypatch.setattr(module, "_backends_of_the_user", lambda: [Vault()])
    with pytest.raises(ScnetTransientError, match=KEY):
        namespace()


@pytest.mark.parametrize("text", ["", " ", "a\nb", "x" * 101])
def test_what_cannot_be_a_namespace(text: str) -> None:
    with pytest.raises(ScnetRequestError, match=f"Airflow Variable {KEY}="):
        Namespace.read(text)


@pytest.mark.parametrize(
    ("text", "is_younger"),
    [
        ("abc-20260101T000000Z", True),
        ("abc-20250101T000000Z", False),
        ("by hand", False),
        ("abc-20261399T000000Z", False),
    ],
)
def test_run_that_began_before_it_may_have_jobs_of_0_2_0(text: str, is_younger: bool) -> None:
    assert Namespace(text).is_younger_than(datetime(2025, 12, 31, tzinfo=UTC)) is is_younger
    assert not Namespace(text).is_younger_than(None)


def test_what_the_test_of_a_connection_says(variables: Variables) -> None:
    assert "none yet" in describe_namespace()
    variables.held[KEY] = "production"
    assert describe_namespace() == "Namespace: production."
    variables.strikes = lambda verb, key: 1 / 0
    assert "cannot be read (ZeroDivisionError)" in describe_namespace()
    assert variables.held == {KEY: "production"}
