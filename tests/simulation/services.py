"""Hostile SCNets, drawn from a seed: which jobs there are, how the service behaves, how the task is configured."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

MANY_LOOKS = 24
LOOKED_UP = 5
"""Jobs that are few enough to be looked up one by one."""

ACCOUNT_CODES = ("10003", "10007", "10008", "10009", "404")
REFUSAL_CODES = ("10001", "10004", "77777", *ACCOUNT_CODES)
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
SILENT = {"no sentence": {"code": "0", "data": {}}, "no sentence after the work": {"code": "0", "effect": True}}
TOTALS: dict[str, Callable[[int, int], int | None]] = {
    "low": lambda total, shown: max(0, total - 1),
    "high": lambda total, shown: total + 3,
    "zero": lambda total, shown: 0,
    "missing": lambda total, shown: None,
    "cut": lambda total, shown: min(total, shown),
}
"""What a service may report, given the real total and how many records it shows at most."""


COMBINATIONS = (
    ("codes_ahead", "outage"),
    ("codes_ahead", "no_words", "crowd"),
    ("codes_ahead", "old_views"),
    ("crowd", "no_words"),
    ("requeue", "lag"),
    ("requeue", "old_views"),
    ("requeue", "outage"),
    ("outage", "ignored_deletes"),
    ("outage", "lag"),
    ("lag", "old_views"),
    ("lag", "unknown", "no_history"),
    ("cut_lists", "arrays"),
    ("cut_lists", "arrays", "ignored_deletes"),
    ("cut_lists", "others", "slow_cancels"),
    ("refusals", "crowd"),
    ("refusals", "schedulers"),
)
"""Traits that are worse together."""


@dataclass
class JobPlan:
    """
    A job, as it goes on a service that nobody asks to delete it. Moments are seconds from the deletion's start.

    :param named: whether the task is to delete it.
    :param named_as: the id it is named by, where that is not its own: its array's, or a waiting member's.
    :param named_user: the user it is named with by mistake.
    :param ends: when it ends by itself, or ended; None for never.
    :param preempted: when the scheduler takes its nodes away; it may start it again.
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
    """

    call: str
    name: str
    how: dict[str, Any]
    rate: float = 1.0
    only: str = "all"
    times: int | None = None

    def __str__(self) -> str:
        often = "for ever" if self.times is None else f"{self.times} times"
        return f"{self.rate:.0%} of {self.call} ({self.only}): {self.name}, {often}"


@dataclass
class Service:
    """
    A service and a task that deletes jobs on it.

    :param rng: what decides by chance while it runs.
    :param command: what simulates it alone.
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
            f"  knobs {self.knobs}",
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


Trait = Callable[[Service], None]
TRAITS: dict[str, Trait] = {}


def trait(change: Trait) -> Trait:
    """Register what makes a service hostile, under the function's name."""
    TRAITS[change.__name__] = change
    return change


def draw_service(seed: int, wanted: str | None = None) -> Service:
    """
    Draw a service.

    :param wanted: a trait that it is to have in any case.
    """
    command = f"python -m tests.simulation --seed {seed}" + (f" --trait {wanted}" if wanted else "")
    service = Service(seed, random.Random(seed), command)
    rng = service.rng
    _draw_task(service)
    count = rng.choices((0, 1, 2, 3, rng.randint(4, 8)), (2, 6, 6, 4, 2))[0]
    together = rng.choice(COMBINATIONS) if count > 1 and rng.random() < 0.3 else ()
    drawn = [*filter(None, [wanted]), *together, *rng.sample(list(TRAITS), count)]
    service.traits = list(dict.fromkeys(drawn))[: max(count, len(together), 1 if wanted else 0)]
    # In one order: what changes jobs comes after what adds some.
    for name, change in TRAITS.items():
        if name in service.traits:
            change(service)
    if service.traits and rng.random() < 0.25:
        _add_troubles(service, rng.randint(1, 2), highest=0.1)
    _keep_arrays_together(service)
    _keep_provable(service)
    if any(job.stays for job in service.named) and rng.random() < 0.8:
        service.options["timeout"] = min(service.options["timeout"], 120)  # longer would show little more
    return service


