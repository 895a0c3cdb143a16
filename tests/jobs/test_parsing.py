from __future__ import annotations

import json
import re
from collections import UserDict, UserList, deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef, to_wire
from airflow_provider_scnet.exceptions import ScnetJobReferenceError
from airflow_provider_scnet.jobs.parsing import parse_jobs

SCHEDULER = "1638523853"
WIRE_197 = "1638523853,test:197:"
WIRE_196 = "1638523853,test:196:"
PARTS = {"scheduler_id": SCHEDULER, "user": "test", "job_id": "197"}


class Lazy(Sequence[Any]):
    """What Airflow hands over for the output of a mapped task: a sequence that is no list."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def parse(jobs: Any, **defaults: Any) -> list[str]:
    return [str(ref) for ref in parse_jobs(jobs, **({"scheduler_id": SCHEDULER, "user": "test"} | defaults))]


@pytest.mark.parametrize(
    ("jobs", "ids"),
    [
        pytest.param(JobRef(SCHEDULER, "test", "197"), ["197"], id="reference"),
        pytest.param(PARTS, ["197"], id="mapping"),
        pytest.param(PARTS | {"job_id": 197, "scheduler_id": int(SCHEDULER)}, ["197"], id="numbers"),
        pytest.param(UserDict(PARTS), ["197"], id="mapping that is no dict"),
        pytest.param({"job_id": "197"}, ["197"], id="mapping with defaults"),
        pytest.param(
            {"jobManagerId": SCHEDULER, "clusterUserName": "test", "jobId": 197, "x": 1},
            ["197"],
            id="aggregated record",
        ),
        pytest.param({"strJobManagerID": 1638523853, "userName": "test", "jobId": "197"}, ["197"], id="names"),
        pytest.param({"jobmanagerId": SCHEDULER, "userName": "test", "jobId": "197"}, ["197"], id="history record"),
        pytest.param({"jobId": "197", "user": "test", "jobStatus": "statR"}, ["197"], id="live record"),
        pytest.param({"jobId": "197", "user": None, "userName": "test"}, ["197"], id="one of two names is empty"),
        pytest.param(WIRE_197, ["197"], id="wire"),
        pytest.param(f"{WIRE_197};", ["197"], id="wire, final semicolon"),
        pytest.param(f"{WIRE_197};{WIRE_196}", ["197", "196"], id="wire, two"),
        pytest.param(f"{WIRE_197};{WIRE_196};", ["197", "196"], id="wire, two, final semicolon"),
        pytest.param(f" {WIRE_197};\n{WIRE_196};\n", ["197", "196"], id="wire, lines"),
        pytest.param("197", ["197"], id="text"),
        pytest.param(" 197\n", ["197"], id="text with blanks around"),
        pytest.param(197, ["197"], id="int"),
        pytest.param("5_1", ["5_1"], id="array member"),
        pytest.param("197,196", ["197", "196"], id="commas"),
        pytest.param(" 197 , 196, ", ["197", "196"], id="commas and blanks"),
        pytest.param("5_[2,9-11]", ["5_[2,9-11]"], id="members"),
        pytest.param("5_[2-9,11%4]", ["5_[2-9,11]"], id="members as a list shows them"),
        pytest.param("5_[1-5:2]", ["5_[1,3,5]"], id="members with a step"),
        pytest.param("5_[2,9-11], 197,6_[1-5:2]", ["5_[2,9-11]", "197", "6_[1,3,5]"], id="members and commas"),
        pytest.param("1638523853,test:5_[1-5:2%4]:", ["5_[1,3,5]"], id="wire, members"),
        pytest.param(f"1638523853,test:5_[2,9]:;{WIRE_197};", ["5_[2,9]", "197"], id="wire, members and another"),
        pytest.param("['5_[2,9-11]', 197]", ["5_[2,9-11]", "197"], id="members in a list"),
        # No text is read as a number that it does not spell.
        pytest.param("[5_1, 5_2]", ["5_1", "5_2"], id="members without quotation marks"),
        pytest.param("(5_1,)", ["5_1"], id="tuple of a member"),
        pytest.param("{5_1}", ["5_1"], id="set of a member"),
        pytest.param("[{'job_id': 5_1}]", ["5_1"], id="mapping of a member"),
        pytest.param("[[5_[2-3]], '5_4']", ["5_[2-3]", "5_4"], id="bracket without quotation marks"),
        pytest.param('["197", 196]', ["197", "196"], id="JSON list"),
        pytest.param("['197', 196]", ["197", "196"], id="repr of list"),
        pytest.param("('197', 196)", ["197", "196"], id="repr of tuple"),
        pytest.param("[None, '197']", ["197"], id="repr with None"),
        pytest.param('[null, "197"]', ["197"], id="JSON with null"),
        pytest.param(json.dumps(PARTS), ["197"], id="JSON object"),
        pytest.param(str([PARTS, "196"]), ["197", "196"], id="repr of dicts"),
        pytest.param("\"'197'\"", ["197"], id="quoted text"),
        pytest.param("{197}", ["197"], id="repr of set"),
        pytest.param([197, ["196", (195, {194})]], ["197", "196", "195", "194"], id="nested"),
        pytest.param(["[197, 196]", WIRE_196, "195,194"], ["197", "196", "195", "194"], id="list of texts"),
        pytest.param(Lazy("197", Lazy(196)), ["197", "196"], id="lazy sequence"),
        pytest.param(UserList(["197"]), ["197"], id="UserList"),
        pytest.param(deque([197]), ["197"], id="deque"),
        pytest.param(frozenset({"197"}), ["197"], id="frozenset"),
        pytest.param({"197": 0}.keys(), ["197"], id="dict keys"),
        pytest.param([197, "197", WIRE_197, PARTS], ["197"], id="duplicates"),
        pytest.param([3, 1, 2, 1, 3], ["3", "1", "2"], id="order"),
    ],
)
def test_accepted(jobs: Any, ids: list[str]) -> None:
    assert parse(jobs) == [f"{SCHEDULER},test:{job_id}:" for job_id in ids]


@pytest.mark.parametrize(
    "jobs",
    [None, "", "  ", "None", " None\n", "null", [], (), set(), "[]", "()", "[None]", [None, "", [[]]], "''", ","],
)
def test_nothing(jobs: Any) -> None:
    assert parse_jobs(jobs, scheduler_id=pytest.fail, user=pytest.fail) == []


REFUSED = [
    pytest.param(True, "True", id="bool"),
    pytest.param(197.0, "197.0", id="float"),
    pytest.param(b"197", "b'197'", id="bytes"),
    pytest.param(bytearray(b"197"), "197", id="bytearray"),
    pytest.param(memoryview(b"1"), "memory", id="memoryview"),
    pytest.param(object, "object", id="class"),
    pytest.param((n for n in ()), "generator", id="generator"),
    pytest.param(-5, "-5", id="negative"),
    pytest.param(["197", 1.5], "1.5", id="float in a list"),
    pytest.param("[197, 1.5]", "1.5", id="float in JSON"),
    pytest.param("[true]", "True", id="bool in JSON"),
    pytest.param("['197', b'x']", "b'x'", id="bytes in a literal"),
    pytest.param("[...]", "'...'", id="ellipsis"),
    pytest.param("abc", "abc", id="word"),
    pytest.param("19 7", "19 7", id="blank"),
    pytest.param("[0x33]", "'0x33'", id="hexadecimal"),
    pytest.param("[0b11, 1]", "'0b11'", id="binary"),
    pytest.param("[00]", "'00'", id="zeros"),
    pytest.param("[1e2]", "'1e2'", id="exponent"),
    pytest.param("['5' '1']", "neither", id="joined texts"),
    pytest.param('{"job_id": 5, "job_id": 6}', "twice", id="two jobs in one mapping"),
    pytest.param("5_[7,9,...]", "Name the array, '5'", id="members that were cut"),
    pytest.param("5_[7,9", "Name the array, '5'", id="members that were cut without a sign"),
    pytest.param(["197", "5_[7,"], "Name the array, '5'", id="members that were cut, in a list"),
    pytest.param("1638523853,test:5_[7,9:", "Name the array, '5'", id="wire, members that were cut"),
    pytest.param("1638523853,test:5_[7]:6:", "5_[7]:6", id="wire, more than members"),
    pytest.param("1638523853,test:5_[7,1,x:6]:", "5_[7,1,x:6]", id="smuggled reference in members"),
    pytest.param("197\n198", r"197\n198", id="lines"),
    pytest.param("0197", "0197", id="leading zero"),
    pytest.param(f"{SCHEDULER},test:197.batch:", "197.batch", id="step of a job"),
    pytest.param(PARTS | {"job_id": "197abc"}, "197abc", id="number and more"),
    pytest.param("197,abc", "abc", id="word after a comma"),
    pytest.param("197;198", "197", id="ids and semicolons"),
    pytest.param(";", "''", id="semicolon"),
    pytest.param(f"{WIRE_197};;", "''", id="two semicolons"),
    pytest.param("1638523853,test:197", "1638523853,test:197", id="no final colon"),
    pytest.param("1638523853,test:197;", "1638523853,test:197", id="no final colon, semicolon"),
    pytest.param("test:197:", "test:197:", id="no scheduler"),
    pytest.param("1638523853,:197:", "user", id="empty user"),
    pytest.param("1638523853,test::", "job_id", id="empty id"),
    pytest.param(",test:197:", "scheduler_id", id="empty scheduler"),
    pytest.param("x,test:197:", "'x'", id="scheduler is a word"),
    pytest.param("１６,test:197:", "１６", id="full-width scheduler"),
    pytest.param("²,test:197:", "²", id="superscript scheduler"),
    pytest.param(f"{WIRE_197},{WIRE_196}", WIRE_197, id="references and commas"),
    pytest.param("1638523853,te st:197:", "te st", id="blank in user"),
    pytest.param("1638523853,te\x00st:197:", "te", id="control character in user"),
    pytest.param("1638523853,te\u200bst:197:", "te", id="invisible character in user"),
    pytest.param("1638523853,--:197:", "--", id="user without a letter"),
    pytest.param(PARTS | {"user": "a,b"}, "a,b", id="comma in user"),
    pytest.param(PARTS | {"user": "a:1:;1,b"}, "a:1:;1,b", id="smuggled reference in user"),
    pytest.param(PARTS | {"job_id": f"197:;{WIRE_196}"}, "197:;", id="smuggled reference in job id"),
    pytest.param(PARTS | {"scheduler_id": "1,x:1:;2"}, "1,x:1:;2", id="smuggled reference in scheduler"),
    pytest.param(PARTS | {"job_id": ["197"]}, "['197']", id="list as job id"),
    pytest.param(PARTS | {"user": True}, "user=True", id="bool as user"),
    pytest.param(PARTS | {"scheduler_id": 1.5}, "scheduler_id=1.5", id="float as scheduler"),
    pytest.param(PARTS | {"job_id": -1}, "job_id=-1", id="negative job id"),
    pytest.param({"job": "197", "user": "x"}, "'job', 'user'", id="mapping without a job"),
    pytest.param({}, "[]", id="empty mapping"),
    pytest.param("{}", "[]", id="empty JSON object"),
    pytest.param("[197", "[197", id="broken list"),
    pytest.param("{'job_id': x}", "'job_id'", id="no literal"),
    pytest.param("[__import__('os').getpid()]", "__import__", id="code"),
    pytest.param("LazySelectSequence([2 items])", "XComArg", id="name of a lazy sequence"),
    pytest.param("LazyXComSequence([2 items])", "XComArg", id="name of an older lazy sequence"),
    pytest.param(["197", "LazySelectSequence([2 items])"], "LazySelectSequence", id="in a list"),
    pytest.param("[" * 100_000, "deep", id="very deep text"),
    pytest.param("(" * 250 + "1" + ",)" * 250, "(((", id="too deep for Python"),
    # A bare id is `197` or `5_1`: whatever else is let through is a job SCNet does not know, hence "gone", hence green.
    pytest.param("197.0", "197.0", id="rendered float"),
    pytest.param("b'197'", "b'197'", id="rendered bytes"),
    pytest.param("frozenset({'197'})", "frozenset", id="rendered frozenset"),
    pytest.param("dict_values(['197'])", "dict_values", id="rendered dict values"),
    pytest.param("range(1, 3)", "range", id="rendered range"),
    pytest.param(repr(JobRef(SCHEDULER, "test1", "197")), "JobRef", id="rendered reference"),
    pytest.param("1638523853,acexample01", "acexample01", id="reference without a job"),
    pytest.param("run1", "run1", id="job name"),
    pytest.param("--user=acexample01", "--user", id="scancel option"),
    pytest.param("-5", "-5", id="negative text"),
    pytest.param("²", "²", id="superscript"),
    pytest.param("197;reboot", "197", id="shell"),
    pytest.param("$(reboot)1", "reboot", id="shell expansion"),
    # A part that is there but empty is a mistake upstream, and the default may be another's.
    pytest.param(PARTS | {"user": "None"}, "`user` is 'None'", id="user that was not there"),
    pytest.param(PARTS | {"user": ""}, "`user` is ''", id="empty user in a mapping"),
    pytest.param(PARTS | {"user": " "}, "`user` is ' '", id="blank user in a mapping"),
    pytest.param(PARTS | {"user": None}, "`user` is None", id="user None in a mapping"),
    pytest.param(PARTS | {"scheduler_id": None}, "`scheduler_id` is None", id="scheduler None in a mapping"),
    pytest.param({"jobManagerId": "", "jobId": 1}, "`jobManagerId` is ''", id="empty scheduler of SCNet's"),
    pytest.param(json.dumps(PARTS | {"user": None}), "`user` is None", id="user null in JSON"),
    # Blanks at the ends must be seen in the message, else it refuses what looks right.
    pytest.param("1638523853, test:197:", "' test'", id="blank before user"),
    pytest.param(PARTS | {"user": "test\n"}, r"'test\n'", id="line break after user"),
    pytest.param(PARTS | {"job_id": "197\n"}, r"'197\n'", id="line break after job id"),
    pytest.param(PARTS | {"scheduler_id": " 1"}, "' 1'", id="blank before scheduler"),
    # Python cannot write such a number in decimal.
    pytest.param(10**5000, "", id="huge int"),
    pytest.param("[0x" + "f" * 5000 + "]", "", id="huge hexadecimal"),
    pytest.param({10**5000: 1}, "", id="huge int as key"),
]


@pytest.mark.parametrize(("jobs", "named"), REFUSED)
@pytest.mark.usefixtures("without_gc")
def test_refused(jobs: Any, named: str) -> None:
    with pytest.raises(ScnetJobReferenceError) as caught:
        parse(jobs)
    message = str(caught.value)
    assert named in message
    assert message.isprintable()
    assert len(message) < 1000


def test_member_that_a_record_calls_by_its_arrays_number() -> None:
    """Slurm gives the array's own number to the member that starts last; a delete of it would end them all."""
    wire = {"jobId": 5, "userName": "test", "jobInitAttr": {"JobId": "5", "ArrayJobId": "5", "ArrayTaskId": "7"}}
    assert parse(wire) == parse([JobRecord.read(wire)]) == ["1638523853,test:5_7:"]
    assert parse(wire | {"jobInitAttr": {"JobId": "5", "ArrayJobId": "5", "ArrayTaskId": "1-3"}}) == [
        "1638523853,test:5:"
    ]


