"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from typing import Final

_MAX_DOUBLINGS: Final = 30
"""The longest pause is reached long before, and 2.0 ** 1024 would overflow."""


def pause_s(attempt: int, first_s: float, longest_s: float, rng: random.Random) -> float:
    """The pause after the attempt with this number, counted from 0.

    It doubles from attempt to attempt, and is a random time between half and all of that, so that
    many who failed together do not come back together.
    """
    doubled_s = first_s * 2.0 ** min(attempt, _MAX_DOUBLINGS)
    return min(doubled_s, longest_s) * (0.5 + rng.random() / 2)
