"""The last answers of each rollout, which those that follow are held against.

Pure, and a function of the log alone: requests are taken in the order in which their last sides
stand in it. Requests that no record completes are left out: that they have waited long enough for a
further attempt or a control side is found at the end of a batch, wherever that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Ints
from understudy.analyzers.compare.constant_answers import (
    COLUMNS,
    LOG_BYTES,
    LOOKED_AT,
    TIME_MS,
    Repeated,
    Repeats,
    answer_hash,
    count_repeated,
    is_constant,
    is_short,
)
from understudy.schemas.events import CANDIDATE, PAIR, STABLE, Request
from understudy.streams.pairing.join import RequestSides
from understudy.streams.pairing.pairing_policy import PairingPolicy

FEWEST_KEPT: Final = 1024
"""Groups that are kept before it is worth looking which of them lie too far back."""
Group = tuple[str, str, str, int]
"""What answers that are held against each other share: rollout, mode, workflow, and which side
they come from where that is alone."""


class _New:
    """Requests of one group, with their part of a table, flat."""

    __slots__ = ("requests", "table")

    def __init__(self) -> None:
        self.requests: list[RequestSides] = []
        self.table: list[int] = []


class EarlierAnswers:
    """Tells requests whose answer is the one that their side gave to other prompts before."""

    def __init__(self, policy: PairingPolicy) -> None:
        self._reach_ms = policy.answer_reach_ms
        self._reach_bytes = policy.max_join_bytes
        self._kept: dict[Group, Ints] = {}
        """The last answers of each group, a row each."""
        self._new: dict[Group, _New] = defaultdict(_New)
        """What has come since."""
        self._most = FEWEST_KEPT

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, entries: Iterable[RequestSides]) -> None:
        """Take the answers of requests, to be held against those before them."""
        for entry in entries:
            if entry.is_whole:
                if entry.wanted & PAIR == PAIR:
                    _take_pair(entry, self._new)
                else:
                    _take_alone(entry, self._new)

    @staticmethod
    def hold_together(several: Sequence[EarlierAnswers]) -> None:
        """Note on each request that was taken what earlier answers say, and keep its own.

        Of several partitions at once: few requests complete in each of them, and most of what this
        takes does not depend on how many they are.
        """
        places: list[tuple[dict[Group, Ints], Group]] = []
        parts: list[Ints] = []
        counts: list[int] = []
        requests: list[RequestSides] = []
        for one in several:
            for group, some in one._new.items():
                kept = one._kept.get(group, _NONE)
                new = np.array(some.table, dtype=np.int64).reshape(-1, len(COLUMNS))
                parts += (kept, new)
                counts += (len(kept), len(new))
                requests += some.requests
                places.append((one._kept, group))
            one._new.clear()
        if not places:
            return
        table = np.concatenate(parts)
        is_new = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        numbers = np.repeat(np.arange(len(counts)) // 2, counts)
        reach = several[0]._reach_ms, several[0]._reach_bytes  # of one policy, so the same for all
        found = count_repeated(table, numbers, is_new, *reach)
        _note(requests, found)
        end = 0
        for place, (kept_by, group) in enumerate(places):
            size = counts[2 * place] + counts[2 * place + 1]
            end += size
            kept_by[group] = table[end - min(size, LOOKED_AT) : end].copy()

    def forget(self, watermark_ms: int, log_bytes: int) -> None:
        """Forget groups that no request can be held against any more, once they are many."""
        if len(self) <= self._most:
            return
        oldest_ms = watermark_ms - 2 * self._reach_ms
        first_byte = log_bytes - 2 * self._reach_bytes
        self._kept = {
            group: rows
            for group, rows in self._kept.items()
            if rows[:, TIME_MS].max() >= oldest_ms and rows[:, LOG_BYTES].max() >= first_byte
        }
        self._most = max(FEWEST_KEPT, 2 * len(self))


_NONE: Final = np.empty((0, len(COLUMNS)), dtype=np.int64)


def _take_pair(entry: RequestSides, groups: dict[Group, _New]) -> None:
    """Add a pair to its group, if both sides have an answer."""
    event, other = entry.sides[STABLE].event, entry.sides[CANDIDATE].event
    if event.error is not None or other.error is not None:
        return
    stable, candidate = answer_hash(event.response), answer_hash(other.response)
    if stable and candidate:
        prompt = _prompt_hash(event.request) or _prompt_hash(other.request) or hash(entry.key)
        some = groups[event.rollout_id, event.mode, event.workflow or "", 0]
        some.requests.append(entry)
        some.table += (prompt, entry.request_time_ms, entry.log_bytes, stable, candidate)


def _take_alone(entry: RequestSides, groups: dict[Group, _New]) -> None:
    """Add a side that is alone by design, if it has an answer; the other one is like no other."""
    event = entry.sides[entry.wanted].event
    answer = 0 if event.error is not None else answer_hash(event.response)
    if answer:
        prompt = _prompt_hash(event.request) or hash(entry.key)
        nothing = hash((prompt, entry.key))
        stable, candidate = (answer, nothing) if entry.wanted == STABLE else (nothing, answer)
        some = groups[event.rollout_id, event.mode, event.workflow or "", entry.wanted]
        some.requests.append(entry)
        some.table += (prompt, entry.request_time_ms, entry.log_bytes, stable, candidate)


def _prompt_hash(request: Request | None) -> int:
    """Of the prompt that a side tells; 0 where it tells none."""
    return hash(request.prompt) if request is not None and request.prompt else 0


_CHECKED: Final = int(Repeats.CHECKED)


def _note(requests: list[RequestSides], found: Repeated) -> None:
    """Note on each request what was found; few have an answer that came before."""
    for row in np.flatnonzero(found.seen).tolist():
        requests[row].repeats = _CHECKED
    for place, bit, side in ((0, STABLE, Repeats.STABLE), (1, CANDIDATE, Repeats.CANDIDATE)):
        same, beyond = found.same[place], found.beyond[place]
        for row in np.flatnonzero(beyond).tolist():
            entry = requests[row]
            if bit not in entry.sides:
                continue
            event = entry.sides[bit].event
            if is_constant(
                int(found.seen[row]), int(same[row]), int(beyond[row]),
                short=is_short(event.response, event.request),
                alone=entry.wanted & PAIR != PAIR,
            ):  # fmt: skip
                entry.repeats |= side
