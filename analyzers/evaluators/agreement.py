"""How far two answers say the same: the share of what they state that they state together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable


def agreement(reference: Iterable[Hashable], answer: Iterable[Hashable]) -> float | None:
    """Return the Dice coefficient of two collections with repetition, from 0 to 1.

    Twice the items in common over all items. 0 where the answer states nothing of what the
    reference states; None where the reference states nothing, so that nothing can be said.
    """
    wanted, given = Counter(reference), Counter(answer)
    if not wanted:
        return None
    common = (wanted & given).total()
    return 2.0 * common / (wanted.total() + given.total())
