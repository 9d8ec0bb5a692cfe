"""The partition of a key, by the rule that every publisher of events follows: Java's murmur2."""

from __future__ import annotations

from aiokafka.partitioner import murmur2

_SIGN_CLEARED = 0x7FFF_FFFF
"""Java's hash is a signed integer; its client clears the sign before it takes the remainder."""


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key in a topic with that many partitions."""
    return (int(murmur2(key)) & _SIGN_CLEARED) % partitions