def test_list_that_holds_itself_is_refused() -> None:
    jobs: list[Any] = ["197"]
    jobs.append(jobs)
    with pytest.raises(ScnetJobReferenceError, match="deep"):
        parse(jobs)


# --- defaults ----------------------------------------------------------------------------------------------------


class Default:
    def __init__(self, value: str) -> None:
        self.value = value
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.value


@pytest.mark.parametrize(
    ("jobs", "scheduler", "user"),
    [
        ([1, 2, "3,4"], 1, 1),
        ([{"job_id": 1, "user": "x"}, {"job_id": 2, "user": "y"}], 1, 0),
        ([{"job_id": 1, "scheduler_id": 7}], 0, 1),
        ([WIRE_197, PARTS], 0, 0),
        ([], 0, 0),
    ],
    ids=["both", "scheduler", "user", "neither", "nothing"],
)
def test_defaults_are_asked_once_if_needed(jobs: Any, scheduler: int, user: int) -> None:
    defaults = {"scheduler_id": Default("7"), "user": Default("x")}
    parse_jobs(jobs, **defaults)
    assert (defaults["scheduler_id"].asked, defaults["user"].asked) == (scheduler, user)


@pytest.mark.parametrize("jobs", [[1, "abc"], "1,x", [1, {"job": 1}], [1, 1.5]])
def test_defaults_are_not_asked_when_something_is_broken(jobs: Any) -> None:
    with pytest.raises(ScnetJobReferenceError):
        parse_jobs(jobs, scheduler_id=pytest.fail, user=pytest.fail)


