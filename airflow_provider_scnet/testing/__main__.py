"""``python -m airflow_provider_scnet.testing``: the emulator for a shell."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from threading import Event
from types import FrameType

from airflow_provider_scnet.testing.emulator import ScnetEmulator

READY = """\
SCNet emulator
  URL    {url}
  token  {token}
  jobs   {url}/  (in a browser)

With a token:
export AIRFLOW_CONN_SCNET_DEFAULT='{connection}'

With AK/SK, which renew it:
export AIRFLOW_CONN_SCNET_AKSK='{aksk}'

Ctrl-C stops it."""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until a signal comes.

    :param argv: command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_scnet.testing", description="An SCNet to try things out with."
    )
    parser.add_argument("--port", type=int, default=8765, help="port on 127.0.0.1, 0 for any (%(default)s)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds before each answer")
    parser.add_argument(
        "--cancel-delay", type=float, default=0.0, metavar="S", help="seconds a deleted job needs to end"
    )
    options = parser.parse_args(argv)
    emulator = ScnetEmulator(port=options.port, latency=options.latency, cancel_delay=options.cancel_delay)
    try:
        # Both explicitly: a shell starts background commands with SIGINT ignored.
        _on_signals(signal.default_int_handler)
        if not _start(emulator, options.port):
            return 1
        ready = READY.format(
            url=emulator.url,
            token=emulator.token,
            connection=emulator.connection(),
            aksk=emulator.aksk_connection(),
        )
        print(ready, flush=True)
        Event().wait()
    except KeyboardInterrupt:
        _on_signals(signal.SIG_IGN)
    emulator.stop()
    return 0


def _start(emulator: ScnetEmulator, port: int) -> bool:
    try:
        emulator.start()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"Cannot listen on 127.0.0.1:{port}: {reason}", file=sys.stderr)
        return False
    return True


def _on_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
