"""Since when a rollout's events have the fields that metrics rest on.

Some outcomes are told by what an event lacks: an answer without `fallback` needed none, one without
text is empty, a stream without a finish reason has no end. Where no event of the rollout has the
field, its gateway does not write it, and the outcome says nothing. No single row can tell, so this
is a fact of the whole rollout: the start of the first window in which some request has the field.

Once one has, the others count as without. Where a missing field says no, so do those before, since
a gateway may write it on the few requests that need it. Where it says yes, windows before that one
are left out for good: a gateway that begins to write texts must not be rolled back for all the
answers that had none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import field

from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.sequential.bets import BoolArray, IntArray
from understudy.schemas.measure_kinds import Outcome
from understudy.schemas.rollout_metrics import RATES

NEVER_MS: Final = int(np.iinfo(np.int64).max)
"""Later than any window."""
ALWAYS_MS: Final = int(np.iinfo(np.int64).min)
"""Earlier than any window."""
_SIDES: Final = ("stable", "candidate")


class _Sign(NamedTuple):
    """Shows that a request has the field, where one column of a row is greater than another."""

    column: str
    other: str | None = None
    """None where it must be greater than 0."""


@cache
def _signs(metric: str) -> tuple[_Sign, ...]:
    """Return what shows that a metric can be measured.

    None for one that counts only requests that have what it rests on.
    """
    rate = _resting_on_field(metric)
    if rate is None:
        return ()
    if rate.measured_by == rate.among:
        return tuple(_Sign(f"{one}_{rate.among}", f"{one}_{rate.success}") for one in _SIDES)
    names = [rate.measured_by]
    if not rate.missing_says_yes:
        names.append(rate.success)
    signs = [_Sign(f"{side}_{name}") for name in names for side in _SIDES]
    if rate.is_early and not rate.missing_says_yes:
        signs += [_Sign(f"unresolved_awaiting_{side}_{rate.success}") for side in _SIDES]
    return tuple(signs)


def rests_on_field(metric: str) -> bool:
    """Return whether a metric rests on a field that a gateway may never write."""
    return bool(_signs(metric))


def columns_that_show(metric: str) -> frozenset[str]:
    """Return the columns of rows that `shown_in` needs."""
    return frozenset(name for sign in _signs(metric) for name in sign if name is not None)


def shown_in(metric: str, columns: RowColumns) -> BoolArray:
    """Return in which rows some request has the field of a metric that rests on it."""
    shown = np.zeros(columns.n, dtype=np.bool_)
    for column, other in _signs(metric):
        shown |= columns[column] > (columns[other] if other else 0.0)
    return shown


class MeasuredSince(msgspec.Struct, array_like=True):
    """What is known of a rollout so far."""

    start_ms: dict[str, int] = field(default_factory=dict)
    """By metric, the start of the first window with a request that has the field."""

    def note(
        self, metrics: Iterable[str], start_ms: IntArray, shown: Callable[[str], BoolArray]
    ) -> None:
        """Take rows of windows that start at (n,) times, as they were applied.

        `shown` returns in which of them some request has the field of a metric, (n,).
        """
        first_ms = int(start_ms.min(initial=NEVER_MS))
        for metric in metrics:
            known_ms = self.start_ms.get(metric, NEVER_MS)
            if first_ms >= known_ms:
                continue
            earlier = start_ms[shown(metric)]
            if earlier.size:
                self.start_ms[metric] = min(known_ms, int(earlier.min()))

    def is_measured(self, metric: str) -> bool:
        """Return whether a metric's field is none, or has been seen."""
        return metric in self.start_ms or not rests_on_field(metric)

    def counts_from_ms(self, metric: str) -> int:
        """Return from which window on a metric's outcomes count."""
        return counts_from_ms(metric, self.start_ms.get(metric, NEVER_MS))


def counts_from_ms(metric: str, since_ms: int) -> int:
    """Return the start of the first window that counts, given that of the first with the field."""
    return since_ms if missing_says_yes(metric) else ALWAYS_MS


def missing_says_yes(metric: str) -> bool:
    """Return whether requests without the field look like those with the outcome."""
    rate = _resting_on_field(metric)
    return rate is not None and rate.missing_says_yes


def _resting_on_field(metric: str) -> Outcome | None:
    rate = RATES.get(metric)
    return rate if isinstance(rate, Outcome) and rate.measured_by else None
