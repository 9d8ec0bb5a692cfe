"""What stands in the topic of dead letters, and which of it is meant. Pure.

Dead letters are written at least once: the same event may stand there several times. What tells
them apart is the place of the event itself. All of it comes from strangers, so nothing is trusted
to be there, to be text, or to be short.
"""

from __future__ import annotations

import datetime as dt
import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from understudy.schemas.events import InvalidReason, peek

UNKNOWN: Final = "unknown"
REPLAYED_FROM: Final = "replayed_from"
"""Header of an event that was written again: the place of the event that failed."""

REPLAY_CAN_HELP: Final = (
    InvalidReason.CLOCK_AHEAD,
    InvalidReason.ANALYZER_FAILED,
    InvalidReason.TOO_LARGE,
    InvalidReason.UNSUPPORTED_VERSION,
)
"""What time, a fixed or newer release, or another limit can mend; the rest is wrong in itself."""

_MOST_DETAIL: Final = 2000
_PLACE: Final = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})"
)
_AGE: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_place(text: str) -> Place:
    """A place as `str` writes it. Raises ValueError."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not TOPIC/PARTITION/OFFSET")
    return Place(found["topic"], int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    place: Place
    """Of the event; of the letter itself where its headers do not tell."""
    reason: str
    detail: str
    stored_at_ms: int
    """Kafka's timestamp of the letter."""
    key: bytes | None
    payload: bytes | None

    @property
    def stored_at(self) -> dt.datetime:
        """When it was written."""
        return dt.datetime.fromtimestamp(self.stored_at_ms / 1000, dt.UTC)

    @property
    def rollout_id(self) -> str:
        """The rollout that the key or else the payload names; empty when neither does."""
        head, slash, _ = (self.key or b"").partition(b"/")
        if slash:
            return head.decode("utf-8", "replace")[:128]
        named = peek(self.payload).get("rollout_id")
        return named[:128] if isinstance(named, str) else ""

    @property
    def size(self) -> int:
        """Of the payload, in bytes."""
        return len(self.payload or b"")


def letter_from(
    headers: Mapping[str, bytes],
    own: Place,
    stored_at_ms: int,
    key: bytes | None,
    payload: bytes | None,
) -> Letter:
    """A letter from what Kafka holds; `own` is where it stands itself."""
    return Letter(
        place=_event_place(headers) or own,
        reason=_text(headers, "reason", 100) or UNKNOWN,
        detail=_text(headers, "detail", _MOST_DETAIL),
        stored_at_ms=stored_at_ms,
        key=key,
        payload=payload,
    )


def _event_place(headers: Mapping[str, bytes]) -> Place | None:
    parts = (_text(headers, name, 250) for name in ("topic", "partition", "offset"))
    try:
        return parse_place("/".join(parts))
    except ValueError:
        return None


def _text(headers: Mapping[str, bytes], name: str, limit: int) -> str:
    return (headers.get(name) or b"")[: 4 * limit].decode("utf-8", "replace")[:limit]


def once_each(letters: Iterable[Letter]) -> Iterator[Letter]:
    """Leave out what was written again about the same event."""
    seen: set[Place] = set()
    for letter in letters:
        if letter.place not in seen:
            seen.add(letter.place)
            yield letter


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is empty asks for nothing."""

    reasons: frozenset[str] = frozenset()
    rollout_id: str = ""
    since_ms: int | None = None
    place: Place | None = None

    def __contains__(self, letter: Letter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.rollout_id or letter.rollout_id == self.rollout_id)
            and (self.since_ms is None or letter.stored_at_ms >= self.since_ms)
            and (self.place is None or letter.place == self.place)
        )


def since_ms(text: str, now: dt.datetime) -> int:
    """A time from which on: an age (`30m`, `2d`) or an ISO time, UTC unless it says otherwise.

    Raises ValueError.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            at = now - dt.timedelta(**{_UNITS[age["unit"]]: int(age["number"])})
        else:
            at = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither an age (30m, 2d) nor a time (2026-03-02T12:00)"
        ) from None
    return round((at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp() * 1000)


@dataclass(slots=True)
class Digest:
    """Counts by reason and the newest few, gathered in one pass."""

    limit: int
    reasons: Counter[str] = field(default_factory=Counter)
    _newest: list[tuple[int, Place, Letter]] = field(default_factory=list)

    def add(self, letter: Letter) -> None:
        """Count one more."""
        self.reasons[letter.reason] += 1
        if self.limit:
            push = heapq.heappush if len(self._newest) < self.limit else heapq.heappushpop
            push(self._newest, (letter.stored_at_ms, letter.place, letter))

    @property
    def newest(self) -> list[Letter]:
        """The newest first."""
        return [
            letter for _, _, letter in sorted(self._newest, key=lambda one: one[:2], reverse=True)
        ]
