"""Services made by hand, one for each way in which a deletion has been fooled before."""

from __future__ import annotations

import random
from typing import Any

from tests.simulation.oddities import ACTIVE_IN_HISTORY, EARLIER_RUNS, PLAIN_RESTS
from tests.simulation.services import (
    ACCOUNT_CODES,
    ANOTHER_REGION,
    BUSY_CODES,
    PAGES,
    REFUSAL_CODES,
    JobPlan,
    Outage,
    Service,
    Trouble,
)

Expected = str
HERE = "tests/simulation/test_simulation.py::test_services_made_by_hand"
SCENARIOS: dict[str, tuple[Service, Expected]] = {}


def _add(name: str, jobs: list[JobPlan], *, expected: Expected = "green", **parts: Any) -> None:
    """
    Note a scenario.

    :param expected: how the task ends: ``green``, ``red``, or ``any`` where only the promises count.
    :param parts: attributes of a service; all others are knobs.
    """
    service = Service(0, random.Random(0), f"pytest '{HERE}[{name}]'", traits=["by hand", name], jobs=jobs)
    usual = {"timeout": 300, "poll_interval": 5, "batch_size": 50, "missing_ok": True}
    service.options = {**usual, **parts.pop("options", {})}
    for part in [name for name in parts if hasattr(service, name)]:
        setattr(service, part, parts.pop(part))
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

_add(
    "named with a wrong user, and shown by the list of another before all are empty",
    [JobPlan("1001", ends=-60.0), JobPlan("4501", named_user="alice"), JobPlan("4001", user="colleague", ends=-60.0)],
    outages=[Outage(0.9, 280.0, "empty")],
    has_history=False,
    expected="red",
)

# Hidden for long in all, but shown in between.
for kind in ("empty", "null", "10001"):
    two = [Outage(-5.0, 78.0, kind), Outage(100.0, 180.0, kind)]
    _add(f"two outages, {kind} lists", _jobs(2, ignores_delete=3), outages=two)
    three = [Outage(5.0, 60.0, kind), Outage(80.0, 140.0, "empty"), Outage(160.0, 240.0, kind)]
    _add(f"three outages, {kind} lists", _jobs(2, ignores_delete=True), outages=three, expected="red")

