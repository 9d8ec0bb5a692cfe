"""By how much a metric changed between two periods, and how much periods differ by themselves.

Values are compared within strata: a part of the traffic (language and workflow) in one hour of the
day or week. A stratum with n values before and m after weighs nm/(n + m), as Mantel and Haenszel
have it, so a stratum that only one period has weighs nothing, and a change in the traffic's mix is
none in the models.

How much such a difference varies is not what independent requests would say: conversations, users
and incidents make days differ. So each stretch of the reference as long as the recent period is
held against the others in the same way, with the parts weighing what they weigh recently. What
these differences vary beyond what independent requests explain is added to the variance, or
multiplies it where the recent period has fewer requests than those. It is learnt from few
stretches: Student's t, with as many degrees of freedom as they leave once the strata have their
means. Of a rate, whichever outcome is the rarer must also have come more often, or less, than a
Poisson count would: five errors where one was expected are within no bell curve.

Sources: Mantel and Haenszel (1959); DerSimonian and Laird (1986) and McCullagh and Nelder (1989),
*Generalized Linear Models*, 4.5, for the two ways to add the variance; Satterthwaite (1946).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.drift.metrics import Floats, Sums
from understudy.analyzers.drift.rare_counts import rare_p_value
from understudy.analyzers.drift.strata import RECENT_LINE, Strata
from understudy.analyzers.drift.student import student_p_value

FEWEST_VALUES: Final = 100
"""In each period: below, a difference of means is far from normal."""
FEWEST_FREEDOM: Final = 3
"""Degrees of freedom of the variance; with fewer, nothing but a breakdown would be told."""
_MOST_MISSING: Final = 0.5
"""Of the recent traffic's weight: a stretch that lacks more of its parts says nothing of them."""


@dataclass(frozen=True, slots=True)
class StratifiedChange:
    """One metric in two periods, each stratum weighing the same in both."""

    before: float
    after: float
    standard_error: float
    """Of the difference, with what periods differ by themselves."""
    freedom: int
    values_before: int
    values_after: int
    stretches: int
    """Of the reference, each as long as the recent period."""
    least_p_value: float = 0.0
    """Of a rate: what rare outcomes allow."""

    @property
    def change(self) -> float:
        """The difference."""
        return self.after - self.before

    @property
    def p_value(self) -> float:
        """The chance of as large a difference, either way, if the periods differ as others do."""
        p_value = student_p_value(self.change / self.standard_error, self.freedom)
        return max(p_value, self.least_p_value)


class _Difference(NamedTuple):
    """Of two sets of values, by part: (p,), or (stretches, p)."""

    weight: Floats
    value: Floats
    variance: Floats
    """Of the value, if requests were independent."""


def stratified_change(
    strata: Strata, sums: Sums, *, is_rate: bool = False
) -> StratifiedChange | None:
    """Return the change of a metric, given its sums (n,) by row; None where too little is there."""
    lines = strata.sums(sums)
    after = Sums(*(one[RECENT_LINE] for one in lines))
    stretches = Sums(*(one[RECENT_LINE + 1 :] for one in lines))
    before = Sums(*(one.sum(axis=0) for one in stretches))
    if min(before.number.sum(), after.number.sum()) < FEWEST_VALUES:
        return None
    variance = _variance(Sums(*(one + other for one, other in zip(before, after, strict=True))))
    found = _difference(strata, after, before, variance)
    if not found.weight.sum() > 0.0:
        return None
    share = found.weight / found.weight.sum()
    own = float((share**2 * found.variance).sum())
    compared = _compared(strata, stretches, before, variance, share)
    error, freedom, dispersion = _standard_error(own, compared)
    if freedom < FEWEST_FREEDOM or not error > 0.0:
        return None
    return StratifiedChange(
        before=_mean(before, _weights(after, before)),
        after=_mean(after, _weights(after, before)),
        standard_error=error,
        freedom=freedom,
        values_before=round(float(before.number.sum())),
        values_after=round(float(after.number.sum())),
        stretches=compared.value.size,
        least_p_value=_rare(before, after, dispersion) if is_rate else 0.0,
    )


