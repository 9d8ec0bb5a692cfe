"""Sample ratio: whether arms receive the shares of requests that were planned (canary, ab).

A mismatch means requests go missing on one side, and missing requests are seldom random ones. So it
is a question of data quality: it holds a rollout and alerts, and never rolls back.
"""

from __future__ import annotations

import math
from typing import Final

LOG_THRESHOLD: Final = math.log(1_000.0)
"""Log evidence from which the planned share counts as broken: one false alarm in a thousand."""
CONCENTRATION: Final = 100.0
"""How many requests the mixture's opinion around the planned share is worth."""


def log_evidence(candidate: int, requests: int, share: float) -> float:
    """Log evidence that the candidate's share of `requests` is not the planned `share`.

    Counts since the share was last set; the evidence of successive shares adds up. Valid at every
    look, and 0 without requests. Raises ValueError on impossible counts or a share outside (0, 1).
    Source: Lindon and Malek (2022), with two categories.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"a planned share lies between 0 and 1, not at {share}")
    if not 0 <= candidate <= requests:
        raise ValueError("candidate requests are negative or exceed the requests")
    ours, others = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    stable = requests - candidate
    mixture = _log_beta(ours + candidate, others + stable) - _log_beta(ours, others)
    return mixture - candidate * math.log(share) - stable * math.log1p(-share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
