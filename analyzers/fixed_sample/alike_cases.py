"""Design effect in a fixed sample: by how much less the turns of conversations tell.

With single cases it is 1, exactly. Otherwise it is how much the units' sums vary, compared with
sums of independent cases. Where few cases are bad that ratio is itself uncertain, so it starts from
the largest there can be, whole conversations that share one fate, and is believed the more the more
was seen.

Source of the ratio: Rao and Scott (1992), *A simple method for the analysis of clustered binary
data*.
"""

from __future__ import annotations

import math
from typing import Final

from understudy.analyzers.sequential.bets import FloatArray

IMAGINARY_CASES: Final = 10.0
"""Cases with an effect that are taken to share their conversation's fate, besides those seen."""
FEWEST_UNITS: Final = 20
"""Below, the spread of units is off by more than a third of itself, and nothing is learnt."""


def design_effect(sizes: FloatArray, sums: FloatArray, squares: float) -> float:
    """Return by how many to divide cases to have independent ones, at least 1.

    `sizes` and `sums` (n_units,) are the cases of each unit and their outcomes added up; `squares`
    is the sum of the squared outcomes of all cases.
    """
    n_units, n = int(sizes.size), float(sizes.sum())
    if n_units == 0 or n <= 0.0:
        return 1.0
    largest = float((sizes**2).sum()) / n
    if n_units < FEWEST_UNITS:
        return largest
    mean = float(sums.sum()) / n
    independent = max(squares - n * mean**2, 0.0)
    between = float(((sums - mean * sizes) ** 2).sum()) * n_units / (n_units - 1)
    if independent <= 0.0:
        return largest
    seen = between / independent
    believed = (squares * seen + IMAGINARY_CASES * largest) / (squares + IMAGINARY_CASES)
    return min(max(1.0, believed), largest)


def fewer(count: float, effect: float) -> int:
    """Return as many independent cases, rounded down."""
    return math.floor(count / effect + 1e-9)


def more(count: float, effect: float) -> int:
    """Return as many independent cases, rounded up."""
    return math.ceil(count / effect - 1e-9)
