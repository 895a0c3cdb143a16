"""Hostile SCNets, drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter

from tests.simulation.oddities import ACTIVE_IN_HISTORY
from tests.simulation.services import DAWN, LONGEST_HIDING, Outage, Service
from tests.simulation.traits import TRAITS, add_others, add_troubles, end_some, running

MANY_LOOKS = 24
LOOKED_UP = 5
"""Jobs that are few enough to be looked up one by one."""
LONGEST_RUN = 1e4
LONGEST_ROUND = 120.0
"""Seconds that the deletes and reads of one round take at most, as far as it matters here."""
READS_OF_A_JOB = 4
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
    ("account_refusals", "slow_cancels"),
    ("account_refusals", "ignored_deletes"),
    ("arrays", "codes_ahead"),
    ("arrays", "codes_ahead", "no_words"),
    ("arrays", "codes_ahead", "ignored_deletes"),
    ("keys", "errors"),
    ("keys", "ignored_deletes"),
    ("earlier_runs", "outage"),
    ("used_twice", "lag"),
    ("used_twice", "outage"),
    ("used_twice", "codes_ahead", "no_words"),
    ("used_twice", "arrays", "lag"),
    ("earlier_runs", "lag"),
    ("earlier_runs", "old_views", "late_history"),
    ("unnamed_scheduler", "schedulers"),
    ("unnamed_scheduler", "ignored_deletes"),
    ("gateways", "errors"),
    ("gateways", "unknown"),
)
"""Traits that are worse together."""


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
        add_troubles(service, rng.randint(1, 2), highest=0.1)
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
        service.jobs.append(running(service, str(1001 + number)))
    if rng.random() < 0.3:
        end_some(service, 0.3)
    if rng.random() < 0.3:
        add_others(service, rng.randint(1, 30))


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
        _shorten_outages(service, room - knobs.get("submit_lag", 0.0))


def _shorten_outages(service: Service, room: float) -> None:
    """Two outages are one to a job that no look has shown in between."""
    is_hidden_history = any(trouble.call in ("history", "*") for trouble in service.troubles)
    is_hidden_history |= not service.knobs.get("has_history", True)
    is_hidden_history |= any(job.named_user for job in service.named)  # it is asked for the jobs of a wrong user
    if ACTIVE_IN_HISTORY in service.oddities and not is_hidden_history:
        room = LONGEST_RUN  # somebody tells the whole truth
    seen_from = service.knobs.get("view_age", 0.0) + service.knobs.get("submit_lag", 0.0)
    fits_a_look = 2 * service.options["poll_interval"] + 10.0 + _round(service)
    # Nor may any other thing have kept it from being seen.
    may_be_missed = service.troubles or service.revoked_at or service.gateways or "list_cap" in service.knobs
    kept: list[Outage] = []
    began = 0.0
    for one in sorted(service.outages, key=lambda outage: outage.start):
        start = max(one.start, kept[-1].end) if kept else one.start
        if not kept or not (may_be_missed or start - max(kept[-1].end, seen_from) < fits_a_look):
            began = start
        if start < (end := min(start + one.end - one.start, began + room)):
            kept.append(Outage(round(start, 1), round(end, 1), one.kind))
    service.outages = kept


def _round(service: Service) -> float:
    """Seconds that a round may take, at a guess which is rather too high."""
    requests = 50 + READS_OF_A_JOB * len(service.jobs)
    return min(LONGEST_ROUND, service.knobs["latency"] * requests)


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
        has_no_details |= any("[" in job_id for job_id in ids)  # nor what it is made of
        knobs["raw_state_in_lists"] = knobs.get("raw_state_in_lists", False) or has_no_details
