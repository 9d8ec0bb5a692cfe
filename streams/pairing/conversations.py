"""Conversations of one partition: which requests are turns of one, and the pairs that they form.

Two turns form a pair when their request times, and their places in the log, lie within the join's
look-back of each other. The pair counts in the window of the turn whose request time is the later
one, whatever its slice, once both have been measured. In which order that happens does not matter:
it would depend on where batches are cut. The window is open, since it outlives the join timeout of
every request before its end.

Only the first requests of a conversation within a short time take part, so that a gateway which
gives one id to all requests cannot make every request meet every other one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Ints
from understudy.analyzers.windows.turns import TurnOutcomes
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.streams.pairing.pairing_policy import PairingPolicy

MOST_TURNS: Final = 32
"""Of a conversation within one `turn_interval_ms`: more than people and agents manage."""
FEWEST_KEPT: Final = 1024
"""Turns that are kept before it is worth looking which of them lie too far back."""
_NOWHERE: Final = -1
OUTCOME_ARRAYS: Final = tuple(field.name for field in fields(TurnOutcomes))
Arrays = dict[str, NDArray[Any]]


class TurnCounter:
    """Tells which requests of a conversation are among the first within an interval."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._seen: dict[int, dict[str, int]] = {}

    def takes_part(self, conversation: str, request_time_ms: int) -> bool:
        """Count a request; whether it is among the first of its conversation."""
        interval = request_time_ms // self._interval_ms
        seen = self._seen.get(interval)
        if seen is None:
            seen = self._seen[interval] = {}
        seen[conversation] = number = seen.get(conversation, 0) + 1
        return number <= MOST_TURNS

    def forget(self, before_ms: int) -> None:
        """Forget intervals that have ended before a time from which on requests are read."""
        last = before_ms // self._interval_ms
        for interval in [one for one in self._seen if one < last]:
            del self._seen[interval]


@dataclass(frozen=True, slots=True)
class Turns:
    """n requests that have been measured, each a turn of a conversation."""

    conversation: list[str]
    slice: list[SliceKey]
    request_time_ms: Ints
    log_bytes: Ints
    """Bytes of the log read before the first side."""
    offset: Ints
    """Tells turns of the same request time apart."""
    outcomes: TurnOutcomes

    def __len__(self) -> int:
        return len(self.conversation)

    def arrays(self) -> Arrays:
        """Its columns of numbers, by name."""
        own = {name: getattr(self, name) for name in ("request_time_ms", "log_bytes", "offset")}
        return {**own, **{name: getattr(self.outcomes, name) for name in OUTCOME_ARRAYS}}


class TurnPairs(NamedTuple):
    """n pairs of turns."""

    slice: list[SliceKey]
    """Of the window that each counts in."""
    later: TurnOutcomes
    earlier: TurnOutcomes


class Conversations:
    """The measured turns of one kind of request that may still form pairs."""

    def __init__(self, policy: PairingPolicy) -> None:
        self._reach_ms = policy.turn_reach_ms
        self._reach_bytes = policy.max_join_bytes
        self._newest: dict[str, int] = {}
        """By conversation: where its newest turn stands in the arrays."""
        self._before: list[int] = []
        """Of each turn: where the one before it in its conversation stands, or `_NOWHERE`."""
        self._conversation: list[str] = []
        self._slice: list[SliceKey] = []
        self._arrays: Arrays = {}
        """With room at their ends."""
        self._most = FEWEST_KEPT

    def __len__(self) -> int:
        return len(self._conversation)

    def add(self, turns: Turns, written_from_ms: int) -> TurnPairs | None:
        """Add n measured turns; return the pairs that they complete, None if there are none.

        Pairs whose window begins before `written_from_ms` are left out.
        """
        new, others = self._append(turns)
        if not new.size:
            return None
        later, earlier = self._pairs(new, others)
        is_written = self._arrays["request_time_ms"][later] >= written_from_ms
        later, earlier = later[is_written], earlier[is_written]
        if not later.size:
            return None
        slices = [self._slice[place] for place in later.tolist()]
        return TurnPairs(slices, self._outcomes(later), self._outcomes(earlier))

    def forget(self, watermark_ms: int, log_bytes: int) -> None:
        """Forget turns that no request can form a pair with any more, once they are many.

        Requests that are still to be measured lie within one look-back of now.
        """
        if len(self) <= self._most:
            return
        oldest_ms = watermark_ms - 2 * self._reach_ms
        first_byte = log_bytes - 2 * self._reach_bytes
        times_ms = self._arrays["request_time_ms"][: len(self)]
        places = self._arrays["log_bytes"][: len(self)]
        kept = np.flatnonzero((times_ms >= oldest_ms) & (places >= first_byte))
        self._arrays = {name: array[kept] for name, array in self._arrays.items()}
        self._conversation = [self._conversation[row] for row in kept.tolist()]
        self._slice = [self._slice[row] for row in kept.tolist()]
        self._newest, self._before = {}, []
        self._link(self._conversation)
        self._most = max(FEWEST_KEPT, 2 * len(self))

    def _append(self, turns: Turns) -> tuple[Ints, Ints]:
        """Keep the turns; return, for each pair with one that was there, the places of both."""
        first = len(self)
        new: list[int] = []
        others: list[int] = []
        self._link(turns.conversation)
        for place, before in enumerate(self._before[first:], first):
            if before != _NOWHERE:
                places = self._turns_before(place)
                others += places
                new += [place] * len(places)
        self._conversation += turns.conversation
        self._slice += turns.slice
        self._arrays = {
            name: _appended(self._arrays.get(name), array, first)
            for name, array in turns.arrays().items()
        }
        return np.array(new, dtype=np.int64), np.array(others, dtype=np.int64)

    def _link(self, conversations: list[str]) -> None:
        """Add turns to their conversations; most have one alone, so there is no list of each."""
        for place, conversation in enumerate(conversations, len(self._before)):
            self._before.append(self._newest.get(conversation, _NOWHERE))
            self._newest[conversation] = place

    def _turns_before(self, place: int) -> list[int]:
        """Where the turns before one in its conversation stand, the oldest first."""
        places: list[int] = []
        while (place := self._before[place]) != _NOWHERE:
            places.append(place)
        return places[::-1]

    def _pairs(self, new: Ints, others: Ints) -> tuple[Ints, Ints]:
        """Of these pairs those within reach of each other: the places of the later, the earlier."""
        times_ms, places = self._arrays["request_time_ms"], self._arrays["log_bytes"]
        after_ms = times_ms[new] - times_ms[others]
        is_near = np.abs(after_ms) <= self._reach_ms
        is_near &= np.abs(places[new] - places[others]) <= self._reach_bytes
        offsets = self._arrays["offset"]
        is_later = (after_ms > 0) | ((after_ms == 0) & (offsets[new] > offsets[others]))
        later, earlier = np.where(is_later, (new, others), (others, new))
        return later[is_near], earlier[is_near]

    def _outcomes(self, places: Ints) -> TurnOutcomes:
        return TurnOutcomes(*(self._arrays[name][places] for name in OUTCOME_ARRAYS))


def _appended(kept: NDArray[Any] | None, more: NDArray[Any], count: int) -> NDArray[Any]:
    """An array of `count` rows with room behind them, and more rows in that room."""
    if kept is None:
        kept = more[:0]
    end = count + len(more)
    if end > len(kept):
        room = np.empty((max(2 * end, FEWEST_KEPT) - count, *more.shape[1:]), more.dtype)
        kept = np.concatenate((kept[:count], room))
    kept[count:end] = more
    return kept
