"""Weights: how the error of a false rollback is shared over guardrails and slices.

Evidence may be averaged under any dependence as long as the weights sum to at most 1 and were not
chosen by what the data showed.

Languages turn up while a rollout runs. If each newcomer diluted the others evenly, the weights
handed out over time would sum to more than 1, so a language keeps what it was given on arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import numpy as np

from understudy.analyzers.sequential.bets import log_sum_exp

T = TypeVar("T")
EXPECTED_LANGUAGES: Final = 8
"""Languages that share the first half of what languages get, when none were named: as many as most
products serve. With 30 languages the mean delay is the same as if 16 were expected, with 8 it is a
tenth shorter."""
LOG_WORTH_NAMING: Final = math.log(20.0)
"""Below a twentieth of the weightiest, evidence hardly changes the sum that led to a verdict."""


def arrival_share(rank: int, expected: int = EXPECTED_LANGUAGES) -> float:
    """Return the share of the languages' weight for the one that arrived as number `rank`, from 0.

    The first `expected` ones share one half, the next as many a quarter, and so on: every language
    gets something and all together never more than 1. Raises ValueError on a negative rank or
    nothing expected.
    """
    if rank < 0 or expected < 1:
        raise ValueError("a rank counts from 0 and at least one language is expected")
    return 2.0 ** -(rank // expected + 1) / expected


def weighted_log_evidence(log_evidence: float | None, weight: float) -> float:
    """Return the log of weight times evidence; -inf without one of them."""
    if log_evidence is None or weight <= 0.0:
        return -math.inf
    return log_evidence + math.log(weight)


def log_weighted_sum(weighted: Iterable[float]) -> float:
    """Return the log of the sum of evidence, given as weighted logs; -inf without any."""
    return float(log_sum_exp(np.array(list(weighted), dtype=np.float64)))


def weightiest(items: Iterable[T], weighted: Callable[[T], float]) -> list[T]:
    """Return what carries a sum of evidence, weightiest first, down to a twentieth of the top."""
    logs = [(weighted(item), item) for item in items]
    finite = sorted((pair for pair in logs if math.isfinite(pair[0])), key=lambda pair: -pair[0])
    return [item for log, item in finite if log >= finite[0][0] - LOG_WORTH_NAMING]
