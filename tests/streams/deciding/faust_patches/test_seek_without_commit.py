"""Partitions that have no commit are read from their beginning."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.seek_without_commit import SeekWithoutCommit

CHANGELOG = "understudy-deciding-rollouts-changelog"


def test_the_beginning_where_nothing_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[tuple[str, int]] = []
    new, known = TP("understudy.windows", 0), TP("understudy.windows", 1)

    async def perform_seek(_: Any) -> None:
        """Faust's own: to what is committed."""

    async def seek_to_beginning(*partitions: Any) -> None:
        sought.extend((one.topic, one.partition) for one in partitions)

    monkeypatch.setattr(Consumer, "perform_seek", perform_seek)
    consumer = bare(
        SeekWithoutCommit,
        assignment=lambda: {new, known, TP(CHANGELOG, 0)},
        _is_changelog_tp=lambda tp: tp.topic == CHANGELOG,
        _committed_offset=defaultdict(lambda: None, {known: 7}),
        _thread=SimpleNamespace(seek_to_beginning=seek_to_beginning),
    )
    asyncio.run(consumer.perform_seek())
    assert sought == [("understudy.windows", 0)]
