"""Sums over pairs of turns: what tells how alike the outcomes of one conversation are.

Turns of a conversation share their fate, so n requests tell less than n independent ones. How much
less follows from how many turns came before each request, and from the correlation of two turns'
outcomes x, for which windows add up x_i + x_j and x_i · x_j over all pairs of turns i, j that lie
within the join timeout of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final, NamedTuple

from understudy.schemas.measure_kinds import Category, Distribution, Measure, Outcome, Sum, SumKind

TURN_SECTIONS: Final = {"stable": "stable_turns", "candidate": "candidate_turns"}
"""Where requests are not paired: section of a side's measures to that of its turns."""
_WHERE_SIDE: Final = "1 where the side"


class TurnMeasures(NamedTuple):
    """Measures that windows have turn sums of, in the order of the sums."""

    outcomes: tuple[Outcome | Category, ...]
    """Of a side; of a pair the difference, candidate - stable."""
    pair_outcomes: tuple[Outcome, ...]
    """Of a pair."""
    values: tuple[Distribution, ...]
    """Of a side; of a pair both."""


def turn_measures(side: Iterable[Measure], pair: Iterable[Measure]) -> TurnMeasures:
    """Those that a guardrail can limit and whose requests are judged one by one."""
    side = tuple(side)
    return TurnMeasures(
        tuple(
            one
            for one in side
            if isinstance(one, Outcome | Category) and one.metric and one.paired_among
        ),
        tuple(one for one in pair if isinstance(one, Outcome) and one.metric),
        tuple(one for one in side if isinstance(one, Distribution) and one.metric and one.products),
    )


def pair_turn_sums(measures: TurnMeasures) -> tuple[Sum, ...]:
    """The sums of conversations whose requests are paired."""
    differences = (
        _outcome_sums(one, f"{_WHERE_SIDE} {_says(one)}, of the candidate less that of stable")
        for one in measures.outcomes
    )
    outcomes = (_outcome_sums(one, f"1 where {_says(one)}") for one in measures.pair_outcomes)
    values = map(_pair_value_sums, measures.values)
    return (*_counts("Pairs"), *chain.from_iterable(chain(differences, outcomes, values)))


def side_turn_sums(measures: TurnMeasures) -> tuple[Sum, ...]:
    """The sums of conversations of one side, where requests are not paired."""
    outcomes = (_outcome_sums(one, f"{_WHERE_SIDE} {_says(one)}") for one in measures.outcomes)
    values = map(_side_value_sums, measures.values)
    return (*_counts("Sides"), *chain.from_iterable(chain(outcomes, values)))


def turns_known(name: str) -> str:
    """Name of the count of turn pairs in which a measure is known of both turns."""
    return f"{name}_pairs"


def _says(measure: Outcome | Category) -> str:
    return measure.says if isinstance(measure, Outcome) else measure.passing_says


def _counts(noun: str) -> tuple[Sum, ...]:
    return (
        Sum("requests", f"{noun} that name their conversation and turn"),
        Sum("first", "Of these, first turns"),
        Sum("earlier", "Sum of turn - 1 over these: how many turns went before"),
    )


def _outcome_sums(measure: Outcome | Category, x: str) -> tuple[Sum, ...]:
    name, signed = measure.joint, SumKind.SIGNED
    return (
        Sum(turns_known(name), f"Turn pairs in which x is known of both turns; x is {x}"),
        Sum(f"{name}_sums", "Sum of x_i + x_j over these turn pairs", signed),
        Sum(f"{name}_products", "Sum of x_i · x_j over these turn pairs", signed),
    )


def _pair_value_sums(measure: Distribution) -> tuple[Sum, ...]:
    name, tick = measure.name, measure.tick
    known = f"Turn pairs with a known {measure.noun} on both sides of both turns: s and c"
    total, product = SumKind.TOTAL, SumKind.PRODUCT
    return (
        Sum(turns_known(name), known),
        Sum(f"{name}_stable_sums", "Sum of s_i + s_j over these turn pairs", total, tick),
        Sum(f"{name}_candidate_sums", "Sum of c_i + c_j over these turn pairs", total, tick),
        Sum(f"{name}_stable_products", "Sum of s_i · s_j over these", product, tick),
        Sum(f"{name}_candidate_products", "Sum of c_i · c_j over these", product, tick),
        Sum(f"{name}_cross_products", "Sum of c_i · s_j + s_i · c_j over these", product, tick),
    )


def _side_value_sums(measure: Distribution) -> tuple[Sum, ...]:
    name, tick = measure.name, measure.tick
    return (
        Sum(turns_known(name), f"Turn pairs with a known {measure.noun} x of both turns"),
        Sum(f"{name}_sums", "Sum of x_i + x_j over these turn pairs", SumKind.TOTAL, tick),
        Sum(f"{name}_products", "Sum of x_i · x_j over these", SumKind.PRODUCT, tick),
    )
