"""Adding window rows: partitions, windows, languages or workflows taken together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from understudy.analyzers.windows.histogram import merge
from understudy.schemas.window_measures import (
    ControlSums,
    EventCounts,
    PairSums,
    PairTurnSums,
    SideSums,
    SideTurnSums,
    UnresolvedCounts,
)
from understudy.schemas.windows import SECTIONS, WindowRow

Key = TypeVar("Key", bound=Hashable)
Sums = TypeVar("Sums", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class RowTotals:
    """The measures of several window rows taken together."""

    events: EventCounts = field(default_factory=EventCounts)
    stable: SideSums = field(default_factory=SideSums)
    candidate: SideSums = field(default_factory=SideSums)
    pair: PairSums = field(default_factory=PairSums)
    control: ControlSums = field(default_factory=ControlSums)
    turns: PairTurnSums = field(default_factory=PairTurnSums)
    stable_turns: SideTurnSums = field(default_factory=SideTurnSums)
    candidate_turns: SideTurnSums = field(default_factory=SideTurnSums)
    unresolved: UnresolvedCounts = field(default_factory=UnresolvedCounts)


def total(rows: Iterable[WindowRow | RowTotals]) -> RowTotals:
    """The sum of rows; of no rows, all zeros."""
    kept = list(rows)
    return RowTotals(
        **{name: _add(record, [getattr(row, name) for row in kept])
           for name, record in SECTIONS.items()}
    )  # fmt: skip


def total_by(rows: Iterable[WindowRow], key: Callable[[WindowRow], Key]) -> dict[Key, RowTotals]:
    """The sums of rows that share a key, in the order of first appearance."""
    groups: dict[Key, list[WindowRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {name: total(group) for name, group in groups.items()}


def over_windows(rows: Sequence[WindowRow]) -> list[WindowRow]:
    """The rows of each slice as one, with the place in time of its first."""
    first: dict[tuple[Any, ...], WindowRow] = {}
    for row in rows:
        first.setdefault(_slice_key(row), row)
    return [
        msgspec.structs.replace(first[key], **{name: getattr(totals, name) for name in SECTIONS})
        for key, totals in total_by(rows, _slice_key).items()
    ]


def _slice_key(row: WindowRow) -> tuple[Any, ...]:
    return row.rollout_id, row.mode, row.language, row.workflow


def latest(rows: Iterable[WindowRow]) -> list[WindowRow]:
    """Of rows with the same key, the one with the highest version."""
    newest: dict[tuple[Any, ...], WindowRow] = {}
    for row in rows:
        known = newest.get(key := row_key(row))
        if known is None or row.version >= known.version:
            newest[key] = row
    return list(newest.values())


def row_key(row: WindowRow) -> tuple[Any, ...]:
    """What makes two rows versions of one another."""
    return (
        row.rollout_id, row.mode, row.language, row.workflow,
        row.window_start, row.window_s, row.source, row.partition,
    )  # fmt: skip


def _add(record: type[Sums], parts: list[Sums]) -> Sums:
    values: dict[str, Any] = {}
    for name in record.__struct_fields__:
        column = [getattr(part, name) for part in parts]
        if column and isinstance(column[0], dict):
            values[name] = merge(*column)
        elif float in set(map(type, column)):
            values[name] = math.fsum(column)
        else:
            values[name] = sum(column) if column else None
    return record(**{name: value for name, value in values.items() if value is not None})
