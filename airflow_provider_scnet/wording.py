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


@dataclass(frozen=True, repr=False)
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
    Take secrets out of what SCNet said, for it may echo a request.

    :param value: text, or what JSON makes of it.
    :param secrets: what must not be shown.
    """
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    long_enough = [secret for secret in secrets if len(secret.text) >= SHORTEST_REDACTED]
    for secret in long_enough:
        value = value.replace(secret.text, "***")
    # JSON, HTML and URLs each have their own way to write the same character.
    plain = unquote(html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), value)))
    return "(withheld: it repeats the credential)" if any(s.text in plain for s in long_enough) else value


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
