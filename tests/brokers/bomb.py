"""Batches of some kilobytes that unpack to more than a client accepts."""

from __future__ import annotations

from typing import Final, Literal

from confluent_kafka import Message, Producer

RECORD_BYTES: Final = 20_000_000
"""Six of them are more than librdkafka accepts by default, and fit the memory of a test machine."""
_ROOM_BYTES: Final = 1_000_000_000
_ONE_BATCH_MS: Final = 60_000
"""A producer gathers a batch until it is flushed, however busy the machine is: a batch of fewer
records could be unpacked."""
_DELIVERED_S: Final = 60.0

Codec = Literal["gzip", "lz4", "snappy", "zstd"]
CODECS: Final[tuple[Codec, ...]] = ("gzip", "lz4", "snappy", "zstd")


def bomb(
    servers: str,
    topic: str,
    partition: int = 0,
    records: int = 6,
    *,
    codec: Codec = "zstd",
    key: bytes | None = None,
) -> range:
    """Write one batch of `records` times 20 MB, packed; the offsets of its records."""
    offsets: list[int] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None, error
        offsets.append(message.offset() or 0)

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": codec,
            "message.max.bytes": _ROOM_BYTES,
            "batch.size": _ROOM_BYTES,
            "queue.buffering.max.kbytes": 2 * _ROOM_BYTES // 1024,
            "linger.ms": _ONE_BATCH_MS,
            "enable.idempotence": True,  # a batch that is sent again is the same batch
        }
    )
    for _ in range(records):
        producer.produce(
            topic, b"0" * RECORD_BYTES, key, partition=partition, on_delivery=delivered
        )
    assert producer.flush(_DELIVERED_S) == 0
    return range(min(offsets), max(offsets) + 1)
