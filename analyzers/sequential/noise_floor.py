"""Noise floor: how much stable disagrees with itself, so that only the excess counts.

A model asked twice answers differently. `control` sides (a second stable run of the same request)
measure that; the guardrail on similarity tests by how much the candidate disagrees with stable
*more* than stable does with itself.
"""

from __future__ import annotations

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.two_arm import Arm, Arms
from understudy.analyzers.sequential.unbounded import Moments, Observations, unpaired


def disagreement_moments(counts: FloatArray, similarity_edges: FloatArray) -> Moments:
    """Moments of 1 - similarity from (n_bins,) counts over (n_bins + 1,) rising edges.

    Units stand at the middle of their bin: candidate and control are binned alike, so what binning
    hides cancels in their difference except where they differ within a bin.
    """
    values = 1.0 - 0.5 * (similarity_edges[1:] + similarity_edges[:-1])
    return Moments(int(np.sum(counts)), float(counts @ values), float(counts @ values**2))


def excess_disagreement(candidate: Moments, control: Moments, margin: float) -> Observations:
    """A window's excess of mean disagreement over the noise floor, for `unbounded`.

    Moments of 1 - similarity to stable, of the candidate and of the control side. Without a control
    side there are no observations, which says nothing.
    """
    return unpaired(candidate, control, 1.0, margin)


def excess_changes(candidate: Arm, control: Arm) -> Arms:
    """A window's changed answers (units: compared, bad: changed) for `two_arm`."""
    return Arms(candidate, control)
