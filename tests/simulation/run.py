"""One run of the real operator on a simulated service, and what must be true afterwards."""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import dumps
from typing import Any
from unittest.mock import patch

from airflow_provider_scnet.api.credentials import TokenCache
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator
from tests.simulation.services import Service
from tests.simulation.verdicts import Violation, judge
from tests.simulation.wire import Endless
from tests.simulation.world import World

NOWHERE = "http://127.0.0.1:9"


@dataclass
class Run:
    """
    What a run did.

    :param error: what the task failed with; None if it is green.
    :param result: what it returned.
    :param took: seconds of virtual time.
    :param story: requests and log lines in their order.
    """

    world: World
    error: BaseException | None = None
    result: Any = None
    took: float = 0.0
    story: list[Any] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    @property
    def service(self) -> Service:
        """What it ran on."""
        return self.world.service

    @property
    def is_green(self) -> bool:
        """Whether the task succeeded."""
        return self.error is None

    def __str__(self) -> str:
        outcome = "green" if self.is_green else f"red, {type(self.error).__name__}: {self.error}"
        calls = Counter(exchange.request.call for exchange in self.world.wire.exchanges)
        return "\n".join(
            [
                str(self.service),
                *map(str, self.story),
                f"{outcome} after {self.took:.1f} s, {dict(calls)}",
                *(f"DEFECT {violation}" for violation in self.violations),
                f"To run it alone: {self.service.command}",
            ]
        )


def simulate(service: Service) -> Run:
    """Run the operator on a service, and judge what it did."""
    world = World(service)
    run = Run(world)
    world.wire.story = run.story
    chance = random.getstate()
    random.seed(service.seed)  # the pauses between attempts have jitter
    try:
        with world.wire.plugged_in(), world.time.passing(), _connection(world), _logging_to(run):
            operator = ScnetDeleteJobsOperator(task_id="delete", jobs=service.refs, **service.options)
            run.result = operator.execute({})
    except (Exception, Endless) as error:
        run.error = error
    finally:
        random.setstate(chance)
    run.took = world.time.elapsed()
    run.violations = judge(world, run.error, run.result, [line for line in run.story if isinstance(line, str)])
    return run


@contextmanager
def _connection(world: World) -> Iterator[None]:
    service, account = world.service, world.scnet.account
    fields: dict[str, Any] = {"conn_type": "scnet", "extra": {"api_url": NOWHERE, "platform_url": NOWHERE}}
    if not service.gateways:
        fields["host"] = NOWHERE
    if service.credentials != "keys":
        fields["password"] = world.token
    if service.credentials != "token":
        fields["login"] = account.login
        fields["extra"] |= {"access_key": account.access_key, "secret_key": account.secret_key}
    wanted = dumps(fields)
    with (
        patch.dict(os.environ, AIRFLOW_CONN_SCNET_DEFAULT=wanted),
        patch.object(Region, "shared_tokens", TokenCache()),
        # Airflow would look for each token of each run in whatever is logged from then on.
        patch("airflow_provider_scnet.api.credentials.mask_secret"),
    ):
        yield


class _Scribe(logging.Handler):
    """Puts log lines between the requests."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().replace("\n", "\n" + " " * 10)
        self._run.story.append(f"{self._run.world.time.elapsed():8.1f}  {record.levelname}: {lines}")


@contextmanager
def _logging_to(run: Run) -> Iterator[None]:
    """Airflow's own logger changes with its versions, and is slow. The operator's only warns that this is no worker."""
    logger, mute = logging.Logger("simulation", logging.INFO), logging.Logger("mute", logging.ERROR)
    logger.addHandler(_Scribe(run))
    with patch.object(ScnetHook, "log", logger), patch.object(ScnetDeleteJobsOperator, "log", mute):
        yield
