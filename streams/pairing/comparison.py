"""Complete requests to measures: the analyzers applied to what the join handed on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Ints, concatenate, select
from understudy.analyzers.compare.constant_answers import Repeats
from understudy.analyzers.compare.language_tags import UNDETERMINED
from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures, SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_control, compare_pairs
from understudy.analyzers.compare.sides import SideReading, read_sides
from understudy.analyzers.windows.columns import (
    WindowColumns,
    control_columns,
    pair_columns,
    side_columns,
)
from understudy.analyzers.windows.turns import (
    TurnOutcomes,
    paired_turns,
    single_turns,
    turn_count_columns,
)
from understudy.schemas.events import CANDIDATE, CONTROL, PAIR, STABLE, Event, Request, turn_of
from understudy.schemas.turn_sums import TURN_SECTIONS
from understudy.streams.pairing.join import RequestSides
from understudy.streams.pairing.request_language import (
    PromptLanguages,
    named_language,
    request_language,
    tag_named,
    waiting_language,
)

_NO_REQUEST: Final = Request()
M = TypeVar("M", SideMeasures, PairMeasures, ControlMeasures)
_NO_ROWS: Final = np.array([], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Requests:
    """What all sides of a request share; n rows."""

    partition: Ints
    rollout_id: list[str]
    pair_id: list[str]
    mode: list[str]
    language: list[str]
    workflow: list[str]
    """Empty where the gateway named none."""
    expects: list[str]
    schema_id: list[str]
    """Empty where there is none."""
    waiting_language: list[str]
    """The language that the request counted as while it waited; mostly the same."""
    request_time_ms: Ints
    conversation_id: list[str]
    """Empty where there is none."""
    turn: Ints
    """Which request of its conversation this is, from 1; 0 where that is unknown."""
    is_turn: Bools
    """Whether it may form pairs with other turns."""
    log_bytes: Ints
    """Bytes of the log read before the first side; 0 for what forms no pair of turns."""
    offset: Ints
    """Of the side that came last."""

    def __len__(self) -> int:
        return len(self.pair_id)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The measures of n complete requests of one kind: pairs, or sides that are alone by design.

    `stable` and `candidate` are None where that side is not there; `control` has one row for each
    index in `control_rows`.
    """

    requests: Requests
    stable: SideMeasures | None
    candidate: SideMeasures | None
    pair: PairMeasures | None = None
    control: ControlMeasures | None = None
    control_rows: NDArray[np.intp] = field(default_factory=lambda: _NO_ROWS)

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def turn_section(self) -> str:
        """The section of window rows that the turns among the requests count in."""
        if self.pair is not None:
            return "turns"
        return TURN_SECTIONS["stable" if self.candidate is None else "candidate"]

    @property
    def sides(self) -> Ints:
        """How many sides each request has."""
        sides = np.full(len(self), 1 if self.pair is None else 2, dtype=np.int64)
        sides[self.control_rows] += 1
        return sides

    def of_partitions(self, partitions: Collection[int]) -> Comparisons:
        """The rows of some partitions."""
        is_kept = np.isin(self.requests.partition, list(partitions))
        rows = np.flatnonzero(is_kept).tolist()
        with_control = np.flatnonzero(is_kept[self.control_rows]).tolist()
        return Comparisons(
            requests=select(self.requests, rows),
            stable=None if self.stable is None else select(self.stable, rows),
            candidate=None if self.candidate is None else select(self.candidate, rows),
            pair=None if self.pair is None else select(self.pair, rows),
            control=None if self.control is None else select(self.control, with_control),
            control_rows=np.searchsorted(rows, self.control_rows[with_control]),
        )


def merge_comparisons(parts: Sequence[Comparisons]) -> list[Comparisons]:
    """The same comparisons, in at most one part of each kind."""
    kinds: dict[tuple[bool, bool], list[Comparisons]] = {}
    for part in parts:
        kinds.setdefault((part.stable is None, part.candidate is None), []).append(part)
    return [_merge_kind(same) if len(same) > 1 else same[0] for same in kinds.values()]


