"""What a DAG file gives a task: rendered so that no text loses its spelling, and kept so that Airflow can send it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from airflow_provider_scnet.exceptions import ScnetRequestError


class SpelledFields:
    """
    Stands before Airflow's class among the bases of an operator.

    Its template fields hold plain text instead of instances of a subclass of it, such as a
    :class:`~airflow_provider_scnet.jobs.JobRef`: Airflow 3 cannot send these from the DAG processor, and drops the file
    without an import error. Text without a template is used as it is written, and what a template makes of text stays
    text under ``render_template_as_native_obj``, too, where Airflow would read ``5_1`` as the number 51. Values that
    are no text, such as a list out of XCom, are handed on as they are.
    """

    template_fields: Any

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; see Airflow."""
        partial: Any = super().partial(**plain(kwargs))  # type: ignore[misc]
        kind: Any = type(partial)
        partial.__class__ = _expanding_plain(kind)
        return partial

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render one value; see Airflow."""
        env = jinja_env or self.get_template_env()  # type: ignore[attr-defined]
        if not isinstance(content, str) or id(content) in (seen_oids or ()):
            return plain(super().render_template(content, context, env, seen_oids))  # type: ignore[misc]
        if not _has_template(content, env):
            return plain(content)
        if not _is_native(env):
            return super().render_template(content, context, env, seen_oids)  # type: ignore[misc]
        return plain(_render_spelled(content, context, env))

    def _keep_fields_plain(self) -> None:
        for name in self.template_fields:
            setattr(self, name, plain(getattr(self, name)))


def plain(value: Any) -> Any:
    """
    Return a value whose texts are instances of ``str`` itself, within lists, tuples, sets and mappings as well.

    :param value: as a DAG file gives it.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return {plain(name): plain(one) for name, one in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(plain, value))
    return value


@lru_cache
def _expanding_plain(kind: Any) -> Any:
    """What Airflow makes of `.partial(...)`, of which `.expand(...)` keeps plain text as well."""

    class Plain(kind):  # type: ignore[misc]
        __slots__ = ()

        def expand(self, **mapped_kwargs: Any) -> Any:
            return super().expand(**plain(mapped_kwargs))

        def expand_kwargs(self, kwargs: Any, **how: Any) -> Any:
            return super().expand_kwargs(plain(kwargs), **how)

    Plain.__name__, Plain.__qualname__ = kind.__name__, kind.__qualname__
    return Plain


def _is_native(env: Any) -> bool:
    from jinja2.nativetypes import NativeEnvironment

    return isinstance(env, NativeEnvironment)


def _has_template(text: str, env: Any) -> bool:
    """By Jinja's own reading: a DAG may choose other marks than `{{`."""
    from jinja2 import TemplateSyntaxError

    try:
        tokens = list(env.lex(text))
    except TemplateSyntaxError:
        return True  # which is told where it is rendered
    for _, kind, token in tokens:
        if kind == "integer" and not token.isdecimal():
            raise ScnetRequestError(
                f"{token} in a template is the number {int(token, 0)} to Jinja. Put quotation marks around it, "
                f"{token!r}, or write the number itself."
            )
    return any(kind != "data" for _, kind, _ in tokens)


def _render_spelled(text: str, context: Any, env: Any) -> Any:
    """As Airflow renders a native template, but that nothing reads what comes out of it as a Python literal."""
    import copy

    from jinja2 import Undefined

    template = env.from_string(text)
    variables = copy.copy(context)  # Airflow's own mapping, which resolves values when they are asked for
    variables.update((name, value) for name, value in template.globals.items() if name not in variables)
    try:
        nodes = list(template.root_render_func(template.new_context(variables, shared=True)))
    except Exception:
        env.handle_exception()
    if len(nodes) == 1 and not isinstance(nodes[0], Undefined):
        return nodes[0]
    return "".join(map(str, nodes))
