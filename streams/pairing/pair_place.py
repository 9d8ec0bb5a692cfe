"""Where a pair lies between 0 and 1, by its hash alone. Pure.

A sample takes the pairs whose place lies below its share. So all workers and all restarts take the
same, a smaller sample lies within a larger one, and a captured sample holds pairs that are judged.
"""

from __future__ import annotations

from typing import Final

import xxhash

_PLACES: Final = float(2**64)


def place_of(rollout_id: str, pair_id: str, purpose: str = "sample") -> float:
    """Return where a request lies between 0 and 1; places of two purposes are independent."""
    return (
        xxhash.xxh64_intdigest(f"{purpose}/{rollout_id}/{pair_id}".encode("utf-8", "replace"))
        / _PLACES
    )
