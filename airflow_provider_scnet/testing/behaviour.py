"""What a test may choose where SCNet's documentation leaves room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(eq=False, repr=False)
class Behaviour:
    """
    Which of the possible SCNets this one is; may be changed at any time.

    :param latency: seconds before each answer.
    :param cancel_delay: seconds on the clock in COMPLETING before a deleted job is CANCELLED.
    :param queues: queues that accept jobs.
    :param refusal: ``whole``: a refused job makes its whole batch fail; ``partial``: only itself.
    :param page_cap: the most records one answer holds, whatever ``limit`` asks for.
    :param total_lie: real total -> reported total.
    :param numeric_ids: job ids that look like numbers are JSON numbers.
    :param raw_state_in_lists: records of the live list carry ``jobInitAttr`` too.
    :param null_empty_lists: an empty list is answered with data null.
    :param clock_skew: seconds by which the ``timestamp`` of the token call may be off, either way.
    :param platform_entry: where the platform's entry stands among the tokens; None leaves it out.
    :param renewal_shape: ``data`` of a renewal: the token itself, or an object or list around it.
    :param new_tokens_revoke: a token call or renewal revokes the older tokens of the same region.
    :param stopped_code: what gateways answer to the tokens that a stopped region issued before.
    """

    latency: float = 0.0
    cancel_delay: float = 0.0
    queues: set[str] = field(default_factory=lambda: {"debug", "normal"})
    refusal: Literal["whole", "partial"] = "whole"
    page_cap: int | None = None
    total_lie: Callable[[int], int] | None = None
    numeric_ids: bool = False
    raw_state_in_lists: bool = False
    null_empty_lists: bool = False
    clock_skew: float = 300.0
    platform_entry: Literal["first", "middle", "last"] | None = "last"
    renewal_shape: Literal["text", "object", "list"] = "text"
    new_tokens_revoke: bool = False
    # Nobody reports what they answer; "frozen" is the only one of the documented codes with that meaning.
    stopped_code: str = "10007"