def _draw_task(service: Service) -> None:
    rng = service.rng
    timeout = rng.choice((20, 60, 150, 300, 300, 300, 300, 300, 300, 300, 300, 600))
    poll_interval = rng.choices((1, 2, 5, 10, 15, 30), (2, 2, 6, 6, 6, 4))[0]
    if timeout / poll_interval > MANY_LOOKS and rng.random() < 0.9:
        poll_interval = timeout // MANY_LOOKS  # hundreds of looks cost most of the time and show little more
    service.options = {
        "timeout": timeout,
        "poll_interval": poll_interval,
        "batch_size": rng.choice((1, 7, 50, 50, 50, 50, 200)),
        "missing_ok": rng.random() < 0.9,
        "absent_for": rng.choice((90, 90, 90, 90, 90, 120)),
    }
    service.knobs = {"latency": rng.choice((0.05, 0.2, 1.0)), "cancel_delay": rng.choice((0.0, 1.0, 5.0, 20.0, 40.0))}
    count = rng.choices((1, rng.randint(2, 6), rng.randint(7, 20), rng.randint(21, 60)), (8, 8, 3, 1))[0]
    for number in range(count):
        service.jobs.append(_running(service, str(1001 + number)))
    if rng.random() < 0.3:
        _end_some(service, 0.3)
    if rng.random() < 0.3:
        _add_others(service, rng.randint(1, 30))


def _running(service: Service, job_id: str) -> JobPlan:
    state = service.rng.choice(("RUNNING", "RUNNING", "RUNNING", "PENDING", "SUSPENDED"))
    return JobPlan(job_id, state=state, born=-round(service.rng.uniform(0, 100), 1))


def _end_some(service: Service, share: float) -> None:
    """Before the deletion (minutes or hours) or during it."""
    rng = service.rng
    for job in service.named:
        if rng.random() < share:
            job.ends = rng.choice((-rng.uniform(0, 90), rng.uniform(0, 90), -rng.uniform(60, 400), -7200.0))
            job.outcome = rng.choice(("COMPLETED", "FAILED", "CANCELLED by 1001", "TIMEOUT", "OUT_OF_MEMORY"))
            if job.ends <= job.born:
                job.born = job.ends - 60


def _add_others(service: Service, count: int) -> None:
    """Jobs that nobody named, of the same user and of others, some of which have ended."""
    rng = service.rng
    first = 20_001 + len(service.jobs)
    for number in range(first, first + count):
        ends = rng.choice((None, None, rng.uniform(DAWN, 300.0)))
        user = rng.choice((USER, "acexample02", "acexample03"))
        scheduler_id = rng.choice((*SCHEDULERS, SCHEDULER))
        job = JobPlan(str(number), scheduler_id, user, named=False, born=DAWN, ends=ends)
        service.jobs.insert(rng.randint(0, len(service.jobs)), job)


def _add_troubles(service: Service, count: int, highest: float) -> None:
    rng = service.rng
    for _ in range(count):
        call = rng.choice(("*", "list", "delete", "detail", "history", "clusters"))
        name, how = rng.choice(list((BROKEN | SILENT if call == "delete" else BROKEN).items()))
        service.troubles.append(Trouble(call, name, how, rate=round(rng.uniform(0.02, highest), 2)))


def _keep_arrays_together(service: Service) -> None:
    """An array is submitted at once: its members are there, and are listed, from the same moment on."""
    newest: dict[str, float] = {}
    for job in service.named:
        if job.named_as:
            newest[job.named_as] = max(newest.get(job.named_as, DAWN), job.born)
    for job in service.named:
        if job.named_as:
            job.born = newest[job.named_as]
            if job.ends is not None and job.ends <= job.born:
                job.ends = job.born + 1


def _keep_provable(service: Service) -> None:
    """Shorten what would hide one and the same job for longer than a wait of ``absent_for`` sees through."""
    knobs = service.knobs
    room = LONGEST_HIDING - knobs.get("view_age", 0.0)
    if "requeue_after" in knobs:
        knobs["requeue_after"] = min(knobs["requeue_after"], room)
    _keep_words(service)
    if knobs.get("total") == "cut" and len(service.refs) > LOOKED_UP:
        knobs["total"] = "low"  # a list that calls itself complete: only look-ups show what it hides
    if service.outages:
        room -= knobs.get("submit_lag", 0.0)
        shorter = (Outage(one.start, min(one.end, one.start + room), one.kind) for one in service.outages)
        service.outages = [one for one in shorter if one.end > one.start]


