"""Weights: how the error of a false rollback is shared over guardrails and slices.

Evidence may be averaged under any dependence as long as the weights sum to at most 1 and were not
chosen by what the data showed. Half of a guardrail's weight goes to all languages together, half is
split over languages.

Languages turn up while a rollout runs. If each newcomer diluted the others evenly, the weights
handed out over time would sum to more than 1, so a language keeps what it was given on arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ALL: Final = "all"
"""The slice of all languages together."""
EXPECTED_LANGUAGES: Final = 16
"""Languages that share the first half of what languages get, when none were named."""


def arrival_share(rank: int, expected: int = EXPECTED_LANGUAGES) -> float:
    """Share of the languages' weight for the one that arrived as number `rank`, from 0.

    The first `expected` ones share one half, the next as many a quarter, and so on: every language
    gets something and all together never more than 1. Raises ValueError on a negative rank or
    nothing expected.
    """
    if rank < 0 or expected < 1:
        raise ValueError("a rank counts from 0 and at least one language is expected")
    return 2.0 ** -(rank // expected + 1) / expected


def slice_weights(
    guardrails: int,
    arrived: Sequence[str],
    *,
    named: Sequence[str] = (),
    expected: int = EXPECTED_LANGUAGES,
) -> dict[str, float]:
    """Weight of one guardrail's slices: `ALL` and each language that has `arrived`, in that order.

    `guardrails` is how many share the error evenly. Languages `named` by the policy beforehand
    share the languages' half evenly and others get nothing; without names `arrival_share` decides.
    Raises ValueError without guardrails.
    """
    if guardrails < 1:
        raise ValueError("weights are shared over at least one guardrail")
    half = 0.5 / guardrails
    weights = {ALL: half}
    for rank, language in enumerate(arrived):
        if not named:
            weights[language] = half * arrival_share(rank, expected)
        elif language in named:
            weights[language] = half / len(named)
    return weights
