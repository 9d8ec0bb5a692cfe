"""Sums of traffic, asked for once a span."""

from __future__ import annotations

import datetime as dt
from typing import cast

import pytest

from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.traffic_figures import Traffic
from understudy.streams.http import traffic_cache
from understudy.streams.http.traffic_cache import MAX_KEPT, TrafficCache

NOWHERE = cast(ReadConnection, None)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def test_a_span_is_asked_for_once_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(_: object, rollout_id: str, since: dt.datetime, until: dt.datetime) -> Traffic:
        asked.append(rollout_id)
        return Traffic(since, until, 1, {}, {}, [])

    monkeypatch.setattr(traffic_cache, "read_traffic", read)
    cache = TrafficCache()
    first = cache.read(NOWHERE, "a", NOON - HOUR, NOON)
    assert cache.read(NOWHERE, "a", NOON - HOUR, NOON) is first
    assert cache.read(NOWHERE, "a", NOON, NOON + HOUR) is not first
    assert asked == ["a", "a"]
    for number in range(MAX_KEPT):
        cache.read(NOWHERE, str(number), NOON - HOUR, NOON)
    cache.read(NOWHERE, "a", NOON - HOUR, NOON)
    assert len(asked) == 2 + MAX_KEPT + 1
