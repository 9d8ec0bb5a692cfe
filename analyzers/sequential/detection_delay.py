"""Detection delay: how many requests a regression takes to be found, computed, not simulated.

A constant bet wins on average its growth per unit, so evidence crosses a threshold about where the
mean wealth of all bets, each grown at its own rate, does. Chance carries it across a little earlier
than that in half of all rollouts: the time of a first passage is skewed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray, log_evidence
from understudy.analyzers.sequential.restart import log_share

_MOST_UNITS: Final = 1e12
"""Beyond any traffic: what takes longer is never found."""


def growth(harms: FloatArray, chances: FloatArray, margin: float, bets: FloatArray) -> FloatArray:
    """Return what each bet wins per unit on average, as a logarithm, (n_bets,).

    A unit has one of the `harms` (n,) with the given `chances` (n,), which sum to 1.
    """
    result: FloatArray = chances @ np.log1p(np.multiply.outer(harms - margin, bets))
    return result


def paired_growth(
    candidate_only: float, stable_only: float, margin: float, bets: FloatArray
) -> FloatArray:
    """Return the growth per pair of a yes or no, given the chances that one side alone is bad."""
    chances = np.array([stable_only, 1.0 - stable_only - candidate_only, candidate_only])
    return growth(np.array([-1.0, 0.0, 1.0]), chances, margin, bets)


def arms_growth(
    candidate_bad: float, stable_bad: float, smaller_share: float, margin: float, bets: FloatArray
) -> FloatArray:
    """Return the growth per unit of the smaller of two arms, about.

    All pairings of the arms are averaged. With arms of one size that is about one pairing; where
    the larger arm is far larger, its share of bad units is as good as known. Between the two the
    square of the ratio of sizes fits simulations. `smaller_share` of all units are in the smaller
    arm, taken to be the candidate's.
    """
    both = candidate_bad * stable_bad
    paired = paired_growth(candidate_bad - both, stable_bad - both, margin, bets)
    known = growth(
        np.array([0.0, 1.0]) - stable_bad,
        np.array([1.0 - candidate_bad, candidate_bad]),
        margin,
        bets,
    )
    single = (smaller_share / (1.0 - smaller_share)) ** 2
    result: FloatArray = single * paired + (1.0 - single) * known
    return result


def median_units(growth_per_unit: FloatArray, log_threshold: float, effect: float = 1.0) -> float:
    """Return after how many units evidence reaches a threshold in half of all rollouts.

    `log_threshold` is the log of 1 / (tolerated error · weight); `effect` is the design effect of
    clustered requests. Infinite where no bet grows.
    """
    needed = log_threshold - log_share(0)
    if float(np.max(growth_per_unit)) <= 0.0:
        return math.inf

    def is_reached(units: float) -> bool:
        return bool(log_evidence(units * growth_per_unit) >= needed)

    few, many = 1.0, _MOST_UNITS
    if not is_reached(many):
        return math.inf
    while many / few > 1.001:
        middle = math.sqrt(few * many)
        few, many = (few, middle) if is_reached(middle) else (middle, many)
    # Of a sum that drifts by g with variance 2 g a unit, as log-likelihood ratios do, the first
    # passage of L is inverse Gaussian: its squared coefficient of variation is 2 / L.
    return many * effect / math.sqrt(1.0 + 2.0 / (needed + math.log(growth_per_unit.size)))


def paired_chances(stable_bad: float, harm: float, shared: float) -> tuple[float, float]:
    """Return the chances that the candidate alone and that stable alone is bad.

    The candidate's share of bad units is larger by `harm`. With chance `shared` one draw decides
    both sides, else each has its own.
    """
    candidate_bad = stable_bad + harm
    both = shared * min(stable_bad, candidate_bad) + (1.0 - shared) * stable_bad * candidate_bad
    return candidate_bad - both, stable_bad - both
