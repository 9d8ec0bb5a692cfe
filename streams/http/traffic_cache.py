"""Sums of traffic, kept for the page that asks for them again a moment later."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
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
        self._kept: OrderedDict[tuple[str, dt.datetime, dt.datetime], Traffic] = OrderedDict()

    def read(
        self, connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
    ) -> Traffic:
        """Return the sums of a span. Raises `SinkBusy` and `SinkBroken`."""
        key = (rollout_id, since, until)
        found = self._kept.pop(key, None) or read_traffic(connection, rollout_id, since, until)
        self._kept[key] = found
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return found
