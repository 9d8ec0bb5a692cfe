"""A fetch does not wait longer at the broker than a decision may."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.fetch_wait import LEAST_WAIT_MS, FetchWait


@pytest.mark.parametrize(("setting_ms", "wait_ms"), [(500, 500), (50, LEAST_WAIT_MS)])
def test_faust_s_own_wait_is_replaced(
    monkeypatch: pytest.MonkeyPatch, setting_ms: int, wait_ms: int
) -> None:
    def create(_: Any, transport: Any) -> Any:
        return SimpleNamespace(_fetch_max_wait_ms=1500)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_create_worker_consumer", create)
    transport = SimpleNamespace(app=SimpleNamespace(fetch_wait_ms=setting_ms))
    consumer = bare(FetchWait)._create_worker_consumer(transport)
    assert consumer._fetch_max_wait_ms == wait_ms
