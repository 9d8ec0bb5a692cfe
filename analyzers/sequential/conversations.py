"""Design effect of conversations whose turns events name: how many requests count like one.

Turns of one conversation share their fate, so n requests tell less than n independent ones. With
intra-conversation correlation rho of the outcome, and turns numbered from 1, the variance of their
sum is 1 + 2 rho · mean(turn - 1) times that of independent requests: of two turns of a conversation
the later one counts its earlier ones, so the mean runs over all pairs that can correlate.

The number of turns is no outcome and may be taken from the windows that are judged. The correlation
must be known before them. It starts at 1, held there by imaginary pairs of turns, and is learnt
downwards from real ones; so single turns are never divided by more than 1, and nothing is believed
of long conversations before it has been seen.

Everything here adds up over windows, partitions and languages: an array (..., len(FIELDS)).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray, columns

FIELDS: Final = (
    "requests", "first", "earlier", "pairs", "sums", "products", "units", "total", "squares"
)  # fmt: skip
"""`requests` with conversation and turn, of which `first` are first turns; `earlier` sums turn - 1;
`pairs` of turns within reach of each other, with the `sums` and `products` of their outcomes x; and
over all `units` that were judged the `total` of x and of its `squares`."""

IMAGINARY_PAIRS: Final = 500.0
"""Pairs of turns as alike as the prior says. Simulated at a margin of one point, conversations of 5
and 20 turns 45 s apart are then rolled back in none of 300 rollouts and promoted in under 1 %."""
DOUBT: Final = 1.0
"""Standard errors added to what was counted. With rare outcomes (0.1 %) and 500 pairs alone, false
promotions doubled where only half of a bad conversation's turns fail."""


_TAIL_OF_VALUES: Final = 10.0
"""Fourth moment of a value such as a cost, in squared variances; a normal one has 3."""


def correlation(
    learnt: FloatArray, prior: npt.ArrayLike = 1.0, *, yes_or_no: bool = True
) -> FloatArray:
    """Return an upper estimate of the correlation of two turns' outcomes, (..., 9) to (...).

    `learnt` holds earlier windows only. `prior` (...) is what imaginary pairs say: 1 where nothing
    is known, in a slice what all requests together have shown. Without any variance it is all there
    is. `yes_or_no` says that x is -1, 0 or 1 rather than a value such as a cost.
    """
    _, first, _, pairs, sums, products, units, total, squares = columns(learnt)
    mean = total / np.maximum(units, 1.0)
    variance = np.maximum(squares / np.maximum(units, 1.0) - mean**2, 0.0)
    covariance = products - mean * sums + mean**2 * pairs
    certain = pairs * variance
    likeness = np.clip(covariance / np.where(certain > 0.0, certain, 1.0), 0.0, 1.0)
    # Products of one conversation come together, the more so the more alike its turns are.
    together = 1.0 + likeness * np.maximum(pairs / np.maximum(first, 1.0) - 1.0, 0.0)
    largest = 1.0 if yes_or_no else _TAIL_OF_VALUES * variance
    error = np.sqrt(together * (certain * variance + np.abs(covariance) * largest))
    imagined = IMAGINARY_PAIRS * variance
    estimate = imagined * np.asarray(prior) + covariance + DOUBT * error
    divisor = np.where(variance > 0.0, imagined + certain, 1.0)
    result: FloatArray = np.where(variance > 0.0, np.clip(estimate / divisor, 0.0, 1.0), prior)
    return result


def design_effect(
    learnt: FloatArray, seen: FloatArray, prior: npt.ArrayLike = 1.0, *, yes_or_no: bool = True
) -> FloatArray:
    """Return by how many one has to divide requests to have independent ones, (...), at least 1.

    `seen` is `learnt` with the windows that are judged; only their numbers of turns are read. It is
    nan where no request named its conversation and turn.
    """
    requests, earlier = seen[..., FIELDS.index("requests")], seen[..., FIELDS.index("earlier")]
    return of_correlation(correlation(learnt, prior, yes_or_no=yes_or_no), requests, earlier)


def of_correlation(of_turns: FloatArray, requests: FloatArray, earlier: FloatArray) -> FloatArray:
    """Return `design_effect`, given the correlation of turns (...) and how many turns were seen."""
    mean_earlier = np.divide(
        earlier, requests, out=np.full_like(requests, np.nan), where=requests > 0.0
    )
    result: FloatArray = 1.0 + 2.0 * mean_earlier * of_turns
    return result


def of_arms(
    candidate: FloatArray, stable: FloatArray, candidate_units: FloatArray, stable_units: FloatArray
) -> FloatArray:
    """Return the design effect of the difference of two arms with so many units.

    An arm's mean has a variance of effect / units, so that of the smaller arm weighs more. Without
    units on one of the arms it is the larger effect.
    """
    units = candidate_units + stable_units
    weighted = candidate * stable_units + stable * candidate_units
    result: FloatArray = np.where(
        np.minimum(candidate_units, stable_units) > 0.0,
        weighted / np.maximum(units, 1.0),
        np.fmax(candidate, stable),
    )
    return result


def mixed(named_share: FloatArray, named: FloatArray, unnamed: FloatArray) -> FloatArray:
    """Return the design effect where only a share of the requests name their conversations.

    `named` is that by `design_effect`, nan where there is none, `unnamed` that by `blocks`.
    """
    share = np.where(np.isnan(named), 0.0, np.clip(named_share, 0.0, 1.0))
    result: FloatArray = share * np.nan_to_num(named, nan=1.0) + (1.0 - share) * unnamed
    return result


def pairs_of_values(
    factor: FloatArray | float,
    squared_factor: FloatArray | float,
    candidate: FloatArray,
    stable: FloatArray,
    both: FloatArray,
) -> FloatArray:
    """Return products of x = candidate - factor · stable over pairs of turns, (...) each.

    `candidate` and `stable` are sums of the products of one side's own values, `both` of
    c_i·s_j + s_i·c_j. A constant shift of x changes no covariance and is left out everywhere.
    """
    return candidate - factor * both + squared_factor * stable
