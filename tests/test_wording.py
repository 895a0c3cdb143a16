from __future__ import annotations

import pytest

from airflow_provider_scnet.wording import QUOTE_LIMIT, quote


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
