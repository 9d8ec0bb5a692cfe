"""The join: which sides belong together, and which are duplicate, late or unmatched.

Pure and a function of the log alone: what has been read up to a position decides everything, so
reading again from a committed offset gives the same answer wherever batches are cut. A record is
judged by the watermark before it, the largest `request_time` read so far.

The join looks back at most `join_timeout` of event time and at most `max_join_bytes` of log. A
request further back is evicted, and its sides are unmatched.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn

import msgspec

from understudy.analyzers.compare.language_tags import normalize_tag
from understudy.schemas.events import PAIR, SIDE_BITS, Event, InvalidEvent, InvalidReason

_BUCKET_MS = 100
"""Requests expire bucket by bucket: a batch looks at few buckets, not at every request."""


class UnmatchedReason(StrEnum):
    """Why a side was never joined."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    LATE = "late"


class Side(msgspec.Struct, gc=False):
    """One valid event and where it stood in the log."""

    event: Event
    offset: int


class RequestSides(msgspec.Struct, eq=False, gc=False):
    """What the join knows of one request; `sides` are released once they have been handed on.

    The request itself stays until it is evicted, so that further copies of a side are recognised.
    """

    key: str
    """The Kafka key; a string rather than a tuple, which the garbage collector would track."""
    request_time_ms: int
    wanted: int
    log_bytes: int
    """Bytes of the log read before the first side."""
    sides: dict[int, Side]
    seen: int
    last_offset: int
    """Where the side stood that came last."""
    evicted: bool = False

    @property
    def waiting(self) -> bool:
        """Whether sides are held that have not been handed on."""
        return bool(self.sides)

    def release(self) -> None:
        """Release the sides, but remember which have come."""
        self.sides = _HANDED_ON


_HANDED_ON: Final[dict[int, Side]] = {}
"""Shared by all requests and always empty: no side is added to what has been handed on."""


@dataclass(slots=True)
class JoinOutput:
    """What the join emits for a batch: complete requests, and sides that stay unmatched."""

    complete: list[RequestSides] = field(default_factory=list)
    unmatched: list[tuple[Side, UnmatchedReason]] = field(default_factory=list)


class Duplicate(Exception):
    """A further copy of a side that has already been read."""


