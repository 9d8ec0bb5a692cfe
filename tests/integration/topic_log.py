"""What stands in a topic, and where a key belongs by the Java client's rule."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.brokers.contract import Broker
from tests.waiting import DEADLINE_S

_POLL_S = 0.2
_BATCH = 5000


@dataclass(frozen=True)
class Record:
    """One message."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


def ends_of(broker: Broker, topic: str) -> list[int]:
    """The offset after the last message of each partition."""
    consumer = _reader(broker)
    try:
        found = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in sorted(found)]
        return [_end_of(consumer, place) for place in places]
    finally:
        consumer.close()


def _end_of(consumer: Consumer, place: TopicPartition) -> int:
    """The end of a partition, asked for again while a new topic or a busy broker has no leader."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=DEADLINE_S)[1])
        except KafkaException:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)


def read_topic(broker: Broker, topic: str) -> list[list[Record]]:
    """All messages of each partition, in order."""
    ends = ends_of(broker, topic)
    consumer = _reader(broker)
    consumer.assign([TopicPartition(topic, number, 0) for number in range(len(ends))])
    logs: list[list[Record]] = [[] for _ in ends]
    try:
        deadline = time.monotonic() + DEADLINE_S
        while (left := sum(ends) - sum(map(len, logs))) > 0:
            assert time.monotonic() < deadline, f"{topic}: {left} messages are missing"
            for message in consumer.consume(min(left, _BATCH), _POLL_S):
                assert message.error() is None, message.error()
                record = Record(
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                    timestamp_ms=message.timestamp()[1],
                    key=message.key(),
                    value=message.value() or b"",
                    headers=dict(message.headers() or []),  # type: ignore[arg-type]
                )
                logs[record.partition].append(record)
    finally:
        consumer.close()
    return logs


def _reader(broker: Broker) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )


def partition_of(key: bytes, partitions: int) -> int:
    """Where the Java client's default partitioner puts a key: murmur2, sign bit cleared."""
    return (murmur2(key) & 0x7FFF_FFFF) % partitions


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 with the seed that Kafka uses."""
    mix, mask = 0x5BD1_E995, 0xFFFF_FFFF
    state = 0x9747_B28C ^ len(data)
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * mix & mask
        word = (word ^ word >> 24) * mix & mask
        state = (state * mix & mask) ^ word
    if rest := data[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * mix & mask
    state = (state ^ state >> 13) * mix & mask
    return state ^ state >> 15
