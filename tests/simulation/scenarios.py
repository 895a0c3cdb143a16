"""Services made by hand, one for each way in which a deletion has been fooled before."""

from __future__ import annotations

import random
from typing import Any

from tests.simulation.services import REFUSAL_CODES, JobPlan, Outage, Service, Trouble

Expected = str
HERE = "tests/simulation/test_simulation.py::test_services_made_by_hand"
SCENARIOS: dict[str, tuple[Service, Expected]] = {}


def _add(name: str, jobs: list[JobPlan], *, expected: Expected = "green", **parts: Any) -> None:
    """
    Note a scenario.

    :param expected: how the task ends: ``green``, ``red``, or ``any`` where only the promises count.
    :param parts: ``outages``, ``troubles``, ``unknown`` and ``options`` as in a service; all others are knobs.
    """
    service = Service(0, random.Random(0), f"pytest '{HERE}[{name}]'", traits=["by hand", name], jobs=jobs)
    usual = {"timeout": 300, "poll_interval": 5, "batch_size": 50, "missing_ok": True}
    service.options = {**usual, **parts.pop("options", {})}
    for part in ("outages", "troubles", "unknown"):
        setattr(service, part, parts.pop(part, []))
    service.knobs = {"latency": 0.2, **parts}
    SCENARIOS[name] = service, expected


def _jobs(count: int, **plan: Any) -> list[JobPlan]:
    return [JobPlan(str(1001 + number), **plan) for number in range(count)]


def _array(count: int, **plan: Any) -> list[JobPlan]:
    return [JobPlan(f"6001_{number}", named_as="6001", **plan) for number in range(1, count + 1)]


JUST_SUBMITTED: dict[str, Any] = {"born": -1.0}
OTHERS = [JobPlan(str(20_001 + number), named=False, born=-120.0) for number in range(30)]

# --- hidden jobs ------------------------------------------------------------------------------------------------------

_add("new job listed late", _jobs(1, **JUST_SUBMITTED), submit_lag=45.0, lagging_deletes=True)
_add("new jobs listed late", _jobs(60, **JUST_SUBMITTED), submit_lag=60.0, lagging_deletes=True)
_add("new job in an old view", _jobs(1, **JUST_SUBMITTED), view_age=30.0, lagging_deletes=True)
_add(
    "new job listed late in an old view",
    _jobs(1, **JUST_SUBMITTED),
    submit_lag=55.0,
    view_age=30.0,
    lagging_deletes=True,
)
for kind in ("empty", "null", "10001"):
    outage = Outage(-5.0, 55.0, kind)
    _add(f"outage, {kind} lists", _jobs(2, ignores_delete=1), outages=[outage])
    _add(f"outage, {kind} lists, slow cancel", _jobs(2), outages=[outage], cancel_delay=70.0)
_add("outage begins when the job was seen", _jobs(1), outages=[Outage(3.0, 60.0, "empty")], cancel_delay=70.0)
_add(
    "outage where empty lists are null",
    _jobs(1, ignores_delete=1),
    outages=[Outage(0, 60, "null")],
    null_empty_lists=True,
)

# Longer than anybody could prove, but here something else is known.
_add(
    "listed after the wait, while another job goes on",
    [JobPlan("1001", born=-1.0), JobPlan("1002", born=-130.0, ignores_delete=10)],
    submit_lag=120.0,
    lagging_deletes=True,
)
_add(
    "vanishes after it was seen",
    _jobs(1, ignores_delete=True),
    outages=[Outage(3.0, 280.0, "empty")],
    has_history=False,
    expected="red",
)
_add(
    "null lists for ever, where something was shown before",
    [JobPlan("1001", born=-1.0, ignores_delete=True), *OTHERS[:3]],
    submit_lag=30.0,
    outages=[Outage(3.0, 600.0, "null")],
    has_history=False,
    expected="red",
)

# --- jobs that come back ----------------------------------------------------------------------------------------------

for word in ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL"):
    _add(f"{word} and started again", _jobs(2, preempted=-10.0, preempted_word=word), requeue_after=40.0)
_add("preempted during the deletion", _jobs(3, preempted=4.0, ignores_delete=1), requeue_after=60.0)
_add(
    "requeued and listed late",
    _jobs(1, born=-5.0, preempted=20.0),
    requeue_after=60.0,
    submit_lag=30.0,
    lagging_deletes=True,
)
_add("requeued during an outage", _jobs(1, preempted=-20.0), requeue_after=30.0, outages=[Outage(2.0, 60.0, "empty")])
_add("requeued, known to the history", _jobs(1, preempted=-60.0), requeue_after=85.0, has_history=True)

# --- lists that are cut -----------------------------------------------------------------------------------------------

