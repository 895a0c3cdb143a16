"""One request in a thread of its own: whoever waits for it can stop waiting at any moment."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import requests
from airflow.providers.common.compat.sdk import AirflowException
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

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

    __slots__ = ("_connection", "_given_up", "_outcome", "_permit", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._outcome: SimpleQueue[Outcome[T]] = SimpleQueue()
        self._connection: HTTPConnection | None = None
        self._given_up = False
        # Not empty: nothing was sent so far. Who takes it out, which only one can, decides whether anything ever is.
        # No lock: a signal handler that sends a request itself would wait for one that it has interrupted the owner of.
        self._permit: list[None] = []

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
        self._given_up = True
        never_sent = self._take_permit()
        with suppress(AttributeError, OSError, ValueError):  # whatever state the connection may be in
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        return never_sent

    def connecting(self, connection: HTTPConnection) -> None:
        """
        Note that a connection is being made, before which nothing is sent.

        :raises OSError: if there is no need any more.
        """
        self.sending(connection)
        self._permit.append(None)

    def connected(self) -> None:
        """
        Note that from now on something may be sent.

        :raises OSError: if it must not.
        """
        if not self._take_permit() or self._given_up:
            raise _GivenUpError

    def sending(self, connection: HTTPConnection) -> None:
        """
        Note the connection on which something is about to be sent.

        :raises OSError: if it must not.
        """
        self._connection = connection
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


class Session(requests.Session):
    """
    Connections for one request at a time.

    :param headers: sent with each request.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self.headers.update(headers)
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where a redirect leads to is not even looked at: a ``Location`` that is no address would be an error."""
        return None


class _Watched(HTTPConnection):
    """A connection that tells the exchange of its thread what it is about to do."""

    def connect(self) -> None:
        exchange: Exchange[Any] | None = getattr(_here, "exchange", None)
        if exchange:
            exchange.connecting(self)
        super().connect()
        if exchange:
            exchange.connected()

    def request(self, *args: Any, **kwargs: Any) -> None:
        exchange: Exchange[Any] | None = getattr(_here, "exchange", None)
        if exchange:
            exchange.sending(self)
        super().request(*args, **kwargs)


class _WatchedOverTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolOverTls(HTTPSConnectionPool):
    ConnectionCls = _WatchedOverTls


_POOLS = {"http": _Pool, "https": _PoolOverTls}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those have connections of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager
