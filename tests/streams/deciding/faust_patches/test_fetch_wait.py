"""A fetch does not wait longer at the broker than a decision may."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.fetch_wait import FETCH_WAIT_MS, FetchWait


def test_faust_s_own_wait_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(_: Any, transport: Any) -> Any:
        return SimpleNamespace(_fetch_max_wait_ms=1500)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_create_worker_consumer", create)
    consumer = bare(FetchWait)._create_worker_consumer(None)
    assert consumer._fetch_max_wait_ms == FETCH_WAIT_MS