def _merge_kind(parts: list[Comparisons]) -> Comparisons:
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    rows = [part.control_rows + start for part, start in zip(parts, starts, strict=False)]
    return Comparisons(
        requests=concatenate([part.requests for part in parts]),
        stable=_merge_measures([part.stable for part in parts]),
        candidate=_merge_measures([part.candidate for part in parts]),
        pair=_merge_measures([part.pair for part in parts]),
        control=_merge_measures([part.control for part in parts]),
        control_rows=np.concatenate(rows),
    )


def _merge_measures(parts: Sequence[M | None]) -> M | None:
    present = [part for part in parts if part is not None]
    return concatenate(present) if present else None


def compare_requests(
    entries: Sequence[RequestSides], partitions: Sequence[int], options: CompareOptions
) -> list[Comparisons]:
    """Measure complete requests: pairs, stable sides alone, candidate sides alone.

    `partitions` are those that the n requests were read from.
    """
    pairs = [i for i, e in enumerate(entries) if e.seen & PAIR == PAIR]
    kinds: list[tuple[list[int], Callable[..., Comparisons]]] = [(pairs, _compare_pairs)]
    if len(pairs) < len(entries):
        for bit in (STABLE, CANDIDATE):
            alone = [i for i, e in enumerate(entries) if e.wanted == bit]
            kinds.append((alone, partial(_read_single, bit=bit)))
    return [
        compare([entries[i] for i in rows], [partitions[i] for i in rows], options=options)
        for rows, compare in kinds
        if rows
    ]


def _compare_pairs(
    entries: list[RequestSides], partitions: list[int], options: CompareOptions
) -> Comparisons:
    """All sides are measured together, then taken apart: stable, candidate, control."""
    stable_events = [e.sides[STABLE].event for e in entries]
    candidate_events = [e.sides[CANDIDATE].event for e in entries]
    with_control = [i for i, e in enumerate(entries) if CONTROL in e.sides]
    control_events = [entries[i].sides[CONTROL].event for i in with_control]
    untold = [i for i, e in enumerate(entries) if e.first is not None]
    prompts = _detected_before(entries[row] for row in untold)
    languages = _languages(entries, stable_events, prompts)
    sides = read_sides(
        [*stable_events, *candidate_events, *control_events],
        [*languages, *languages, *(languages[i] for i in with_control)],
        options,
    )
    n = len(entries)
    stable, candidate = select(sides, slice(n)), select(sides, slice(n, 2 * n))
    control = select(sides, slice(2 * n, None))
    return Comparisons(
        requests=_requests(
            entries,
            partitions,
            stable_events,
            candidate_events,
            languages,
            _waiting_languages(entries, untold, languages, prompts),
        ),
        stable=_with_repeats(stable.measures, entries, Repeats.STABLE),
        candidate=_with_repeats(candidate.measures, entries, Repeats.CANDIDATE),
        pair=compare_pairs(stable, candidate, options),
        control=_compare_control(stable, control, with_control, options),
        control_rows=np.array(with_control, dtype=np.intp),
    )


def _with_repeats(
    measures: SideMeasures, entries: list[RequestSides], side: Repeats
) -> SideMeasures:
    """The measures with what earlier answers say about the side's."""
    repeats = np.array([entry.repeats for entry in entries])
    return replace(
        measures,
        constant_checked=(repeats & int(Repeats.CHECKED)) > 0,
        constant_answer=(repeats & int(side)) > 0,
    )


def _compare_control(
    stable: SideReading, control: SideReading, rows: list[int], options: CompareOptions
) -> ControlMeasures | None:
    return compare_control(select(stable, rows), control, options) if rows else None


def _languages(
    entries: list[RequestSides], stable_events: list[Event], prompts: PromptLanguages
) -> list[str]:
    """The language of each request; most are tagged, so stable's tag is looked up first."""
    tags = [event.language for event in stable_events]
    named = {tag: tag_named(tag) for tag in set(tags)}
    languages = [named[tag] for tag in tags]
    if UNDETERMINED in named.values():
        for row, language in enumerate(languages):
            if language == UNDETERMINED:
                languages[row] = request_language(entries[row].events(), prompts)
    return languages


