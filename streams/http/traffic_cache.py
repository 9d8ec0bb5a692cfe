"""Sums of traffic, kept for the page that asks for them again a moment later."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Final

from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.traffic_figures import Traffic, read_traffic

MAX_KEPT: Final = 20
"""Pages that are open at once; some ten kilobytes each."""


class TrafficCache:
    """Sums by rollout and span of time. To be used by one thread at a time.

    A span ends with the newest window, so newer windows make another span.
    """

    def __init__(self) -> None:
        self._sums = lru_cache(MAX_KEPT)(_sums)

    def read(
        self, connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
    ) -> Traffic:
        """Return the sums of a span. Raises `SinkBusy` and `SinkBroken`."""
        return self._sums(connection, rollout_id, since, until)


def _sums(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> Traffic:
    return read_traffic(connection, rollout_id, since, until)