for total in ("true", "low", "zero", "missing", "cut"):
    lie = {} if total == "true" else {"total": total}
    _add(f"cut list, {total} total", [*OTHERS, *_jobs(2, ignores_delete=1)], list_cap=10, **lie)
    # Whether all members were shown, only a total that is true can tell.
    known = "green" if total == "true" else "any"
    members = [*_array(2), *_array(8, ignores_delete=2)[2:]]
    _add(f"cut array, {total} total", members, list_cap=2, expected=known, **lie)
_add(
    "cut array that look-ups do not know",
    [*_array(2), *_array(8, ignores_delete=2)[2:]],
    list_cap=2,
    members_by_lookup=False,
    expected="any",
)
OLD = _jobs(30, born=-7300.0, ends=-7200.0)
_add(
    "hidden by a cut list among many old jobs",
    [*OTHERS, *OLD, JobPlan("1900", ignores_delete=True)],
    list_cap=10,
    has_history=False,
    expected="red",
)
_add("member that waits in an array's rest", [JobPlan("6001_[2-9,11%4]", named_as="6001_5")], expected="red")
_add("limit refused above 25", [*_jobs(60), *OTHERS], largest_limit=25)
_add("pages of 3", _jobs(20), page_cap=3)

# --- codes and words --------------------------------------------------------------------------------------------------

for words in (True, False):
    told = "words in details" if words else "no words"
    _add(f"code ahead, {told}", _jobs(1), code_lead=50.0, cancel_delay=45.0, words_in_details=words)
    _add(f"codes ahead, {told}", _jobs(100), code_lead=50.0, cancel_delay=45.0, words_in_details=words)
    _add(f"running jobs, {told}", _jobs(200), words_in_details=words)
    _add(
        f"code ahead during an outage, {told}",
        _jobs(3),
        code_lead=60.0,
        cancel_delay=58.0,
        words_in_details=words,
        outages=[Outage(4.0, 58.0, "empty")],
    )
_add("code ahead for ever", _jobs(2, ignores_delete=True), code_lead=1e6, expected="red")
# More than are asked one by one before `absent_for` is over.
many = {"poll_interval": 30}
_add("codes ahead for ever", _jobs(150, ignores_delete=True), code_lead=1e6, expected="red", options=many)
for style in ("short", "accounting"):
    _add(f"{style} words", _jobs(3), word_style=style, raw_state_in_lists=True)

# --- refusals ---------------------------------------------------------------------------------------------------------

for code in REFUSAL_CODES:
    jobs = _jobs(12)
    jobs[5].refused = code
    _add(f"one job refused with {code}", jobs, expected="red")
    for reads, only in (("detail", "all"), ("list", "everybody's"), ("history", "all")):
        trouble = Trouble(reads, f"refused with {code}", {"code": code}, only=only)
        plans = {"unknown": [JobPlan("5001").ref]} if reads != "detail" else {}
        _add(f"{reads} ({only}) refused with {code}", _jobs(3), troubles=[trouble], expected="any", **plans)

for code in ("10001", "10004", "10007"):
    jobs = [*_jobs(10, refused=code), *_jobs(20)[10:]]
    _add(f"ten of twenty jobs refused with {code}", jobs, expected="red")
_add(
    "refused twice, then not",
    _jobs(1),
    troubles=[Trouble("delete", "refused twice", {"code": "10004", "msg": "busy"}, times=2)],
)
silent = [Trouble("delete", "no sentence", {"code": "0", "data": {}})]
_add("never confirmed, never listed", [], unknown=[JobPlan("5001").ref], troubles=silent, expected="red")
stranger = JobPlan("20100", user="colleague", named=False)
wrong = [*OLD, JobPlan("4501", named_user="colleague"), stranger]
_add("named with a wrong user among many old jobs", wrong, has_history=False, expected="red")
_add("named with a wrong user", [*_jobs(2), JobPlan("4501", named_user="alice")], expected="red")

# --- what must stay easy ----------------------------------------------------------------------------------------------

_add("running job", _jobs(1))
_add("ended hours ago", _jobs(3, born=-7300.0, ends=-7200.0))
_add("ended a minute ago", _jobs(3, ends=-60.0))
_add("never existed", [], unknown=[JobPlan("5001").ref, JobPlan("5002").ref])
_add(
    "never existed, history broken",
    [],
    unknown=[JobPlan("5001").ref],
    troubles=[Trouble("history", "500", {"status": 500})],
)
_add("never existed, no history", [], unknown=[JobPlan("5001").ref], has_history=False)
_add("slow cancel", _jobs(5), cancel_delay=60.0)
_add("deletes ignored twice", _jobs(5, ignores_delete=2))
_add("deletes ignored for ever", _jobs(5, ignores_delete=True), expected="red")
_add("another scheduler has the same ids", [*_jobs(3), *_jobs(3, scheduler_id="2000000000", named=False)])
_add("somebody else's job", [*_jobs(2), JobPlan("4001", user="colleague")], expected="red")
