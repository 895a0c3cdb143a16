"""Text of lists and mappings keeps the spelling of what is in it."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_scnet.jobs.literals import DEEPEST, read_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[5_1, 5_2]", ["5_1", "5_2"]),
        ("(5_1,)", ["5_1"]),
        ("{5_1}", ["5_1"]),
        ("{'job_id': 5_1}", {"job_id": "5_1"}),
        ("[197, '196', \"195\"]", ["197", "196", "195"]),
        ("[0x33, 0b1, 1e2, -0, +5, 1.5]", ["0x33", "0b1", "1e2", "-0", "+5", "1.5"]),
        ("[5_[2-9,11%4], 5_3]", ["5_[2-9,11%4]", "5_3"]),
        ("[null, None, true, True, false, False]", [None, None, True, True, False, False]),
        ("[[1, [2]], (3), {'a': {4}}]", [["1", ["2"]], ["3"], {"a": ["4"]}]),
        ("'a', 'b'", ["a", "b"]),
        ("'[1]'", "[1]"),
        ('"\\ud83d\\ude00" ', "😀"),
        ("'it\\'s'", "it's"),
        ("[]", []),
        ("()", []),
        ("{}", {}),
        ("[1,]", ["1"]),
        ("[\n1 ,\t2\n]\n", ["1", "2"]),
        ("{1: 2}", {"1": "2"}),
    ],
)
def test_spelling_is_kept(text: str, value: Any) -> None:
    assert read_literal(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[5_1", "neither"),
        ("[5_1)", "neither"),
        ("[1] [2]", "neither"),
        ("[5 1]", "neither"),
        ("['5' '1']", "neither"),  # Python joins these to '51'
        ("[1,,2]", "neither"),
        ("[,]", "neither"),
        ("[b'5']", "neither"),
        ("[f()]", "neither"),
        ("{'a': 1, 2}", "neither"),
        ("{'a', 'b': 1}", "neither"),
        ("{[1]: 2}", "neither"),
        ("{'a': }", "neither"),
        ("'\\x0'", "neither"),
        ("{'job_id': 5, 'job_id': 6}", "twice"),
        ("[" * (DEEPEST + 1), "deep"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_literal(text)


TEXTS = st.text(max_size=8)
TREES = st.recursive(
    TEXTS | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, list | dict))


@settings(deadline=None)
@given(TREES)
def test_what_was_written_is_read(tree: Any) -> None:
    assert read_literal(repr(tree)) == ast.literal_eval(repr(tree)) == tree
    assert read_literal(json.dumps(tree)) == read_literal(json.dumps(tree, ensure_ascii=False)) == tree
