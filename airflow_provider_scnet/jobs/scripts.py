"""What Jinja would silently cut out of a script: text that it takes for a comment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError
from jinja2.ext import Extension

from airflow_provider_scnet.exceptions import ScnetJobSpecificationError

if TYPE_CHECKING:
    from jinja2 import Environment


def check_script(source: str, environment: Environment, *, name: str | None = None) -> None:
    """
    Refuse a script of which Jinja would cut a part: bash's ``${#files[@]}`` begins a comment that ends wherever the
    next ``#}`` is. A comment that somebody meant to write, ``{# note #}``, is left alone.

    :param source: before anything is rendered.
    :param environment: that will render it; it may know comments by other signs.
    :param name: the file it comes from, if it comes from one.
    :raises ScnetJobSpecificationError: saying where, and what to write instead. What the script holds is not shown.
    """
    begin, end = environment.comment_start_string, environment.comment_end_string
    line = _line_of_cut(source, environment) if begin in source else None
    if line is None:
        return
    raise ScnetJobSpecificationError(
        f"line {line}{f' of {name!r}' if name else ''}: Jinja, which renders this text, reads `{begin}` as the start "
        f"of a comment, so everything up to the next `{end}` would be missing from it. Write `{{{{ '{begin}' }}}}` "
        f"instead of `{begin}`, or put the script between `{{% raw %}}` and `{{% endraw %}}`, which may stand behind a "
        f"`#` in a file of its own. A deliberate comment has blanks inside: `{begin} note {end}`."
    )


def guarded(environment: Environment) -> Environment:
    """Return an environment that renders as this one does, but refuses what :func:`check_script` refuses."""
    if _Guard.identifier in environment.extensions:
        return environment
    return environment.overlay(extensions=[_Guard])


class _Guard(Extension):
    """Sees each template before it is read: the text of an argument, and whatever that includes, in turn."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        check_script(source, self.environment, name=name)
        return source


def _line_of_cut(source: str, environment: Environment) -> int | None:
    before, line, inside = "", 0, ""
    for number, kind, text in _tokens(source, environment):
        if kind == "comment_begin":
            if before.endswith("$"):
                return number
            line, inside = number, ""
        elif kind == "comment":
            inside = text
        elif kind == "comment_end":
            if not _is_note(inside, environment):
                return line
            line = 0
        before = text
    return line or None  # a comment without an end


def _is_note(inside: str, environment: Environment) -> bool:
    """Another beginning of a comment within means that this one may have begun by accident."""
    return inside[:1].isspace() and inside[-1:].isspace() and environment.comment_start_string not in inside


def _tokens(source: str, environment: Environment) -> Iterator[tuple[int, str, str]]:
    """All up to where Jinja understands no more, of which it will complain itself."""
    try:
        yield from environment.lexer.tokeniter(source, None)
    except TemplateSyntaxError:
        return
