"""The join: which sides belong together, and which are duplicate, late or unmatched.

Pure and a function of the log alone: what has been read up to a position decides everything, so
reading again from a committed offset gives the same answer wherever batches are cut. A record is
judged by the watermark before it, the largest `request_time` read so far.

The join looks back at most `join_timeout` of event time, from the record's own time or from the
watermark, whichever is further on, and at most `max_join_bytes` of log. A request further back is
evicted, and its sides are unmatched.

A `pair_id` is free again once all that was read with it lies further back than that. Would only the
first side count, then a worker that reads again from between two records of one `pair_id` could
never tell which of them had been the first.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from understudy.analyzers.compare.language_tags import UNDETERMINED, normalize_tag
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.schemas.events import PAIR, SIDE_BITS, Event, InvalidEvent, InvalidReason
from understudy.streams.pairing.conversations import TurnCounter
from understudy.streams.pairing.open_windows import WatermarkSteps
from understudy.streams.pairing.pairing_policy import PairingPolicy

_BUCKET_MS = 100
"""Requests expire bucket by bucket: a batch looks at few buckets, not at every request."""
_MOST_ENDED: Final = 10_000
"""Requests that wait no more, and are still listed: about a batch of them."""
_MOST_TAGS: Final = 10_000
"""More than there are languages and ways to write them; keeps what hostile tags take in bounds."""
_UNTIL_TIMEOUT: Final = 1 << 62
"""After every watermark: only the join timeout ends the wait for the next attempt."""


class UnmatchedReason(StrEnum):
    """Why a side was never joined."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    LATE = "late"


class Side(msgspec.Struct, gc=False):
    """One valid event and where it stood in the log."""

    event: Event
    offset: int


class Wait(NamedTuple):
    """Where a request counts while it waits: a slice, and counts of its row, see `unresolved`."""

    slice: SliceKey
    counts: tuple[str, ...]


class RequestSides(msgspec.Struct, eq=False, gc=False):
    """What the join knows of one request; `sides` are released once they have been handed on.

    The request itself stays until all its records lie beyond the look-back, so that further copies
    of a side are recognised.
    """

    key: str
    """Rollout and pair; a string rather than a tuple, which the garbage collector would track."""
    request_time_ms: int
    """Of the side that was read first: the time of the pair."""
    wanted: int
    log_bytes: int
    """Bytes of the log read before the first side."""
    sides: dict[int, Side]
    seen: int
    last_offset: int
    """Where the side stood that came last."""
    newest_ms: int
    """The largest `request_time` read with the key, of refused records too."""
    last_log_bytes: int
    """Bytes of the log read before the last record with the key, refused ones too."""
    open_until_ms: dict[int, int] = {}
    """Sides that a later attempt may replace: until which watermark."""
    evicted: bool = False
    is_disputed: bool = False
    """Whether a record came that belongs to the request and disagrees with it."""
    is_whole: bool = False
    """Whether a record completed it: not the end of a wait, which a batch tells."""
    repeats: int = 0
    """What earlier answers say about this one's, a `Repeats`."""
    is_turn: bool = False
    """Whether the request may form pairs with other turns of its conversation."""
    first: Event | None = None
    """The side that was read first, while the request waits and where what it says of the language
    may not be the last word."""
    language: str = ""
    """That the request counts as while it waits; looked up when it is needed."""
    wait: Wait | None = None
    """Where the request counts while it waits; looked up when it is needed."""

    @property
    def waiting(self) -> bool:
        """Whether sides are held that have not been handed on."""
        return bool(self.sides)

    def events(self) -> list[Event]:
        """The events of the sides that are held, stable first."""
        return [self.sides[bit].event for bit in sorted(self.sides)]

    def release(self) -> None:
        """Release the sides, but remember which have come."""
        self.sides = _HANDED_ON
        self.first = self.wait = None

    def is_open(self, watermark_ms: int) -> bool:
        """Whether a later attempt may still replace one of the sides."""
        return any(until_ms > watermark_ms for until_ms in self.open_until_ms.values())


_HANDED_ON: Final[dict[int, Side]] = {}
"""Shared by all requests and always empty: no side is added to what has been handed on."""
_NONE_OPEN: Final[dict[int, int]] = {}
"""Shared by all requests without a side that may be replaced, and always empty."""


class Superseded(NamedTuple):
    """An attempt that a later one replaced, and the time of its pair."""

    side: Side
    request_time_ms: int


class GivenUp(NamedTuple):
    """A request of which at least stable or candidate never came."""

    sides: tuple[Side, ...]
    """What came, stable first."""
    request_time_ms: int
    reason: UnmatchedReason
    is_disputed: bool
    """Whether a side came that could not be used because it disagrees."""
    first: Event | None
    """See `RequestSides`."""