def stratified_means(strata: Strata, sums: Sums) -> tuple[float, float] | None:
    """Return the means of both periods, each stratum weighing the same; None without values."""
    lines = strata.sums(sums)
    after = Sums(*(one[RECENT_LINE] for one in lines))
    before = Sums(*(one[RECENT_LINE + 1 :].sum(axis=0) for one in lines))
    weights = _weights(after, before)
    if not weights.sum() > 0.0:
        return None
    return _mean(before, weights), _mean(after, weights)


def _difference(strata: Strata, one: Sums, other: Sums, variance: Floats) -> _Difference:
    """The first's mean minus the other's, in each part."""
    weight = _weights(one, other)
    value = _divided(one.total, one.number) - _divided(other.total, other.number)
    whole = strata.by_part(weight)
    return _Difference(
        whole,
        _divided(strata.by_part(weight * value), whole),
        _divided(strata.by_part(weight * variance), whole**2),
    )


class _Compared(NamedTuple):
    """How each stretch of the reference differs from the others, (t,)."""

    value: Floats
    variance: Floats
    """Of the value, if requests were independent."""
    freedom: Floats
    """What it adds; it is part of the means that others are held against."""


def _compared(
    strata: Strata, own: Sums, before: Sums, variance: Floats, share: Floats
) -> _Compared:
    """Hold each stretch against the rest; those are left out that lack too much of a day."""
    rest = Sums(*(whole - some for whole, some in zip(before, own, strict=True)))
    found = _difference(strata, own, rest, variance)
    present = np.where(found.weight > 0.0, share, 0.0)
    weight = present.sum(axis=-1, keepdims=True)
    present = _divided(present, np.broadcast_to(weight, present.shape))
    spread = (present**2 * found.variance).sum(axis=-1)
    leverage = _divided(
        strata.by_part(own.number * _divided(own.number, before.number)), strata.by_part(own.number)
    )
    says = (weight[:, 0] >= 1.0 - _MOST_MISSING) & (spread > 0.0)
    return _Compared(
        (present * found.value).sum(axis=-1)[says],
        spread[says],
        1.0 - (present * leverage).sum(axis=-1)[says],
    )


def _rare(before: Sums, after: Sums, dispersion: float) -> float:
    """What is recently seen of the rarer outcome, against what its strata had before."""
    rate = _divided(before.total, before.number)
    count = np.where(before.number > 0.0, after.number, 0.0)
    total = float(np.where(before.number > 0.0, after.total, 0.0).sum())
    expected, whole = float((count * rate).sum()), float(count.sum())
    if expected > whole / 2.0:
        total, expected = whole - total, whole - expected
    return rare_p_value(total, expected, dispersion)


def _standard_error(own: float, compared: _Compared) -> tuple[float, int, float]:
    """Of the change, whose variance is `own` if requests were independent.

    Also degrees of freedom, and how much more stretches vary than independent requests would.
    """
    if not compared.value.size:
        return 0.0, 0, 1.0
    seen = float((compared.value**2).mean())
    explained = float(compared.variance.mean())
    added = own + max(0.0, seen - explained)
    dispersion = max(1.0, seen / explained)
    unequal = explained**2 / float((compared.variance**2).mean())
    freedom = float(compared.freedom.sum()) * unequal
    variance = max(added, own * dispersion)
    return math.sqrt(variance), math.floor(freedom + 1e-9), dispersion


def _weights(one: Sums, other: Sums) -> Floats:
    """Of strata (k,), as Mantel and Haenszel have them."""
    return _divided(one.number * other.number, one.number + other.number)


def _mean(sums: Sums, weights: Floats) -> float:
    """The mean of a period, in the strata that both periods have."""
    return float((weights * _divided(sums.total, sums.number)).sum() / weights.sum())


def _variance(sums: Sums) -> Floats:
    """Of one value in each stratum (k,); 0 where there are fewer than two."""
    mean = _divided(sums.total, sums.number)
    spread = np.maximum(_divided(sums.squares, sums.number) - mean * mean, 0.0)
    return spread * _divided(sums.number, sums.number - 1.0)


def _divided(above: Floats, below: Floats) -> Floats:
    """The ratio, shaped as what is above; 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)
