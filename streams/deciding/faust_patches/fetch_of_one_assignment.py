"""A fetch takes records of the assignment under which it began, and of no later one.

Upstream: a fetch that waits when a rebalance begins goes on waiting in aiokafka, until there are
partitions again, and takes their first records. `Consumer.getmany` drops them, since recovery has
paused the partitions meanwhile. Where they were taken before recovery seeks, the seek brings them
again. Where they were taken after it, and come before the partitions are resumed, nobody reads them
again: the consumer's position lies behind them.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP


class FetchOfOneAssignment(AIOKafkaConsumerThread):
    """Waits for records itself, and looks at the assignment before it takes any."""

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Records by partition; none once a rebalance has begun."""
        return await self.call_thread(
            self._fetch_under, self._assignment_number(), active_partitions, timeout
        )

    def _assignment_number(self) -> tuple[int, int]:
        """Another one as soon as partitions are revoked, and as soon as others are assigned."""
        app: Any = self.app
        return app.rebalancing_count, app.consumer_generation_id

    async def _fetch_under(
        self, assignment: tuple[int, int], active_partitions: Any, timeout_s: float
    ) -> Any:
        consumer: Any = self._ensure_consumer()
        deadline_s = monotonic() + timeout_s
        while self._is_current(assignment):  # nothing else runs between this and the taking
            records = await self._fetch_records(
                consumer, active_partitions, timeout=0, max_records=consumer._max_poll_records
            )
            left_s = deadline_s - monotonic()
            if records or left_s <= 0:
                return records
            await _wait_for_records(consumer._fetcher, left_s)
        return {}

    def _is_current(self, assignment: tuple[int, int]) -> bool:
        subscription: Any = self._ensure_consumer()._subscription
        return (
            self.consumer.flow_active
            and self._assignment_number() == assignment
            and not subscription.reassignment_in_progress
        )


async def _wait_for_records(fetcher: Any, timeout_s: float) -> None:
    """Wait until there may be some. Raises what the broker refuses them for."""
    waiter = fetcher._create_fetch_waiter()
    done, _ = await asyncio.wait({waiter}, timeout=timeout_s)
    if done:
        waiter.result()
    else:
        waiter.cancel()
