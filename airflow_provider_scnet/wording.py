"""Text that may be shown: what others said, flattened, bounded and without secrets."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

QUOTE_LIMIT = 200
"""Characters of an answer that an error message quotes at most."""
SHORTEST_REDACTED = 6
"""Characters; replacing anything shorter in an answer could change its meaning."""
DEEPEST = 50
"""Levels of nesting that are looked at; SCNet's answers have four."""
_NESTS = (dict, list)


@dataclass(frozen=True, repr=False, slots=True)
class Secret:
    """
    Text that must not be shown. It is no ``str`` on purpose: it cannot slip into a message, and a log of local
    variables shows stars. Who has to send it takes :attr:`text` in the line that sends it.

    :param text: the secret itself.
    """

    text: str

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self.text)


def quote(text: object, limit: int = QUOTE_LIMIT) -> str:
    """
    Make foreign text fit for one log line: no line breaks, no control characters, bounded.

    :param text: what to quote.
    :param limit: the most characters to keep.
    """
    flat = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", str(text)).strip()
    flat = flat.encode("utf-8", "replace").decode()  # half a surrogate pair could not be written to a log
    return flat if len(flat) <= limit else f"{flat[:limit]}…"


def shown(value: object) -> str:
    """
    Quote a value as Python writes it, so that blanks at its ends are seen.

    :param value: anything a DAG may hand over.
    """
    try:
        return quote(repr(value))
    except ValueError:  # Python refuses to write a number of thousands of digits
        return f"a huge {type(value).__name__}"


def redact(value: Any, secrets: Sequence[Secret]) -> Any:
    """
    Take secrets out of what SCNet said, for it may echo a request. What is nested too deeply for any of its answers
    is left out: whoever handles it later would run out of stack.

    :param value: text, or what JSON makes of it.
    :param secrets: what must not be shown.
    """
    texts = [secret.text for secret in secrets if len(secret.text) >= SHORTEST_REDACTED]
    return _redact(value, texts, DEEPEST) if texts or _is_deeper(value, DEEPEST) else value


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, _NESTS):
        return False
    items = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in items if isinstance(item, _NESTS))


def _redact(value: Any, secrets: list[str], depth: int) -> Any:
    if isinstance(value, str):
        return _redact_text(value, secrets)
    if not isinstance(value, _NESTS):
        return value
    if depth == 0:
        return "(nested too deeply)"
    if isinstance(value, list):
        return [_redact(item, secrets, depth - 1) for item in value]
    return {_redact(key, secrets, 0): _redact(item, secrets, depth - 1) for key, item in value.items()}


def _redact_text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    plain = _plain(text)
    return "(withheld: it repeats the credential)" if any(secret in plain for secret in secrets) else text


def _plain(text: str) -> str:
    """JSON, HTML and URLs each have their own way to write the same character."""
    return unquote(html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)))


def may_repeat(text: str, secrets: Sequence[Secret]) -> bool:
    """
    Tell whether a secret may be in an answer, which is much quicker than to look at all that JSON makes of it.

    :param text: JSON as it was received; a text in it may be JSON, HTML or a URL in turn.
    """
    plain = _plain(text)
    if "\\" in text:
        for _ in range(2):  # an escape may itself be escaped
            plain = _plain(re.sub(r"\\+", r"\\", plain))
        plain = plain.replace("\\", "")  # one may stand before any other character
    return any(secret.text in text or secret.text.replace("\\", "") in plain for secret in secrets)


def without_tokens(text: str) -> str:
    """
    Take out whatever may be a token that we have never seen before.

    :param text: what SCNet said where it hands out tokens.
    """
    return re.sub(r"[\w.-]{24,}", "***", text, flags=re.ASCII)


def sentences(*parts: str) -> str:
    """
    Join the sentences of a message.

    :param parts: sentences; empty ones are left out.
    """
    return " ".join(part for part in parts if part)


def counted(number: int, noun: str) -> str:
    """
    Say how many there are.

    :param noun: in the singular; a regular one.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
