"""aiokafka gets a set that does not change while it waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.fetch_of_paused_partitions import (
    FetchOfPausedPartitions,
)


def test_partitions_paused_meanwhile_do_not_change_the_fetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    active = {TP("understudy.windows", 0)}
    asked: list[Any] = []

    async def getmany(_: Any, active_partitions: set[TP] | None, timeout: float) -> None:
        active.clear()
        asked.append(active_partitions)

    monkeypatch.setattr(Consumer, "_getmany", getmany)
    consumer = bare(FetchOfPausedPartitions)
    asyncio.run(consumer._getmany(active, 1.0))
    asyncio.run(consumer._getmany(None, 1.0))
    assert asked == [{TP("understudy.windows", 0)}, None]
