"""A commit lies behind no message that was delivered and is not acknowledged.

Upstream: `Consumer` commits along the acknowledged offsets and the gaps between messages. Before
the first commit of a partition, and while it is being revoked, it knows no offset to begin with, so
it begins at whichever was acknowledged first. It lets one offset be missing after the last commit,
takes the message behind a gap for a part of the gap, and makes a list of all offsets of a gap: a
batch that cannot be unpacked may hold hundreds of millions of records. Where Faust runs without its
compiled parts, a stream acknowledges what it skips because a rebalance has begun. Here messages are
acknowledged in another order than they came, as their rollouts are saved, and what a commit has
passed is lost with the worker.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.tuples import Message


class CommitsInOrder(Consumer):
    """Commits up to the first message that is not acknowledged, whatever offsets are missing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._delivered: defaultdict[TP, deque[int]] = defaultdict(deque)
        """Offsets that were delivered since the last seek and are not committed, in order."""
        self._done: defaultdict[TP, set[int]] = defaultdict(set)
        """Those among them that are acknowledged."""
        super().__init__(*args, **kwargs)

    async def perform_seek(self) -> None:
        """What follows is delivered from the committed offsets on."""
        await super().perform_seek()
        self._forget()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit, then commit nothing of this assignment under a later one.

        Where others had the partition in between, that would take their commits back.
        """
        await super().on_partitions_revoked(revoked)
        self._forget()

    def _forget(self) -> None:
        for known in (self._delivered, self._done, self._acked, self._acked_index):
            known.clear()  # else Faust takes what is acknowledged again for known

    def _to_message(self, tp: TP, record: Any) -> Any:
        """Called for each message that is about to be delivered."""
        if not self._is_changelog_tp(tp):
            self._delivered[tp].append(record.offset)
        return super()._to_message(tp, record)

    def ack(self, message: Message) -> bool:
        """Note that a message is done; return whether that is news."""
        if not message.tracked:  # a stream skipped it
            return False
        is_news = super().ack(message)
        if is_news:
            self._done[message.tp].add(message.offset)
        return is_news

    async def _add_gap(self, *_: Any) -> None:
        """Offsets that hold no message need no note."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._done) if topics is None or {tp, tp.topic} & set(topics))

    def _new_offset(self, tp: TP) -> int | None:
        """Where to commit; None while the first message delivered is not done.

        What lies before a commit is done. Where it was delivered again, be it by a seek that came
        late, or because the log has begun anew, Faust drops it or takes no acknowledgement of it.
        """
        delivered, done = self._delivered[tp], self._done[tp]
        end = begin = self._committed_offset[tp] or 0
        while delivered and (delivered[0] < end or delivered[0] in done):
            offset = delivered.popleft()
            done.discard(offset)
            end = max(end, offset + 1)
        if end == begin:
            return None
        # Faust keeps them, too
        self._acked[tp][:] = [offset for offset in self._acked[tp] if offset >= end]
        self._acked_index[tp] = set(self._acked[tp])
        return end