# Longer than anybody could prove by looking at lists, but somebody knows more.
_add(
    "hidden for ever, but the history lists what goes on",
    _jobs(1, born=-1.0, ignores_delete=True),
    outages=[Outage(-5.0, 600.0, "empty")],
    oddities={ACTIVE_IN_HISTORY},
    expected="red",
)
_add(
    "hidden for ever and interrupted, then the history says that it goes on",
    _jobs(1, born=-20.0, preempted=-10.0, ignores_delete=True),
    outages=[Outage(-5.0, 600.0, "empty")],
    requeue_after=30.0,
    oddities={ACTIVE_IN_HISTORY},
    expected="red",
)
_add(
    "hidden for ever, and just interrupted when that has been long enough",
    _jobs(1, born=-20.0, preempted=60.0, ignores_delete=True),
    outages=[Outage(-5.0, 600.0, "empty")],
    requeue_after=50.0,
    oddities={ACTIVE_IN_HISTORY},
    expected="red",
)
_add(
    "hidden by a cut list that calls itself complete, look-ups broken later",
    [*OTHERS, JobPlan("1001", born=-1.0, ignores_delete=True)],
    submit_lag=30.0,
    list_cap=10,
    total="cut",
    troubles=[Trouble("list", "500", {"status": 500}, only="look-ups", during=(20.0, 1e6))],
    expected="red",
)
_add(
    "hidden by a cut list that calls itself complete, new",
    [*OTHERS, JobPlan("1001", born=-1.0)],
    submit_lag=30.0,
    lagging_deletes=True,
    list_cap=10,
    total="cut",
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

for style in ("details", "lists and details"):
    _add(
        f"started again under a code that runs ahead, words in {style}",
        _jobs(2, preempted=-20.0, ignores_delete=True),
        requeue_after=25.0,
        code_lead=600.0,
        raw_state_in_lists=style != "details",
        expected="red",
    )
EARLIER: dict[str, Any] = {"oddities": {EARLIER_RUNS}, "requeue_after": 20.0}
_add("an earlier run in the history", _jobs(2, preempted=-60.0, ignores_delete=2), **EARLIER)
_add(
    "an earlier run in the history, an outage",
    _jobs(2, preempted=-60.0, ignores_delete=3),
    outages=[Outage(4.0, 80.0, "empty")],
    **EARLIER,
)
_add(
    "an earlier run in the history, listed late",
    _jobs(2, born=-50.0, preempted=-40.0, ignores_delete=2),
    submit_lag=80.0,
    **EARLIER,
)
_add(
    "an earlier run in the history, vanishes after it was seen",
    _jobs(1, preempted=-60.0, ignores_delete=True),
    outages=[Outage(3.0, 280.0, "empty")],
    expected="red",
    **EARLIER,
)

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

for lie in ("high", "zero", "missing"):
    _add(f"{lie} totals of look-ups", _jobs(2, ignores_delete=1), total_of_lookups=lie)
    late = [*OTHERS, JobPlan("1001", born=-1.0)]
    _add(
        f"{lie} totals of look-ups, a cut list",
        late,
        total_of_lookups=lie,
        total="cut",
        list_cap=10,
        submit_lag=30.0,
        lagging_deletes=True,
    )

# --- arrays and their waiting rest ---

REST = JobPlan("6001_[6-9,12%4]", named_as="6001", state="PENDING")
for told, words in (("words in details", True), ("no words", False)):
    ahead: dict[str, Any] = {"code_lead": 50.0, "cancel_delay": 45.0, "words_in_details": words}
    _add(f"array, code ahead, {told}", _array(5), **ahead)
    _add(f"array with a rest, code ahead, {told}", [*_array(5), REST], **ahead)
    _add(f"an array's rest alone, code ahead, {told}", [JobPlan("6001_[2-9]", state="PENDING")], **ahead)
_add("array, code ahead for ever", _array(5, ignores_delete=True), code_lead=1e6, expected="red")
_add(
    "array with a rest, code ahead for ever",
    [*_array(5), JobPlan("6001_[6-9]", named_as="6001", state="PENDING", ignores_delete=True)],
    code_lead=1e6,
    raw_state_in_lists=True,
    expected="red",
)
_add("an array's rest alone", [*_array(1, named=False), JobPlan("6001_[2-9]", state="PENDING", ignores_delete=1)])
PLAIN: dict[str, Any] = {"oddities": {PLAIN_RESTS}}
_add("rest listed by its array's id", [*_array(5), REST], **PLAIN)
_add("rest listed by its array's id, nothing else", [REST], **PLAIN)
_add("rest listed by its array's id, named alone", [JobPlan("6001_[2-9]", ignores_delete=1)], **PLAIN)
_add(
    "rest listed by its array's id, goes on",
    [*_array(5), JobPlan("6001_[6-9]", named_as="6001", state="PENDING", ignores_delete=True)],
    expected="red",
    **PLAIN,
)

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

for code in (*BUSY_CODES, *PAGES):
    jobs = _jobs(12)
    jobs[5].refused = code
    _add(f"one job refused with {code}", jobs, expected="red")

for code in (*ACCOUNT_CODES[:5], *PAGES):
    for count in (7, 8, 12):
        slow = JobPlan("1900", ignores_delete=2 if count < 8 else False)
        _add(f"{count} jobs refused with {code}, and a slow one", [*_jobs(count, refused=code), slow], expected="red")

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

# --- schedulers, gateways, tokens ---

for calls in (("clusters",), ("clusters", "list", "detail", "history")):
    where = "everywhere" if len(calls) > 1 else "in /cluster"
    for until in (10.0, 60.0):
        missing = [Trouble(call, "other", ANOTHER_REGION[call], during=(-10.0, until)) for call in calls]
        _add(f"scheduler missing {where} for {until:.0f} s", _jobs(2, ignores_delete=1), troubles=missing)
    missing = [Trouble(call, "other", ANOTHER_REGION[call]) for call in calls]
    _add(f"scheduler missing {where} for ever", _jobs(2, ignores_delete=True), troubles=missing, expected="red")
for pair in (("seeing", "blind"), ("blind", "seeing")):
    lost = Trouble("list", "dropped", {"drop": True}, rate=0.3)
    _add(f"{pair[0]} gateway first", _jobs(3, ignores_delete=1), gateways=pair)
    _add(f"{pair[0]} gateway first, never existed", [], unknown=[JobPlan("5001").ref], gateways=pair, expected="any")
    _add(
        f"{pair[0]} gateway first, lists get lost",
        _jobs(3, ignores_delete=True),
        gateways=pair,
        troubles=[lost],
        expected="red",
    )
for credentials in ("keys", "both"):
    for revoke in (True, False):
        parts: dict[str, Any] = {"credentials": credentials, "new_tokens_revoke": revoke}
        moments = [-1.0, 3.0, 20.0, 21.0, 40.0]
        _add(f"{credentials}, {revoke}, tokens end", _jobs(2, ignores_delete=2), revoked_at=moments, **parts)
_add("token ends for good", _jobs(2, ignores_delete=True), revoked_at=[20.0], expected="red")

# --- what takes long ---

LONG = [JobPlan(str(100_001 + number), named=False, born=-90_000.0, ends=-86_400.0) for number in range(20_000)]
_add("never existed, a history of 20,000 jobs", LONG, unknown=[JobPlan("5001").ref])
_add("ended days ago, a history of 20,000 jobs", [*LONG, JobPlan("1001", born=-300_000.0, ends=-260_000.0)])
