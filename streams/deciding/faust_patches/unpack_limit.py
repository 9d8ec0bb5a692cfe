"""A batch is unpacked to 32 MiB at most, whichever codec it is packed with.

Upstream: aiokafka unpacks a whole batch, so that some kilobytes of a hostile producer take
gigabytes of memory. Its codecs are functions in the modules of its record classes, which this
replaces for the process; nothing but Faust uses aiokafka here.
"""

from __future__ import annotations

import struct
import sys
import zlib
from types import ModuleType
from typing import Final

import cramjam
import numpy as np
from aiokafka.record.memory_records import DefaultRecordBatch, LegacyRecordBatch

from understudy.streams.kafka.client_config import MAX_UNPACKED_BYTES
from understudy.streams.zstd import zstd

RECORD_MODULES: Final[tuple[ModuleType, ...]] = tuple(
    sys.modules[owner.__module__] for owner in (DefaultRecordBatch, LegacyRecordBatch)
)
_ANY_GZIP: Final = zlib.MAX_WBITS | 16
_LZ4_EXPANSION: Final = 256
"""The format cannot make a byte into more than 255."""
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = len(_XERIAL) + 8
"""Two numbers of versions follow the name."""


class TooMuch(ValueError):
    """A batch unpacks to more than the limit."""

    def __init__(self) -> None:
        super().__init__(f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")


def gzip_decode(payload: bytes) -> bytes:
    """Unpack the members of a gzip file."""
    unpacked, rest = bytearray(), bytes(payload)
    while rest:
        member = zlib.decompressobj(_ANY_GZIP)
        unpacked += member.decompress(rest, MAX_UNPACKED_BYTES + 1 - len(unpacked))
        _check(len(unpacked))
        if not member.eof:
            raise ValueError("gzip ends too early")
        rest = member.unused_data
    return bytes(unpacked)


def snappy_decode(payload: bytes) -> bytes:
    """Unpack raw snappy, or the blocks that the Java client writes: both say their length."""
    if bytes(payload[: len(_XERIAL)]) != _XERIAL:
        _check(cramjam.snappy.decompress_raw_len(payload))
        return bytes(cramjam.snappy.decompress_raw(payload))
    blocks = _xerial_blocks(memoryview(payload)[_XERIAL_HEADER_BYTES:])
    _check(sum(cramjam.snappy.decompress_raw_len(block) for block in blocks))
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(stream: memoryview) -> list[memoryview]:
    blocks, at = [], 0
    while at < len(stream):
        (length,) = struct.unpack_from("!i", stream, at)
        if length < 0:
            raise ValueError("a block of negative length")
        blocks.append(stream[at + 4 : at + 4 + length])
        at += 4 + length
    return blocks


def lz4_decode(payload: bytes) -> bytes:
    """Unpack lz4 frames into a buffer that is no larger than the limit."""
    most = _LZ4_EXPANSION * len(payload)
    # not cleared, so that only what is written to takes time and memory
    room = np.empty(min(most, MAX_UNPACKED_BYTES), np.uint8).data
    try:
        length = cramjam.lz4.decompress_into(payload, room)
    except cramjam.DecompressionError as error:
        if most > MAX_UNPACKED_BYTES and "whole buffer" in str(error):
            raise TooMuch from None
        raise
    return bytes(room[:length])


def zstd_decode(payload: bytes) -> bytes:
    """Unpack the frames of a zstd stream."""
    unpacked, rest = bytearray(), bytes(payload)
    while rest:
        frame = zstd.ZstdDecompressor()
        unpacked += frame.decompress(rest, MAX_UNPACKED_BYTES + 1 - len(unpacked))
        _check(len(unpacked))
        if not frame.eof:
            raise ValueError("zstd ends too early")
        rest = frame.unused_data
    return bytes(unpacked)


def _check(length: int) -> None:
    if length > MAX_UNPACKED_BYTES:
        raise TooMuch


def limit_unpacking() -> None:
    """Have aiokafka unpack batches by these functions."""
    for module in RECORD_MODULES:
        for decode in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
            if hasattr(module, decode.__name__):
                setattr(module, decode.__name__, decode)
