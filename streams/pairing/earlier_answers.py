"""The last answers of each rollout, which those that follow are held against.

Pure, and a function of the log alone: requests are taken in the order in which their last sides
stand in it. Requests that no record completes are left out: that they have waited long enough for a
further attempt or a control side is found at the end of a batch, wherever that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Ints
from understudy.analyzers.compare.constant_answers import (
    CANDIDATE_IS_SHORT,
    IS_ALONE,
    LOG_BYTES,
    LOOKED_AT,
    STABLE_IS_SHORT,
    TIME_MS,
    answer_hash,
    find_repeats,
    is_short,
)
from understudy.schemas.events import CANDIDATE, PAIR, STABLE, Event, failure_of
from understudy.streams.pairing.join import RequestSides
from understudy.streams.pairing.pairing_policy import PairingPolicy

FEWEST_KEPT: Final = 1024
"""Groups that are kept before it is worth looking which of them lie too far back."""
Row = tuple[int, int, int, int, int, int]


class EarlierAnswers:
    """Tells requests whose answer is the one that their side gave to other prompts before."""

    def __init__(self, policy: PairingPolicy) -> None:
        self._reach_ms = policy.answer_reach_ms
        self._reach_bytes = policy.max_join_bytes
        self._kept: dict[str, Ints] = {}
        """By rollout, mode and workflow: the last answers, a row each."""
        self._most = FEWEST_KEPT

    def __len__(self) -> int:
        return len(self._kept)

    def hold_against(self, entries: Iterable[RequestSides]) -> None:
        """Note on each request what earlier answers say, and keep its own for those to come."""
        groups: dict[str, list[Row]] = {}
        requests: dict[str, list[RequestSides]] = {}
        for entry in entries:
            row = _row_of(entry) if entry.is_whole else None
            if row is not None:
                group = _group_of(entry)
                groups.setdefault(group, []).append(row)
                requests.setdefault(group, []).append(entry)
        if groups:
            self._compare(groups, requests)

    def _compare(
        self, groups: dict[str, list[Row]], requests: dict[str, list[RequestSides]]
    ) -> None:
        parts: list[Ints] = []
        is_new: list[bool] = []
        sizes: list[int] = []
        for group, rows in groups.items():
            kept = self._kept.get(group)
            if kept is not None:
                parts.append(kept)
                is_new += [False] * len(kept)
            parts.append(np.array(rows, dtype=np.int64))
            is_new += [True] * len(rows)
            sizes.append(len(rows) + (0 if kept is None else len(kept)))
        table = np.concatenate(parts)
        numbers = np.repeat(np.arange(len(sizes)), sizes)
        found = find_repeats(
            table, numbers, np.array(is_new), self._reach_ms, self._reach_bytes
        ).tolist()
        same_order = (entry for some in requests.values() for entry in some)
        for entry, repeats in zip(same_order, found, strict=True):
            entry.repeats = repeats
        end = 0
        for group, size in zip(groups, sizes, strict=True):
            end += size
            self._kept[group] = table[end - min(size, LOOKED_AT) : end].copy()

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


def _group_of(entry: RequestSides) -> str:
    """The answers that a request's are like: of one feature, from the same sides."""
    event = next(iter(entry.sides.values())).event
    alone = "" if entry.wanted & PAIR == PAIR else event.side
    return f"{event.rollout_id}/{event.mode}/{alone}/{event.workflow or ''}"


def _row_of(entry: RequestSides) -> Row | None:
    """A row of a table of answers; None where a side gave none."""
    sides = entry.sides
    stable, candidate = sides.get(STABLE), sides.get(CANDIDATE)
    left = _answer(stable.event) if stable is not None else (0, 0)
    right = _answer(candidate.event) if candidate is not None else (0, 0)
    if entry.wanted & PAIR == PAIR:
        if not left[0] or not right[0]:
            return None
        flags = left[1] * STABLE_IS_SHORT | right[1] * CANDIDATE_IS_SHORT
    elif left[0] or right[0]:
        flags = IS_ALONE | left[1] * STABLE_IS_SHORT | right[1] * CANDIDATE_IS_SHORT
    else:
        return None
    prompt = _prompt_hash(entry)
    return (
        prompt, entry.request_time_ms, entry.log_bytes,
        left[0] or hash((prompt, STABLE)), right[0] or hash((prompt, CANDIDATE)), flags,
    )  # fmt: skip


def _answer(event: Event) -> tuple[int, int]:
    """Hash of an answer, 0 without one, and whether it is one of few by nature."""
    if event.error is not None and failure_of(event) is not None:
        return 0, 0
    return answer_hash(event.response), is_short(event.response, event.request)


def _prompt_hash(entry: RequestSides) -> int:
    """What tells requests apart: the prompt, or without it that they are two."""
    for side in entry.sides.values():
        request = side.event.request
        if request is not None and request.prompt:
            return hash(request.prompt)
    return hash(entry.key)
