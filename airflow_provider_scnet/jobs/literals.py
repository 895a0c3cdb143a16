"""Lists and mappings that have become text, read so that nothing in them turns into what it does not spell."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

DEEPEST = 100
"""Brackets within brackets; Python itself reads about as many."""
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>[\[\](){},:])
      | (?P<text>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*")
      | (?P<word>[\w.+-]+(?:(?<=_)\[[^\[\]'"\s]*\])?)
    )\s*""",
    re.DOTALL | re.VERBOSE,
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_CONSTANTS = {"None": None, "null": None, "True": True, "true": True, "False": False, "false": False}
_NEITHER = "is neither JSON nor Python"
_NUMBER = re.compile(r"[0-9+.-]")


def read_literal(text: str) -> Any:
    """
    Read JSON, or the Python ``repr`` of lists, tuples, sets and mappings. Numbers stay text as they are spelt: Python
    would read ``5_1`` as 51.

    :param text: which begins with a bracket or a quotation mark.
    :return: lists and mappings of texts, ``None`` and booleans.
    :raises ValueError: saying what it is not.
    """
    reader = _Reader(text)
    values = reader.values("")
    return values[0] if len(values) == 1 else values


class _Reader:
    """
    A text, from one piece to the next.

    :param text: the whole of it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._kind, self._piece = "", ""
        self._advance()

    def values(self, closing: str) -> list[Any]:
        """
        Read what stands between commas, and what closes it.

        :param closing: the bracket; empty for the end of the text.
        """
        values = []
        while self._piece != closing or self._kind == "text":
            values.append(self._value())
            self._pass_comma(closing)
        self._advance()
        return values

    def _value(self) -> Any:
        kind, piece = self._kind, self._piece
        if kind == "mark" and piece in _CLOSING:
            return self._group(_CLOSING[piece])
        if kind == "text":
            self._advance()
            return _unquoted(piece)
        if kind == "word" and (piece in _CONSTANTS or _NUMBER.match(piece)):
            self._advance()
            return _CONSTANTS.get(piece, piece)
        raise ValueError(_NEITHER)

    def _group(self, closing: str) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("is nested too deeply; hand over a flat list")
        self._advance()
        is_mapping = closing == "}" and (self._piece == "}" or self._is_key())
        value = self._mapping() if is_mapping else self.values(closing)
        self._depth -= 1
        return value

    def _is_key(self) -> bool:
        match = _TOKEN.match(self._text, self._position)
        return self._kind != "mark" and match is not None and match["mark"] == ":"

    def _mapping(self) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while self._piece != "}" or self._kind == "text":
            if not self._is_key():
                raise ValueError(_NEITHER)
            key = str(self._value())
            if key in mapping:
                raise ValueError("names one thing twice")
            self._advance()
            mapping[key] = self._value()
            self._pass_comma("}")
        self._advance()
        return mapping

    def _pass_comma(self, closing: str) -> None:
        if self._kind == "mark" and self._piece == ",":
            self._advance()
        elif self._piece != closing or self._kind == "text":
            raise ValueError(_NEITHER)

    def _advance(self) -> None:
        if self._position == len(self._text):
            self._kind, self._piece = "end", ""
            return
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastgroup is None:
            raise ValueError(_NEITHER)
        self._kind, self._piece, self._position = match.lastgroup, match[match.lastgroup], match.end()


def _unquoted(piece: str) -> str:
    for read in (json.loads, ast.literal_eval):
        try:
            return str(read(piece))
        except (ValueError, SyntaxError, MemoryError):
            continue
    raise ValueError(_NEITHER)
