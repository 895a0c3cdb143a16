"""HTTP on loopback: sockets in, answers out, without noise."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Thread
from typing import Any

from airflow_provider_scnet.testing.dispatch import Reply
from airflow_provider_scnet.testing.wire import Answer

HOST = "127.0.0.1"
Respond = Callable[[str, str, Message, bytes], Reply]
PHRASES = {int(status): status.phrase for status in HTTPStatus}


class HttpServer(ThreadingHTTPServer):
    """
    A server that runs in threads of its own.

    :param port: port to listen on; 0 for any free one.
    :param respond: takes verb, target, header fields and body; returns what to do.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_port = False  # a second server on the same port must fail, not share it

    def __init__(self, port: int, respond: Respond) -> None:
        super().__init__((HOST, port), _Handler)
        self.respond = respond
        self.stopping = Event()
        self._connections: set[socket.socket] = set()
        self._gates: set[Event] = set()
        self._thread = Thread(target=self.serve_forever, args=(0.01,), name="scnet-emulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and close all connections, also those that are idle or held."""
        self.stopping.set()
        for gate in list(self._gates):
            gate.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):  # the client may have been faster
                connection.shutdown(socket.SHUT_RDWR)

    def hold(self, gate: Event) -> None:
        """
        Wait until a gate opens, or the server stops and opens it.

        :param gate: set once it is open.
        """
        self._gates.add(gate)
        # After the line above: a server that stops in between has seen the gate, or is seen to stop.
        if not self.stopping.is_set():
            gate.wait()
        self._gates.discard(gate)

    def server_bind(self) -> None:
        """Bind, without HTTPServer's look-up of the host name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """
        Serve a connection in a thread of its own.

        :param client_address: where it comes from.
        """
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Report what broke a connection, unless it was the client going away.

        :param client_address: where it came from.
        """
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Listener:
    """
    A server that can be stopped and started again on the same port.

    :param respond: takes verb, target, header fields and body; returns what to do.
    :param port: port to listen on; 0 for any free one.
    """

    def __init__(self, respond: Respond, port: int = 0) -> None:
        self.server: HttpServer | None = None
        self._respond = respond
        self._port = port
        self._reserved: socket.socket | None = None

    def start(self) -> None:
        """
        Begin to serve, unless it does already.

        :raises OSError: the port is in use.
        """
        if self.server is None:
            self._free()
            self.server = HttpServer(self._port, self._respond)
            self._port = self.server.server_port

    def stop(self) -> None:
        """Stop serving and close all connections."""
        if self.server is not None:
            self.server.stop()
            self.server = None
        self._free()

    def pause(self) -> None:
        """Stop serving, but let nobody else have the port until the next start or stop."""
        self.stop()
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections linger
        self._reserved.bind((HOST, self._port))

    def _free(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    @property
    def url(self) -> str:
        """Base URL; known once it has been started."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        return f"http://{HOST}:{self._port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def _serve(self) -> None:
        reply = self.server.respond(self.command, self.path, self.headers, self._body())
        if reply.delay > 0:
            self.server.stopping.wait(reply.delay)
        if reply.gate is not None:
            self.server.hold(reply.gate)
        if reply.answer is None or self.server.stopping.is_set():
            self.close_connection = True
            return
        self._send(reply.answer, reply.drip)
        if reply.answer.then is not None:
            reply.answer.then()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            # Nobody knows where this body ends, so nothing can follow it.
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    def _send(self, answer: Answer, drip: float) -> None:
        fields = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Date": self.date_time_string(),
            **({"Connection": "close"} if self.close_connection else {}),
            **answer.headers,
        }
        head = f"{self.protocol_version} {answer.status} {PHRASES.get(answer.status, '')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        body = b"" if self.command == "HEAD" else answer.body
        self._write(head.encode("latin-1") + b"\r\n" + body, drip)

    def _write(self, text: bytes, drip: float) -> None:
        if drip <= 0:
            # One write: two would let Nagle's algorithm and delayed acknowledgement cost 40 ms.
            self.wfile.write(text)
            return
        for number in range(len(text)):
            self.wfile.write(text[number : number + 1])
            if self.server.stopping.wait(drip):
                self.close_connection = True
                return

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
