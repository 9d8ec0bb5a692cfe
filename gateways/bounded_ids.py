"""Ids of requests and conversations as long as an event may have them. Pure.

An event whose id is longer is a dead letter, so the callers' longer ones are shortened: the same
one always to the same, and different ones to different ones.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

MAX_ID: Final = 256
"""Of `pair_id` and `conversation_id` (`schemas.events`)."""
_DIGEST_BYTES: Final = 16
"""128 bits: no two ids of a rollout share a hash by chance."""


def bounded_id(name: str, suffix: str = "") -> str:
    """Return a name with the suffix; of one that is too long the beginning and a hash."""
    if len(name) + len(suffix) <= MAX_ID:
        return name + suffix
    encoded = name.encode("utf-8", "surrogatepass")
    end = f"~{blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()}{suffix}"
    return name[: MAX_ID - len(end)] + end