def _keep_words(service: Service) -> None:
    """
    Each delete lets the code run ahead anew. Where a job may run for longer than ``absent_for`` under a code that says
    it ended, somebody has to give the scheduler's word.
    """
    knobs, ids = service.knobs, Counter(job.job_id for job in service.jobs)
    ignored = any(job.ignores_delete for job in service.jobs)
    if "code_lead" in knobs and (ignored or "requeue_after" in knobs or knobs["code_lead"] > LONGEST_HIDING):
        knobs["words_in_details"] = True
        # A detail knows no scheduler, so it tells nothing where two have the same id.
        has_no_details = max(ids.values()) > 1 or any(trouble.call == "detail" for trouble in service.troubles)
        knobs["raw_state_in_lists"] = knobs.get("raw_state_in_lists", False) or has_no_details


def _some(service: Service, share: float) -> list[JobPlan]:
    """Some of the named jobs, at least one."""
    jobs = service.named
    return [job for job in jobs if service.rng.random() < share] or [service.rng.choice(jobs)]


# --- which jobs there are ---------------------------------------------------------------------------------------------


@trait
def crowd(service: Service) -> None:
    # One by one, they would take longer than there is time on a service that hardly works.
    service.options["batch_size"] = max(service.options["batch_size"], 7)
    if service.rng.random() < 0.2:
        service.jobs += [_running(service, str(3001 + number)) for number in range(200)]
    else:
        service.jobs += [_running(service, str(3001 + number)) for number in range(service.rng.randint(25, 60))]


@trait
def schedulers(service: Service) -> None:
    """Ids are unique within one scheduler only."""
    second = list(SCHEDULERS)[1]
    for job in list(service.named):
        kind = service.rng.choice(("stays", "moves", "has a twin", "has a twin that is named"))
        if kind == "moves":
            job.scheduler_id = second
        elif kind != "stays":
            named = kind == "has a twin that is named"
            service.jobs.append(JobPlan(job.job_id, second, named=named, born=-50.0))


@trait
def arrays(service: Service) -> None:
    """An array is named as a whole, or some of its members are: running ones, or one that waits in its rest."""
    rng = service.rng
    for array in ("6001", "6002")[: rng.randint(1, 2)]:
        kind = rng.choice(("whole", "whole", "members"))
        last = rng.randint(2, 30)
        for number in range(1, last + 1):
            job = _running(service, f"{array}_{number}")
            job.named, job.named_as = (True, array) if kind == "whole" else (rng.random() < 0.5 or number == 1, "")
            job.state = "RUNNING"
            service.jobs.append(job)
        if rng.random() < 0.6:
            rest = JobPlan(f"{array}_[{last + 1}-{last + 5},{last + 7}%4]", state="PENDING")
            rest.named, rest.named_as = kind == "whole" or rng.random() < 0.5, array if kind == "whole" else ""
            rest.named_as = rest.named_as or f"{array}_{last + rng.randint(1, 5)}"
            service.jobs.append(rest)


@trait
def strangers(service: Service) -> None:
    """Jobs of somebody else: they cannot be deleted with this token."""
    for number in range(service.rng.randint(1, 3)):
        service.jobs.append(JobPlan(str(4001 + number), user=service.rng.choice(("acexample02", "colleague"))))


@trait
def wrong_users(service: Service) -> None:
    """Jobs of ours, named as somebody else's: a delete does not reach them, and no list of that user shows them."""
    for number in range(service.rng.randint(1, 3)):
        job = _running(service, str(4501 + number))
        job.named_user = service.rng.choice(("alice", "acexample02"))
        service.jobs.append(job)


@trait
def unknown(service: Service) -> None:
    for number in range(service.rng.choice((1, 1, 2, 5, 30))):
        service.unknown.append(JobPlan(str(5001 + number)).ref)


@trait
def ended(service: Service) -> None:
    _end_some(service, service.rng.uniform(0.3, 1.0))


@trait
def others(service: Service) -> None:
    _add_others(service, service.rng.choice((20, 40, 60, 100, 300)))


# --- what becomes of a delete -----------------------------------------------------------------------------------------


@trait
def slow_cancels(service: Service) -> None:
    service.knobs["cancel_delay"] = round(service.rng.uniform(20, 60), 1)


@trait
def ignored_deletes(service: Service) -> None:
    for job in _some(service, 0.3):
        job.ignores_delete = service.rng.choice((1, 1, 2, 3, True))


@trait
def refusals(service: Service) -> None:
    code = service.rng.choice(REFUSAL_CODES)
    service.knobs["refusal"] = service.rng.choice(("whole", "whole", "whole", "partial"))
    for job in _some(service, service.rng.choice((0.0, 0.1, 0.3))):
        job.refused = code


