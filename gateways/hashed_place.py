"""Which requests go where: the same user always to the same side, as a hash decides. Pure.

A unit is a user, else a conversation, else a single request. Its place on [0, 1) depends on the
rollout and the purpose alone, so a share that grows keeps everybody it had, rollouts do not share
their users, and who is mirrored does not depend on who is served.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_PLACES: Final = 2.0**53
"""As many as a float tells apart between 0 and 1."""


def place_of(rollout_id: str, unit: str, purpose: str = "served") -> float:
    """Return the place of a unit on [0, 1): it belongs to each share that exceeds its place."""
    named = f"{rollout_id}\0{purpose}\0{unit}".encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(named, digest_size=8).digest(), "big") >> 11) / _PLACES


def owner_of(unit: str, rollout_ids: list[str]) -> str:
    """Return which of several rollouts may serve its candidate to a unit."""
    return max(rollout_ids, key=lambda rollout_id: place_of(rollout_id, unit, "owner"))
