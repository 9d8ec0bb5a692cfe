"""Settings of librdkafka clients, and the names of groups and topics, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from understudy.schemas.topics import (
    KEEP_FOREVER,
    PARTITIONER,
    Topics,
    TopicSpec,
    understudy_topics,
)
from understudy.schemas.windows import Source
from understudy.streams.settings import KafkaSettings, Settings

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""What the largest topics accept (`schemas/topics.py`)."""
PARTITION_FETCH_BYTES: Final = 256 * 1024
"""Of one partition in one answer of a broker, as compressed: all of it is unpacked at once, to a
thousand times as much at worst. It holds a thousand events. A larger batch comes all the same, but
alone."""
FETCH_BYTES: Final = 1024 * 1024
"""Of all partitions in one answer; librdkafka takes no less."""
MAX_UNPACKED_BYTES: Final = 32 * 1024 * 1024
"""A zstd batch that unpacks to more is stepped over (`unreadable.py`). Four times the largest
message, thirty times what producers put into a batch by default."""
QUEUED_KIBIBYTES: Final = 16 * 1024
"""What librdkafka holds ahead of a consumer, unpacked, or before the broker has taken it: half a
second of work, and room for several of the largest messages."""
CLIENT_ID: Final = "understudy"
DECIDING_TABLE: Final = "rollouts"
READER_GROUP: Final = "understudy-reader"
"""librdkafka requires a name; nothing is committed, so the group never comes into being."""


def client_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Settings of every client."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": CLIENT_ID,
        **kafka.client,
    }


_CONSUMER_ONLY: Final = ("group.", "session.", "heartbeat.", "max.poll.", "fetch.", "queued.",
                         "partition.assignment.", "auto.offset.")  # fmt: skip
_MEMBERS_ONLY: Final = ("group.", "session.", "heartbeat.", "partition.assignment.")
_PRODUCER_ONLY: Final = ("linger.", "compression.", "acks", "batch.", "queue.buffering.",
                         "partitioner", "delivery.", "enable.idempotence", "message.")  # fmt: skip


def consumer_config(kafka: KafkaSettings, source: Source = "events") -> dict[str, Any]:
    """A member of the group that reads a source; offsets are committed by hand."""
    shared = {k: v for k, v in client_config(kafka).items() if not k.startswith(_PRODUCER_ONLY)}
    config = {
        "group.id": group_of(kafka, source),
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": PARTITION_FETCH_BYTES,
        "fetch.max.bytes": FETCH_BYTES,
        "receive.message.max.bytes": MAX_UNPACKED_BYTES,
        "queued.max.messages.kbytes": QUEUED_KIBIBYTES,
        **shared,
    }
    if config.get("group.protocol") != "consumer":
        config.setdefault("partition.assignment.strategy", "cooperative-sticky")
    return config


def reader_config(kafka: KafkaSettings) -> dict[str, Any]:
    """A consumer outside any group, which learns where a partition ends."""
    return outside_group(consumer_config(kafka))


def outside_group(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same consumer, but a member of no group, and told of ends."""
    kept = {k: v for k, v in config.items() if not k.startswith(_MEMBERS_ONLY)}
    return {**kept, "group.id": READER_GROUP, "enable.partition.eof": True}


LINGER_MS: Final = 5
"""Between a message and its request, where messages are not flushed: what comes together travels
together, and nobody notices."""
UNTIL_FLUSH_MS: Final = 1_000
"""The same where all messages are flushed every second. While one is due and another request is
under way, librdkafka's thread asks without a pause whether it may be sent now: half a core where
the broker is slow. Gathered messages are one request, and the last of them is there sooner."""


def producer_config(kafka: KafkaSettings, *, linger_ms: int = LINGER_MS) -> dict[str, Any]:
    """A producer that retries until the broker is back, never reorders, and loses nothing.

    It sends a message after `linger_ms`, when a request is full, or at a flush.

    With several requests under way, librdkafka takes the first as delivered when a later one is,
    even one that the broker refused because it was not the leader yet. A broker that has known
    nothing of the producer accepts the later one, and the first is lost without an error
    (confluent-kafka-go issue 921).
    """
    shared = {k: v for k, v in client_config(kafka).items() if not k.startswith(_CONSUMER_ONLY)}
    return {
        "partitioner": PARTITIONER,
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 1,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "message.timeout.ms": 0,
        "queue.buffering.max.kbytes": QUEUED_KIBIBYTES,
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        **shared,
    }


def group_of(kafka: KafkaSettings, source: Source) -> str:
    """Return the consumer group of a source: all but events have one of their own."""
    return kafka.group_id if source == "events" else f"{kafka.group_id}-{source}"


def topic_of(kafka: KafkaSettings, source: Source) -> str:
    """Return the topic that a source's rows are made from."""
    specs = topics(kafka)
    by_source = {
        "events": specs.events, "feedback": specs.feedback, "evaluations": specs.evaluations
    }  # fmt: skip
    return by_source[source].name


def topics(kafka: KafkaSettings) -> Topics:
    """Return the topics under this installation's prefix."""
    return understudy_topics(kafka.topic_prefix)


def changelog(settings: Settings) -> TopicSpec:
    """Return the topic of deciding's table.

    Made by us, since Faust would leave out the prefix by which rights are granted, and take the
    replication factor 1 and messages up to 1 MiB.
    """
    group = settings.deciding.group_id
    return TopicSpec(
        name=f"{settings.kafka.topic_prefix}{group}-{DECIDING_TABLE}-changelog",
        partitions=topics(settings.kafka).rollouts.partitions,
        retention_ms=KEEP_FOREVER,
        cleanup_policy="compact",
        max_message_bytes=MAX_MESSAGE_BYTES,
    )
