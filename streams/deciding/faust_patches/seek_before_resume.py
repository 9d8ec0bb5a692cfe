"""After a rebalance: seek first, then empty queues, then let the fetcher have the partitions.

Upstream: `Recovery.on_recovery_completed` lets the fetcher have the partitions, then asks for their
committed offsets, then resumes the flow, and resuming empties every queue. The fetcher is running
already where a table had to be recovered or the worker was a member before. What it delivers
meanwhile is thrown away: not handled, not acknowledged, never read again, since the consumer's
position lies behind it. Nothing more comes, or, when something does, commits stop before the gap;
without any commit before, they go past it, and the messages are lost for good.

The same order was a bug in apps without tables (faust-streaming issue 216) and was mended for those
alone, in `Recovery._resume_streams` (pull request 217).

A recovery goes on, too, after its partitions have been revoked, until the next assignment comes. It
lets the flow begin again in the middle of the rebalance, and may fetch from changelogs whose
positions the next recovery is about to set.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery

log = structlog.get_logger(__name__)


class SeekBeforeResume(Recovery):
    """Hands over partitions when the consumer's position and the queues are right."""

    _rebalances = 0
    """How many had begun when the assignment came that is being recovered."""
    _assigned_s = 0.0

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Take note of the assignment to recover."""
        self._rebalances = self.app.rebalancing_count
        self._assigned_s = time.monotonic()
        await super().on_rebalance(*args, **kwargs)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """The same as Faust's, in another order."""
        app: Any = self.app
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        for table in self.tables.values():
            await table.on_recovery_completed(
                self.actives_for_table[table], self.standbys_for_table[table]
            )
        assignment = app.consumer.assignment()
        if assignment and not self._is_stale(generation_id):
            await self._wait(app.consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        if self._is_stale(generation_id):
            return
        self.completed.set()
        app.flow_control.resume()
        streams = {tp for tp in assignment if not self._is_changelog_tp(tp)}
        app.consumer.resume_partitions(streams)
        app.consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()
        took_s = round(time.monotonic() - self._assigned_s, 3)
        log.info("deciding.recovered", partitions=len(streams), took_s=took_s)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Wait for a step of a recovery. Raises `RebalanceAgain` when another will follow."""
        await super()._wait(coro, timeout=timeout)
        if self._is_stale(self._generation_id):
            raise RebalanceAgain

    def _is_stale(self, generation_id: int) -> bool:
        """Whether the partitions have been revoked since; Faust sees only who has new ones."""
        return (
            self.app.consumer_generation_id != generation_id
            or self.app.rebalancing_count != self._rebalances
        )


class PatchedTables(TableManager):
    """Faust's, with this recovery."""

    @property
    def recovery(self) -> Recovery:
        """Recovery service used by this table manager."""
        if self._recovery is None:
            self._recovery = SeekBeforeResume(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
