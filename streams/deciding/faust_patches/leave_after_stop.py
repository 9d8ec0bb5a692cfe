"""A worker that stops during a rebalance leaves the group as it does at other times.

Upstream: when partitions are revoked or assigned while the app stops, it closes the Kafka client
from the thread of the app. That fails, since the client belongs to the consumer's thread, but marks
it as closed. What is then asked of it may have no answer, a commit is retried for ever where the
coordinator is lost, and the consumer, closed as it seems, does not leave the group: its partitions
have no owner until its session has run out.
"""

from __future__ import annotations

import faust


class LeaveAfterStop(faust.App):
    """Leaves the client to the stop, which closes it in its own thread when all is committed."""

    def _on_rebalance_when_stopped(self) -> None:
        """Let the rebalance take its course."""
