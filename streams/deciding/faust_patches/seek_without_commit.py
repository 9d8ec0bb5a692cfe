"""A partition without a commit is read from its beginning after every rebalance.

Upstream: `Consumer.perform_seek` seeks to committed offsets and leaves a partition without one
where it is. After a rebalance that comes before the first commit, what had been fetched and thrown
away is therefore never read.
"""

from __future__ import annotations

from faust.transport.drivers.aiokafka import Consumer, ensure_aiokafka_TP


class SeekWithoutCommit(Consumer):
    """Seeks to the beginning where nothing has been committed."""

    async def perform_seek(self) -> None:
        """To what was committed, or else to the beginning."""
        await super().perform_seek()
        streams = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        begin = [ensure_aiokafka_TP(tp) for tp in streams if not self._committed_offset[tp]]
        if begin:
            await self._thread.seek_to_beginning(*begin)