@pytest.mark.parametrize("user", [None, "", "None", "a b", "a:1:;1,b"])
def test_no_default_is_asked_when_the_other_one_is_broken(user: str | None) -> None:
    scheduler_id = Default(SCHEDULER)
    with pytest.raises(ScnetJobReferenceError, match="user"):
        parse_jobs("197", scheduler_id=scheduler_id, user=user)
    assert scheduler_id.asked == 0


def test_defaults_complete_only_what_is_missing() -> None:
    jobs = [WIRE_197, 1, {"job_id": 2, "user": "x"}, {"job_id": 3, "scheduler_id": 8}]
    assert parse(jobs, scheduler_id=7, user="u") == [WIRE_197, "7,u:1:", "7,x:2:", "8,u:3:"]


@pytest.mark.parametrize("part", ["scheduler_id", "user"])
@pytest.mark.parametrize("value", [None, "", "None", "null", "a b", "1;2", 1.5, True, ["1"], {}, lambda: "a b"])
def test_default_that_cannot_be(part: str, value: Any) -> None:
    with pytest.raises(ScnetJobReferenceError, match=part):
        parse("197", **{part: value})


# --- properties --------------------------------------------------------------------------------------------------

IDS = st.from_regex(r"(0|[1-9][0-9]{0,8})(_(0|[1-9][0-9]{0,3}|\[[1-9](,[1-9][0-9]?){0,3}\]))?", fullmatch=True)
USERS = st.from_regex(r"[A-Za-z0-9_中][A-Za-z0-9_.@\-中]{0,9}", fullmatch=True).filter(lambda u: u != "None")
REFS = st.builds(JobRef, st.from_regex(r"[0-9]{1,12}", fullmatch=True), USERS, IDS)
NAMES = ("scheduler_id", "jobManagerId", "strJobManagerID", "jobmanagerId", "user", "clusterUserName", "userName")
KEYS = st.sampled_from((*NAMES, "job_id", "jobId", "x"))
CHAOS = st.text(st.sampled_from(",:;_0123456789ab []{}()'\"\\\n\x00\u200b-.中"), max_size=30)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | CHAOS
    | st.binary(max_size=5)
    | IDS
    | REFS
    | REFS.map(str)
    | st.sets(st.integers() | IDS, max_size=3)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
