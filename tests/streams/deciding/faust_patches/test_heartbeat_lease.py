"""Heartbeats that the broker accepts renew the lease, as of when they were sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.heartbeat_lease import HeartbeatLease
from understudy.streams.deciding.session_lease import SessionLease

SESSION_S = 10.0


class Broker:
    """A broker that takes a while to answer, and a clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.is_member = True
        self.answer_s = 0.0

    async def heartbeat(self) -> bool:
        self.now_s += self.answer_s
        return self.is_member


async def started(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> tuple[SessionLease, Any]:
    async def on_start(_: Any) -> None:
        """Faust's own."""

    monkeypatch.setattr(AIOKafkaConsumerThread, "on_start", on_start)
    coordinator = SimpleNamespace(_do_heartbeat=broker.heartbeat)
    lease = SessionLease(SESSION_S, lambda: broker.now_s)
    thread = bare(
        HeartbeatLease,
        app=SimpleNamespace(lease=lease),
        _ensure_consumer=lambda: SimpleNamespace(_coordinator=coordinator),
    )
    await thread.on_start()
    return lease, coordinator


@pytest.mark.parametrize(
    ("is_member", "answer_s", "is_valid"),
    [(True, 0.0, True), (True, SESSION_S, False), (False, 0.0, False)],
)
def test_an_accepted_heartbeat_renews_it(
    is_member: bool, answer_s: float, is_valid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        broker = Broker()
        lease, coordinator = await started(broker, monkeypatch)
        assert not lease.is_valid
        broker.is_member, broker.answer_s = is_member, answer_s
        assert await coordinator._do_heartbeat() is is_member
        assert lease.is_valid is is_valid

    asyncio.run(run())
