"""What must be true after every run, whatever the service did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from airflow_provider_scnet.exceptions import ScnetError
from tests.simulation.services import ACCOUNT_CODES, REFUSED
from tests.simulation.world import World

SINGLE_READS = 20
"""Details that one look may ask for; as many look-ups of single jobs, in the live list or the history."""
ATTEMPTS = 4
RESEND_EVERY = 3
"""Looks after which the delete of a job that is still there is sent again."""
PROOF_INTERVAL = 20.0
"""Seconds between looks at most, while what has been seen has to stand for `absent_for`."""
SAME_REFUSALS = 8
"""Jobs refused alone with the same code of the account, after which it is the account."""


@dataclass(frozen=True)
class Violation:
    """
    A defect.

    :param name: which promise was broken.
    """

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def judge(world: World, error: BaseException | None, result: Any, log: list[str]) -> list[Violation]:
    """
    Find what was broken.

    :param error: what the task failed with; None if it is green.
    :param result: what it returned.
    :param log: what it logged.
    """
    checks = [_check_deletes(world), _check_bounds(world), _check_pace(world), _check_secrets(world, error, log)]
    if error is None:
        checks += [_check_green(world), _check_result(world, result)]
    elif isinstance(error, ScnetError):
        checks += [_check_red(world, error), _check_need(world, error)]
    else:
        return [Violation("alien error", f"{type(error).__name__}: {error}")]
    return [violation for check in checks for violation in check]


def _check_green(world: World) -> Iterator[Violation]:
    running = [job for ref in world.service.refs for job in world.running(ref)]
    if running:
        yield Violation("false green", ", ".join(f"{job.ref} is {job.state}" for job in running))


def _check_result(world: World, result: dict[str, list[str]]) -> Iterator[Violation]:
    told = Counter(ref for refs in result.values() for ref in refs)
    if told != Counter(world.service.refs):
        yield Violation("wrong report", f"{result}")


def _check_red(world: World, error: ScnetError) -> Iterator[Violation]:
    text, left = str(error), {str(job.ref) for job in error.report.left} if error.report else set()
    running = [ref for ref in world.service.refs if world.running(ref)]
    if untold := [ref for ref in running if ref not in text or ref not in left]:
        yield Violation("left and not told", f"{untold}")
    if not any(exchange.named for exchange in world.wire.exchanges):
        return  # there was no token to be had, or no gateway: the deletion has not begun
    if shielded := [ref for ref in running if _could_be_deleted(world, ref)]:
        yield Violation("shielded", f"{shielded}")


def _could_be_deleted(world: World, ref: str) -> bool:
    """
    Whether a job that runs although the task is over should not: nothing refuses its delete, and the task gave up on
    it early, or never named it in a request that could work.
    """
    refused = _refused(world)
    if ref in refused or any(plan.stays for plan in world.service.named if plan.ref == ref):
        return False
    if all(job.state == "COMPLETING" for job in world.running(ref)) or _takes_no_deletes(world):
        return False
    if _is_elsewhere(world, ref.partition(",")[0]):
        return False
    codes = Counter(refused.values())
    if any(codes[code] >= SAME_REFUSALS for code in ACCOUNT_CODES):
        return False  # it may be the account: the task stops
    gave_up_early = world.time.elapsed() < _deadline(world)
    return gave_up_early or not _was_tried(world, ref, refused)


def _refused(world: World) -> dict[str, str]:
    """The references that are refused, and with which code."""
    return {job.ref: job.refusal_code for job in world.service.named if job.refused}


def _takes_no_deletes(world: World) -> bool:
    return any(trouble.call in ("delete", "*") and trouble.rate == 1 for trouble in world.service.troubles)


def _is_elsewhere(world: World, scheduler_id: str) -> bool:
    """Whether no gateway has named the scheduler for `absent_for`: then no delete of its jobs is sent any more."""
    lists = [exchange for exchange in world.wire.exchanges if exchange.request.call == "clusters"]
    answers = [exchange for exchange in lists if '"code":"0"' in exchange.answered]
    since = max((exchange.asked_at for exchange in answers if scheduler_id in exchange.answered), default=-1.0)
    others = [exchange.asked_at for exchange in answers if exchange.asked_at > since]
    return bool(others) and others[-1] - others[0] >= world.service.options["absent_for"]


def _was_tried(world: World, ref: str, refused: Collection[str]) -> bool:
    """Whether a delete named the job and none that is refused, or else the last one that named it was no refusal."""
    naming = [exchange for exchange in world.wire.exchanges if ref in exchange.named]
    fair = world.scnet.refusal == "partial" or any(not exchange.named.intersection(refused) for exchange in naming)
    return bool(naming) and (fair or REFUSED not in naming[-1].answered)


def _check_deletes(world: World) -> Iterator[Violation]:
    named = {ref for exchange in world.wire.exchanges for ref in exchange.named}
    if alien := named.difference(world.service.refs):
        yield Violation("not ours", f"a delete named {sorted(alien)}")


def _check_secrets(world: World, error: BaseException | None, log: list[str]) -> Iterator[Violation]:
    if any(secret in text for secret in world.scnet.secrets for text in (str(error), *log)):
        yield Violation("leak", "a token, a key or a signature is in the log or the error")


# --- bounds -----------------------------------------------------------------------------------------------------------


def _check_bounds(world: World) -> Iterator[Violation]:
    exchanges, rounds = world.wire.exchanges, _rounds(world)
    reads, deletes = _reads_of_a_look(world), _deletes_in(rounds, world)
    most = rounds * reads + deletes
    if len(exchanges) > most:
        yield Violation("requests", f"{len(exchanges)}, more than {most:.0f} of {rounds:.0f} rounds")
    deadline = _deadline(world)
    late = [exchange for exchange in exchanges if exchange.answered_at > deadline]
    if len(late) > 2 * reads + _deletes_in(1, world):  # the rest of the look that was under way, and one last round
        yield Violation("requests after the deadline", f"{len(late)}, for {reads} in a look")
    on_the_way = sum(exchange.answered_at - max(exchange.asked_at, deadline) for exchange in late)
    if (idle := world.time.elapsed() - deadline - on_the_way) > 1:
        yield Violation("waits after the deadline", f"{idle:.0f} s")


def _deadline(world: World) -> float:
    """It counts from the first delete: what has to be known before that, a token and the gateways, comes on top."""
    deletes = (exchange.asked_at for exchange in world.wire.exchanges if exchange.request.call == "delete")
    return float(world.service.options["timeout"]) + next(deletes, 0.0)


def _check_pace(world: World) -> Iterator[Violation]:
    """Between two looks there is a pause, except where a refused batch is split and where a delete was sent again."""
    queries = (exchange.request.query for exchange in world.wire.exchanges if exchange.request.call == "list")
    lists = ((query["strClusterIDList"], query.get("strJobOwner")) for query in queries if query.get("start") == "0")
    looks = max(Counter(of for of in lists if of[1]).values(), default=0)
    splits = 2 * world.service.options["batch_size"].bit_length() if _refused(world) else 0
    if looks > (most := _rounds(world) * (1 + 1 / RESEND_EVERY) + splits):
        yield Violation("looks", f"{looks}, more than {most:.0f}")


def _rounds(world: World) -> float:
    """How often at most a deletion looks: at first, at its end, and between two pauses."""
    return world.time.elapsed() / min(world.service.options["poll_interval"], PROOF_INTERVAL) + 8


def _reads_of_a_look(world: World) -> int:
    """How many reads one look may take: it grows with pages, not with jobs."""
    refs, scnet = world.service.refs, world.scnet
    per_page = min(100, scnet.page_cap or 100, 25 if scnet.largest_limit else 100)
    pages = ceil(len(scnet.jobs) / per_page) + 2
    schedulers, users = (len({ref.partition(mark)[0] for ref in refs}) for mark in ",:")
    # Of each user the live list and the history, of each scheduler everybody's list and the schedulers.
    reads = 2 * users * pages + schedulers * (pages + 1) + 2 * SINGLE_READS
    troubled = world.service.troubles or world.service.outages
    return reads * (ATTEMPTS if troubled else 1)


def _deletes_in(rounds: float, world: World) -> float:
    """How many deletes some rounds may take: batches again and again, and one job each after all have been split."""
    refs, refused = world.service.refs, len(_refused(world))
    batch = min(world.service.options["batch_size"], len(refs))
    resent = rounds if world.service.troubles else rounds / RESEND_EVERY + 2
    split = ATTEMPTS * refused * (2 * batch.bit_length() + 1)
    return resent * (ceil(len(refs) / batch) + 1) + rounds * refused + split


# --- liveness ---------------------------------------------------------------------------------------------------------


def _check_need(world: World, error: ScnetError) -> Iterator[Violation]:
    if world.service.must_end_green:
        yield Violation("red without need", str(error))