@dataclass(slots=True)
class Join:
    """The open requests of one partition."""

    max_join_bytes: int
    entries: dict[str, RequestSides] = field(default_factory=dict)
    waiting_sides: int = 0
    log_bytes: int = 0
    _by_time: dict[int, list[RequestSides]] = field(default_factory=lambda: defaultdict(list))
    _by_position: deque[RequestSides] = field(default_factory=deque)

    def add(
        self,
        side: Side,
        wanted: int,
        request_time_ms: int,
        size: int,
        oldest_ms: int,
        joined: JoinOutput,
    ) -> None:
        """Add one side that is neither invalid nor late.

        `wanted` are the bits of its request's sides, `oldest_ms` is the watermark before the
        record less the join timeout, `size` the record's bytes. Raises `Duplicate`, or
        `InvalidEvent` for a side that disagrees with its pair.
        """
        event = side.event
        log_bytes = self.log_bytes
        self.log_bytes = log_bytes + size
        key = f"{event.rollout_id}/{event.pair_id}"
        bit = SIDE_BITS[event.side]
        entry = self.entries.get(key)
        if entry is None or self._evict_if_behind(entry, log_bytes, oldest_ms, joined):
            entry = RequestSides(
                key, request_time_ms, wanted, log_bytes, {bit: side}, bit, side.offset
            )
            self.entries[key] = entry
            self._by_time[request_time_ms // _BUCKET_MS].append(entry)
            self._by_position.append(entry)
        else:
            _check(entry, event, request_time_ms, wanted, bit)
            entry.seen |= bit
            entry.sides[bit] = side
            entry.last_offset = side.offset
        self.waiting_sides += 1
        if entry.seen == wanted:
            joined.complete.append(entry)
            self.waiting_sides -= len(entry.sides)

    def _evict_if_behind(
        self, entry: RequestSides, log_bytes: int, oldest_ms: int, joined: JoinOutput
    ) -> bool:
        """Whether a request lies further back than the join looks; if so, it is evicted."""
        if (
            entry.request_time_ms >= oldest_ms
            and log_bytes - entry.log_bytes <= self.max_join_bytes
        ):
            return False
        far = log_bytes - entry.log_bytes > self.max_join_bytes
        self._evict(entry, UnmatchedReason.MEMORY if far else UnmatchedReason.TIMEOUT, joined)
        return True

    def expire(self, oldest_ms: int, joined: JoinOutput) -> None:
        """Evict requests from before `oldest_ms`, and those too many bytes behind."""
        last_bucket = oldest_ms // _BUCKET_MS
        for bucket in sorted(b for b in self._by_time if b <= last_bucket):
            kept = [e for e in self._by_time.pop(bucket) if not self._expire(e, oldest_ms, joined)]
            if kept:
                self._by_time[bucket] = kept
        self._evict_by_position(joined)

    def _expire(self, entry: RequestSides, oldest_ms: int, joined: JoinOutput) -> bool:
        if entry.request_time_ms >= oldest_ms and not entry.evicted:
            return False
        self._evict(entry, UnmatchedReason.TIMEOUT, joined)
        return True

    def _evict_by_position(self, joined: JoinOutput) -> None:
        first_byte = self.log_bytes - self.max_join_bytes
        queue = self._by_position
        while queue and (queue[0].evicted or queue[0].log_bytes < first_byte):
            self._evict(queue.popleft(), UnmatchedReason.MEMORY, joined)

    def _evict(self, entry: RequestSides, reason: UnmatchedReason, joined: JoinOutput) -> None:
        """Evict a request; stable and candidate without their control are still a pair."""
        if entry.evicted:
            return
        entry.evicted = True
        self.entries.pop(entry.key, None)
        if not entry.waiting or entry.seen == entry.wanted:
            return
        self.waiting_sides -= len(entry.sides)
        if entry.seen & PAIR == PAIR:
            joined.complete.append(entry)
        else:
            joined.unmatched.extend((side, reason) for side in entry.sides.values())
            entry.release()

    def evict_all(self, joined: JoinOutput) -> None:
        """Evict all requests at the end of the input: sides that wait are unmatched."""
        for entry in list(self.entries.values()):
            self._evict(entry, UnmatchedReason.TIMEOUT, joined)

    def waiting(self) -> Iterable[RequestSides]:
        """Return the requests with sides that wait for a partner."""
        return (entry for entry in self.entries.values() if entry.waiting)


def _check(entry: RequestSides, event: Event, request_time_ms: int, wanted: int, bit: int) -> None:
    """Raise unless the event is a new side of this very request."""
    if entry.request_time_ms != request_time_ms or entry.seen & bit or entry.wanted != wanted:
        _refuse(entry, request_time_ms, bit)
    for side in entry.sides.values():
        other = side.event
        if other.mode != event.mode:
            raise _disagreement("mode")
        if other.workflow != event.workflow and (other.workflow or event.workflow):
            raise _disagreement("workflow")
        if other.language != event.language and not _same_tag(other.language, event.language):
            raise _disagreement("language")


def _refuse(entry: RequestSides, request_time_ms: int, bit: int) -> NoReturn:
    if entry.request_time_ms != request_time_ms:
        raise _disagreement("request_time")
    if entry.seen & bit:
        raise Duplicate
    raise _disagreement("sides")


def _same_tag(left: str | None, right: str | None) -> bool:
    """Whether two tags name one language; a missing one agrees with any."""
    return not left or not right or normalize_tag(left) == normalize_tag(right)


def _disagreement(what: str) -> InvalidEvent:
    return InvalidEvent(
        InvalidReason.DISAGREES, f"{what} differs from the other side of the same pair_id"
    )
