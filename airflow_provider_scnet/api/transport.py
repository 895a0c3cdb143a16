"""HTTP as SCNet speaks it: time-outs, retries, and headers that nobody else may see."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from typing import Any, Self, TypeVar

import requests
import tenacity
from urllib3.exceptions import HTTPError

from airflow_provider_scnet import __version__
from airflow_provider_scnet.api.answers import (
    Call,
    NeverSentError,
    Received,
    error_on_the_way,
    open_envelope,
    read_body,
    too_long,
)
from airflow_provider_scnet.api.exchange import Exchange, Session, TooLongError
from airflow_provider_scnet.api.patience import Patience
from airflow_provider_scnet.exceptions import ScnetTransientError
from airflow_provider_scnet.wording import Secret

DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
LONGEST_REQUEST = 2.0
"""Time-outs for which a request lasts at most, from the look-up of the host's name to the last byte of the answer."""
ATTEMPTS = 4
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, even where ``Retry-After`` asks for more."""
IDLE_CONNECTIONS = 10
"""How many are kept for the next request."""

HEADERS = {
    "User-Agent": f"airflow-provider-scnet/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",
}
Headers = Mapping[str, str | Secret]
T = TypeVar("T")


class Transport:
    """
    Send requests and open the envelopes that come back.

    Reads are tried up to four times. A call that changes something is repeated only where it surely never left this
    machine, for there is no key that would let SCNet recognise the second as the first; whoever sent it has to look
    before sending it again. Redirects are never followed: they would carry the token to another host. A token or key
    that was sent does not appear in what comes out of here, nor in the local variables of any frame of an exception.

    :param connection: the Airflow connection id, for messages.
    :param field: the field of the Connection that holds the address, for messages.
    :param timeout: seconds to wait for an answer to begin or to go on; all of it may take twice as long.
    :param verify: whether to verify the server's certificate, or the path of a CA file.
    :param patience: how long to wait for answers and between attempts; whoever holds it can end all waiting.
    """

    def __init__(
        self,
        *,
        connection: str = "scnet_default",
        field: str = "`host`",
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        patience: Patience | None = None,
    ) -> None:
        self.connection = connection
        self.patience = patience or Patience()
        self._field = field
        self._timeout = (min(CONNECT_TIMEOUT, timeout), timeout)
        self._verify = verify
        self._attempts = ATTEMPTS
        self._idle: deque[Session] = deque(maxlen=IDLE_CONNECTIONS)

    def tried_once(self) -> Self:
        """Return a transport that shares all with this one, but makes a single attempt."""
        once = copy.copy(self)
        once._attempts = 1
        return once

    def request(self, method: str, url: str, *, headers: Headers, **content: Any) -> Any:
        """
        Send a request, again where that is safe and may help, and return the envelope's ``data``.

        :param url: the address, without a query.
        :param headers: what identifies us to SCNet.
        :param content: ``params``, ``data`` or ``json`` as in ``requests``.
        :raises ScnetError: in the class that stands for what went wrong.
        :raises ScnetStoppedError: if the task is told to stop.
        """
        return self.repeat(lambda: self.send(method, url, headers=headers, **content), harmless=method == "GET")

    def repeat(self, attempt: Callable[[], T], *, harmless: bool) -> T:
        """
        Make an attempt, and up to three more with growing pauses, as long as patience allows these.

        :param attempt: what to do; raises :class:`ScnetError`.
        :param harmless: whether doing it twice does no harm. If not, it is repeated only if nothing was sent.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ScnetTransientError if harmless else NeverSentError),
            stop=lambda state: state.attempt_number >= self._attempts or not self.patience.allows(state.upcoming_sleep),
            wait=_pause,
            sleep=self.patience.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | Callable[[], Headers],
        quotable: bool = True,
        read: Callable[[Any], Any] | None = None,
        **content: Any,
    ) -> Any:
        """
        Send a request once; see :meth:`request`.

        :param headers: what identifies us to SCNet, or how to make it, should that handle secrets.
        :param quotable: ``False`` if the answer may hold a new token: then no error quotes its body.
        :param read: what to make of the data; needed where it is not quotable, for nobody else may see it.
        """
        self.patience.check()
        call = self._call(method, url)
        session = self._take_session()
        exchange: Exchange[Any] = Exchange(
            lambda: self._ask(session, call, headers, content, exchange, quotable=quotable, read=read)
        )
        longest = LONGEST_REQUEST * self._timeout[1]
        try:
            outcome = exchange.run(self.patience, longest)
        except TooLongError:
            raise too_long(call, longest, never_sent=exchange.give_up()) from None
        except BaseException:  # told to stop, or Airflow's time-out
            exchange.give_up()
            raise
        self._idle.append(session)
        return outcome.unwrap()

    def unusable(self, method: str, url: str, what: str) -> ScnetTransientError:
        """
        Build the error for an answer that cannot be used although its code is ``"0"``.

        :param what: what is wrong with it, e.g. ``no list of jobs``.
        """
        return self._call(method, url).unusable(what)

    def _call(self, method: str, url: str) -> Call:
        return Call(method, url, self.connection, self._field)

    def _ask(
        self,
        session: Session,
        call: Call,
        headers: Headers | Callable[[], Headers],
        content: Mapping[str, Any],
        exchange: Exchange[Any],
        *,
        quotable: bool,
        read: Callable[[Any], Any] | None,
    ) -> Any:
        headers = headers() if callable(headers) else headers
        try:
            received = self._exchange(session, call, headers, content)
        except (OSError, ValueError, TypeError, HTTPError, HTTPException) as error:  # some come unwrapped
            raise error_on_the_way(
                error, call, timeout=self._timeout, verify=self._verify, has_left=exchange.has_left
            ) from None
        secrets = [value for value in headers.values() if isinstance(value, Secret)]
        data = open_envelope(received, call, secrets, quotable=quotable)
        return read(data) if read else data

    def _exchange(self, session: Session, call: Call, headers: Headers, content: Mapping[str, Any]) -> Received:
        def authenticate(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As an `auth`, so that requests leaves .netrc alone; as bytes, for a login name may be Chinese.
            for name, value in headers.items():
                text = value.text if isinstance(value, Secret) else value
                request.headers[name] = text.encode()  # type: ignore[assignment]
            return request

        response = session.request(
            call.method,
            call.url,
            auth=authenticate,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=False,
            stream=True,
            **content,
        )
        with closing(response):
            return Received(response.status_code, response.headers, read_body(response, call))

    def _take_session(self) -> Session:
        """A session serves one request at a time: one that was given up can be cut off without harm to any other."""
        with suppress(IndexError):
            while not (session := self._idle.pop()).is_ours:
                pass
            return session
        return Session(HEADERS)


_backoff = tenacity.wait_exponential(multiplier=0.5, max=8) + tenacity.wait_random(0, 0.5)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ScnetTransientError) else None
    return _backoff(state) if asked is None else min(asked, LONGEST_PAUSE)
