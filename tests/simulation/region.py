"""The region that tasks live with: it lags, loses answers and fails, but never for longer than is waited for."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from json import dumps
from typing import Any
from unittest.mock import patch

from airflow.triggers.base import BaseTrigger

from airflow_provider_scnet.api import patience
from airflow_provider_scnet.api.credentials import TokenCache
from airflow_provider_scnet.connection.region import Region
from airflow_provider_scnet.hooks.scnet import ScnetHook
from airflow_provider_scnet.jobs import namespace, poller, submission
from airflow_provider_scnet.jobs.namespace import Namespace
from airflow_provider_scnet.operators import instance, submitters
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.testing import Clock, RecordedRequest, ScnetEmulator, gateway
from tests.simulation.oddities import USED_BY_OTHERS, USED_TWICE, OddHistory
from tests.simulation.processes import HERE, SharedTime, WireOfWorkers
from tests.simulation.rules import SHOWN_WITHIN, Rules
from tests.simulation.services import ANOTHER_REGION
from tests.simulation.triggerers import no_threads
from tests.simulation.world import EPOCH, GATEWAYS, REGION, TOKEN_KEY

SCHEDULER = "1638523853"
NOWHERE = "http://127.0.0.1:9"
LONGEST_LIFE = 1e6
OPEN_CODES = ("10001", "10012", "10013", "815005")
SBATCH = "sbatch: error: Batch job submission failed: "
OPEN_TEXTS = (
    f"{SBATCH}Socket timed out on send/recv operation",
    f"{SBATCH}Unable to contact slurm controller (connect failure)",
    f"{SBATCH}Resource temporarily unavailable",
    f"{SBATCH}Zero Bytes were transmitted or received",
    f"{SBATCH}Transport endpoint is not connected",
    f"{SBATCH}Unexpected message received",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.",
)
POLICY = f"{SBATCH}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
FAULTS: dict[str, Any] = {
    "nothing": None,
    "request lost": ("submit", {"drop": True}),
    "answer lost": ("submit", {"drop": True, "effect": True}),
    "queue full": ("submit", {"code": "815007", "msg": "sbatch: error: QOSMaxSubmitJobPerUserLimit"}),
    "queue full, the first line cut off": ("submit", {"code": "815007", "msg": POLICY}),
    "too many requests": ("submit", {"status": 429, "headers": {"Retry-After": "40"}}),
    "lists fail": ("list", {"status": 503}),
    "history fails": ("history", {"status": 503}),
    "deletes fail": ("delete", {"status": 503}),
    "deletes do nothing": ("delete", {"code": "0"}),
}


class MoodyRegion:
    """
    An emulator in virtual time, as a seed draws it, for one Airflow or several. ``story`` tells how, and all that
    happens.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.story: list[str] = []
        clock = Clock(start=EPOCH)
        used = self._rng.choice((set(), set(), {USED_TWICE}, {USED_BY_OTHERS}))
        with patch.object(gateway, "History", partial(OddHistory, oddities=used)):
            self.scnet = ScnetEmulator(
                clock=clock, region_id=REGION, schedulers={SCHEDULER: "Cluster"}, token_lifetime=1e9
            )
        self.story.append(f"oddities {used}")
        self.scnet._tokens._key = TOKEN_KEY  # all lives share one token, see `tests.simulation.world`
        self.scnet._tokens._clock = Clock(start=EPOCH)
        self.scnet._front._port = 9  # so that the platform can name it
        self.scnet.clock_skew = LONGEST_LIFE * 1e3  # who signs has bound the real clock
        self.time = SharedTime(clock, EPOCH, longest=LONGEST_LIFE)
        self.rules = Rules(self.scnet, self.story)
        self.wire = WireOfWorkers(self.scnet, self.time, REGION, self.rules)
        self._draw()
        self.heal()

    def _draw(self) -> None:
        rng = self._rng
        knobs = {
            "submit_lag": rng.choice((0, 0, 5, 20, 45)),
            "lagging_deletes": rng.random() < 0.5,
            "view_age": rng.choice((0, 0, 0, 10)),
            "cancel_delay": rng.choice((0, 1, 20, 50)),
            "history_lag": rng.choice((0, 0, 30, 60)),
            "has_history": rng.random() < 0.85,
            "words_in_details": rng.random() < 0.8,
            "raw_state_in_lists": rng.random() < 0.3,
            "code_lead": rng.choice((0, 0, 0, 15)),
            "null_empty_lists": rng.random() < 0.3,
            "requeue_after": rng.choice((None, None, 20)),
        }
        for knob, value in knobs.items():
            setattr(self.scnet, knob, value)
        self._lag = float(knobs["submit_lag"]) + float(knobs["view_age"])
        self.tells_ends = knobs["has_history"] and (knobs["words_in_details"] or knobs["raw_state_in_lists"])
        """Whether nobody can miss that a job ended well."""
        gateways = rng.choice((["seeing"], ["seeing"], ["seeing", "blind"], ["blind", "seeing"]))
        self.scnet.regions[0].gateways = [f"http://{GATEWAYS[name]}/hpc" for name in gateways]
        self.story.append(f"region {knobs}, gateways {gateways}")

    def fall_ill(self) -> str:
        """Plan a fault, and return what it is called."""
        rng = self._rng
        fault = rng.choice([*FAULTS, "effect unknown", "sbatch unanswered", "effect late", "a blank list"])
        if fault == "effect unknown":
            self.scnet.fail("submit", code=rng.choice(OPEN_CODES), effect=rng.random() < 0.5)
        elif fault == "sbatch unanswered":
            self.scnet.fail("submit", code="815007", msg=rng.choice(OPEN_TEXTS), effect=rng.random() < 0.5)
        elif fault == "effect late":
            self.wire.submission_lasts = rng.uniform(0, SHOWN_WITHIN - self._lag)
        elif fault == "a blank list":
            self.scnet.fail("list", code="0", data={"total": 0, "list": []}, after=rng.randint(0, 16))
        elif fault != "nothing":
            call, how = FAULTS[fault]
            self.scnet.fail(call, times=1 if call == "submit" else rng.randint(1, 12), **how)
        return fault

    def heal(self) -> None:
        """Let no fault be left, but for what is none: a gateway that is another region's."""
        self.wire.submission_lasts = None
        self.scnet.clear_faults()
        for call, how in (ANOTHER_REGION | {"submit": {"code": "10004"}}).items():
            self.scnet.fail(call, times=None, when=_is_at_the_blind, **how)

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Let Airflow's Connection lead here."""
        account = self.scnet.account
        keys = {"access_key": account.access_key, "secret_key": account.secret_key}
        extra = {"api_url": NOWHERE, "platform_url": NOWHERE, **keys}
        fields = {"conn_type": "scnet", "login": account.login, "extra": extra}
        chance, mute = random.getstate(), logging.Logger("mute", logging.CRITICAL)
        random.seed(self._rng.random())  # the pauses between attempts have jitter
        with ExitStack() as stack:
            stack.callback(random.setstate, chance)
            stack.enter_context(patch.dict(os.environ, AIRFLOW_CONN_SCNET_DEFAULT=dumps(fields)))
            stack.enter_context(patch.object(Region, "shared_tokens", TokenCache()))
            stack.enter_context(patch("airflow_provider_scnet.api.credentials.mask_secret"))
            stack.enter_context(patch.object(patience, "SLICE", LONGEST_LIFE))
            for module in (poller, submission, submitters):
                stack.enter_context(patch.object(module, "log", mute))
            for kind in (ScnetHook, ScnetSubmitJobOperator, ScnetDeleteJobsOperator, BaseTrigger):
                stack.enter_context(patch.object(kind, "log", mute))
            stack.enter_context(patch.object(namespace, "namespace", lambda: Namespace(HERE.airflow.namespace)))
            stack.enter_context(patch.object(submitters, "shared_map_index", lambda *_: HERE.airflow.sought))
            stack.enter_context(patch.object(instance, "_last_success", lambda ti: ti.last_success))
            for world in (self.wire.plugged_in(), self.time.passing(), no_threads()):
                stack.enter_context(world)
            yield


def _is_at_the_blind(request: RecordedRequest) -> bool:
    return request.headers.get("Host") == GATEWAYS["blind"]
