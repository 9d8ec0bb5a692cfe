"""Pairs of turns: what two requests of one conversation add to the later one's window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Ints
from understudy.analyzers.compare.measure_arrays import PairMeasures, SideMeasures
from understudy.analyzers.windows.columns import (
    WindowColumns,
    compared_outcomes,
    own_outcomes,
    values_of,
)
from understudy.analyzers.windows.moments import product_limbs, to_ticks
from understudy.schemas.measure_kinds import Outcome
from understudy.schemas.measures import PAIR, TURNS
from understudy.schemas.turn_sums import turns_known

_SIDE_NAMES: Final = tuple(one.joint for one in TURNS.outcomes)
_PAIR_NAMES: Final = (*_SIDE_NAMES, *(one.joint for one in TURNS.pair_outcomes))
_COMPARED: Final = frozenset(one.joint for one in TURNS.outcomes)


@dataclass(frozen=True, slots=True)
class TurnOutcomes:
    """What is added up over pairs of turns, of n requests; of paired ones as differences."""

    x: NDArray[np.int8]
    """(n, outcomes): -1, 0 or 1; 0 where it is not known."""
    known: Bools
    """(n, outcomes)."""
    ticks: Ints
    """(n, values, sides): measured values, 0 where they are not known."""
    has_value: Bools
    """(n, values): of all sides."""

    def __len__(self) -> int:
        return len(self.x)


def paired_turns(stable: SideMeasures, candidate: SideMeasures, pair: PairMeasures) -> TurnOutcomes:
    """The outcomes of n pairs: the candidate's less stable's, and those of the pairs."""
    columns = {
        one.measure.joint: (one.candidate.astype(np.int8) - one.stable, one.known)
        for one in compared_outcomes(stable, candidate, pair)
        if one.measure.joint in _COMPARED
    }
    for measure in TURNS.pair_outcomes:
        columns[measure.joint] = getattr(pair, measure.name), _units(pair, measure.among)
    return _outcomes(columns, _PAIR_NAMES, (stable, candidate), pair.answered)


def _units(pair: PairMeasures, among: str) -> Bools:
    """Of which pairs an outcome of the pair itself is known."""
    for one in PAIR:
        if isinstance(one, Outcome) and one.success == among:
            known: Bools = getattr(pair, one.name)
            return known
    return np.ones(len(pair), dtype=bool)


def single_turns(side: SideMeasures) -> TurnOutcomes:
    """The outcomes of n sides that are alone by design."""
    columns = {
        one.measure.joint: (one.happened, one.known)
        for one in own_outcomes(side)
        if one.measure.joint in _COMPARED
    }
    return _outcomes(columns, _SIDE_NAMES, (side,), np.ones(len(side), dtype=bool))


def _outcomes(
    columns: Mapping[str, tuple[NDArray[np.int8] | Bools, Bools]],
    names: tuple[str, ...],
    sides: tuple[SideMeasures, ...],
    answered: Bools,
) -> TurnOutcomes:
    known = np.stack([columns[name][1] for name in names], axis=1)
    x = np.stack([columns[name][0] for name in names], axis=1).astype(np.int8) * known
    values = np.stack(
        [[values_of(getattr(side, one.name)) for side in sides] for one in TURNS.values]
    )
    has_value = answered & ~np.isnan(values).any(axis=1)
    ticks = [
        [to_ticks(np.where(has, side, 0.0), one.tick) for side in of_sides]
        for one, of_sides, has in zip(TURNS.values, values, has_value, strict=True)
    ]
    return TurnOutcomes(x, known, np.array(ticks).transpose(2, 0, 1), has_value.T)


def turn_count_columns(section: str, turns: Ints, into: WindowColumns) -> None:
    """Add how many of n requests name their turn, and how many turns went before; 0 is unknown."""
    named = turns > 0
    into.count(f"{section}_requests", named)
    into.count(f"{section}_first", turns == 1)
    into.count(f"{section}_earlier", np.where(named, turns - 1, 0))


def turn_pair_columns(section: str, one: TurnOutcomes, other: TurnOutcomes) -> WindowColumns:
    """What n pairs of turns add, to the window of the later turn of each."""
    into = WindowColumns()
    known, products = one.known & other.known, one.x * other.x
    sums = (one.x + other.x) * known
    for place, name in enumerate(_PAIR_NAMES if section == "turns" else _SIDE_NAMES):
        into.count(f"{section}_{turns_known(name)}", known[:, place])
        into.count(f"{section}_{name}_sums", sums[:, place])
        into.count(f"{section}_{name}_products", products[:, place])
    has_value = one.has_value & other.has_value
    for place, measure in enumerate(TURNS.values):
        has = has_value[:, place]
        into.count(f"{section}_{turns_known(measure.name)}", has)
        left, right = (np.where(has[:, None], some.ticks[:, place], 0) for some in (one, other))
        _add_values(f"{section}_{measure.name}", left, right, into)
    return into


def _add_values(column: str, left: Ints, right: Ints, into: WindowColumns) -> None:
    """Add sums and products of two turns' values, (n, sides) each."""
    total = left + right
    if left.shape[1] == 1:
        into.total(f"{column}_sums", total[:, 0])
        into.product(f"{column}_products", left[:, 0], right[:, 0])
        return
    for side, name in enumerate(("stable", "candidate")):
        into.total(f"{column}_{name}_sums", total[:, side])
        into.product(f"{column}_{name}_products", left[:, side], right[:, side])
    crossed = (left[:, 1], right[:, 0]), (left[:, 0], right[:, 1])
    parts = [np.stack(product_limbs(*factors)) for factors in crossed]
    into.parts(f"{column}_cross_products", parts[0] + parts[1])