ANYTHING = TREES | TREES.map(repr) | TREES.map(lambda tree: json.dumps(tree, default=str, skipkeys=True)) | CHAOS
WIRE = re.compile(r"[0-9]+,[^\s,:;]+:[0-9]+(_([0-9]+|\[[0-9,-]+\]))?:")


@settings(deadline=None, max_examples=200)
@given(ANYTHING)
@example("1,\ud800:1:")
@example('["\\ud800"]')
@example("'\\x00'")
@example("{[1]: 2}")
def test_the_outcome_is_references_or_an_error_about_them(jobs: Any) -> None:
    try:
        refs = parse_jobs(jobs, scheduler_id=SCHEDULER, user="test")
    except ScnetJobReferenceError:
        return
    assert len(set(refs)) == len(refs)
    assert all(isinstance(ref, JobRef) and WIRE.fullmatch(str(ref)) for ref in refs)
    assert parse_jobs(to_wire(refs)) == refs


@settings(deadline=None)
@given(st.text(max_size=8) | CHAOS, st.text(max_size=8) | CHAOS, st.text(max_size=8) | CHAOS)
def test_a_reference_is_one_entry_or_refused(scheduler_id: str, user: str, job_id: str) -> None:
    try:
        wire = str(JobRef(scheduler_id, user, job_id))
    except ScnetJobReferenceError:
        return
    assert WIRE.fullmatch(wire)
    outside = re.sub(r"\[.*?\]", "", wire)
    assert (outside.count(","), wire.count(":"), wire.count(";")) == (1, 2, 0)
    assert wire.isprintable()


def parts(ref: JobRef) -> dict[str, str]:
    return {"scheduler_id": ref.scheduler_id, "user": ref.user, "job_id": ref.job_id}


@settings(deadline=None)
@given(st.lists(REFS), st.sampled_from([to_wire, list, tuple, deque, lambda refs: [parts(ref) for ref in refs]]))
def test_format_and_parse_are_inverse(refs: list[JobRef], form: Any) -> None:
    once = list(dict.fromkeys(refs))
    given_form = form(refs)
    assert parse_jobs(given_form) == once
    assert parse_jobs([str(ref) for ref in refs]) == once
    assert parse_jobs(str([str(ref) for ref in refs])) == once
    assert parse_jobs(json.dumps([parts(ref) for ref in refs])) == once
    assert parse_jobs("".join(f"{ref};" for ref in refs)) == once
