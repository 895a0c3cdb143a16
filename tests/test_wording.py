from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scnet.wording import (
    DEEPEST,
    QUOTE_LIMIT,
    Secret,
    may_repeat,
    quote,
    redact,
    sentences,
    shown,
    without_tokens,
)

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


def test_secret_is_no_attribute_that_a_log_may_list() -> None:
    with pytest.raises(TypeError):
        vars(SECRET)
    assert pickle.loads(pickle.dumps(SECRET)) == SECRET


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


@pytest.mark.parametrize("secrets", [[], [SECRET]])
def test_redact_stops_where_no_answer_goes(secrets: list[Secret]) -> None:
    deep: Any = SECRET.text
    for _ in range(DEEPEST):
        deep = [deep]
    assert str(redact(deep, [SECRET])) == f"{'[' * DEEPEST}'***'{']' * DEEPEST}"
    for _ in range(100_000):
        deep = {"a": [deep]}
    redacted = str(redact(deep, secrets))
    assert "(nested too deeply)" in redacted
    assert len(redacted) < 1000


def test_redact_leaves_an_answer_without_secrets_as_it_is() -> None:
    answer = {"list": [{"jobId": 1, "jobInitAttr": {"a": None}}]}
    assert redact(answer, []) is answer


SPELLINGS: list[Callable[[str], str]] = [
    lambda char: char,
    lambda char: f"\\u{ord(char):04x}",
    lambda char: f"&#{ord(char)};",
    lambda char: f"&#x{ord(char):X};",
    lambda char: f"%{ord(char):02X}",
]


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


@given(
    st.lists(st.sampled_from(SPELLINGS), min_size=len(SECRET.text), max_size=len(SECRET.text)),
    st.sampled_from([str, lambda text: json.dumps({"token": text})]),
    st.sampled_from(
        [json.dumps, lambda text: json.dumps(text, ensure_ascii=False), lambda text: f'"{escaped(text)}"'],
    ),
)
def test_what_redact_would_find_is_never_passed_over(
    spelt: list[Callable[[str], str]], hold: Callable[[str], str], dump: Callable[[str], str]
) -> None:
    value = hold("中/" + "".join(spell(char) for spell, char in zip(spelt, SECRET.text, strict=True)))
    body = dump(value)
    assert json.loads(body) == value
    assert redact(value, [SECRET]) == value or may_repeat(body, [SECRET])


@pytest.mark.parametrize("text", ["", "{}", r'{"data":"\u4e2d &amp; 100 %"}', SECRET.text[:-1]])
def test_most_answers_need_no_redaction(text: str) -> None:
    assert not may_repeat(text, [SECRET])


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
