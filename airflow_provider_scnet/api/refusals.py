"""Calls whose token SCNet refuses: whether another token helps, how often, and what the reader is told in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from airflow_provider_scnet.api.credentials import TokenSource
from airflow_provider_scnet.api.tokens import Token
from airflow_provider_scnet.exceptions import (
    ScnetAccountError,
    ScnetCredentialError,
    ScnetError,
    ScnetPermanentError,
    ScnetTransientError,
)
from airflow_provider_scnet.wording import sentences

T = TypeVar("T")


def call_with_token(
    source: TokenSource, call: Callable[[Token], T], *, is_accepted: Callable[[Token], bool] | None = None
) -> T:
    """
    Make a call; if SCNet refuses the token, again with a new one: once, or a few times if that may be of use.

    :param source: where tokens come from.
    :param call: what to do with a token.
    :param is_accepted: whether another call is answered with that token: then it is not the token that is refused, and
        a new one would help nobody, but may end those of other tasks. The call is made once more with the same token.
    :raises ScnetCredentialError: if the new token is refused as well, or there is none.
    :raises ScnetTransientError: if that may pass.
    """
    token = _first(source)
    refusals = 0
    while True:
        try:
            return call(token)
        except ScnetCredentialError as error:
            refusal = error
        if is_accepted and is_accepted(token):
            return _once_more(call, token)
        refusals += 1
        token = _another(source, token, refusal, refusals)


def _first(source: TokenSource) -> Token:
    try:
        return source.token()
    except ScnetError as error:
        error.without_effect = True  # on the call, which was not even sent
        raise


def _once_more(call: Callable[[Token], T], token: Token) -> T:
    """A service of several machines may not know a new token everywhere at once."""
    try:
        return call(token)
    except ScnetCredentialError as error:
        raise error.advise(
            "SCNet accepts the token for other calls: check the reference, and that the account has the right to this "
            "call."
        ) from None


def _another(source: TokenSource, stale: Token, refusal: ScnetCredentialError, refusals: int) -> Token:
    """Get another token: the one that another thread has got meanwhile, or else a new one after a pause."""
    pause = source.pause_after(refusals, stale)
    if pause and not source.patience.allows(pause):  # the last look of a deletion needs a token, too
        pause = 0.0 if refusals == 1 else None
    if pause is None:
        raise source.explain(refusal) from None
    if pause:
        source.patience.sleep(pause)
    try:
        return source.renewed(stale)
    except ScnetError as why:
        raise _refused(refusal, why) from None


def _refused(refusal: ScnetCredentialError, why: ScnetError) -> ScnetError:
    """What the reader asked for was refused; that no new token could be had comes second, but tells what helps."""
    kind: type[ScnetError] = ScnetCredentialError
    if isinstance(why, ScnetAccountError):
        kind = ScnetAccountError
    elif not isinstance(why, ScnetPermanentError):
        kind = ScnetTransientError if isinstance(why, ScnetTransientError) else ScnetError
    return kind(
        sentences(refusal.message, f"No new token could be had: {why.message}"),
        remedy=why.remedy,
        code=refusal.code,
        msg=refusal.msg,
        data=refusal.data,
        call=refusal.call,
        # What may pass is no verdict of SCNet on the call itself: a deletion must not take it for an answer.
        answered=refusal.answered and issubclass(kind, ScnetPermanentError),
        without_effect=refusal.without_effect,
    )
