"""Exact evidence on a harm that takes few values: one count per value is all it needs.

Serves paired binary outcomes (+1 candidate alone bad, -1 stable alone bad, 0 alike) and one-sided
limits (0 or 1). Nothing is assumed but that each unit's mean harm, given the past, respects the
null hypothesis.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray

PAIRED_VALUES: Final[FloatArray] = np.array([-1.0, 0.0, 1.0])
"""Harms of a paired binary outcome, in the order of `paired_counts`."""
LIMIT_VALUES: Final[FloatArray] = np.array([0.0, 1.0])
"""Harms under a one-sided limit, in the order of `limit_counts`."""


def paired_counts(pairs: int, stable_only: int, candidate_only: int) -> FloatArray:
    """Counts of the harms -1, 0, +1 among `pairs` pairs, (3,) float64.

    `stable_only` pairs are bad on stable's side alone, `candidate_only` on the candidate's alone.
    Raises ValueError when they exceed the pairs or are negative.
    """
    alike = pairs - stable_only - candidate_only
    if min(alike, stable_only, candidate_only) < 0:
        raise ValueError("discordant pairs are negative or exceed the pairs")
    return np.array([stable_only, alike, candidate_only], dtype=np.float64)


def limit_counts(units: int, bad: int) -> FloatArray:
    """Counts of the harms 0 and 1 among `units` units, (2,) float64.

    Raises ValueError when `bad` is negative or exceeds `units`.
    """
    if not 0 <= bad <= units:
        raise ValueError("bad units are negative or exceed the units")
    return np.array([units - bad, bad], dtype=np.float64)


def log_increments(
    counts: npt.ArrayLike, values: FloatArray, margin: float, bets: FloatArray
) -> FloatArray:
    """Log-wealth won on a window: (..., n_values) counts to (..., n_bets).

    `values` (n_values,) are the harms counted and `bets` (n_bets,) come from `signed_bets` for the
    same margin and a range that holds every value. A window without units wins nothing.

    Source: Waudby-Smith and Ramdas (2024), the capital process of constant bets.
    """
    payoff = np.log1p(np.multiply.outer(values - margin, bets))
    result: FloatArray = np.asarray(counts, dtype=np.float64) @ payoff
    return result