@trait
def requeue(service: Service) -> None:
    service.knobs["requeue_after"] = round(service.rng.uniform(5, 60), 1)
    for job in _some(service, 0.5):
        job.preempted = round(service.rng.uniform(-60, 60), 1)
        job.preempted_word = service.rng.choice(REQUEUED_WORDS)


# --- what the lists show ----------------------------------------------------------------------------------------------


@trait
def lag(service: Service) -> None:
    """New jobs are listed late, and deletes do not reach them before."""
    service.knobs |= {"submit_lag": round(service.rng.uniform(5, 60), 1), "lagging_deletes": True}
    for job in _some(service, 0.7):
        if job.ends is None:
            job.born = -round(service.rng.uniform(0, 10), 1)


@trait
def old_views(service: Service) -> None:
    """Lists show the world as it was; some deletes reach only what they show."""
    rng = service.rng
    service.knobs["view_age"] = round(rng.uniform(3, 30), 1)
    service.knobs.setdefault("lagging_deletes", rng.random() < 0.5)
    for job in _some(service, 0.5):
        if job.ends is None:
            job.born = max(job.born, -round(rng.uniform(0, 10), 1))


@trait
def outage(service: Service) -> None:
    start = round(service.rng.uniform(-20, 60), 1)
    length = round(service.rng.uniform(5, 60), 1)
    service.outages.append(Outage(start, start + length, service.rng.choice(("empty", "empty", "null", "10001"))))


@trait
def small_pages(service: Service) -> None:
    service.knobs["page_cap"] = service.rng.choice((3, 10, 25, 50))


@trait
def small_limits(service: Service) -> None:
    """A larger ``limit`` is refused."""
    service.knobs["largest_limit"] = service.rng.choice((25, 50))


@trait
def cut_lists(service: Service) -> None:
    """However it is asked, a list ends early."""
    service.knobs["list_cap"] = service.rng.choice((1, 3, 10, 25, 100, max(1, len(service.jobs) // 2)))
    if service.rng.random() < 0.5:
        service.knobs["total"] = service.rng.choice(list(TOTALS))


@trait
def totals(service: Service) -> None:
    service.knobs.setdefault("total", service.rng.choice(list(TOTALS)))


@trait
def codes_ahead(service: Service) -> None:
    words = service.rng.random() < 0.6
    longest = 600 if words and service.rng.random() < 0.3 else 60
    service.knobs |= {
        "code_lead": round(service.rng.uniform(3, longest), 1),
        "words_in_details": words,
        "cancel_delay": service.knobs["cancel_delay"] or round(service.rng.uniform(1, 60), 1),
    }


@trait
def no_words(service: Service) -> None:
    service.knobs["words_in_details"] = False
    if "code_lead" in service.knobs:
        service.knobs["code_lead"] = min(service.knobs["code_lead"], 60.0)


@trait
def words_in_lists(service: Service) -> None:
    service.knobs["raw_state_in_lists"] = True


@trait
def spellings(service: Service) -> None:
    rng = service.rng
    service.knobs |= {
        "numeric_ids": rng.random() < 0.5,
        "null_empty_lists": rng.random() < 0.5,
        "word_style": rng.choice(("long", "short", "accounting")),
    }


# --- what else can be read --------------------------------------------------------------------------------------------


@trait
def late_history(service: Service) -> None:
    service.knobs["history_lag"] = round(service.rng.uniform(1, 60), 1)


@trait
def no_history(service: Service) -> None:
    kind = service.rng.choice(("absent", "refused", "hangs", "broken"))
    if kind == "absent":
        service.knobs["has_history"] = False
        return
    how = {
        "refused": {"code": service.rng.choice(REFUSAL_CODES)},
        "hangs": {"drop": True, "latency": 1000.0},
        "broken": {"status": 500},
    }
    service.troubles.append(Trouble("history", kind, how[kind]))


@trait
def refused_reads(service: Service) -> None:
    call, only = service.rng.choice(
        (("detail", "all"), ("list", "everybody's"), ("list", "later pages"), ("clusters", "all"), ("list", "all"))
    )
    code = service.rng.choice(REFUSAL_CODES)
    if call == "clusters" and "refusals" in service.traits:
        code = "77777"  # with a code of the account as well, it would be the account
    times = service.rng.choice((1, 3)) if (call, only) in (("clusters", "all"), ("list", "all")) else None
    service.troubles.append(Trouble(call, f"refused with {code}", {"code": code}, only=only, times=times))


@trait
def errors(service: Service) -> None:
    _add_troubles(service, service.rng.randint(1, 3), highest=0.4)
