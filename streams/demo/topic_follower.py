"""What anybody sees who reads a rollout's topics: window rows, decisions, evidence in between.

Decisions are told when the verdict changes. How far the evidence has grown since stands in the
table of the deciding app, which is written once a second; its changelog is a topic like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from understudy.schemas.decisions import Decision, decode_decision
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.faust_app import changelog
from understudy.streams.deciding.state_store import decision_from_snapshot
from understudy.streams.demo.slice_deltas import Slices
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.topic_reader import reader_config
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings, Settings

_BATCH: Final = 500
_WAIT_S: Final = 0.05
_METADATA_TIMEOUT_S: Final = 10.0

_decode_windows: Final = msgspec.json.Decoder(WindowsMessage).decode


class Tail:
    """Reads topics from their beginning, outside any group."""

    def __init__(self, kafka: KafkaSettings, names: Sequence[str]) -> None:
        self._consumer = Consumer(reader_config(kafka), logger=KAFKA_LOGGER)
        self._consumer.assign(
            [TopicPartition(name, number, OFFSET_BEGINNING)
             for name in names for number in self._partitions(name)]
        )  # fmt: skip

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _partitions(self, name: str) -> list[int]:
        found = self._consumer.list_topics(name, timeout=_METADATA_TIMEOUT_S).topics[name]
        if not found.partitions:
            raise LookupError(f"there is no topic {name}")
        return list(found.partitions)

    def take(self, wait_s: float = _WAIT_S) -> list[tuple[Message, bytes]]:
        """What has come since the last call, with its value; deletions are left out."""
        taken: list[tuple[Message, bytes]] = []
        while batch := self._consumer.consume(_BATCH, wait_s):
            for message in batch:
                value = message.value()
                if message.error() is None and isinstance(value, bytes):
                    taken.append((message, value))
        return taken


class Following:
    """The state of one rollout, as far as its topics have told."""

    def __init__(self, settings: Settings, rollout_id: str) -> None:
        self._key = rollout_id.encode()
        names = topics(settings.kafka)
        self._windows, self._decisions = names.windows.name, names.decisions.name
        self._changelog = changelog(settings).name
        self._tail = Tail(settings.kafka, [self._windows, self._decisions, self._changelog])
        self._versions: dict[int, int] = {}
        self.slices = Slices()
        self.told: list[Decision] = []
        """Every decision told, in order."""
        self.now: Decision | None = None
        """The decision as of now, with all evidence so far."""

    def close(self) -> None:
        """Stop reading."""
        self._tail.close()

    def update(self) -> None:
        """Take what has come."""
        entry: bytes | None = None
        for message, value in self._tail.take():
            if message.key() != self._key:
                continue
            if message.topic() == self._windows:
                self._take_windows(_decode_windows(value))
            elif message.topic() == self._decisions:
                self.told.append(decode_decision(value))
                self._show(self.told[-1])
            else:
                entry = value
        if entry is not None:
            self._show(decision_from_snapshot(entry))

    def _show(self, decision: Decision) -> None:
        """The two topics are read side by side, so what comes later may be older."""
        if self.now is None or _read(decision) >= _read(self.now):
            self.now = decision

    def _take_windows(self, message: WindowsMessage) -> None:
        self.slices.update(message.rows)
        newest = self._versions.get(message.partition, -1)
        self._versions[message.partition] = max(newest, message.version)

    @property
    def is_judged(self) -> bool:
        """Whether the evidence holds all window rows that were seen."""
        folded = self.now.partitions if self.now is not None else {}
        return all(folded.get(number, -1) >= seen for number, seen in self._versions.items())

    @property
    def outcome(self) -> Decision | None:
        """The decision that settled something, as it was first told; else the one as of now."""
        last = next((told for told in reversed(self.told) if not told.is_refresh), None)
        return last if last is not None and last.verdict != "hold" else self.now


def _read(decision: Decision) -> int:
    """How much of the windows a decision rests on."""
    return sum(decision.partitions.values())
