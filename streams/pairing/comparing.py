"""Complete requests to measures: the analyzers applied to what the join handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.aggregate.columns import (
    WindowColumns,
    control_columns,
    pair_columns,
    side_columns,
)
from understudy.analyzers.compare.language import detect_language, normalize_tag
from understudy.analyzers.compare.measures import ControlMeasures, PairMeasures, SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_control, compare_pairs
from understudy.analyzers.compare.sides import read_sides
from understudy.schemas.events import CANDIDATE, CONTROL, STABLE, Event
from understudy.streams.pairing.join import Entry

UNDETERMINED = "und"


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The measures of n complete requests of one kind: pairs, or sides that are alone by design.

    `stable` and `candidate` are None where that side is not there; `control` has one row for each
    index in `control_rows`.
    """

    entries: list[Entry]
    events: list[Event]
    """One side of each request, for what all sides share."""
    languages: list[str]
    offsets: list[int]
    """Offset of the last side of each request."""
    stable: SideMeasures | None
    candidate: SideMeasures | None
    pair: PairMeasures | None
    control: ControlMeasures | None
    control_rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.entries)


def request_language(events: Sequence[Event]) -> str:
    """The language of a request from its sides: a tag, else detected in prompt, then output."""
    for event in events:
        if event.language:
            tag = normalize_tag(event.language)
            if tag != UNDETERMINED:
                return tag
    for event in events:
        if event.request is not None and event.request.prompt:
            detected = detect_language(event.request.prompt)
            if detected != UNDETERMINED:
                return detected
    for event in events:
        if event.response is not None and event.response.output:
            return detect_language(event.response.output)
    return UNDETERMINED


def compare_requests(entries: Sequence[Entry], options: CompareOptions) -> list[Comparisons]:
    """Measure complete requests: pairs, stable sides alone, candidate sides alone."""
    pairs = [e for e in entries if STABLE in e.sides and CANDIDATE in e.sides]
    comparisons = [_compare_pairs(pairs, options)] if pairs else []
    for bit in (STABLE, CANDIDATE):
        alone = [e for e in entries if e.wanted == bit]
        if alone:
            comparisons.append(_read_single(alone, bit, options))
    return comparisons


def _compare_pairs(entries: list[Entry], options: CompareOptions) -> Comparisons:
    stable_events = [e.sides[STABLE].event for e in entries]
    candidate_events = [e.sides[CANDIDATE].event for e in entries]
    languages = [
        request_language(both) for both in zip(stable_events, candidate_events, strict=True)
    ]
    stable = read_sides(stable_events, languages, options)
    candidate = read_sides(candidate_events, languages, options)
    control, control_rows = _compare_control(entries, languages, options)
    return Comparisons(
        entries=entries,
        events=stable_events,
        languages=languages,
        offsets=[max(side.offset for side in e.sides.values()) for e in entries],
        stable=stable.measures,
        candidate=candidate.measures,
        pair=compare_pairs(stable, candidate, options),
        control=control,
        control_rows=control_rows,
    )


def _compare_control(
    entries: list[Entry], languages: list[str], options: CompareOptions
) -> tuple[ControlMeasures | None, NDArray[np.intp]]:
    rows = [i for i, e in enumerate(entries) if CONTROL in e.sides]
    if not rows:
        return None, np.array([], dtype=np.intp)
    spoken = [languages[i] for i in rows]
    stable = read_sides([entries[i].sides[STABLE].event for i in rows], spoken, options)
    control = read_sides([entries[i].sides[CONTROL].event for i in rows], spoken, options)
    return compare_control(stable, control, options), np.array(rows, dtype=np.intp)


def _read_single(entries: list[Entry], bit: int, options: CompareOptions) -> Comparisons:
    events = [e.sides[bit].event for e in entries]
    languages = [request_language((event,)) for event in events]
    measures = read_sides(events, languages, options).measures
    return Comparisons(
        entries=entries,
        events=events,
        languages=languages,
        offsets=[e.sides[bit].offset for e in entries],
        stable=measures if bit == STABLE else None,
        candidate=measures if bit == CANDIDATE else None,
        pair=None,
        control=None,
        control_rows=np.array([], dtype=np.intp),
    )


def window_columns(comparisons: Comparisons) -> WindowColumns:
    """What the requests add to their windows, controls apart."""
    columns = WindowColumns()
    if comparisons.stable is not None:
        side_columns("stable", comparisons.stable, columns)
    if comparisons.candidate is not None:
        side_columns("candidate", comparisons.candidate, columns)
    if comparisons.pair is not None and comparisons.stable and comparisons.candidate:
        pair_columns(comparisons.stable, comparisons.candidate, comparisons.pair, columns)
    paired = comparisons.pair is not None
    sides = np.array([len(entry.sides) for entry in comparisons.entries], dtype=np.int64)
    columns.count("events_paired" if paired else "events_single", sides)
    return columns


def control_window_columns(comparisons: Comparisons) -> WindowColumns:
    """What the control sides add; one row for each of `control_rows`."""
    columns = WindowColumns()
    if comparisons.control is not None:
        control_columns(comparisons.control, columns)
    return columns
