"""``python -m airflow_provider_scnet.testing``: the emulator for a shell."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from threading import Event
from types import FrameType
from typing import Any

from airflow_provider_scnet.testing.emulator import ScnetEmulator
from airflow_provider_scnet.testing.options import parser, plain_knobs
from airflow_provider_scnet.testing.tokens import derived, read_claims
from airflow_provider_scnet.testing.wire import beijing

READY = """\
SCNet emulator
  URL      {url}
  token    {token}
           until {end} Beijing time; {after_restart}
  jobs     {url}/  (in a browser)
  control  {url}/emulator/state  (faults, clock, outages: see the guide)

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
    command = parser()
    options = command.parse_args(argv)
    try:
        emulator = _made(options)
    except ValueError as error:  # all other options have been checked by themselves
        command.error(f"argument --token: {error}")
    try:
        # Both explicitly: a shell starts background commands with SIGINT ignored.
        _on_signals(signal.default_int_handler)
        if not _start(emulator, options.port):
            return 1
        print(_ready(emulator, options), flush=True)
        Event().wait()
    except KeyboardInterrupt:
        _on_signals(signal.SIG_IGN)
    emulator.stop()
    return 0


def _made(options: argparse.Namespace) -> ScnetEmulator:
    emulator = ScnetEmulator(
        port=options.port, token_lifetime=options.token_lifetime, seed=options.seed, **_identity(options)
    )
    for knob in plain_knobs():
        setattr(emulator, knob.name, getattr(options, knob.name))
    if options.token:
        emulator.regions[0].adopt_token(options.token)
    # Issued before anybody can ask for one: with a seed, the first is the same each time.
    assert emulator.token
    for _ in range(options.jobs):
        emulator.add_job()
    return emulator


def _identity(options: argparse.Namespace) -> dict[str, Any]:
    """Return what of an account the seed or the token decides."""
    if options.seed:
        keys = {name: derived(options.seed, name).hex() for name in ("access_key", "secret_key")}
        return {"access_key": f"ak-{keys['access_key'][:16]}", "secret_key": f"sk-{keys['secret_key'][:32]}"}
    if options.token:
        claims = read_claims(options.token)
        return {"login": claims["user"], "user": claims["computeUser"], "region_id": claims["clusterId"]}
    return {}


def _ready(emulator: ScnetEmulator, options: argparse.Namespace) -> str:
    lasts = options.seed or options.token
    return READY.format(
        url=emulator.url,
        token=emulator.token,
        end=beijing(int(read_claims(emulator.token)["expireTime"]) / 1000, " "),
        after_restart="a restart keeps it" if lasts else "a restart makes another, unless --seed is given",
        connection=emulator.connection(),
        aksk=emulator.aksk_connection(),
    )


def _start(emulator: ScnetEmulator, port: int) -> bool:
    try:
        emulator.start()
    except OSError as error:
        reason = error.strerror or error
        print(f"Cannot listen on 127.0.0.1:{port}: {reason}", file=sys.stderr)
        return False
    return True


def _on_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