def _detected_before(untold: Iterable[RequestSides]) -> PromptLanguages:
    """Prompts whose language was looked up while their requests waited."""
    detected: PromptLanguages = {}
    for entry in untold:
        first = entry.first
        if first is None or not entry.language or named_language(first) != UNDETERMINED:
            continue
        if first.request is not None and first.request.prompt:
            detected[first.request.prompt] = entry.language
    return detected


def _waiting_languages(
    entries: list[RequestSides], untold: list[int], languages: list[str], prompts: PromptLanguages
) -> list[str]:
    """The language that each request counted as while it waited."""
    if not untold:
        return languages
    waiting = list(languages)
    for row in untold:
        entry = entries[row]
        if entry.first is not None:
            waiting[row] = entry.language or waiting_language(entry.first, prompts)
    return waiting


def _requests(
    entries: list[RequestSides],
    partitions: list[int],
    events: list[Event],
    others: list[Event],
    languages: list[str],
    waiting_languages: list[str],
) -> Requests:
    """What is shared, read from one side of each request; the turn from the other if need be."""
    asked = [event.request or _NO_REQUEST for event in events]
    turns = _turns(events, others)
    is_turn, log_bytes = turns > 0, np.zeros_like(turns)
    if is_turn.any():
        is_turn &= np.array([e.is_turn for e in entries])
        log_bytes = np.array([e.log_bytes for e in entries], dtype=np.int64) * is_turn
    return Requests(
        partition=np.array(partitions, dtype=np.int64),
        rollout_id=[event.rollout_id for event in events],
        pair_id=[event.pair_id for event in events],
        mode=[event.mode for event in events],
        language=languages,
        workflow=[event.workflow or "" for event in events],
        expects=[request.expects or "text" for request in asked],
        schema_id=[request.schema_id or "" for request in asked],
        waiting_language=waiting_languages,
        request_time_ms=np.array([e.request_time_ms for e in entries], dtype=np.int64),
        conversation_id=[event.conversation_id or "" for event in events],
        turn=turns,
        is_turn=is_turn,
        log_bytes=log_bytes,
        offset=np.array([e.last_offset for e in entries], dtype=np.int64),
    )


def _turns(events: list[Event], others: list[Event]) -> Ints:
    """Which turn each request is; most requests belong to no conversation."""
    turns = [
        turn_of(event, other) if event.conversation_id else 0
        for event, other in zip(events, others, strict=True)
    ]
    return np.array(turns, dtype=np.int64)


def _read_single(
    entries: list[RequestSides], partitions: list[int], options: CompareOptions, bit: int
) -> Comparisons:
    events = [e.sides[bit].event for e in entries]
    languages = [request_language((event,)) for event in events]
    repeats = Repeats.STABLE if bit == STABLE else Repeats.CANDIDATE
    measures = _with_repeats(read_sides(events, languages, options).measures, entries, repeats)
    return Comparisons(
        requests=_requests(entries, partitions, events, events, languages, languages),
        stable=measures if bit == STABLE else None,
        candidate=measures if bit == CANDIDATE else None,
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
    if comparisons.requests.turn.any():
        turn_count_columns(comparisons.turn_section, comparisons.requests.turn, columns)
    paired = comparisons.pair is not None
    columns.count("events_paired" if paired else "events_single", comparisons.sides)
    return columns


def turn_outcomes(comparisons: Comparisons) -> TurnOutcomes:
    """What is added up over pairs of turns."""
    stable, candidate = comparisons.stable, comparisons.candidate
    if comparisons.pair is not None and stable is not None and candidate is not None:
        return paired_turns(stable, candidate, comparisons.pair)
    side = stable if candidate is None else candidate
    if side is None:
        raise ValueError("a request without any side")
    return single_turns(side)


def control_window_columns(comparisons: Comparisons) -> WindowColumns:
    """What the control sides add; one row for each of `control_rows`."""
    columns = WindowColumns()
    if comparisons.control is not None:
        control_columns(comparisons.control, columns)
    return columns
