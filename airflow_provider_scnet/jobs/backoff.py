"""Looks that fail: how long to pause, and when to give up."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_scnet.exceptions import ScnetError, ScnetPermanentError, ScnetTransientError

MOST_REFUSALS = 3
"""Looks in a row that are refused for good before it is believed."""
MOST_SURPRISES = 10
"""The same of what is no error of SCNet's: Airflow may be away for a while."""
LONGEST_PAUSE = 300.0
"""Seconds between two looks that fail, unless looks are further apart anyway."""


class Trouble:
    """Looks that fail one after the other: how long to pause, and when to give up."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_after(self, error: Exception, poll_interval: float) -> float:
        """
        Return the seconds until the next look, more with each that fails.

        :param error: why the last one failed: SCNet, or Airflow, of which the Connection is read again.
        :param poll_interval: seconds between two looks while all is well.
        :raises Exception: the error itself, if no look will help.
        """
        self._failures += 1
        if self._failures >= _most_failures(error):
            raise error
        longest = max(poll_interval, LONGEST_PAUSE)
        asked = (error.retry_after if isinstance(error, ScnetTransientError) else None) or 0.0
        return min(max(poll_interval * 2.0 ** min(self._failures - 1, 20), asked), longest)


def _most_failures(error: Exception) -> float:
    if isinstance(error, ScnetPermanentError | AirflowNotFoundException):
        return MOST_REFUSALS
    return float("inf") if isinstance(error, ScnetError) else MOST_SURPRISES
