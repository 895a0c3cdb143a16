"""What makes a service hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.oddities import ACTIVE_IN_HISTORY, EARLIER_RUNS, PLAIN_RESTS, USED_BY_OTHERS, USED_TWICE
from tests.simulation.services import (
    ACCOUNT_CODES,
    ANOTHER_REGION,
    BROKEN,
    BUSY_CODES,
    CONDITIONS,
    DAWN,
    PAGES,
    REFUSAL_CODES,
    REFUSALS,
    REQUEUED_WORDS,
    SCHEDULER,
    SCHEDULERS,
    SILENT,
    TOTALS,
    USER,
    JobPlan,
    Outage,
    Service,
    Trouble,
)

Trait = Callable[[Service], None]
TRAITS: dict[str, Trait] = {}


def trait(change: Trait) -> Trait:
    """Register what makes a service hostile, under the function's name."""
    TRAITS[change.__name__] = change
    return change


def running(service: Service, job_id: str) -> JobPlan:
    state = service.rng.choice(("RUNNING", "RUNNING", "RUNNING", "PENDING", "SUSPENDED"))
    return JobPlan(job_id, state=state, born=-round(service.rng.uniform(0, 100), 1))


def end_some(service: Service, share: float) -> None:
    """Before the deletion (minutes or hours) or during it."""
    rng = service.rng
    for job in service.named:
        if rng.random() < share:
            job.ends = rng.choice((-rng.uniform(0, 90), rng.uniform(0, 90), -rng.uniform(60, 400), -7200.0))
            job.outcome = rng.choice(("COMPLETED", "FAILED", "CANCELLED by 1001", "TIMEOUT", "OUT_OF_MEMORY"))
            if job.ends <= job.born:
                job.born = job.ends - 60


def add_others(service: Service, count: int) -> None:
    """Jobs that nobody named, of the same user and of others, some of which have ended."""
    rng = service.rng
    first = 1 + max(20_000, *(int(job.job_id) for job in service.jobs if job.job_id.isdecimal()), 0)
    for number in range(first, first + count):
        ends = rng.choice((None, None, rng.uniform(DAWN, 300.0)))
        user = rng.choice((USER, "acexample02", "acexample03"))
        scheduler_id = rng.choice((*SCHEDULERS, SCHEDULER))
        job = JobPlan(str(number), scheduler_id, user, named=False, born=DAWN, ends=ends)
        service.jobs.insert(rng.randint(0, len(service.jobs)), job)


def add_troubles(service: Service, count: int, highest: float) -> None:
    rng = service.rng
    for _ in range(count):
        call = rng.choice(("*", "list", "delete", "detail", "history", "clusters"))
        name, how = rng.choice(list((BROKEN | SILENT if call == "delete" else BROKEN).items()))
        service.troubles.append(Trouble(call, name, how, rate=round(rng.uniform(0.02, highest), 2)))


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
        service.jobs += [running(service, str(3001 + number)) for number in range(200)]
    else:
        service.jobs += [running(service, str(3001 + number)) for number in range(service.rng.randint(25, 60))]


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
    """An array is named as a whole, or some of its members are: running ones, its rest, or one that waits in there."""
    rng = service.rng
    if rng.random() < 0.3:
        service.jobs = [job for job in service.jobs if not job.named]
    if rng.random() < 0.3:
        service.oddities.add(PLAIN_RESTS)
    for array in ("6001", "6002")[: rng.randint(1, 2)]:
        kind = rng.choice(("whole", "whole", "members"))
        last = rng.randint(2, 30)
        for number in range(1, last + 1):
            job = running(service, f"{array}_{number}")
            job.named, job.named_as = (True, array) if kind == "whole" else (rng.random() < 0.5 or number == 1, "")
            job.state = "RUNNING"
            service.jobs.append(job)
        if rng.random() < 0.6:
            rest = JobPlan(f"{array}_[{last + 1}-{last + 5},{last + 7}%4]", state="PENDING")
            rest.named, rest.named_as = kind == "whole" or rng.random() < 0.5, array if kind == "whole" else ""
            if kind == "members" and rng.random() < 0.5:
                rest.job_id = f"{array}_[{last + 1}-{last + rng.randint(1, 9)}]"
            elif kind == "members":
                rest.named_as = f"{array}_{last + rng.randint(1, 5)}"
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
        job = running(service, str(4501 + number))
        job.named_user = service.rng.choice(("alice", "acexample02"))
        service.jobs.append(job)


@trait
def unknown(service: Service) -> None:
    for number in range(service.rng.choice((1, 1, 2, 5, 30))):
        service.unknown.append(JobPlan(str(5001 + number)).ref)


@trait
def ended(service: Service) -> None:
    end_some(service, service.rng.uniform(0.3, 1.0))


