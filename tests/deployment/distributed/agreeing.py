"""
Many first submissions of an Airflow that begin in the same moment: each is a thread with the client through which a
supervisor reads and writes Variables for its task, so that API server and database are those of real tasks.

    python -m tests.deployment.distributed.agreeing TASKS HELD_UP

prints what each of them took for the namespace, as JSON. The first HELD_UP of them are suspended after they have seen
that nobody has claimed it: half of them until about the moment when it might be made, the others until it may be there.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from airflow.configuration import conf
from airflow.executors.base_executor import BaseExecutor
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import VariableResponse

from airflow_provider_scnet.jobs import namespace as module
from airflow_provider_scnet.jobs.namespace import CLAIM, SETTLING_TIME

DELAYS = {0: (0.9 * SETTLING_TIME, 1.1 * SETTLING_TIME), 1: (2.2 * SETTLING_TIME, 2.5 * SETTLING_TIME)}
"""Of those that are held up, by number modulo two: the fewest and the most seconds."""


class Variables:
    """
    Airflow's Variables, as a task sees them.

    :param client: of its supervisor.
    :param delay: seconds for which it is suspended before it claims for the first time.
    """

    def __init__(self, client: Client, delay: float) -> None:
        self._client = client
        self._delay = delay

    def get(self, key: str, default: str | None) -> str | None:
        """Return what is held."""
        answer = self._client.variables.get(key)
        return answer.value if isinstance(answer, VariableResponse) else default

    def set(self, key: str, value: str, description: str) -> None:
        """Hold something else."""
        if key == CLAIM:
            time.sleep(self._delay)
            self._delay = 0
        self._client.variables.set(key, value, description)

    def delete(self, key: str) -> None:
        """Hold nothing any more."""
        self._client.variables.delete(key)


def main(tasks: int, held_up: int) -> None:
    """Let them begin, and print what each took."""
    tokens = BaseExecutor(parallelism=1).jwt_generator
    server = conf.get("core", "execution_api_server_url")
    gate, mine = threading.Barrier(tasks), threading.local()
    module._variable = lambda: mine.variables  # type: ignore[attr-defined]

    def begin(number: int) -> str:
        shortest, longest = DELAYS[number % 2] if number < held_up else (0, 0)
        delay = shortest + (longest - shortest) * number / max(held_up, 1)
        with Client(base_url=server, token=tokens.generate({"sub": str(uuid4())})) as client:
            mine.variables = Variables(client, delay)
            gate.wait()
            return str(module.namespace.__wrapped__().text)

    with ThreadPoolExecutor(tasks) as threads:
        print(json.dumps(list(threads.map(begin, range(tasks)))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
