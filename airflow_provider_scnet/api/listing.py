"""Lists of jobs, read page by page to their end, and whether that was the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_scnet.api.records import JobRecord
from airflow_provider_scnet.exceptions import ScnetError

PAGE_SIZE = 100
DOCUMENTED_PAGE_SIZE = 25
"""What the samples of the API pages ask for; larger pages may be refused."""
REFUSED_PARAMETER = "10004"
_NULL = -1
"""The total of a page without data, which says nothing against what other pages say."""


@dataclass(frozen=True)
class JobListing:
    """
    A list of jobs, read to its end.

    :param records: the jobs, each once.
    :param complete: as many records were read as the service says there are. If not, a job that is missing here
        may still exist.
    :param gateway: the gateway that answered; empty if several did.
    :param is_null: SCNet answered nothing at all, where others write an empty list.
    :param error: why the rest was not read, if a page but the first failed.
    """

    records: list[JobRecord]
    complete: bool
    gateway: str = ""
    is_null: bool = False
    error: ScnetError | None = None


@dataclass(frozen=True)
class Answer:
    """
    What came back for one page.

    :param jobs: as SCNet describes them.
    :param total: how many there are in all, says the service; ``None`` if it does not.
    :param gateway: the gateway that answered.
    """

    jobs: list[Any]
    total: int | None
    gateway: str

    @classmethod
    def read(cls, data: Any, gateway: str) -> Answer | None:
        """
        Return what an envelope's data holds; ``None`` if that is no list of jobs.

        :param data: an object with ``list`` and ``total``, a list, or nothing at all.
        """
        if data is None:
            return cls([], _NULL, gateway)
        if isinstance(data, list):
            return cls(data, None, gateway)
        if not isinstance(data, Mapping) or not isinstance(data.get("list", []), list | None):
            return None
        total = str(data.get("total")).strip()
        return cls(data.get("list") or [], int(total) if re.fullmatch(r"[0-9]{1,12}", total) else None, gateway)


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    records: list[JobRecord]
    total: int | None
    gateway: str
    is_last: bool


class Pager:
    """Ask for one page after the other. How large one may be is remembered."""

    def __init__(self) -> None:
        self._size = PAGE_SIZE

    def pages(self, get: Callable[[dict[str, str]], Answer], read: Callable[[Any], JobRecord | None]) -> Iterator[Page]:
        """
        Return the pages. The service may cap ``limit`` and misreport ``total``, so only a page that brings nothing new
        is the end, or one that is shorter than any page must be.

        :param get: asks for a page by the parameters ``start`` and ``limit``.
        :param read: reads a job as SCNet describes it.
        """
        seen: set[str] = set()
        start = 0
        while True:
            answer = self._ask(get, start)
            records = [record for record in map(read, answer.jobs) if record]
            new = {record.job_id for record in records} - seen
            seen |= new
            start += len(answer.jobs)
            is_short = len(answer.jobs) < DOCUMENTED_PAGE_SIZE and answer.total == start
            yield Page(records, answer.total, answer.gateway, is_last=not new or is_short)
            if not new or is_short:
                return

    def _ask(self, get: Callable[[dict[str, str]], Answer], start: int) -> Answer:
        """A smaller page that is refused, too, or fails tells nothing of the limit; one that comes does."""
        try:
            return get({"start": str(start), "limit": str(self._size)})
        except ScnetError as error:
            if error.code != REFUSED_PARAMETER or self._size == DOCUMENTED_PAGE_SIZE:
                raise
        answer = get({"start": str(start), "limit": str(DOCUMENTED_PAGE_SIZE)})
        self._size = DOCUMENTED_PAGE_SIZE
        return answer


def never() -> bool:
    """Say that there is no need to hurry."""
    return False


def read_to_the_end(
    pages: Iterator[Page], is_late: Callable[[], bool], wanted: Collection[str] = (), *, is_alone: bool = False
) -> JobListing:
    """
    Make one list of its pages.

    :param is_late: whether to stop in the middle; asked before each further page.
    :param wanted: job ids; once all of them were read, the rest does not matter.
    :param is_alone: whether a single job was asked for.
    :raises ScnetError: if the first page failed.
    """
    records: dict[JobRecord, None] = {}  # several of one job are kept: each may say something else
    totals: set[int | None] = set()
    gateways: set[str] = set()
    is_last = False
    error: ScnetError | None = None
    missing = set(wanted)
    while True:
        try:
            page = next(pages, None)
        except ScnetError as failure:
            if not gateways:
                raise
            error = failure
            break
        if page is None:
            break
        records.update(dict.fromkeys(page.records))
        totals.add(page.total)
        gateways.add(page.gateway)
        missing.difference_update(one for record in page.records for one in (record.job_id, record.own_number))
        is_last = page.is_last
        if not is_last and (is_late() or (wanted and not missing)):
            break
    is_null = totals == {_NULL}
    # A total that changes while the list is read, or is less than what came, tells nothing.
    told = totals - {_NULL} <= {len(records)} or totals - {_NULL} <= {len({r.job_id for r in records})}
    # No limit cuts what one job has to tell, so that a total is not needed.
    told |= is_alone and totals <= {_NULL, None} and len(records) < DOCUMENTED_PAGE_SIZE
    one_gateway = gateways.pop() if len(gateways) == 1 else ""
    return JobListing(list(records), is_last and told and bool(one_gateway), one_gateway, is_null, error)
