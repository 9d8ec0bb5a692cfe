"""Looks for drift, kept for an hour: their newest hour makes them anew."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Final

from understudy.streams.clickhouse.drift_watch import SideLook, look_at
from understudy.streams.clickhouse.hourly_traffic import SIDES
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_KEPT: Final = 20
"""Rollouts whose pages are open at once; some ten kilobytes each."""


class DriftCache:
    """Looks by rollout and hour. To be used by one thread at a time."""

    def __init__(self) -> None:
        self._looks = lru_cache(MAX_KEPT)(_looks)

    def read(
        self, connection: ReadConnection, rollout_id: str, until: dt.datetime
    ) -> list[SideLook]:
        """Return the looks at both sides as of an instant. Raises `SinkBusy` and `SinkBroken`."""
        hour = until.replace(minute=0, second=0, microsecond=0)
        return self._looks(connection, rollout_id, hour)


def _looks(connection: ReadConnection, rollout_id: str, _hour: dt.datetime) -> list[SideLook]:
    return [look_at(connection, rollout_id, side) for side in SIDES]
