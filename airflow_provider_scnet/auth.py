"""Tokens: what a token says about itself."""

from __future__ import annotations

import base64
import json
from typing import Any

PLATFORM_COMPUTE_USER = "root"
"""``computeUser`` of the platform's own token, which is of no use for job calls."""


def read_claims(token: str) -> dict[str, Any]:
    """
    Read the payload of a token, unverified (the key is the server's): a convenience, never a proof.

    :param token: the token; one that is no JWT has no claims.
    :return: e.g. ``{"computeUser": "acexample01", "clusterId": "11112", "expireTime": "1700003600000"}``.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
