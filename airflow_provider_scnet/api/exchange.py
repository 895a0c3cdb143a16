"""One request in a thread of its own: whoever waits for it can stop waiting at any moment."""

from __future__ import annotations

import os
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPResponse
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import requests
from airflow.providers.common.compat.sdk import AirflowException
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_scnet.api.addresses import is_this_machine
from airflow_provider_scnet.api.patience import SLICE, Patience

T = TypeVar("T")
_here = threading.local()


class TooLongError(Exception):
    """The request takes longer than anybody waits for it."""


class _GivenUpError(OSError):
    """Nobody waits for this request any more, so it is not sent."""


class Outcome(Generic[T]):
    """
    How a request ended. Not a word of it shows in a log of local variables.

    :param value: what it brought.
    :param error: what it raised, without the frames that raised it.
    """

    __slots__ = ("_error", "_value")

    def __init__(self, value: T | None = None, error: BaseException | None = None) -> None:
        self._value = value
        self._error = error

    def unwrap(self) -> T:
        """Return the value, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Exchange(Generic[T]):
    """
    Do some work that sends one request, in a thread of its own.

    So a name that is not resolved, an answer that trickles in and a signal hold up nobody, and of the secrets that the
    HTTP library handles, none can stand in the frames of an exception that strikes the thread of the task.

    :param work: what to do; it uses a :class:`Session` that nobody else uses meanwhile.
    """

    __slots__ = ("_connection", "_given_up", "_has_begun", "_outcome", "_permit", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._outcome: SimpleQueue[Outcome[T]] = SimpleQueue()
        self._connection: HTTPConnection | None = None
        self._given_up = False
        # Not empty: nothing was sent so far. Who takes it out, which only one can, decides whether anything ever is.
        # No lock: a signal handler that sends a request itself would wait for one that it has interrupted the owner of.
        self._permit: list[None] = []
        self._has_begun = False

    def run(self, patience: Patience, longest: float) -> Outcome[T]:
        """
        Begin, and wait for the end. Whatever is raised here is followed by :meth:`give_up`.

        :param longest: seconds for which to wait.
        :raises TooLongError: if the work takes longer.
        :raises ScnetStoppedError: if the task is told to stop.
        """
        end = patience.now() + longest
        threading.Thread(target=self._run, name="scnet-request", daemon=True).start()
        while True:
            patience.check()
            try:
                return self._outcome.get(timeout=SLICE)
            except Empty:
                if patience.now() >= end:
                    raise TooLongError from None

    def _run(self) -> None:
        _here.exchange = self
        try:
            self._outcome.put(Outcome(self._work()))
        except BaseException as error:
            self._outcome.put(Outcome(error=_bare(error)))

    def give_up(self) -> bool:
        """
        Leave the work to itself, close its connection, and let it send nothing if it has not begun to.

        :return: whether surely nothing was sent, nor will be.
        """
        self._given_up = True  # before the permit goes: who does not find it has to find this
        never_sent = self._take_permit()
        with suppress(AttributeError, OSError, ValueError):  # whatever state the connection may be in
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        return never_sent

    @property
    def has_left(self) -> bool | None:
        """Whether anything of the request may have left this machine; ``None`` if it has not even come to that."""
        return not self._permit if self._has_begun else None

    def beginning(self) -> None:
        """
        Note that a connection is sought, before which nothing is sent.

        :raises OSError: if there is no need any more.
        """
        if not self._has_begun:
            self._permit.append(None)
        self._has_begun = True
        self._check()

    def connecting(self, connection: HTTPConnection) -> None:
        """
        Note the connection that is being made.

        :raises OSError: if there is no need any more.
        """
        self._connection = connection
        self._check()

    def leaving(self, connection: HTTPConnection | None) -> None:
        """
        Note that from now on something may be sent.

        :param connection: on which; ``None`` if it is one that tells nothing.
        :raises OSError: if it must not.
        """
        self._connection = connection
        self._take_permit()
        self._check()

    def _check(self) -> None:
        if self._given_up:
            raise _GivenUpError

    def _take_permit(self) -> bool:
        try:
            self._permit.pop()
        except IndexError:
            return False
        return True


def forget_frames(error: BaseException, outer: BaseException | None) -> None:
    """
    Drop the frames of foreign code that has handled a secret: some log formats draw local variables.

    :param error: what was raised; what it was raised from is treated likewise.
    :param outer: what the caller was handling already, which is none of ours.
    """
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and link is not outer and link.__traceback__ is not None:
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]


def _bare(error: BaseException) -> BaseException:
    """The frames of the HTTP library hold what is sent, and so do the errors that it was raised from."""
    if not isinstance(error, AirflowException):  # a defect: where it was raised is all there is to find it by
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _current() -> Exchange[Any] | None:
    return getattr(_here, "exchange", None)


class Session(requests.Session):
    """
    Connections for one request at a time, of the process that has made them: after a fork, parent and child would read
    each other's answers.

    :param headers: sent with each request.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self._process = os.getpid()
        self.headers.update(headers)
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())

    @property
    def is_ours(self) -> bool:
        """Whether this process has made it."""
        return self._process == os.getpid()

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """No proxy comes between this machine and itself, whatever the environment says."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if is_this_machine(url):
            settings["proxies"] = {}
        return settings

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads to is not even looked at: a ``Location`` that is no address would be an error."""
        return None


class _Answer(HTTPResponse):
    """
    An answer that ends what was asked. What HTTP sends ahead of it (100 to 199) is passed over: ``http.client`` does so
    with 100 only, and takes any other for the answer, so that the real one would be the next request's. Nor is a
    connection used again on which that was needed.
    """

    _is_late = False

    def begin(self) -> None:
        super().begin()
        self.will_close = self.will_close or self._is_late

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if 100 <= status < 200:
            self._is_late = True
            if status != HTTPStatus.SWITCHING_PROTOCOLS:  # after which nothing follows that could be read
                status = HTTPStatus.CONTINUE
        return version, status, reason


class _Watched(HTTPConnection):
    """A connection that tells the exchange of its thread what it is about to do."""

    response_class = _Answer

    def connect(self) -> None:
        exchange = _current()
        if exchange:
            exchange.connecting(self)
        super().connect()
        if exchange:
            exchange.leaving(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        exchange = _current()
        if exchange and self.sock is not None:  # else it connects first
            exchange.leaving(self)
        super().request(*args, **kwargs)


class _WatchedOverTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolOverTls(HTTPSConnectionPool):
    ConnectionCls = _WatchedOverTls


_POOLS = {"http": _Pool, "https": _PoolOverTls}


class _Adapter(HTTPAdapter):
    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        exchange = _current()
        if exchange:
            exchange.beginning()
        return super().send(*args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        exchange = _current()
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        elif exchange:
            exchange.leaving(None)  # such a proxy has connections of its own
        return manager
