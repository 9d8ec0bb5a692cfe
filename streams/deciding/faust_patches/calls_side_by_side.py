"""A call that waits for partitions holds up no other call.

Upstream: the consumer lives in a thread of its own, and mode's `QueueServiceThread` lets two calls
run there at a time. A fetch and a seek both wait for the next assignment once a rebalance has
begun. Where it comes while the tables of the last one are being recovered, they are the two, and
the rebalance waits for ever: for the commit that it makes before it lets go of its partitions. As
long as it waits, no member of the group is given partitions.
"""

from __future__ import annotations

from typing import Final

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import MethodQueue

CALLS_AT_A_TIME: Final = 16
"""A fetch, a seek of each of several rebalances that follow one another, two commits, and what asks
for offsets: half as many at most. One that is idle costs nothing."""


class CallsSideBySide(AIOKafkaConsumerThread):
    """Runs more calls at a time."""

    @property
    def method_queue(self) -> MethodQueue:
        """The calls that other threads make."""
        if self._method_queue is None:
            self._method_queue = MethodQueue(
                num_workers=CALLS_AT_A_TIME, loop=self.thread_loop, beacon=self.beacon
            )
        return self._method_queue
