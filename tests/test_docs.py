"""What the READMEs and guides say holds, and both languages say the same."""

from __future__ import annotations

import ast
import inspect
import os
import pydoc
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_scnet import exceptions, sbatch
from airflow_provider_scnet.api.answers import NOT_TAKEN
from airflow_provider_scnet.api.states import Phase, phase_of
from airflow_provider_scnet.connection.settings import ConnectionFields, read_settings
from airflow_provider_scnet.exceptions import ERROR_CODES, ScnetPermanentError
from airflow_provider_scnet.get_provider_info import get_provider_info
from airflow_provider_scnet.jobs import JobRef
from airflow_provider_scnet.jobs.deletion import Deletion
from airflow_provider_scnet.jobs.options import DeleteOptions
from airflow_provider_scnet.jobs.parsing import parse_jobs
from airflow_provider_scnet.operators.scnet import ScnetDeleteJobsOperator, ScnetSubmitJobOperator
from airflow_provider_scnet.sensors.scnet import ScnetJobSensor
from airflow_provider_scnet.testing import Clock, ScnetEmulator, options
from airflow_provider_scnet.testing.behaviour import Behaviour
from airflow_provider_scnet.testing.options import option
from benchmarks.budgets import BUDGETS
from tests.conftest import SCHEDULER, client_of

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
GUIDES = {language: sorted((ROOT / "docs" / language).glob("*.md")) for language in READMES}
PAGES = {language: [READMES[language], *GUIDES[language]] for language in READMES}
PAIRS = list(zip(*PAGES.values(), strict=False))  # a guide without its pair is found below
OF_THE_PROJECT = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
"""Pages in English only."""
ALL_PAGES = [*(page for pages in PAGES.values() for page in pages), *OF_THE_PROJECT]
RETRIED = {"en": {True: "yes", False: "no"}, "zh": {True: "是", False: "否"}}
README_LINES = 90
LARGEST_IMAGE = 200_000
"""In bytes."""
IN_PICTURES = (ScnetSubmitJobOperator, ScnetJobSensor, ScnetDeleteJobsOperator)

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")

Rows = list[list[str]]

both = pytest.mark.parametrize("language", READMES)
each_page = pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_pair = pytest.mark.parametrize(("en", "zh"), PAIRS, ids=[page.stem for page, _ in PAIRS])


