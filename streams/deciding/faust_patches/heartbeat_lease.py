"""Renews the app's session lease with every heartbeat that the broker accepts.

Upstream: a gap rather than a bug. aiokafka sends heartbeats in the consumer's thread and keeps
their answers to itself, so an app that was suspended cannot know that its session has run out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from understudy.streams.deciding.session_lease import SessionLease


class HeartbeatLease(AIOKafkaConsumerThread):
    """Listens to the answers from when there is a coordinator."""

    async def on_start(self) -> None:
        """Wrap the coordinator's heartbeat."""
        await super().on_start()
        coordinator: Any = self._ensure_consumer()._coordinator
        lease: SessionLease = cast(Any, self.app).lease
        send_heartbeat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat

        async def send_and_renew() -> bool:
            asked_s = lease.now()
            is_member = await send_heartbeat()
            if is_member:
                lease.renew(asked_s)
            return is_member

        coordinator._do_heartbeat = send_and_renew
