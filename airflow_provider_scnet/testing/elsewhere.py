"""Hosts that are not SCNet: one that must never hear a secret, one that does not answer."""

from __future__ import annotations

import socket
from email.message import Message
from types import TracebackType
from typing import Self

from airflow_provider_scnet.testing.dispatch import Reply
from airflow_provider_scnet.testing.server import HOST, Listener
from airflow_provider_scnet.testing.wire import Answer, RecordedRequest, recorded


class Bystander:
    """
    A server that records whatever it receives and answers ``200 {}``, until it is stopped.

    It stands for another host: the target of a redirect that must not be followed.
    """

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self._listener = Listener(self._reply)
        self._listener.start()

    def __enter__(self) -> Self:
        """Return itself; it is running already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Stop serving; the records stay."""
        self._listener.stop()

    @property
    def url(self) -> str:
        """Base URL."""
        return self._listener.url

    def _reply(self, method: str, target: str, headers: Message, body: bytes) -> Reply:
        self.requests.append(recorded("bystander", method, target, headers, body))
        return Reply(Answer(b"{}"), 0.0)


def dead_port() -> socket.socket:
    """Return a socket whose port refuses connections, and that nobody else can get until it is closed."""
    reserved = socket.socket()
    reserved.bind((HOST, 0))
    return reserved
