"""The end of what a job has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_scnet.api.gateway import ScnetClient
from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.api.reference import JobRef
from airflow_provider_scnet.exceptions import ScnetError
from airflow_provider_scnet.jobs.evidence import HISTORY_WINDOW
from airflow_provider_scnet.wording import quote

STREAMS = ("stderr", "stdout")
DEFAULT_LINES = 50
MOST_BYTES = 16 << 10
"""Of one log that are shown."""
LONGEST_LINE = 1000
"""Characters of a line that are shown."""


def read_log(client: ScnetClient, ref: JobRef, stream: str, lines: int) -> list[str]:
    """
    Read the end of a job's log.

    :param stream: ``stdout`` or ``stderr``.
    :param lines: how many at most.
    :return: the lines, fit to be shown; none if there is no such file, or nothing in it.
    :raises ValueError: for another stream.
    """
    if stream not in STREAMS:
        raise ValueError(f"stream={stream!r}: must be one of {', '.join(STREAMS)}.")
    path = _path(_describe(client, ref), stream)
    text = client.read_end(path.replace("%j", ref.job_id)) if path else ""
    return list(_bounded(text.splitlines()[-lines:] if lines > 0 else []))


def show_logs(
    client: ScnetClient, ref: JobRef, lines: int | None, *, streams: Sequence[str] = STREAMS, logger: Any
) -> None:
    """
    Write the ends of the logs of a job into the task's log. That one cannot be read changes nothing.

    :param lines: of each at most; none at all for 0; default: 50.
    :param streams: which ones.
    """
    lines = DEFAULT_LINES if lines is None else lines
    for stream in streams if lines > 0 else ():
        try:
            shown = read_log(client, ref, stream, lines)
        except ScnetError as error:
            logger.warning("The %s of job %s cannot be read: %s", stream, ref, quote(error.message))
            continue
        if shown:
            lines_of = f"{'line' if len(shown) == 1 else f'{len(shown)} lines'} of {stream} of job {ref}"
            logger.info("The last %s\n%s", lines_of, "\n".join(shown))
        else:
            logger.info("The %s of job %s is empty, or there is no such file.", stream, ref)


def _describe(client: ScnetClient, ref: JobRef) -> JobRecord | None:
    """Details know no scheduler, so that the job found may be another's."""
    record = client.get_job(ref.job_id)
    if record and record.user in ("", ref.user) and record.is_called(ref.job_id):
        return record
    now = datetime.fromtimestamp(client.patience.wall_clock(), UTC)
    past = client.list_history(
        ref.scheduler_id,
        user=ref.user,
        since=now - HISTORY_WINDOW,
        until=now + timedelta(days=1),
        job_id=ref.job_id,
        wanted=[ref.job_id],
    )
    return next((record for record in past.records if record.is_called(ref.job_id)), None)


def _path(record: JobRecord | None, stream: str) -> str:
    """The history may not name the file of stderr; then it is where jobs of this package write it."""
    if record is None:
        return ""
    told = record.stdout if stream == "stdout" else record.stderr
    return told or (f"{record.work_dir}/std.{stream.removeprefix('std')}.%j" if record.work_dir else "")


def _bounded(lines: list[str]) -> Iterator[str]:
    """The last lines count most, so that the first ones are left out."""
    shown = [quote_line(line) for line in lines]
    while sum(len(line.encode()) for line in shown) > MOST_BYTES:
        shown.pop(0)
    yield from shown


def quote_line(line: str) -> str:
    """Keep the blanks at its beginning: they tell something in a table."""
    indent = len(line) - len(line.lstrip(" "))
    return " " * min(indent, 40) + quote(line, LONGEST_LINE)
