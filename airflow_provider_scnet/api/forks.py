"""What a process that forks must not leave to its child: locks that threads of the parent hold."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Renewed:
    """
    A lock that a child process finds open: whoever held it there is a thread that the child does not have.

    Who acquires :attr:`lock` keeps it in a variable until it is released: a fork in between has made another one.
    """

    _all: ClassVar[WeakSet[Renewed]] = WeakSet()

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._all.add(self)

    @classmethod
    def renew(cls) -> None:
        """Open all locks, in a child that was just made."""
        for one in list(cls._all):
            one.lock = threading.RLock()


class cached_property(functools.cached_property[T]):
    """
    The same without a lock. On Python 3.11 there is one for all objects of a class, held while a property is worked
    out: who asks for that of another object waits as well, and in the child of a fork for ever.
    """

    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__(func)
        self.lock = nullcontext()


def in_child(act: Callable[[], None]) -> None:
    """
    Have something done in each child process, before anything else.

    :param act: what to do; it must not wait for anything.
    """
    os.register_at_fork(after_in_child=act)


in_child(Renewed.renew)
