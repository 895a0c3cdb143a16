"""What a hostile SCNet is made of: which jobs there are, how the service behaves, how the task is configured."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_scnet.testing import RecordedRequest

USER = "acexample01"
SCHEDULERS = {"1638523853": "Cluster", "2000000000": "Second"}
SCHEDULER = next(iter(SCHEDULERS))
DAWN = -130.0
"""When a simulated service begins; the deletion does at 0."""
LONGEST_HIDING = 85.0
"""
Seconds for which a job may be hidden without a break. Beyond ``absent_for`` (90) nothing can be proven: no look could
tell such a job from one that never existed.
"""

REFUSED = "refused for this job:"
"""How SCNet's message begins then: faults may have the same code."""
_PAGE, _LOGIN = {"body": f"<html>{REFUSED} access denied</html>"}, {"redirect": f"https://login.example/{REFUSED}"}
PAGES: dict[str, dict[str, Any]] = {
    **{f"page {status}": {"status": status, **_PAGE} for status in (401, 403, 404, 405)},
    "redirect": _LOGIN,
    "redirect 307": {**_LOGIN, "status": 307},
    **{f"{code} with HTTP": {"code": str(code), "msg": REFUSED, "status": code} for code in (401, 403, 404, 405)},
}
"""What stands before SCNet may refuse a request because of one job in it; arguments of the emulator's ``fail``."""
ACCOUNT_CODES = ("10003", "10007", "10008", "10009", "404", "405", "401", "403", "302", "307")
"""As errors of the deletion have them: an HTTP status where there is no envelope."""
BUSY_CODES = ("10012", "10013", "815005")
"""They leave open whether a delete was carried out."""
REFUSAL_CODES = ("10001", "10004", "77777", "10003", "10007", "10008", "10009", "404")
REFUSALS = (*REFUSAL_CODES, *BUSY_CODES, *PAGES)
REQUEUED_WORDS = ("PREEMPTED", "PREEMPTED", "NODE_FAIL")
BROKEN: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "503, later": {"status": 503, "headers": {"Retry-After": "120"}},
    "web page": {"status": 502, "body": "<html>Bad Gateway</html>"},
    "web page with 200": {"body": "<html>Please log in</html>"},
    "dropped": {"drop": True},
    "dropped after the work": {"drop": True, "effect": True},
    "time-out": {"drop": True, "latency": 100.0},
    "time-out after the work": {"latency": 100.0},
    "10001": {"code": "10001"},
    "10012": {"code": "10012"},
    "10012 after the work": {"code": "10012", "effect": True},
    "10013": {"code": "10013"},
    "10013 after the work": {"code": "10013", "effect": True},
    "815005": {"code": "815005"},
    "77777": {"code": "77777"},
}
ANOTHER_REGION: dict[str, dict[str, Any]] = {
    "clusters": {"code": "0", "data": [{"id": 3000000000, "text": "Third"}]},
    "list": {"code": "0", "data": {"total": 0, "list": []}},
    "history": {"code": "0", "data": {"total": 0, "list": []}},
    "detail": {"code": "0"},
    "delete": {"code": "10004"},
}
"""What a gateway says that knows neither our schedulers nor our jobs."""
SILENT = {"no sentence": {"code": "0", "data": {}}, "no sentence after the work": {"code": "0", "effect": True}}
CONDITIONS: dict[str, Callable[[RecordedRequest], bool]] = {
    "all": lambda request: True,
    "everybody's": lambda request: not request.query.get("strJobOwner") and not request.query.get("strJobId"),
    "later pages": lambda request: request.query.get("start") != "0",
    "look-ups": lambda request: bool(request.query.get("strJobId")),
}
"""Which of the requests of a call are meant."""
TOTALS: dict[str, Callable[[int, int], int | None]] = {
    "low": lambda total, shown: max(0, total - 1),
    "high": lambda total, shown: total + 3,
    "zero": lambda total, shown: 0,
    "missing": lambda total, shown: None,
    "cut": lambda total, shown: min(total, shown),
}
"""What a service may report, given the real total and how many records it shows at most."""


