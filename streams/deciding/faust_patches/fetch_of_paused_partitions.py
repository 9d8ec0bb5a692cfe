"""Fetch from the partitions that were active when the fetch began, and from no others.

Upstream: `Consumer._wait_next_records` hands aiokafka its own set of active partitions, and
aiokafka looks at the set again while it waits. It finds partitions that were resumed meanwhile, and
takes a set that was emptied meanwhile for all partitions. What it takes from its buffer then is
dropped by `Consumer.getmany`, which goes by the set too, and is never read again. robinhood/faust
pull request 69 described the race in 2018; its lock is no longer there.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP


class FetchOfPausedPartitions(Consumer):
    """Hands aiokafka a copy of the set."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        wanted = None if active_partitions is None else set(active_partitions)
        return await super()._getmany(wanted, timeout)
