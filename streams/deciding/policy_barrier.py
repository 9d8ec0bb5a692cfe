"""The policy barrier: windows wait until the policies that exist already have been read.

Two topics come in whatever order Kafka delivers them. A worker that starts with both to read would
decide by luck: windows that came before their policy are ignored. So windows wait until the records
have been applied up to where their topic ended when the partition was assigned. Records written
later count from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from understudy.streams.deciding.ports import RecordOffsets

POLL_S: Final = 0.02
"""Small beside the second that windows take to come; the barrier holds once per assignment."""


class PolicyBarrier:
    """How far the records have to be applied, by partition."""

    def __init__(self, records: RecordOffsets, is_stopping: Callable[[], bool]) -> None:
        self._records = records
        self._is_stopping = is_stopping
        self._required: dict[int, int] = {}
        self._lookups: dict[int, asyncio.Future[int]] = {}
        """End offsets that are being asked for; an answer may take as long as a rebalance."""
        self._applied: dict[int, int] = {}
        self._resets = 0

    def reset(self) -> None:
        """Partitions change hands: waits end with False, and end offsets are looked up anew."""
        self._required.clear()
        for lookup in self._lookups.values():
            lookup.cancel()
        self._lookups.clear()
        self._resets += 1

    def record_applied(self, partition: int, offset: int) -> None:
        """A record has been applied, or has become a dead letter."""
        self._applied[partition] = offset + 1

    async def wait(self, partition: int) -> bool:
        """Wait until windows of a partition may be applied.

        Returns False when the partition is revoked or the app stops meanwhile.
        """
        resets = self._resets
        while not self._is_open(partition):
            await asyncio.sleep(POLL_S)
            if self._resets != resets or self._is_stopping():
                return False
        return True

    def _is_open(self, partition: int) -> bool:
        if partition not in self._required and not self._look_up(partition):
            return False
        read = max(self._records.committed_offset(partition), self._applied.get(partition, 0))
        return read >= self._required[partition]

    def _look_up(self, partition: int) -> bool:
        """Ask for the end offset unless somebody does; return whether it is known now."""
        lookup = self._lookups.get(partition)
        if lookup is None:
            self._lookups[partition] = asyncio.ensure_future(self._records.end_offset(partition))
            return False
        if not lookup.done():
            return False
        del self._lookups[partition]
        if lookup.exception() is not None:  # the broker is away: ask again
            return False
        self._required[partition] = lookup.result()
        return True
