"""What a test may choose where SCNet's documentation leaves room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_scnet.testing.words import WordStyle


@dataclass(eq=False, repr=False)
class Behaviour:
    """
    Which of the possible SCNets this one is; may be changed at any time.

    All seconds are seconds on the emulator's clock, except for those of ``latency``.

    :param latency: seconds before each answer.
    :param cancel_delay: seconds in COMPLETING before a deleted job is CANCELLED.
    :param queues: queues that accept jobs.
    :param takes_script_files: jobs may be submitted by script file (``GAP_SUBMIT_TYPE`` ``sched``).
    :param scripts: path -> text of script files that lie on the cluster; any other is empty.
    :param takes_extra_members: members of ``mapAppJobInfo`` that do not begin with ``GAP_`` need not be text.
    :param name_filter: the filter for names finds them ``exact``, or by a part of them (``fuzzy``).
    :param delete_by_query: the parameters of a delete may stand in the query string, in place of the body.
    :param refusal: ``whole``: a refused job makes its whole batch fail; ``partial``: only itself.
    :param page_cap: the most records one answer holds, whatever ``limit`` asks for.
    :param total_lie: real total -> reported total; None leaves it out.
    :param numeric_ids: job ids that look like numbers are JSON numbers.
    :param raw_state_in_lists: records of the live list carry ``jobInitAttr`` too.
    :param null_empty_lists: an empty list is answered with data null.
    :param clock_skew: seconds by which the ``timestamp`` of the token call may be off, either way.
    :param platform_entry: where the platform's entry stands among the tokens; None leaves it out.
    :param platform_user: ``computeUser`` of the platform's tokens; None for the login name.
    :param renewal_shape: ``data`` of a renewal: the token itself, or an object or list around it.
    :param new_tokens_revoke: a token call or renewal revokes the older tokens of the same region.
    :param stopped_code: what gateways answer to the tokens that a stopped region issued before.
    :param submit_lag: seconds until the live calls show a new job; deletes reach it before.
    :param lagging_deletes: a delete of a job that is not shown yet is answered with success and does nothing.
    :param view_age: the live calls show the world as it was so many seconds ago.
    :param blank_lists: an outage that looks like no jobs: the live list is ``empty`` or ``null``, details are null.
    :param list_cap: the most records the live list shows over all pages; look-ups by ``strJobId`` show all.
    :param largest_limit: a larger ``limit`` is refused with 10004.
    :param members_by_lookup: a look-up of ``5`` also finds the members ``5_1`` and ``5_[2-9]``.
    :param waiting_rest: members of an array that wait are one row ``5_[2-4]``; one that is cancelled leaves no record.
    :param array_pace: seconds between the starts of two members of an array that was submitted.
    :param first_member: the number of an array's first member; nobody tells whether it is 1 or 0.
    :param plain_single: an array of one member is a job without members.
    :param code_lead: seconds for which the live calls say statC of a job that a delete has named, whatever its state.
    :param words_in_details: details carry the scheduler's word (``jobInitAttr.JobState``).
    :param word_style: how that word is written: ``CANCELLED``, ``CA``, or ``CANCELLED by 1001`` and ``OUT_OF_ME+``.
    :param requeue_after: seconds after which the scheduler starts a job again that became PREEMPTED, NODE_FAIL,
        BOOT_FAIL, LAUNCH_FAILED, REVOKED or RECONFIG_FAIL; None for never.
    :param history_lag: seconds until the history lists a job that has ended.
    :param has_history: False: the history is always empty.
    :param first_page: number of the first page of a log or of a list of all regions; nobody tells whether it is 1 or 0.
    """

    latency: float = 0.0
    cancel_delay: float = 0.0
    queues: set[str] = field(default_factory=lambda: {"debug", "normal"})
    takes_script_files: bool = True
    scripts: dict[str, str] = field(default_factory=dict)
    takes_extra_members: bool = True
    name_filter: Literal["exact", "fuzzy"] = "exact"
    delete_by_query: bool = False
    refusal: Literal["whole", "partial"] = "whole"
    page_cap: int | None = None
    total_lie: Callable[[int], int | None] | None = None
    numeric_ids: bool = False
    raw_state_in_lists: bool = False
    null_empty_lists: bool = False
    clock_skew: float = 300.0
    platform_entry: Literal["first", "middle", "last"] | None = "last"
    platform_user: str | None = None
    renewal_shape: Literal["text", "object", "list"] = "text"
    new_tokens_revoke: bool = False
    # Nobody reports what they answer; "frozen" is the only one of the documented codes with that meaning.
    stopped_code: str = "10007"
    submit_lag: float = 0.0
    lagging_deletes: bool = False
    view_age: float = 0.0
    blank_lists: Literal["empty", "null"] | None = None
    list_cap: int | None = None
    largest_limit: int | None = None
    members_by_lookup: bool = True
    waiting_rest: bool = False
    array_pace: float = 0.0
    first_member: Literal[0, 1] = 1
    plain_single: bool = False
    code_lead: float = 0.0
    words_in_details: bool = True
    word_style: WordStyle = "long"
    requeue_after: float | None = None
    history_lag: float = 0.0
    has_history: bool = True
    first_page: Literal[0, 1] = 1


def finds_name(behaviour: Behaviour, wanted: str | None, name: str) -> bool:
    """
    Tell whether a filter lets a name through.

    :param behaviour: says how it filters.
    :param wanted: value of the filter; None or empty for all names.
    :param name: the name of a job.
    """
    return not wanted or (wanted in name if behaviour.name_filter == "fuzzy" else wanted == name)
