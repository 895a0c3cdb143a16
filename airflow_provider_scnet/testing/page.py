"""The page a person looks at: jobs, and the last requests; refreshed by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

from airflow_provider_scnet.testing.dispatch import Exchange
from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.wire import beijing

#: The most jobs shown at a time.
ROWS = 200
#: Stands for all states of a job that has not ended.
ACTIVE = "active"
REFRESH = '<meta http-equiv="refresh" content="2">'
# The empty icon keeps browsers from asking for one, which would be recorded as a request to SCNet.
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{refresh}
<link rel="icon" href="data:,">
<title>SCNet emulator</title>
<style>
body {{ font-family: sans-serif; margin: 2em }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .3em 1em; border-bottom: 1px solid #ddd }}
tr.active td {{ background: #fff3cd }}
nav {{ margin: 1em 0 }}
nav a, nav b {{ margin-right: 1em }}
</style></head><body>
<h1>SCNet emulator</h1>
<p>{active} of {total} jobs active. Times are Beijing time.</p>
<nav>{states}</nav>
{name}
{jobs}
<nav>{pages}</nav>
<h2>Last requests</h2>
{requests}
</body></html>
"""
# A page that refreshes itself takes away what somebody types: the form has a page that does not.
FORM = """<form action="/"><p>
<input type="hidden" name="state" value="{state}">
<label>Name contains <input name="name" value="{name}" autofocus></label> <button>Show</button>
</p></form>"""


Hide = Callable[[str], str]


@dataclass(frozen=True)
class View:
    """
    What is shown of the jobs.

    :param state: Slurm's word, ``active`` for all jobs that have not ended, or empty for all jobs.
    :param name: what a job's name contains.
    :param skip: how many of the newest jobs are left out.
    :param edit: the name is being changed.
    """

    state: str = ""
    name: str = ""
    skip: int = 0
    edit: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> View:
        """
        Read the query string of the page; what makes no sense there counts as not given.

        :param query: its parameters.
        """
        skip = query.get("skip", "")
        in_range = skip.isascii() and skip.isdecimal() and len(skip) < 10
        return cls(query.get("state", ""), query.get("name", ""), int(skip) if in_range else 0, "edit" in query)

    @property
    def link(self) -> str:
        """Where this is shown."""
        given = {"state": self.state, "name": self.name, "skip": self.skip, "edit": self.edit and 1}
        return f"/?{urlencode({name: value for name, value in given.items() if value})}"


def page(view: View, jobs: Iterable[Job], exchanges: Iterable[Exchange], now: float, secrets: Collection[str]) -> str:
    """
    Write the page.

    :param view: which jobs to show.
    :param jobs: all jobs; the newest is shown first.
    :param exchanges: the last requests; the newest is shown first.
    :param now: the time by which their age is told, seconds since the epoch.
    :param secrets: never shown, wherever a client may have put them.
    """

    def hide(text: str) -> str:
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text

    view = replace(view, name=hide(view.name), state=hide(view.state))
    every = [(job, job.state, job.active) for job in jobs][::-1]
    named = [row for row in every if view.name in row[0].name]
    shown = [row for row in named if view.state in ("", row[1], ACTIVE if row[2] else None)]
    return PAGE.format(
        refresh="" if view.edit else REFRESH,
        active=sum(active for _, _, active in every),
        total=len(every),
        states=_states(view, Counter(state for _, state, _ in named), sum(active for _, _, active in named)),
        name=_name(view),
        jobs=_jobs(shown[view.skip : view.skip + ROWS], hide),
        pages=_pages(view, len(shown)),
        requests=_requests(exchanges, now, hide),
    )


def _states(view: View, counts: Mapping[str, int], active: int) -> str:
    states = {"": sum(counts.values()), ACTIVE: active, **dict(sorted(counts.items()))}
    states.setdefault(view.state, 0)
    links = []
    for state, count in states.items():
        label = f"{escape(state or 'all')} ({count})"
        here = state == view.state
        links.append(f"<b>{label}</b>" if here else _link(replace(view, state=state, skip=0), label))
    return " ".join(links)


def _name(view: View) -> str:
    if view.edit:
        return FORM.format(state=escape(view.state), name=escape(view.name))
    edit = replace(view, skip=0, edit=True)
    if not view.name:
        return f"<p>{_link(edit, 'Filter by name')}</p>"
    every = _link(replace(view, name="", skip=0), "all names")
    return f"<p>Name contains <b>{escape(view.name)}</b>: {_link(edit, 'change')}, {every}</p>"


def _jobs(rows: Iterable[tuple[Job, str, bool]], hide: Hide) -> str:
    columns = ("Job", "User", "Scheduler", "Name", "State", "Deletes", "Submitted", "Ended")
    lines = []
    for job, state, active in rows:
        times = (beijing(job.submitted_at, " "), beijing(job.ended_at, " "))
        cells = (job.job_id, job.user, job.scheduler_id, hide(job.name), state, str(job.deletes), *times)
        lines.append((cells, active))
    return _table(columns, lines)


def _pages(view: View, total: int) -> str:
    links = []
    if view.skip:
        links.append(_link(replace(view, skip=max(0, view.skip - ROWS)), "newer"))
    if view.skip + ROWS < total:
        links.append(_link(replace(view, skip=view.skip + ROWS), "older"))
    if links:
        links.append(f"{min(view.skip + 1, total)}–{min(view.skip + ROWS, total)} of {total}")
    return " ".join(links)


def _requests(exchanges: Iterable[Exchange], now: float, hide: Hide) -> str:
    lines = [
        ((one.call, one.method, hide(one.path), one.answered, _age(now - one.moment)), False)
        for one in list(exchanges)[::-1]
    ]
    return _table(("Call", "Method", "Path", "Answer", "Age"), lines)


def _age(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _table(columns: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    lines = [
        ('<tr class="active">' if marked else "<tr>") + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells, marked in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table>"


def _link(view: View, label: str) -> str:
    return f'<a href="{escape(view.link)}">{label}</a>'