@dataclass(slots=True)
class JoinOutput:
    """What the join emits for a batch: complete requests, and sides that ended otherwise."""

    steps: WatermarkSteps = field(default_factory=WatermarkSteps)
    """Where the watermark rose in the batch, up to the record that is joined."""
    complete: list[RequestSides] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    superseded: list[Superseded] = field(default_factory=list)


class Duplicate(Exception):
    """A further copy of a side that has already been read."""


@dataclass(slots=True)
class Join:
    """The open requests of one partition."""

    policy: PairingPolicy
    entries: dict[str, RequestSides] = field(default_factory=dict)
    waiting_sides: int = 0
    log_bytes: int = 0
    """Bytes of the log read so far: of all records, since the distance between two of them must
    not depend on where reading began."""
    _timeout_ms: int = 0
    _max_bytes: int = 0
    _by_time: dict[int, list[RequestSides]] = field(default_factory=lambda: defaultdict(list))
    _by_position: deque[RequestSides] = field(default_factory=deque)
    _waiting: list[RequestSides] = field(default_factory=list)
    """All requests with sides that wait, and some that no longer do."""
    _most_waiting: int = 0
    """How long that list may grow before those are dropped from it."""
    _turns: TurnCounter = field(init=False)
    _tags: set[str | None] = field(default_factory=set)
    """Language tags as gateways write them, of those that name a language."""
    _held: list[RequestSides] = field(default_factory=list)
    """All sides have come, and a later attempt may replace one within the grace."""
    _ended: dict[str, RequestSides] = field(default_factory=dict)
    """Evicted requests of which a later record still lies within the look-back."""

    def __post_init__(self) -> None:
        self._turns = TurnCounter(self.policy.turn_interval_ms)
        self._timeout_ms = self.policy.join_timeout_ms
        self._max_bytes = self.policy.max_join_bytes

    def add(
        self,
        side: Side,
        wanted: int,
        request_time_ms: int,
        watermark_ms: int,
        joined: JoinOutput,
    ) -> None:
        """Add one side that is neither invalid nor late.

        `wanted` are the bits of its request's sides, `watermark_ms` is the watermark before the
        record. Raises `Duplicate`, or `InvalidEvent` for a side that disagrees with its pair.
        """
        event = side.event
        key = f"{event.rollout_id}/{event.pair_id}"
        bit = SIDE_BITS[event.side]
        newest_ms = request_time_ms if request_time_ms > watermark_ms else watermark_ms
        log_bytes = self.log_bytes
        entry = self.entries.get(key)
        if entry is None or self._evict_if_behind(entry, newest_ms - self._timeout_ms, joined):
            if self._ended:
                self._refuse_ended(key, request_time_ms, bit, newest_ms - self._timeout_ms)
            entry = RequestSides(
                key, request_time_ms, wanted, log_bytes, {bit: side}, bit, side.offset,
                request_time_ms, log_bytes, _NONE_OPEN,
            )  # fmt: skip
            self.entries[key] = entry
            self._by_time[request_time_ms // _BUCKET_MS].append(entry)
            self._by_position.append(entry)
            self._waiting.append(entry)
            if event.conversation_id:
                conversation = f"{event.rollout_id}/{event.mode}/{event.conversation_id}"
                entry.is_turn = self._turns.takes_part(conversation, request_time_ms)
        else:
            entry.last_log_bytes = log_bytes
            try:
                if (
                    request_time_ms != entry.request_time_ms
                    or entry.seen & bit
                    or entry.wanted != wanted
                ):
                    self._check_further(entry, event, wanted, request_time_ms, bit, watermark_ms)
                for there in entry.sides.values():
                    _check_agreement(there.event, event)
            except InvalidEvent:
                entry.is_disputed = True
                raise
            if entry.seen & bit:
                self._supersede(entry, bit, joined)
            entry.seen |= bit
            entry.sides[bit] = side
            entry.last_offset = side.offset
        self.waiting_sides += 1
        if event.fallback is not None:
            self._keep_open(entry, event, bit, newest_ms)
        if entry.seen == wanted:
            if entry.open_until_ms and entry.is_open(newest_ms):
                entry.wait = None
                self._held.append(entry)
                return
            entry.open_until_ms = _NONE_OPEN
            entry.is_whole = True
            joined.complete.append(entry)
            self.waiting_sides -= len(entry.sides)
            return
        entry.wait = None
        if event.language not in self._tags:
            self._note_untold(entry, event)

    def _note_untold(self, entry: RequestSides, event: Event) -> None:
        """Keep the first side of a request that does not name its language."""
        if event.language and normalize_tag(event.language) != UNDETERMINED:
            if len(self._tags) < _MOST_TAGS:
                self._tags.add(event.language)
        elif entry.first is None and len(entry.sides) == 1:
            entry.first = event

    def _check_further(
        self,
        entry: RequestSides,
        event: Event,
        wanted: int,
        request_time_ms: int,
        bit: int,
        watermark_ms: int,
    ) -> None:
        """Raise unless a record is a new side of a request that is known, or a later attempt."""
        if request_time_ms != entry.request_time_ms:
            entry.newest_ms = max(entry.newest_ms, request_time_ms)
            _check_time(entry, request_time_ms, self.policy.request_time_tolerance_ms)
        if entry.seen & bit and not _is_later_attempt(entry, event, bit, watermark_ms):
            raise Duplicate
        if entry.wanted != wanted:
            raise _disagreement("sides")

    def _supersede(self, entry: RequestSides, bit: int, joined: JoinOutput) -> None:
        """Count the attempt that a later one replaces."""
        if entry.first is None:
            entry.first = next(iter(entry.sides.values())).event
        joined.superseded.append(Superseded(entry.sides[bit], entry.request_time_ms))
        self.waiting_sides -= 1
        entry.open_until_ms.pop(bit)

    def _keep_open(self, entry: RequestSides, event: Event, bit: int, watermark_ms: int) -> None:
        """Keep a side open for the next attempt, if it says or may mean that there is one."""
        fallback = event.fallback
        if fallback is None or fallback.final:
            return
        if fallback.final is False:
            until_ms = _UNTIL_TIMEOUT
        elif event.error is not None and fallback.attempts is not None:
            until_ms = watermark_ms + self.policy.retry_grace_ms
        else:
            return
        if entry.open_until_ms is _NONE_OPEN:
            entry.open_until_ms = {}
        entry.open_until_ms[bit] = until_ms

    def _complete(self, entry: RequestSides, joined: JoinOutput) -> None:
        entry.open_until_ms = _NONE_OPEN
        joined.complete.append(entry)
        self.waiting_sides -= len(entry.sides)

    def _evict_if_behind(self, entry: RequestSides, oldest_ms: int, joined: JoinOutput) -> bool:
        """Whether a request lies further back than the join looks; if so, it is evicted."""
        if (
            entry.request_time_ms >= oldest_ms
            and self.log_bytes - entry.log_bytes <= self._max_bytes
        ):
            return False
        self._evict(entry, oldest_ms, joined)
        return True

    def _is_far(self, log_bytes: int) -> bool:
        return self.log_bytes - log_bytes > self._max_bytes

    def _refuse_ended(self, key: str, request_time_ms: int, bit: int, oldest_ms: int) -> None:
        """Refuse a record whose key was used by a request that ended within the look-back."""
        ended = self._ended.get(key)
        if ended is None or self._is_forgotten(ended, oldest_ms):
            return
        ended.newest_ms = max(ended.newest_ms, request_time_ms)
        ended.last_log_bytes = self.log_bytes
        _check_time(ended, request_time_ms, self.policy.request_time_tolerance_ms)
        if ended.seen & bit:
            raise Duplicate
        raise InvalidEvent(
            InvalidReason.DISAGREES, "the other sides of the same pair_id were given up before"
        )

    def _is_forgotten(self, ended: RequestSides, oldest_ms: int) -> bool:
        return ended.newest_ms < oldest_ms or self._is_far(ended.last_log_bytes)

    def expire(self, watermark_ms: int, joined: JoinOutput) -> None:
        """Evict and complete what the watermark and the log have left behind."""
        oldest_ms = watermark_ms - self._timeout_ms
        last_bucket = oldest_ms // _BUCKET_MS
        for bucket in sorted(b for b in self._by_time if b <= last_bucket):
            kept = [e for e in self._by_time.pop(bucket) if not self._expire(e, oldest_ms, joined)]
            if kept:
                self._by_time[bucket] = kept
        self._turns.forget(oldest_ms)
        self._evict_by_position(oldest_ms, joined)
        self._end_grace(watermark_ms, joined)
        if len(self._waiting) > self._most_waiting:
            self._most_waiting = 2 * len(self.waiting()) + _MOST_ENDED
        for key in [k for k, one in self._ended.items() if self._is_forgotten(one, oldest_ms)]:
            del self._ended[key]

    def _expire(self, entry: RequestSides, oldest_ms: int, joined: JoinOutput) -> bool:
        if entry.request_time_ms >= oldest_ms and not entry.evicted:
            return False
        self._evict(entry, oldest_ms, joined)
        return True

    def _evict_by_position(self, oldest_ms: int, joined: JoinOutput) -> None:
        queue = self._by_position
        while queue and (queue[0].evicted or self._is_far(queue[0].log_bytes)):
            self._evict(queue.popleft(), oldest_ms, joined)

    def _end_grace(self, watermark_ms: int, joined: JoinOutput) -> None:
        """Complete the requests for which no later attempt came within the grace."""
        held, self._held = self._held, []
        for entry in held:
            if entry.evicted or not entry.open_until_ms:
                continue
            if entry.is_open(watermark_ms):
                self._held.append(entry)
            else:
                self._complete(entry, joined)

    def _evict(self, entry: RequestSides, oldest_ms: int, joined: JoinOutput) -> None:
        """Evict a request; stable and candidate without their control are still a pair."""
        if entry.evicted:
            return
        entry.evicted = True
        self.entries.pop(entry.key, None)
        if not self._is_forgotten(entry, oldest_ms):
            self._ended[entry.key] = entry
        is_handed_on = entry.seen == entry.wanted and not entry.open_until_ms
        if is_handed_on or not entry.waiting:
            return
        if entry.seen == entry.wanted or entry.seen & PAIR == PAIR:
            self._complete(entry, joined)
            return
        self.waiting_sides -= len(entry.sides)
        reason = self._reason(entry, oldest_ms, joined.steps)
        sides = tuple(entry.sides[bit] for bit in sorted(entry.sides))
        time_ms, is_disputed = entry.request_time_ms, entry.is_disputed
        joined.given_up.append(GivenUp(sides, time_ms, reason, is_disputed, entry.first))
        entry.release()

    def _reason(
        self, entry: RequestSides, oldest_ms: int, steps: WatermarkSteps
    ) -> UnmatchedReason:
        """Which look-back ended first in the log, wherever the batch that tells was cut."""
        if not self._is_far(entry.log_bytes):
            return UnmatchedReason.TIMEOUT
        if entry.request_time_ms >= oldest_ms:
            return UnmatchedReason.MEMORY
        timed_out_at = steps.log_bytes_at(entry.request_time_ms + self._timeout_ms + 1)
        is_far = timed_out_at - entry.log_bytes > self.policy.max_join_bytes
        return UnmatchedReason.MEMORY if is_far else UnmatchedReason.TIMEOUT

    def evict_all(self, joined: JoinOutput) -> None:
        """Evict all requests at the end of the input: sides that wait are unmatched."""
        for entry in list(self.entries.values()):
            self._evict(entry, entry.request_time_ms, joined)

    def waiting(self) -> list[RequestSides]:
        """Return the requests with sides that wait for a partner, in the order of the log."""
        self._waiting = [entry for entry in self._waiting if entry.sides]
        return self._waiting


def _check_time(entry: RequestSides, request_time_ms: int, tolerance_ms: int) -> None:
    """Raise unless a record's time is that of the request, but for the tolerance."""
    if abs(request_time_ms - entry.request_time_ms) > tolerance_ms:
        raise _disagreement("request_time")


def _check_agreement(other: Event, event: Event) -> None:
    """Raise unless an event says of its request what another side of it says."""
    if other.mode != event.mode:
        raise _disagreement("mode")
    if other.conversation_id != event.conversation_id or other.turn != event.turn:
        _check_conversation(other, event)
    if other.workflow != event.workflow and (other.workflow or event.workflow):
        raise _disagreement("workflow")
    if other.language != event.language and not _same_tag(other.language, event.language):
        raise _disagreement("language")


def _check_conversation(other: Event, event: Event) -> None:
    """Raise where two sides name other conversations, or other turns of the same one."""
    if (other.conversation_id or "") != (event.conversation_id or ""):
        raise _disagreement("conversation_id")
    if event.conversation_id and other.turn and event.turn and other.turn != event.turn:
        raise _disagreement("turn")


def _is_later_attempt(entry: RequestSides, event: Event, bit: int, watermark_ms: int) -> bool:
    """Whether an event replaces the attempt of its side that is there, which is still open."""
    until_ms = entry.open_until_ms.get(bit)
    if until_ms is None or watermark_ms >= until_ms:
        return False
    return _attempt(event) > _attempt(entry.sides[bit].event)


def _attempt(event: Event) -> tuple[int, bool]:
    """Which attempt an event describes; without numbers, the last one follows an unfinished one."""
    fallback = event.fallback
    if fallback is None:
        return 1, True
    return fallback.attempts or 1, fallback.final is not False


def _same_tag(left: str | None, right: str | None) -> bool:
    """Whether two tags name one language; a missing one agrees with any."""
    return not left or not right or normalize_tag(left) == normalize_tag(right)


def _disagreement(what: str) -> InvalidEvent:
    return InvalidEvent(
        InvalidReason.DISAGREES, f"{what} differs from the other side of the same pair_id"
    )
