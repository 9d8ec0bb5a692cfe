"""Writes the events, ratings or evaluations of a recording, and foretells what becomes of them.

A worker counts as late what lies more than the join timeout behind the newest time of its
partition, whichever rollout that belongs to. So an old recording is refused before anything is
written beside newer events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from confluent_kafka import KafkaException

from understudy.schemas.events import (
    InvalidEvent,
    InvalidReason,
    identity_of,
    peek,
)
from understudy.schemas.sources import SOURCE_RECORDS
from understudy.schemas.windows import Source
from understudy.streams.kafka.client_config import topic_of
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.pairing.group_positions import positions_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.invalid_lines import InvalidLines
from understudy.streams.replay.recordings import RecordingError
from understudy.streams.settings import Settings

LOOK_AHEAD_LINES: Final = 10_000
"""The oldest lines, by which it is decided whether to write at all."""
MAX_LATE_SHARE: Final = 0.05
"""Of these; what policies tolerate by default."""
_NEWEST_RECORDS: Final = 200
"""Of each partition: gateways write almost in order, so the newest time is among them."""

Send = Callable[[bytes, bytes | None], None]
"""Takes a line and its key."""


class TooLate(Exception):
    """Writing would only make late events; the message says what to do."""


@dataclass(slots=True)
class Publication:
    """What was sent, and what will become of it."""

    sent: int = 0
    late: int = 0
    """Records that a worker will count as late."""
    invalid: InvalidLines = field(default_factory=InvalidLines)
    """Records that will be dead letters."""


def key_of(line: bytes, source: Source = "events") -> bytes | None:
    """The key of a recorded event, rating or evaluation; None where it names no rollout."""
    identity = identity_of(line)
    if identity is None:
        rollout_id = peek(line).get("rollout_id")
        return f"{rollout_id}/".encode() if isinstance(rollout_id, str) else None
    return SOURCE_RECORDS[source].key(identity).encode()


def newest_times_ms(settings: Settings, source: Source) -> dict[int, int | None]:
    """The newest time of each partition: what workers have committed, or the log's end tells.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """
    newest = _committed_times_ms(settings, source)
    with TopicReader(settings.kafka, topic_of(settings.kafka, source)) as reader:
        bounds = reader.bounds()
        newest = {number: newest.get(number) for number in bounds}
        ends = {
            number: (max(first, end - _NEWEST_RECORDS), end)
            for number, (first, end) in bounds.items()
        }
        for message in reader.read(ends):
            time_ms = _time_ms(source, message.value(), settings.pairing.max_event_bytes)
            number = message.partition() or 0
            if time_ms is not None:
                newest[number] = max(time_ms, newest.get(number) or time_ms)
    return newest


def _committed_times_ms(settings: Settings, source: Source) -> dict[int, int | None]:
    """By partition; nothing where who publishes may not see the workers' group, or it is new."""
    try:
        positions = positions_of(settings.kafka, source)
    except KafkaException:
        return {}
    return {one.partition: one.metadata.watermark_ms if one.metadata else None for one in positions}


def _time_ms(source: Source, line: bytes | None, max_event_bytes: int) -> int | None:
    """The time of a valid record."""
    try:
        return _valid_time_ms(source, line, max_event_bytes)
    except InvalidEvent:
        return None


def _valid_time_ms(source: Source, line: bytes | None, max_event_bytes: int) -> int:
    """The time of a record. Raises `InvalidEvent`."""
    return SOURCE_RECORDS[source].read(line, max_event_bytes).time_ms


class Publisher:
    """Sends the lines of one recording, the oldest first."""

    def __init__(
        self,
        source: Source,
        policy: PairingPolicy,
        newest_ms: Mapping[int, int | None],
        send: Send,
    ) -> None:
        """`newest_ms` is what each partition of the topic holds so far."""
        self._source = source
        self._policy = policy
        self._newest_ms = newest_ms
        known = [time_ms for time_ms in newest_ms.values() if time_ms is not None]
        self._late_before_ms = max(known) - policy.join_timeout_ms if known else None
        self._send = send
        self.publication = Publication()

    def publish(self, lines: Iterator[bytes], *, include_late: bool) -> None:
        """Send all lines. Raises `TooLate` before the first when they would be late.

        Raises `RecordingError` after the lines that come before a file's damage.
        """
        first: list[bytes] = []
        damage: RecordingError | None = None
        try:
            first.extend(islice(lines, LOOK_AHEAD_LINES))
        except RecordingError as error:  # what was taken before it stays in the list
            damage = error
        if not include_late:
            self._refuse_if_late(first)
        for line in chain(first, lines):
            self._note(line)
            self._send(line, self._key_of(line))
            self.publication.sent += 1
        if damage is not None:
            raise damage

    def _refuse_if_late(self, lines: list[bytes]) -> None:
        late = sum(self._is_late(line, self._time_ms(line)) for line in lines)
        if late > MAX_LATE_SHARE * len(lines):
            what = SOURCE_RECORDS[self._source].noun
            raise TooLate(
                f"{late:,} of the {len(lines):,} oldest {what} lie more than "
                f"{self._policy.join_timeout_s:g} s before what the topic holds already: a worker "
                "would count them as late and measure none of them. To analyse a recording of "
                "another time use `understudy replay`, or publish it to topics of its own with "
                "another kafka.topic_prefix; --include-late writes it all the same"
            )

    def _note(self, line: bytes) -> None:
        """Count what will be late or a dead letter."""
        index = self.publication.sent
        max_bytes = self._policy.max_event_bytes
        try:
            time_ms = _valid_time_ms(self._source, line, max_bytes)
        except InvalidEvent as error:
            self.publication.invalid.note(error.reason, error.detail, index)
            return
        ahead_ms = time_ms - int(time.time() * 1000)
        if ahead_ms > self._policy.max_clock_skew_ms:
            field = SOURCE_RECORDS[self._source].time_field
            detail = f"{field} lies {ahead_ms / 1000:,.0f} s in the future - at `$.{field}`"
            self.publication.invalid.note(InvalidReason.CLOCK_AHEAD, detail, index)
        self.publication.late += self._is_late(line, time_ms)

    def _key_of(self, line: bytes) -> bytes | None:
        return key_of(line, self._source)

    def _time_ms(self, line: bytes) -> int | None:
        return _time_ms(self._source, line, self._policy.max_event_bytes)

    def _is_late(self, line: bytes, time_ms: int | None) -> bool:
        """Whether a worker will count it as late, by what its partition holds already."""
        if not SOURCE_RECORDS[self._source].can_be_late:
            return False
        if time_ms is None or self._late_before_ms is None or time_ms >= self._late_before_ms:
            return False
        newest_ms = self._newest_ms[partition_of(self._key_of(line) or b"", len(self._newest_ms))]
        return newest_ms is not None and time_ms < newest_ms - self._policy.join_timeout_ms
