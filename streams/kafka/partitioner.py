"""Where a key belongs: the rule of the Java client, which every publisher here follows.

MurmurHash2 is Austin Appleby's (2008); the seed and the cleared sign bit are Kafka's.
"""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747_B28C
_MIX: Final = 0x5BD1_E995
_BITS: Final = 0xFFFF_FFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic of so many."""
    return (murmur2(key) & 0x7FFF_FFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned."""
    whole = len(data) - len(data) % 4
    value = _SEED ^ len(data)
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MIX & _BITS
        word = (word ^ word >> 24) * _MIX & _BITS
        value = value * _MIX & _BITS ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MIX & _BITS
    value = (value ^ value >> 13) * _MIX & _BITS
    return value ^ value >> 15
