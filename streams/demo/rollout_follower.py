"""Follows one rollout by its topics: window rows, decisions, and the evidence in between.

A decision is emitted when the verdict changes. How far the evidence has grown since is in the state
of the deciding worker, which is written once a second; its changelog is a topic like any other.
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
from understudy.streams.demo.slice_deltas import SliceTotals
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.topic_reader import reader_config
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings, Settings

_BATCH_RECORDS: Final = 500
_WAIT_S: Final = 0.05
"""For a first record; short, since the screen waits."""
_METADATA_TIMEOUT_S: Final = 10.0
"""The broker is in this process, so only a hang takes so long."""

_decode_windows: Final = msgspec.json.Decoder(WindowsMessage).decode


class TopicTail:
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
        """The messages since the last call, with their values; deletions are left out."""
        taken: list[tuple[Message, bytes]] = []
        while batch := self._consumer.consume(_BATCH_RECORDS, wait_s):
            for message in batch:
                value = message.value()
                if message.error() is None and isinstance(value, bytes):
                    taken.append((message, value))
        return taken


class RolloutFollower:
    """One rollout, as far as its topics have been read."""

    def __init__(self, settings: Settings, rollout_id: str) -> None:
        self._key = rollout_id.encode()
        names = topics(settings.kafka)
        self._windows, self._decisions = names.windows.name, names.decisions.name
        self._changelog = changelog(settings).name
        self._tail = TopicTail(settings.kafka, [self._windows, self._decisions, self._changelog])
        self._versions: dict[int, int] = {}
        self.slices = SliceTotals()
        self.decisions: list[Decision] = []
        """Every decision that was emitted, in order."""
        self.current: Decision | None = None
        """The newest decision, with all evidence so far."""

    def close(self) -> None:
        """Stop reading."""
        self._tail.close()

    def update(self) -> None:
        """Read what has been written since the last call."""
        snapshot: bytes | None = None
        for message, value in self._tail.take():
            if message.key() != self._key:
                continue
            if message.topic() == self._windows:
                self._take_windows(_decode_windows(value))
            elif message.topic() == self._decisions:
                self.decisions.append(decode_decision(value))
                self._update_current(self.decisions[-1])
            else:
                snapshot = value
        if snapshot is not None:
            self._update_current(decision_from_snapshot(snapshot))

    def _update_current(self, decision: Decision) -> None:
        """Keep the newer one: of two topics that are read in turn, the later may hold the older."""
        if self.current is None or _windows_read(decision) >= _windows_read(self.current):
            self.current = decision

    def _take_windows(self, message: WindowsMessage) -> None:
        self.slices.update(message.rows)
        newest = self._versions.get(message.partition, -1)
        self._versions[message.partition] = max(newest, message.version)

    @property
    def is_judged(self) -> bool:
        """Whether the evidence contains all window rows that were read."""
        judged = self.current.partitions if self.current is not None else {}
        return all(judged.get(number, -1) >= seen for number, seen in self._versions.items())

    @property
    def outcome(self) -> Decision | None:
        """The decision to roll back or promote, as first emitted; without one, the newest."""
        last = next((one for one in reversed(self.decisions) if not one.is_refresh), None)
        return last if last is not None and last.verdict != "hold" else self.current


def _windows_read(decision: Decision) -> int:
    """How many window messages a decision rests on, over all partitions."""
    return sum(decision.partitions.values())
