"""The options of the command: its own, and one for each knob of the emulator's behaviour that has a plain value."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.tokens import read_claims

#: The largest number that an option takes; more is a slip of the pen.
MOST = 10**9

#: 30 days: Connections are not copied anew every morning.
TOKEN_LIFETIME = 30 * 24 * 3600.0

Read = Callable[[str], Any]


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_scnet.testing",
        description="An SCNet to try things out with.",
        allow_abbrev=False,
    )
    made.add_argument("--port", type=_port, default=8765, help="port on 127.0.0.1, 0 for any (default: %(default)s)")
    made.add_argument(
        "--jobs", type=_count, default=0, metavar="N", help="jobs that run already (default: %(default)s)"
    )
    lasting = made.add_mutually_exclusive_group()
    lasting.add_argument("--seed", type=_text, metavar="TEXT", help="the same text: the same token, AK and SK")
    lasting.add_argument("--token", type=_token, metavar="JWT", help="accept this token, and print it")
    made.add_argument(
        "--token-lifetime",
        type=_lifetime,
        default=TOKEN_LIFETIME,
        metavar="S",
        help="seconds for which tokens are valid (default: %(default)s)",
    )
    group = made.add_argument_group("which SCNet it is")
    for knob in plain_knobs():
        _add_knob(group, knob)
    return made


def plain_knobs() -> list[Field[Any]]:
    """Return the knobs that an option can set."""
    return [knob for knob in fields(Behaviour) if _kind(knob) is bool or _reader(_kind(knob)) is not None]


def option(name: str) -> str:
    """
    Return the option for a knob.

    :param name: of the attribute of :class:`~airflow_provider_scnet.testing.behaviour.Behaviour`.
    """
    return f"--{name.replace('_', '-')}"


def _add_knob(group: argparse._ArgumentGroup, knob: Field[Any]) -> None:
    default: Any = knob.default_factory() if knob.default_factory is not MISSING else knob.default
    described = f"{_described(knob.name)} (default: {_written(default)})".replace("%", "%%")
    read, metavar = _reader(_kind(knob)), "X"
    if read is None:
        action = argparse.BooleanOptionalAction
        group.add_argument(option(knob.name), default=default, help=described, action=action)
        return
    if get_origin(_kind(knob)) is Literal:
        metavar = f"{{{','.join(str(choice).lower() for kind in _kinds(knob) for choice in get_args(kind) or [None])}}}"
    if NoneType in _kinds(knob):
        read = _or_none(read)
    group.add_argument(option(knob.name), default=default, help=described, type=read, metavar=metavar)


def _described(name: str) -> str:
    """Return what the docstring says of a knob."""
    found = re.search(rf":param {name}: (.*?)(?=\n *:param|\Z)", Behaviour.__doc__ or "", re.DOTALL)
    return " ".join(found[1].replace("``", "").split()).rstrip(".") if found else ""


def _written(value: object) -> str:
    """Write a default as it is given in the shell."""
    return ",".join(sorted(value)) if isinstance(value, set) else str(value).lower()


def _kinds(knob: Field[Any]) -> tuple[Any, ...]:
    hint = get_type_hints(Behaviour)[knob.name]
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _kind(knob: Field[Any]) -> Any:
    """Return the type of a knob's values, None aside."""
    return next(kind for kind in _kinds(knob) if kind is not NoneType)


def _reader(kind: Any) -> Read | None:
    """Return what reads values of a type; None if they are not plain."""
    if get_origin(kind) is Literal:
        return _one_of({str(choice): choice for choice in get_args(kind)})
    readers: dict[Any, Read] = {float: _number, int: _count, str: _text, set[str]: _texts}
    return readers.get(kind)


def _or_none(read: Read) -> Read:
    def read_or_none(text: str) -> Any:
        if text == "none":
            return None
        try:
            return read(text)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentTypeError(f"{error}, nor none") from None

    return read_or_none


def _one_of(choices: dict[str, Any]) -> Read:
    def read(text: str) -> Any:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return choices[text]

    return read


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MOST}")
    return number


def _lifetime(text: str) -> float:
    if (seconds := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is less than a second")
    return seconds


def _count(text: str, most: int = MOST) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {most}")
    return int(text)


def _port(text: str) -> int:
    return _count(text, 65535)


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it must not be empty")
    return text


def _texts(text: str) -> set[str]:
    return {_text(part).strip() for part in text.split(",")}


def _token(text: str) -> str:
    try:
        read_claims(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
