"""HTTP as SCNet speaks it: time-outs, retries, and headers that nobody else may see."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
import tenacity
from urllib3.exceptions import HTTPError

from airflow_provider_scnet import __version__
from airflow_provider_scnet.api.answers import Call, NeverSentError, error_on_the_way, open_envelope
from airflow_provider_scnet.exceptions import ScnetTransientError
from airflow_provider_scnet.wording import Secret

DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
ATTEMPTS = 4
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, even where ``Retry-After`` asks for more."""

T = TypeVar("T")


class _Session(requests.Session):
    """Where a redirect leads to is not even looked at: a ``Location`` that is no address would be an error."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class Transport:
    """
    Send requests and open the envelopes that come back.

    Reads are tried up to four times. A call that changes something is repeated only where it surely never left this
    machine, for there is no key that would let SCNet recognise the second as the first; whoever sent it has to look
    before sending it again. Redirects are never followed: they would carry the token to another host. A token or key
    that was sent does not appear in what comes out of here.

    :param connection: the Airflow connection id, for messages.
    :param field: the field of the Connection that holds the address, for messages.
    :param timeout: seconds to wait for an answer.
    :param verify: whether to verify the server's certificate, or the path of a CA file.
    :param sleep: how to wait between attempts.
    """

    def __init__(
        self,
        *,
        connection: str = "scnet_default",
        field: str = "`host`",
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._field = field
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._verify = verify
        self._sleep = sleep
        self._session = _Session()
        self._session.headers.update(
            {"User-Agent": f"airflow-provider-scnet/{__version__}", "Accept": "application/json"}
        )

    def request(self, method: str, url: str, *, headers: Mapping[str, str | Secret], **content: Any) -> Any:
        """
        Send a request, again where that is safe and may help, and return the envelope's ``data``.

        :param url: the address, without a query.
        :param headers: what identifies us to SCNet.
        :param content: ``params``, ``data`` or ``json`` as in ``requests``.
        :raises ScnetError: in the class that stands for what went wrong.
        """
        return self.repeat(lambda: self.send(method, url, headers=headers, **content), harmless=method == "GET")

    def repeat(self, attempt: Callable[[], T], *, harmless: bool) -> T:
        """
        Make an attempt, and up to three more with growing pauses.

        :param attempt: what to do; raises :class:`ScnetError`.
        :param harmless: whether doing it twice does no harm. If not, it is repeated only if nothing was sent.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ScnetTransientError if harmless else NeverSentError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str | Secret], quotable: bool = True, **content: Any
    ) -> Any:
        """
        Send a request once; see :meth:`request`.

        :param quotable: whether an error may quote the answer's body; ``False`` where it may hold a new token.
        """
        call = self._call(method, url)
        try:
            response = self._exchange(call, headers, content)
        except (OSError, ValueError, TypeError, HTTPError) as error:  # requests lets some through unwrapped
            raise error_on_the_way(error, call, timeout=self._timeout, verify=self._verify) from None
        secrets = [value for value in headers.values() if isinstance(value, Secret)]
        return open_envelope(response, call, secrets, quotable=quotable)

    def unusable(self, method: str, url: str, what: str) -> ScnetTransientError:
        """
        Build the error for an answer that cannot be used although its code is ``"0"``.

        :param what: what is wrong with it, e.g. ``no list of jobs``.
        """
        return self._call(method, url).unusable(what)

    def _call(self, method: str, url: str) -> Call:
        return Call(method, url, self.connection, self._field)

    def _exchange(
        self, call: Call, headers: Mapping[str, str | Secret], content: Mapping[str, Any]
    ) -> requests.Response:
        def authenticate(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As an `auth`, so that requests leaves .netrc alone; as bytes, for a login name may be Chinese.
            for name, value in headers.items():
                text = value.text if isinstance(value, Secret) else value
                request.headers[name] = text.encode()  # type: ignore[assignment]
            return request

        outer = sys.exception()
        try:
            return self._session.request(
                call.method,
                call.url,
                auth=authenticate,
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
                **content,
            )
        except BaseException as error:
            _forget_frames(error, outer)
            raise


def _forget_frames(error: BaseException, outer: BaseException | None) -> None:
    """
    The HTTP library's frames hold the headers as they are sent, and some log formats draw local variables.

    :param error: what the library raised; what it was raised from is treated likewise.
    :param outer: what our caller was handling already, which is none of ours.
    """
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and link is not outer and link.__traceback__ is not None:
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]


_backoff = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ScnetTransientError) else None
    return _backoff(state) if asked is None else min(asked, LONGEST_PAUSE)
