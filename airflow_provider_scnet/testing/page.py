"""The page a person looks at: all jobs, refreshed by itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from airflow_provider_scnet.testing.job import Job
from airflow_provider_scnet.testing.wire import beijing

COLUMNS = ("Job", "User", "Scheduler", "Name", "State", "Submitted", "Ended")
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>SCNet emulator</title>
<style>
body {{ font-family: sans-serif; margin: 2em }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .3em 1em; border-bottom: 1px solid #ddd }}
tr.active td {{ background: #fff3cd }}
</style></head><body>
<h1>SCNet emulator</h1>
<p>{active} of {total} jobs active. Times are Beijing time.</p>
<table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table>
</body></html>
"""


def jobs_page(jobs: Iterable[Job]) -> str:
    """
    Write the page.

    :param jobs: all jobs; the newest is shown first.
    """
    shown = [(job, job.active) for job in jobs][::-1]
    return PAGE.format(
        active=sum(active for _, active in shown),
        total=len(shown),
        head="".join(f"<th>{column}</th>" for column in COLUMNS),
        rows="\n".join(_row(job, active) for job, active in shown),
    )


def _row(job: Job, active: bool) -> str:
    times = (beijing(job.submitted_at, " "), beijing(job.ended_at, " "))
    cells = (job.job_id, job.user, job.scheduler_id, job.name, job.state, *times)
    marked = ' class="active"' if active else ""
    return f"<tr{marked}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
