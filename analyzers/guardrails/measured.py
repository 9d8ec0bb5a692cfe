"""Measured or not: which slices promotion waits for, and what a promotion does not rest on.

A metric that few requests have is not shown harmless by the many that lack it. So it is awaited as
soon as one request has it, until there are enough to judge it by. A stray one must not hold up a
rollout for ever: what is still rare after several times the requests that a promotion takes is too
few to tell, and the promotion says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.slices import ALL, slice_name
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.schemas.rollouts import Guardrail

ENOUGH_MEASURED: Final = 100
"""Units from which a metric counts as measured; of fewer, no estimate is worth showing."""
WAIT_FACTOR: Final = 3
"""So many times the requests that promotion takes, a metric is awaited until it is measured."""


class StageRequests(NamedTuple):
    """How many requests a stage has seen in closed windows, and how many promotion takes."""

    seen: int
    needed: int


class JudgedSlice(NamedTuple):
    """A guardrail in a slice, as far as promotion asks for it."""

    check: str
    slice: str
    units: int
    is_required: bool
    is_shown: bool
    """Whether it is shown to be within its limit."""
    is_beyond: bool
    """Whether the estimate lies beyond the limit, however uncertain."""

    @property
    def name(self) -> str:
        """As in `Decision.missing`."""
        return f"{self.check}/{self.slice}"


class Untold(NamedTuple):
    """What a promotion does not rest on."""

    not_measured: list[str]
    """Guardrails that no request says anything about."""
    too_few: list[JudgedSlice]
    """Slices that are too small to tell."""
    point_other_way: list[JudgedSlice]
    """Those of which the estimate lies beyond the limit, though that may be chance."""


def is_awaited(units: float, requests: StageRequests) -> bool:
    """Return whether promotion waits until a metric with so many units is shown harmless.

    After that many requests it depends on how often requests have it, not on their number: what was
    too few to tell must not hold up a rollout as soon as it has come to be a hundred.
    """
    most = WAIT_FACTOR * requests.needed
    if requests.seen < most:
        return units > 0
    return units * most >= ENOUGH_MEASURED * requests.seen


def are_awaited(units: FloatArray, seen: IntArray, needed: int) -> BoolArray:
    """Return `is_awaited` of arrays (...): units, and how many requests were seen by then."""
    most = WAIT_FACTOR * needed
    is_frequent = units * most >= ENOUGH_MEASURED * seen
    return np.asarray(np.where(seen < most, units > 0.0, is_frequent), dtype=np.bool_)


def required_slices(
    guardrail: Guardrail, units: Mapping[str, float], requests: StageRequests
) -> Set[str]:
    """Return the slices that must be shown harmless before promotion.

    `units` are those in closed windows, by slice that the guardrail covers so far. Where a
    guardrail does not test all requests together, the slices that it names count in their place,
    and without any those that turned up: one with few requests only while none has more, so that a
    stray language does not block for ever.
    """
    required, slices = guardrail.required, guardrail.slices
    if required == "every":
        return units.keys()
    if required == "none":
        return frozenset()
    if slices.all:
        together: Set[str] = {ALL}
    elif slices.named:
        together = {slice_name(one.language, one.workflow) for one in slices.named}
    else:
        turned_up = {name for name, number in units.items() if number >= ENOUGH_MEASURED}
        together = turned_up or units.keys()
    if required == "all":
        return together
    return {name for name in together if is_awaited(units[name], requests)}


def untold(checks: Iterable[str], slices: Iterable[JudgedSlice]) -> Untold:
    """Return what a promotion would not rest on, in the order of the checks.

    A check none of whose slices has turned up has none among `slices`.
    """
    by_check: dict[str, list[JudgedSlice]] = {check: [] for check in checks}
    for one in slices:
        by_check[one.check].append(one)
    found = Untold([], [], [])
    for check, parts in by_check.items():
        if not any(one.units for one in parts):
            found.not_measured.append(check)
        for one in parts:
            if one.is_required or one.is_shown or not one.units:
                continue
            points = one.is_beyond and one.units >= ENOUGH_MEASURED
            (found.point_other_way if points else found.too_few).append(one)
    return found