@trait
def others(service: Service) -> None:
    add_others(service, service.rng.choice((20, 40, 60, 100, 300)))


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
    code = service.rng.choice(REFUSALS)
    service.knobs["refusal"] = service.rng.choice(("whole", "whole", "whole", "partial"))
    refused = _some(service, service.rng.choice((0.0, 0.1, 0.3)))
    if code in BUSY_CODES:  # they look like a service that is down: batches are halved once in a round, if at all
        refused, options = refused[:2], service.options
        options["timeout"] = max(options["timeout"], 120)
        options["poll_interval"] = min(options["poll_interval"], 5)
    for job in refused:
        job.refused = code


@trait
def account_refusals(service: Service) -> None:
    """So many that it looks like the account; and the others take their time."""
    rng = service.rng
    for job in _some(service, 0.5):
        job.ignores_delete = rng.choice((False, 1, 2))
    service.knobs["cancel_delay"] = rng.choice((service.knobs["cancel_delay"], 40.0))
    code = rng.choice((*ACCOUNT_CODES[:5], *PAGES))
    for number in range(rng.randint(7, 12)):
        job = running(service, str(7001 + number))
        job.refused = code
        service.jobs.insert(rng.randint(0, len(service.jobs)), job)


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
    rng = service.rng
    count = rng.choice((1, 1, 2, 3))
    for number in range(count):
        start = round(rng.uniform(-20, 60) + 100 * number, 1)
        length = round(rng.uniform(5, 85 if count > 1 else 60), 1)
        service.outages.append(Outage(start, start + length, rng.choice(("empty", "empty", "null", "10001"))))


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
    """Lists miscount, or only look-ups do."""
    if service.rng.random() < 0.3:
        service.knobs["total_of_lookups"] = service.rng.choice(("high", "zero", "missing"))
    else:
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
    kinds = ("detail", "all"), ("clusters", "all"), *(("list", only) for only in CONDITIONS)
    call, only = service.rng.choice(kinds)
    code = service.rng.choice(REFUSAL_CODES)
    if call == "clusters" and any(job.refused for job in service.named):
        code = "77777"  # with a code of the account as well, it would be the account
    times = service.rng.choice((1, 3)) if only == "all" and call != "detail" else None
    service.troubles.append(Trouble(call, f"refused with {code}", {"code": code}, only=only, times=times))


@trait
def errors(service: Service) -> None:
    add_troubles(service, service.rng.randint(1, 3), highest=0.4)


@trait
def earlier_runs(service: Service) -> None:
    """The history keeps the ends of jobs that the scheduler has started again."""
    rng = service.rng
    service.oddities.add(EARLIER_RUNS)
    service.knobs.setdefault("requeue_after", round(rng.uniform(1, 60), 1))
    for job in _some(service, 0.5):
        if job.preempted is None:
            job.preempted = round(rng.uniform(-100, 20), 1)
            job.preempted_word = rng.choice(REQUEUED_WORDS)
            job.born = min(job.born, job.preempted - 1)


@trait
def used_twice(service: Service) -> None:
    """Numbers that began anew: the history keeps the ends of earlier jobs, of the same user or of another one."""
    service.oddities.add(service.rng.choice((USED_TWICE, USED_BY_OTHERS)))


@trait
def history_of_all(service: Service) -> None:
    """The history lists what goes on as well."""
    service.oddities.add(ACTIVE_IN_HISTORY)
    if service.rng.random() < 0.4:
        start = round(service.rng.uniform(-20, 30), 1)
        service.outages.append(Outage(start, start + service.rng.choice((100.0, 200.0, 600.0)), "empty"))


# --- who is asked, and with what --------------------------------------------------------------------------------------


@trait
def keys(service: Service) -> None:
    """Tokens fetched with an AK/SK pair, some of which other tasks end."""
    rng = service.rng
    service.credentials = rng.choice(("keys", "both"))
    service.knobs["new_tokens_revoke"] = rng.random() < 0.5
    service.revoked_at = [round(rng.uniform(-5, 120), 1) for _ in range(rng.choice((0, 1, 1, 2, 3)))]


@trait
def unnamed_scheduler(service: Service) -> None:
    """As if another region answered ``/cluster``, and for some the lists, too."""
    rng = service.rng
    until = rng.choice((rng.uniform(1, 60), rng.uniform(1, 60), 1e6))
    during = (-10.0, round(until, 1))
    named: dict[str, Any] = ANOTHER_REGION["clusters"]
    is_ours = rng.random() < 0.4
    if is_ours:
        named = {"code": "0", "data": [{"id": int(list(SCHEDULERS)[1]), "text": "Second"}]}
    service.troubles.append(Trouble("clusters", "not our schedulers", named, during=during))
    if not is_ours and rng.random() < 0.5:
        for call in ("list", "detail", "history"):
            service.troubles.append(Trouble(call, "of another region", ANOTHER_REGION[call], during=during))


@trait
def gateways(service: Service) -> None:
    """One of the region's gateways belongs to another region."""
    service.gateways = service.rng.choice((("seeing", "blind"), ("blind", "seeing")))
