from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_scnet.wording import QUOTE_LIMIT, Secret, quote, redact, sentences, shown, without_tokens

SECRET = Secret("eyJ.secret-part.c2ln")


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("plain", "plain"),
        ("  a \r\n\t b  ", "a b"),
        ("a\x00\x1b[31mb\x7f\x85\u2028c", "a [31mb c"),
        ("中文，保留", "中文，保留"),
        (None, "None"),
        (["a\n"], r"['a\n']"),
        ("", ""),
    ],
)
def test_quote_flattens(text: object, flat: str) -> None:
    assert quote(text) == flat


@pytest.mark.parametrize(("length", "end"), [(QUOTE_LIMIT, "x"), (QUOTE_LIMIT + 1, "x…"), (10**6, "x…")])
def test_quote_is_bounded(length: int, end: str) -> None:
    quoted = quote("x" * length)
    assert quoted.endswith(end)
    assert len(quoted) <= QUOTE_LIMIT + 1


@pytest.mark.parametrize("text", [f"{SECRET}", str(SECRET), repr(SECRET), repr([SECRET]), str({"token": SECRET})])
def test_secret_does_not_show_itself(text: str) -> None:
    assert "secret" not in text
    assert "***" in text


def test_secret_cannot_slip_into_a_text() -> None:
    with pytest.raises(TypeError):
        "token: " + SECRET  # type: ignore[operator]
    with pytest.raises(TypeError):
        json.dumps(SECRET)
    assert Secret(SECRET.text) == SECRET
    assert (bool(SECRET), bool(Secret(""))) == (True, False)


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        (f"bad token {SECRET.text}!", "bad token ***!"),
        ({SECRET.text: [f"x{SECRET.text}", 5, None]}, {"***": ["x***", 5, None]}),
        ("nothing of it", "nothing of it"),
        (SECRET.text.replace(".", "%2E"), "(withheld: it repeats the credential)"),
        (SECRET.text.replace(".", "&#46;"), "(withheld: it repeats the credential)"),
        (SECRET.text.replace(".", r"\u002e"), "(withheld: it repeats the credential)"),
    ],
)
def test_redact(value: Any, redacted: Any) -> None:
    assert redact(value, [SECRET, Secret("")]) == redacted


def test_short_secret_is_left_alone() -> None:
    """Replacing it could change the meaning of an answer."""
    assert redact("user test", [Secret("test")]) == "user test"


def test_without_tokens() -> None:
    assert without_tokens(f"issued {'a' * 24}.b at 12:00") == "issued *** at 12:00"


@pytest.mark.parametrize(
    ("value", "text"), [(" a\n", r"' a\n'"), ([10**5000], "a huge list"), ([1], "[1]")], ids=["blanks", "huge", "list"]
)
def test_shown(value: Any, text: str) -> None:
    assert shown(value) == text


def test_sentences() -> None:
    assert sentences("One.", "", "Two.") == "One. Two."
