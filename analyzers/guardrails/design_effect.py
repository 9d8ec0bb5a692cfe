"""Design effect: how many requests of a slice count like one independent request.

Requests of one conversation share their fate, so evidence that takes them for independent grows too
fast. What each window wins is divided by a factor that was known before the window, and is never
divided again: only so does what was won stay valid at every look.

Successive windows are compared with each other rather than with the margin. Measured against the
margin, a healthy candidate looks clustered, the more so the larger its windows; and a lasting
regression is no variation: between neighbours it shows once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray

BoolArray = npt.NDArray[np.bool_]

PRIOR_WINDOWS: Final = 1.0
"""Windows that the first guess is worth: one, so that it is soon outweighed."""
FIRST_GUESS: Final = 5.0
"""Factor before anything was seen. Too low a guess lets the first windows of clustered traffic
raise false alarms before the factor is known; a high one costs a few windows of delay."""
LEAST_UNITS: Final = 10.0
"""Units that a stretch needs before its variance says something about clustering."""
_FIELDS: Final = 5
"""Stretches compared, variation seen, variation expected, units and mean of the last stretch."""


def no_stretches(n_slices: int) -> FloatArray:
    """Return what is known before anything was seen, (n_slices, 5)."""
    return np.zeros((n_slices, _FIELDS))


def design_effect(known: FloatArray, guess: float = FIRST_GUESS) -> FloatArray:
    """Return the factor that divides what later windows win, (n_slices,), at least 1.

    Source: the Pearson estimate of quasi-likelihood (McCullagh and Nelder, 1989, chapter 4) on
    successive differences (von Neumann, 1941), shrunk towards the first guess.
    """
    stretches, seen, expected = known[:, 0], known[:, 1], known[:, 2]
    is_known = (stretches > 0.0) & (expected > 0.0)
    ratio = np.divide(seen, expected, out=np.full(len(known), guess), where=is_known)
    pooled = (PRIOR_WINDOWS * guess + stretches * ratio) / (PRIOR_WINDOWS + stretches)
    result: FloatArray = np.maximum(1.0, np.where(is_known, pooled, guess))
    return result


def is_stretch(harm: FloatArray) -> BoolArray:
    """Return whether (n_slices, 3) units, total and variance are enough to learn from."""
    result: BoolArray = np.nan_to_num(harm[:, 0]) >= LEAST_UNITS
    return result


def after_stretch(known: FloatArray, harm: FloatArray) -> FloatArray:
    """Return what is known after a stretch of each slice; those that are too small add nothing."""
    is_seen = is_stretch(harm)
    units, total, variance = np.where(is_seen[:, None], harm, 1.0).T
    mean, had = total / units, known[:, 3] > 0.0
    gap = 1.0 / units + 1.0 / np.where(had, known[:, 3], 1.0)
    variation = (mean - known[:, 4]) ** 2 / gap
    compared = had.astype(np.float64)
    added = np.column_stack([compared, compared * variation, compared * variance])
    learnt = np.column_stack([known[:, :3] + added, units, mean])
    return np.where(is_seen[:, None], learnt, known)