# --- reading Markdown ------------------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of code."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def text(language: str) -> str:
    """All that there is in one language."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES[language])


def tables(page: Path) -> list[Rows]:
    """The tables of a page, heading first, without the lines under the headings."""
    found = re.findall(r"(?:^\|.*\n)+", prose(page), flags=re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in table.splitlines()
            if set(line) - set("|-: ")
        ]
        for table in found
    ]


def table(language: str, name: str) -> Rows:
    """The rows, without the heading, of the one table that has `name` in its first column."""
    all_tables = [rows for page in PAGES[language] for rows in tables(page)]
    (found,) = [rows for rows in all_tables if name in by_name(rows)]
    return found[1:]


def by_name(rows: Rows) -> dict[str, list[str]]:
    """Rows by the names in their first column, which may be several."""
    return {name: row for row in rows for name in CODE.findall(row[0])}


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", prose(page), flags=re.MULTILINE)]


def anchors(page: Path) -> list[str]:
    """What code forges make of headings."""
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(page)]


def links(page: Path) -> list[str]:
    """Links and images that lead to something in the repository."""
    return [link for link in LINK.findall(prose(page)) if not link.startswith("http")]


def assert_defaults(rows: dict[str, list[str]], defaults: dict[str, Any]) -> None:
    """Compare the names and defaults of a table with those of the code."""
    assert set(rows) == set(defaults)
    for name, default in defaults.items():
        cell = rows[name][1].strip("`")
        if default is inspect.Parameter.empty:
            assert cell == "–"
        else:
            assert ast.literal_eval(cell) == default


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"}


# --- tables and the code ---------------------------------------------------------------------------------------------


@both
def test_error_table_is_the_codes_table(language: str) -> None:
    rows = {row[0].strip("`"): row for row in table(language, "10001")}
    assert set(rows) == set(ERROR_CODES)
    for code, (_, label, meaning, error_class, _, remedy) in rows.items():
        row = ERROR_CODES[code]
        assert (label, error_class) == (row.label, f"`{row.error_class.__name__}`")
        if language == "en":
            assert (meaning, remedy) == (row.meaning, row.remedy.replace("{address}", "`host`"))


@both
def test_table_of_what_sbatch_says_is_the_codes_table(language: str) -> None:
    classes = {
        sbatch.Verdict.UNKNOWN: "ScnetTransientError",
        sbatch.Verdict.QUEUE_FULL: "ScnetQueueFullError",
        sbatch.Verdict.REFUSED: "ScnetSubmitRejectedError",
    }
    rows = table(language, sbatch.POLICY)
    said = [(text, row[2].strip("`")) for row in rows for text in CODE.findall(row[0])]
    assert len(said) == len(dict(said))
    for text, error_class in said:
        assert error_class == classes[sbatch.verdict(text)]
    assert {text for text, _ in said} >= {*sbatch.TEXTS, sbatch.POLICY}
    assert rows[-1][2].strip("`") == classes[sbatch.Verdict.REFUSED]


@both
def test_statuses_that_prove_that_nothing_was_submitted(language: str) -> None:
    (guide,) = [page for page in GUIDES[language] if page.name == "errors.md"]
    (paragraph,) = [line for line in prose(guide).splitlines() if " 301" in line]
    assert {int(status) for status in re.findall(r"\b[34]\d\d\b", paragraph)} == NOT_TAKEN


@both
def test_what_is_retried_follows_from_the_class(language: str) -> None:
    (guide,) = [page for page in GUIDES[language] if page.name == "errors.md"]
    rows = [row for rows in tables(guide) for row in rows[1:]]
    assert len(rows) > len(ERROR_CODES)
    for row in rows:
        *_, classes, retried, _ = row
        for name in CODE.findall(classes):
            assert retried == RETRIED[language][not issubclass(getattr(exceptions, name), ScnetPermanentError)], row


@both
def test_every_named_class_exists(language: str) -> None:
    named = set(re.findall(r"`(Scnet\w+Error)`", text(language)))
    assert named <= set(vars(exceptions))
    classes = {name for name in vars(exceptions) if re.fullmatch(r"Scnet\w+Error", name)}
    assert classes - named <= {"ScnetPermanentError"}


@both
def test_every_name_of_the_package_exists(language: str) -> None:
    named = set(re.findall(r"airflow_provider_scnet(?:\.\w+)+", text(language)))
    assert "airflow_provider_scnet.testing" in named
    assert [name for name in named if pydoc.locate(name) is None] == []


@both
def test_every_parameter_has_its_row_and_default(language: str) -> None:
    operators = {"missing_ok": ScnetDeleteJobsOperator, "walltime": ScnetSubmitJobOperator, "fail_fast": ScnetJobSensor}
    for of_its_own, operator in operators.items():
        expected = defaults_of(inspect.unwrap(operator.__init__))
        assert_defaults(by_name(table(language, of_its_own)), expected)


@both
def test_every_field_of_the_connection_has_its_row(language: str) -> None:
    (connection,) = get_provider_info()["connection-types"]
    expected = {"host", "port", "schema", "login", "password", *connection["conn-fields"]}
    assert set(by_name(table(language, "allow_http"))) == expected


@both
def test_accepted_forms_are_accepted(language: str) -> None:
    *forms, nothing = table(language, "JobRef")
    values = [code for row in forms for code in CODE.findall(row[1]) if "197" in code]
    assert len(values) >= 7
    for value in values:
        assert parse_jobs(eval(value, {"JobRef": JobRef}), scheduler_id="1638523853", user="test")
    assert [parse_jobs(ast.literal_eval(value)) for value in CODE.findall(nothing[1])] == [[]] * 4


@both
def test_knobs_of_the_emulator(language: str) -> None:
    made = {f.name: f.default if f.default is not MISSING else f.default_factory() for f in fields(Behaviour)}
    assert_defaults(by_name(table(language, "page_cap")), made)


@both
def test_parameters_of_the_emulator_and_of_its_faults(language: str) -> None:
    assert_defaults(by_name(table(language, "region_name")), defaults_of(ScnetEmulator))
    assert_defaults(by_name(table(language, "content_type")), defaults_of(ScnetEmulator().fail))


def options_of_the_command() -> dict[str, Any]:
    """The options, and their defaults."""
    return {option(name): default for name, default in vars(options.parser().parse_args([])).items()}


@both
def test_options_of_the_command(language: str) -> None:
    knobs = {option(knob.name) for knob in options.plain_knobs()}
    own = {name: default for name, default in options_of_the_command().items() if name not in knobs}
    assert_defaults(by_name(table(language, "--port")), own)
    (told,) = [line for line in text(language).splitlines() if "`--no-has-history`" in line]
    named = {code for code in CODE.findall(told) if code != "--help"}
    assert {option(knob.name) for knob in fields(Behaviour)} - knobs == {
        option(code) for code in named if not code.startswith("--")
    }
    for code in named:
        if code.startswith("--"):
            options.parser().parse_args(code.split())


@both
def test_requests_of_the_control_interface(language: str) -> None:
    with ScnetEmulator() as scnet:
        said = requests.get(f"{scnet.url}/emulator", timeout=10).json()["error"]
        rows = by_name(table(language, "GET /emulator/state"))
        assert list(rows) == said.removeprefix("there is only: ").split(", ")
        scnet.add_job()
        state = requests.get(f"{scnet.url}/emulator/state", timeout=10).json()
        assert {*CODE.findall(rows["GET /emulator/state"][2])} == {*state, *state["jobs"][0]} - {"jobs"}
        scnet.fail("list")
        faults = requests.get(f"{scnet.url}/emulator/faults", timeout=10).json()
        assert {*CODE.findall(rows["GET /emulator/faults"][2])} == {*faults[0]}


@both
def test_calls_of_the_emulator(language: str) -> None:
    rows = by_name(table(language, "center"))
    with ScnetEmulator() as scnet:
        for name, (_, request) in rows.items():
            verb, _, path = "".join(CODE.findall(request)).partition(" ")
            requests.request(verb or "GET", f"{scnet.url}{path or '/nowhere'}", timeout=10)
            assert scnet.requests[-1].call == name
        with pytest.raises(ValueError, match="no call") as error:
            scnet.fail("")
    assert {*rows, "", "*"} == set(re.findall(r"'([^']*)'", str(error.value)))


@both
def test_what_is_said_of_the_emulator_exists(language: str) -> None:
    with ScnetEmulator() as scnet:
        owners = {"add_job": scnet, "ignores_delete": scnet.add_job()}
        for name, owner in owners.items():
            for member in by_name(table(language, name)):
                assert hasattr(owner, member), member
        for member in re.findall(r"`scnet\.(\w+)", text(language)):
            assert hasattr(scnet, member), member


@both
def test_words_that_prove_an_end(language: str) -> None:
    """Each bullet of the standard of proof names the words that mean just that."""
    (guide,) = [page for page in GUIDES[language] if page.name == "deleting.md"]
    bullets = re.findall(r"^- \*\*.*$", prose(guide), flags=re.MULTILINE)
    words = {word: number for number, line in enumerate(bullets) for word in CODE.findall(line) if word.isupper()}
    accounted = [word for line in bullets[:1] for word in CODE.findall(line)]
    assert {phase_of("", word) for word in accounted} == {Phase.ENDED}
    assert {phase_of("", word) for word, number in words.items() if number} == {Phase.INTERRUPTED}
    codes = [re.findall(r"`(stat\w+)`", line) for line in bullets]
    assert {phase_of(code, "", past=True) for code in codes[1]} == {Phase.ENDED}
    assert {phase_of(code, "") for code in codes[2]} == {Phase.CLAIMED}
    assert {phase_of(code, "", past=True) for code in codes[3]} == {Phase.INTERRUPTED}


Prepare = Callable[[ScnetEmulator], list[str]]


def running(count: int, **attributes: Any) -> Prepare:
    """Jobs that run; attributes are of the first one."""

    def prepare(scnet: ScnetEmulator) -> list[str]:
        jobs = [scnet.add_job() for _ in range(count)]
        for name, value in attributes.items():
            setattr(jobs[0], name, value)
        return [job.ref for job in jobs]

    return prepare


def over(state: str, ago: float) -> Prepare:
    return lambda scnet: [scnet.add_job(state, ended_ago=ago).ref]


def old_array(scnet: ScnetEmulator) -> list[str]:
    for member in range(3):
        scnet.add_job("COMPLETED", job_id=f"5_{member}", ended_ago=3600)
    return ["5"]


EVERYDAY: list[tuple[Prepare, dict[str, Any]]] = [
    (running(1), {}),
    (running(1), {"cancel_delay": 10}),
    (running(1000), {"cancel_delay": 10}),
    (over("COMPLETED", 60), {}),
    (over("COMPLETED", 600), {}),
    (running(1), {"submit_lag": 15, "lagging_deletes": True}),
    (lambda scnet: ["4711"], {}),
    (over("NODE_FAIL", 0), {}),
    (running(1), {"words_in_details": False, "has_history": False}),
    (old_array, {}),
    (running(3, refused=("10009", "no")), {}),
    (running(1, ignores_delete=True), {}),
]
"""What the rows of the table of times speak of."""


@pytest.mark.parametrize("number", range(len(EVERYDAY)))
def test_how_long_it_takes(number: int) -> None:
    prepare, knobs = EVERYDAY[number]
    with ScnetEmulator(clock=Clock(start=time.time())) as scnet:
        for name, value in knobs.items():
            setattr(scnet, name, value)
        deletion = Deletion(
            client_of(scnet), parse_jobs(prepare(scnet), scheduler_id=SCHEDULER, user=scnet.user), DeleteOptions()
        )
        started = scnet.clock.now()
        with suppress(exceptions.ScnetError):
            deletion.run()
        took, sent, report = scnet.clock.now() - started, sum(scnet.calls.values()), deletion.report()
    kinds = {name for name in ("deleted", "gone") if getattr(report, name)}
    for pages in GUIDES.values():
        (guide,) = [page for page in pages if page.name == "deleting.md"]
        (rows,) = [rows[1:] for rows in tables(guide) if len(rows) == len(EVERYDAY) + 1 and len(rows[0]) == 4]
        _, seconds, requests_sent, result = rows[number]
        assert (f"{took:.0f} s", str(sent)) == (seconds, requests_sent)
        assert (set(CODE.findall(result)), result.startswith("`")) == (kinds, not report.left)


COSTS = [BUDGETS[number] for number in (1, 3, 5, 6, 7, 8, 9)]
"""What the rows of the table of costs speak of."""


@pytest.mark.parametrize("number", range(len(COSTS)))
def test_what_it_costs(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", "")  # which a benchmark sets, and does not take back
    budget = COSTS[number]
    measured = budget.measure()
    assert not budget.flaw(measured)
    for pages in GUIDES.values():
        (guide,) = [page for page in pages if page.name == "deleting.md"]
        (rows,) = [rows[1:] for rows in tables(guide) if len(rows) == len(COSTS) + 1 and len(rows[0]) == 2]
        assert rows[number][1] == str(measured.requests)


# --- both languages --------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_guides() -> None:
    english, chinese = ([page.name for page in GUIDES[language]] for language in READMES)
    assert english == chinese
    assert english


@each_pair
def test_both_languages_have_the_same_structure(en: Path, zh: Path) -> None:
    def shape(page: Path) -> dict[str, Any]:
        return {
            "headings": [level for level, _ in headings(page)],
            "tables": [[len(row) for row in rows] for rows in tables(page)],
            "items": len(re.findall(r"^- ", prose(page), flags=re.MULTILINE)),
            "steps": len(re.findall(r"^\d+\. ", prose(page), flags=re.MULTILINE)),
            "code in the text": sorted(CODE.findall(prose(page))),
        }

    assert shape(en) == shape(zh)


@each_pair
def test_both_languages_have_the_same_code_and_links(en: Path, zh: Path) -> None:
    def in_english(link: str) -> str:
        path = link.partition("#")[0]
        return path.replace("README.zh-CN.md", "README.md").replace("docs/zh/", "docs/en/")

    assert blocks(en) == blocks(zh)
    # The first link leads to the other language.
    assert [in_english(link) for link in links(en)[1:]] == [in_english(link) for link in links(zh)[1:]]


@each_pair
def test_each_page_leads_to_its_other_language_and_home(en: Path, zh: Path) -> None:
    for page, other, readme in ((en, zh, READMES["en"]), (zh, en, READMES["zh"])):
        wanted = [other] if page == readme else [other, readme]
        line = page.read_text(encoding="utf-8").splitlines()[2]
        assert [(page.parent / link).resolve() for link in LINK.findall(line)] == wanted


# --- links and size --------------------------------------------------------------------------------------------------


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert links(page)
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchors(target).count(anchor) == 1, link


@both
def test_readme_leads_to_every_guide(language: str) -> None:
    targets = [(ROOT / link).resolve() for link in links(READMES[language])]
    assert set(GUIDES[language]) <= set(targets)


@both
def test_readme_is_short(language: str) -> None:
    assert len(READMES[language].read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_every_image_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in ALL_PAGES for link in links(page)}
    assert set((ROOT / "docs" / "images").iterdir()) <= shown


@each_page
def test_images_have_a_text_and_are_small(page: Path) -> None:
    for words, link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", prose(page)):
        assert words, link
        assert (page.parent / link).stat().st_size < LARGEST_IMAGE, link


@both
def test_commands_exist(language: str) -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", text(language)))
    assert {"demo", "test", "help"} <= named <= make_targets()


@both
def test_readme_names_what_the_matrix_runs(language: str) -> None:
    versions = re.search(r"^VERSIONS +\?= (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert versions
    named = {part for entry in versions[1].split() for part in entry.split("@")} | {"3.11"}
    (line,) = [line for line in READMES[language].read_text(encoding="utf-8").splitlines() if "2.11.2" in line]
    assert set(re.findall(r"(?<![\w.,])\d\.\d+(?:\.\w+)?", line)) == named


# --- blocks of code --------------------------------------------------------------------------------------------------


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def runner(page: Path, kind: str, block: str) -> str:
    """Name the test that runs a block; empty for one that is made of commands to look at."""
    if kind == "python" and page in READMES.values():
        return "test_dag_of_the_readme"
    if kind == "python":
        return "test_dags_of_the_guides_run" if "with DAG(" in block else "test_python_of_the_guides_runs"
    if "export AIRFLOW_CONN" in block:
        return "test_connections_of_the_environment_are_read"
    if "curl " in block:
        return "test_control_of_the_guide_runs"
    if all(line.startswith("python -m airflow_provider_scnet.testing ") for line in block.splitlines()):
        return "test_commands_of_the_emulator_serve"
    if "airflow connections" in block:
        return "test_commands_of_the_connection_run"
    if "airflow dags trigger" in block:
        return "test_what_a_run_has_left_is_deleted_by_its_tag"
    return ""


def run_here(test: str) -> pytest.MarkDecorator:
    """Parametrise a test with its blocks; both languages have the same ones, see above."""
    found = [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES["en"]
        for number, (kind, block) in enumerate(blocks(page))
        if runner(page, kind, block) == test
    ]
    return pytest.mark.parametrize("block", found)


def is_known(command: str) -> bool:
    words = shlex.split(command, comments=True)
    variables = [word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)]
    match [word for word in words if word.partition("=")[0] not in variables]:
        case ["make", *targets]:
            return set(targets) <= make_targets() and set(variables) <= make_variables()
        case ["pip", "install", "."]:
            return (ROOT / "pyproject.toml").is_file()
        case ["airflow", "providers", "get", package]:
            return package == get_provider_info()["package-name"]
        case [".ci/run"]:
            return os.access(ROOT / ".ci" / "run", os.X_OK)
        case ["python", "-m", module, *arguments]:
            options.parser().parse_args(arguments)
            return module == "airflow_provider_scnet.testing"
    return False


def make_variables() -> set[str]:
    """What a command may set: what the Makefile asks for, and the browser test."""
    asked_for = re.findall(r"^([A-Z_]+) +\?=", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    return {*asked_for, *re.findall(r"SCNET_\w+", (ROOT / "tests" / "ui" / "conftest.py").read_text())}


@each_page
def test_every_command_in_the_text_exists(page: Path) -> None:
    commands = [code for code in CODE.findall(prose(page)) if re.match(r"(make|airflow providers|\.ci/run)\b", code)]
    assert [command for command in commands if not is_known(command)] == []


@each_page
def test_every_block_is_run_or_made_of_commands_that_exist(page: Path) -> None:
    files = ["integration/test_dags.py", "deployment/distributed/test_distributed.py"]
    elsewhere = "".join((ROOT / "tests" / file).read_text() for file in files)
    for kind, block in blocks(page):
        assert kind in ("bash", "python", "mermaid")
        if kind == "mermaid":
            assert set(re.findall(r"Scnet\w+", block)) <= {operator.__name__ for operator in IN_PICTURES}
        elif test := runner(page, kind, block):
            assert test in globals() or f"def {test}(" in elsewhere
        else:
            assert [command for command in block.splitlines() if not is_known(command)] == []
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


def test_readme_has_one_dag() -> None:
    assert [kind for kind, _ in blocks(READMES["en"])].count("python") == 1


@run_here("test_connections_of_the_environment_are_read")
def test_connections_of_the_environment_are_read(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_scnet.hooks.scnet import ScnetHook

    variables = re.findall(r"export (AIRFLOW_CONN_\w+)=", block)
    assert variables
    for variable in variables:
        shell = f'{block}\nprintf %s "${variable}"'
        value = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout
        monkeypatch.setenv(variable, value)
        name = variable.removeprefix("AIRFLOW_CONN_").lower()
        assert read_settings(ConnectionFields(name, ScnetHook.get_connection(name))).conn_id == name


@run_here("test_commands_of_the_emulator_serve")
def test_commands_of_the_emulator_serve(block: str) -> None:
    for command in block.splitlines():
        # Any free port, for the one that the guide names may be taken.
        line = re.sub(r"--port \d+", "--port 0", command).replace("python ", f"{sys.executable} ", 1)
        process = subprocess.Popen(shlex.split(line), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            address = next(found[1] for line in process.stdout or () if (found := re.match(r" +jobs +(\S+)", line)))
            assert requests.get(address, timeout=10).ok
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.communicate()


Shell = Callable[..., str]


def run_shell(home: Path, commands: Iterable[str], **variables: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        **variables,
    }
    script = "\n".join(["set -e", *commands])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("migrated")
    run_shell(home, ["airflow db migrate"])
    return home / "airflow.db"


@pytest.fixture
def shell(database: Path, tmp_path: Path) -> Shell:
    """A shell with an empty Airflow."""
    shutil.copy(database, tmp_path)
    return lambda *commands, **variables: run_shell(tmp_path, commands, **variables)


@run_here("test_commands_of_the_connection_run")
def test_commands_of_the_connection_run(block: str, shell: Shell) -> None:
    looks = ["airflow connections get scnet_default -o json"]
    if "connections add" in block:
        looks.append("airflow connections get scnet_token -o json")
    out = shell(block, *looks, SCNET_TOKEN="a.token")
    assert '"login": "alice"' in out
    assert len(looks) == 1 or '"host": "https://hpc.example:65051"' in out


@run_here("test_control_of_the_guide_runs")
def test_control_of_the_guide_runs(block: str, tmp_path: Path) -> None:
    with ScnetEmulator() as scnet:
        scnet.add_job()
        for command in block.splitlines():
            assert "http://127.0.0.1:8765/" in command
            here = command.replace("http://127.0.0.1:8765", scnet.url).replace(
                "curl ", "curl --silent --fail-with-body "
            )
            run_shell(tmp_path, [here], NO_PROXY="127.0.0.1")


@run_here("test_python_of_the_guides_runs")
def test_python_of_the_guides_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScnetEmulator() as scnet:
        jobs = [scnet.add_job(job_id=job_id) for job_id in ("197", "198")]
        monkeypatch.setenv("AIRFLOW_CONN_SCNET_DEFAULT", scnet.connection())
        names: dict[str, Any] = {}
        exec(block, names)
        for name, test in names.copy().items():
            if name.startswith("test_"):
                test(monkeypatch)
        if '["197", "198"]' in block:
            assert [job.state for job in jobs] == ["CANCELLED", "CANCELLED"]


@pytest.mark.integration
@run_here("test_dags_of_the_guides_run")
def test_dags_of_the_guides_run(block: str, shell: Shell, tmp_path: Path) -> None:
    (dag_id,) = re.findall(r'DAG\("(\w+)"', block)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "guide.py").write_text(block)
    with ScnetEmulator() as scnet:
        out = shell(f"airflow dags test {dag_id}", AIRFLOW_CONN_SCNET_DEFAULT=scnet.connection())
        assert [job.state for job in scnet.jobs] == ["CANCELLED", "CANCELLED"], out
        assert scnet.calls["delete"] == 1
