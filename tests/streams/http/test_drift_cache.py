"""Looks for drift, asked for once an hour."""

from __future__ import annotations

import datetime as dt
from typing import cast

import pytest

from understudy.schemas.events import Side
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.http import drift_cache
from understudy.streams.http.drift_cache import MAX_KEPT, DriftCache

NOWHERE = cast(ReadConnection, None)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def test_an_hour_is_looked_at_once_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Side]] = []

    def look(_: object, rollout_id: str, side: Side) -> SideLook:
        asked.append((rollout_id, side))
        return SideLook(side, 1, None)

    monkeypatch.setattr(drift_cache, "look_at", look)
    cache = DriftCache()
    first = cache.read(NOWHERE, "a", NOON)
    assert [one.side for one in first] == ["stable", "candidate"]
    assert cache.read(NOWHERE, "a", NOON + 59 * MINUTE) is first
    assert cache.read(NOWHERE, "a", NOON + 60 * MINUTE) is not first
    assert len(asked) == 4
    for number in range(MAX_KEPT):
        cache.read(NOWHERE, str(number), NOON)
    assert cache.read(NOWHERE, "a", NOON) is not first