@dataclass
class JobPlan:
    """
    A job, as it goes on a service that nobody asks to delete it. Moments are seconds from the deletion's start.

    :param named: whether the task is to delete it.
    :param named_as: the id it is named by, where that is not its own: its array's, or a waiting member's.
    :param named_user: the user it is named with by mistake.
    :param ends: when it ends by itself, or ended; None for never.
    :param preempted: when the scheduler takes its nodes away; it may start it again.
    :param refused: the code with which its delete is refused, or one of ``PAGES``.
    """

    job_id: str
    scheduler_id: str = SCHEDULER
    user: str = USER
    named: bool = True
    named_as: str = ""
    named_user: str = ""
    state: str = "RUNNING"
    born: float = -100.0
    ends: float | None = None
    outcome: str = "COMPLETED"
    preempted: float | None = None
    preempted_word: str = "PREEMPTED"
    ignores_delete: bool | int = False
    refused: str | None = None

    @property
    def ref(self) -> str:
        """As the task names it."""
        return f"{self.scheduler_id},{self.named_user or self.user}:{self.named_as or self.job_id}:"

    @property
    def refusal_code(self) -> str:
        """The code of its refusal, as an error of the deletion has it; empty if it is not refused."""
        page = PAGES.get(self.refused or "", {})
        status = str(page.get("status", 302 if page else ""))
        return status or self.refused or ""

    @property
    def stays(self) -> bool:
        """Whether no delete ends it: one of a member that waits in its array's rest does not reach that, either."""
        waits = "_[" in self.job_id and "_" in self.named_as
        is_kept = self.ignores_delete is True or self.refused is not None
        return waits or is_kept or self.user != USER or bool(self.named_user)


@dataclass(frozen=True)
class Outage:
    """For some time, lists look as if there were no jobs, or say 10001."""

    start: float
    end: float
    kind: str


@dataclass(frozen=True)
class Trouble:
    """
    What goes wrong with some requests.

    :param how: arguments of the emulator's ``fail``.
    :param rate: how many of these requests it strikes.
    :param only: a condition on requests, by name.
    :param times: how often at most.
    :param during: seconds from the deletion's start between which it strikes; None for always.
    """

    call: str
    name: str
    how: dict[str, Any]
    rate: float = 1.0
    only: str = "all"
    times: int | None = None
    during: tuple[float, float] | None = None

    def __str__(self) -> str:
        often = "for ever" if self.times is None else f"{self.times} times"
        often += f" from {self.during[0]} to {self.during[1]}" if self.during else ""
        return f"{self.rate:.0%} of {self.call} ({self.only}): {self.name}, {often}"


@dataclass
class Service:
    """
    A service and a task that deletes jobs on it.

    :param rng: what decides by chance while it runs.
    :param command: what simulates it alone.
    :param credentials: what the Connection has: ``token``, ``keys`` or ``both``.
    :param revoked_at: moments at which all tokens of the region end.
    :param gateways: names of the region's gateways, in the order in which the platform lists them; one that is
        ``blind`` is of another region and answers as if it were ours. None: the Connection names the only one.
    :param oddities: names of what else is odd in its answers, see :mod:`tests.simulation.oddities`.
    """

    seed: int
    rng: random.Random = field(repr=False)
    command: str
    traits: list[str] = field(default_factory=list)
    knobs: dict[str, Any] = field(default_factory=dict)
    jobs: list[JobPlan] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    credentials: str = "token"
    revoked_at: list[float] = field(default_factory=list)
    gateways: tuple[str, ...] | None = None
    oddities: set[str] = field(default_factory=set)

    @property
    def named(self) -> list[JobPlan]:
        """The jobs that the task is to delete, as far as they exist."""
        return [job for job in self.jobs if job.named]

    @property
    def refs(self) -> list[str]:
        """What is given to the task."""
        return [*dict.fromkeys(job.ref for job in self.named), *self.unknown]

    @property
    def must_end_green(self) -> bool:
        """Whether nothing keeps a deletion from its end: at most one trait, none that stops it for good, and time."""
        options = self.options
        return (
            len(self.traits) <= 1
            and not self.troubles
            and not any(job.stays for job in self.named)
            and options["missing_ok"]
            and options["timeout"] >= 300
            and options["poll_interval"] <= 15
        )

    def __str__(self) -> str:
        others = len(self.jobs) - len(self.named)
        lines = [
            f"service {self.seed}: {', '.join(self.traits) or 'honest'}",
            f"  options {self.options}",
            f"  knobs {self.knobs}, {', '.join(sorted(self.oddities)) or 'no oddities'}",
            f"  {self.credentials}, revoked at {self.revoked_at}, gateways {self.gateways or 'from host'}",
            *(f"  {trouble}" for trouble in self.troubles),
            *(f"  {outage}" for outage in self.outages),
            *(f"  {_differences(job)}" for job in self.named),
            f"  unknown {self.unknown}, {others} jobs more",
        ]
        return "\n".join(lines)


def _differences(job: JobPlan) -> str:
    usual = JobPlan(job.job_id)
    told = {name: value for name, value in vars(job).items() if value != getattr(usual, name)}
    return f"job {job.job_id} {told}"
