"""Follows one rollout by its topics: window rows, decisions, and the evidence in between.

A decision is emitted when the verdict changes. How far the evidence has grown since is in the state
of the deciding worker; its changelog is a topic like any other, which the demo has written often.
"""

from __future__ import annotations

from typing import Final

import msgspec

from understudy.schemas.decisions import Decision, decode_decision
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.snapshots import decision_in, is_slot
from understudy.streams.demo.slice_deltas import SliceTotals
from understudy.streams.kafka.client_config import changelog, topics
from understudy.streams.kafka.compacted_topic import TopicFollower
from understudy.streams.settings import Settings

_WAIT_S: Final = 0.05
"""For a first record; short, since the screen waits."""

_decode_windows: Final = msgspec.json.Decoder(WindowsMessage).decode


class RolloutFollower:
    """One rollout, as far as its topics have been read."""

    def __init__(self, settings: Settings, rollout_id: str) -> None:
        self._key = rollout_id.encode()
        names = topics(settings.kafka)
        self._windows, self._decisions = names.windows.name, names.decisions.name
        self._changelog = changelog(settings).name
        self._topics = TopicFollower(
            settings.kafka, [self._windows, self._decisions, self._changelog]
        )
        self._versions: dict[int, int] = {}
        self._table: dict[bytes, bytes] = {}
        self.slices = SliceTotals()
        self.decisions: list[Decision] = []
        """Every decision that was emitted, in order."""
        self.current: Decision | None = None
        """The newest decision, with all evidence so far."""

    def close(self) -> None:
        """Stop reading."""
        self._topics.close()

    def update(self) -> None:
        """Read what has been written since the last call."""
        has_snapshot = False
        for message, value in self._topics.take_values(_WAIT_S):
            if message.topic() == self._changelog:
                has_snapshot |= self._take_of_table(message.key() or b"", value)
                continue
            if message.key() != self._key:
                continue
            if message.topic() == self._windows:
                self._take_windows(_decode_windows(value))
            else:
                self.decisions.append(decode_decision(value))
                self._update_current(self.decisions[-1])
        if has_snapshot:
            self._update_current(decision_in(self._table, self._key))

    def _take_of_table(self, key: bytes, value: bytes) -> bool:
        """Keep what the table holds of the rollout; return whether it is a new snapshot."""
        if key == self._key or is_slot(key, self._key):
            self._table[key] = value
        return key == self._key

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
