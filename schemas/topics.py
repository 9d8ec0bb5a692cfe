"""Topics of the service: name, partitions, retention and limits of each, as plain records.

Nothing here talks to Kafka; `understudy.streams.kafka.topic_admin` applies the records to a broker.

How many partitions, and why:

- `events`, `feedback` and `evaluations` have 12 each. The key is a conversation's or a pair's, so
  pairing scales to as many workers as there are partitions, and 12 divides evenly among 1, 2, 3, 4,
  6 or 12. At 40 µs an event, 12 cores carry 300 000 events/s. The number is hard to change later:
  it decides where a key goes, and pairs under way would be split. Feedback and evaluations are not
  joined; they have as many partitions so that as many workers share them.
- `windows`, `rollouts` and `decisions` have 4 each. Their key is `rollout_id`; the deciding side
  keeps one table over all three, so they must agree, and each partition costs a changelog. A dozen
  rollouts at a few messages a second need no more.
- `dead-letters` has 4: a low rate, in which order does not matter.
- `audit` has one: a record for each change by a person, in the order of the changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

CleanupPolicy = Literal["delete", "compact"]
TimestampType = Literal["CreateTime", "LogAppendTime"]

DEFAULT_PREFIX: Final = "understudy."
EVENT_PARTITIONS: Final = 12
ROLLOUT_PARTITIONS: Final = 4
DEAD_LETTER_PARTITIONS: Final = 4
AUDIT_PARTITIONS: Final = 1
KEEP_FOREVER: Final = -1
PARTITIONER: Final = "murmur2_random"
"""librdkafka's name for the Java client's rule, which every producer of events follows: both sides
of a request must reach the same partition, whoever writes them."""
JAVA_PARTITIONERS: Final = ("murmur2", PARTITIONER)
"""They differ in messages without a key alone, and every event has one."""

_DAY_MS: Final = 86_400_000
_MIB: Final = 1_048_576
_SMALL_SEGMENTS: Final = {"segment.bytes": str(64 * _MIB), "segment.ms": "3600000"}
"""Kafka compacts closed segments only. By default a segment closes after a week or at 1 GiB, and a
worker that reads a compacted topic from the start, as after every restart, would read all that."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What one topic should be.

    `retention_ms` is the age at which a `delete` topic drops messages, in milliseconds, or
    `KEEP_FOREVER`. `max_message_bytes` bounds one batch as it is stored, that is, compressed.
    """

    name: str
    partitions: int
    retention_ms: int
    cleanup_policy: CleanupPolicy = "delete"
    timestamp_type: TimestampType = "CreateTime"
    max_message_bytes: int = _MIB

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic configuration, as names and values."""
        segments = _SMALL_SEGMENTS if self.cleanup_policy == "compact" else {}
        return {
            "cleanup.policy": self.cleanup_policy,
            "compression.type": "producer",
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": self.timestamp_type,
            "retention.ms": str(self.retention_ms),
            **segments,
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one installation; iterating yields their specs."""

    events: TopicSpec
    feedback: TopicSpec
    evaluations: TopicSpec
    windows: TopicSpec
    dead_letters: TopicSpec
    rollouts: TopicSpec
    decisions: TopicSpec
    audit: TopicSpec

    def __iter__(self) -> Iterator[TopicSpec]:
        yield self.events
        yield self.feedback
        yield self.evaluations
        yield self.windows
        yield self.dead_letters
        yield self.rollouts
        yield self.decisions
        yield self.audit


def understudy_topics(
    prefix: str = DEFAULT_PREFIX,
    *,
    event_partitions: int = EVENT_PARTITIONS,
    rollout_partitions: int = ROLLOUT_PARTITIONS,
) -> Topics:
    """All topics, named `prefix` + `events`, `feedback`, …

    `event_partitions` applies to events, feedback and evaluations, `rollout_partitions` to windows,
    rollouts and decisions.
    """
    return Topics(
        events=_events(prefix, event_partitions),
        feedback=_feedback(prefix, event_partitions),
        evaluations=_evaluations(prefix, event_partitions),
        windows=_windows(prefix, rollout_partitions),
        dead_letters=_dead_letters(prefix),
        rollouts=_compacted(prefix + "rollouts", rollout_partitions),
        decisions=_compacted(prefix + "decisions", rollout_partitions),
        audit=_audit(prefix),
    )


def _events(prefix: str, partitions: int) -> TopicSpec:
    """Three days: time to repair ClickHouse over a weekend and read again.

    The broker stamps the messages, since a gateway's wrong clock is found by that stamp.
    """
    return TopicSpec(
        name=prefix + "events",
        partitions=partitions,
        retention_ms=3 * _DAY_MS,
        timestamp_type="LogAppendTime",
        max_message_bytes=2 * _MIB,
    )


def _feedback(prefix: str, partitions: int) -> TopicSpec:
    """A week: people judge answers later than models give them."""
    return TopicSpec(
        name=prefix + "feedback",
        partitions=partitions,
        retention_ms=7 * _DAY_MS,
        timestamp_type="LogAppendTime",
    )


def _evaluations(prefix: str, partitions: int) -> TopicSpec:
    """A month: a pair judged again counts once for as long as the first record is kept.

    Judging costs money, so there are few of them.
    """
    return TopicSpec(
        name=prefix + "evaluations",
        partitions=partitions,
        retention_ms=30 * _DAY_MS,
        timestamp_type="LogAppendTime",
    )


def _windows(prefix: str, partitions: int) -> TopicSpec:
    """A month, so that the decisions of a long rollout can be computed again from it.

    One message holds every changed slice of a rollout and partition, hence its size. The broker
    stamps the messages, since deciding looks at them once a second of that time.
    """
    return TopicSpec(
        name=prefix + "windows",
        partitions=partitions,
        retention_ms=30 * _DAY_MS,
        timestamp_type="LogAppendTime",
        max_message_bytes=8 * _MIB,
    )


def _dead_letters(prefix: str) -> TopicSpec:
    """Two weeks to look at them. An event at its limit and the reason must fit, uncompressed."""
    return TopicSpec(
        name=prefix + "dead-letters",
        partitions=DEAD_LETTER_PARTITIONS,
        retention_ms=14 * _DAY_MS,
        max_message_bytes=8 * _MIB,
    )


def _audit(prefix: str) -> TopicSpec:
    """For ever: people change little. The broker stamps the records, whatever a clock said."""
    return TopicSpec(
        name=prefix + "audit",
        partitions=AUDIT_PARTITIONS,
        retention_ms=KEEP_FOREVER,
        timestamp_type="LogAppendTime",
    )


def _compacted(name: str, partitions: int) -> TopicSpec:
    """The last message of each key, for ever. A decision holds the evidence of every slice."""
    return TopicSpec(
        name=name,
        partitions=partitions,
        retention_ms=KEEP_FOREVER,
        cleanup_policy="compact",
        max_message_bytes=8 * _MIB,
    )
