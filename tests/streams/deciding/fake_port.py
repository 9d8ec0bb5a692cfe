"""A stand-in for Faust and Kafka: a log of what the processor did, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from understudy.streams.deciding.ports import InputMessage
from understudy.streams.kafka.unreadable import UnreadableBatch

WINDOWS, ROLLOUTS = "understudy.windows", "understudy.rollouts"


def write(table: dict[bytes, bytes], writes: Mapping[bytes, bytes | None]) -> None:
    """Do to a table what a checkpoint says."""
    for key, value in writes.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


@dataclass
class FakeMessage:
    """A message that notes what became of it."""

    port: FakePort
    topic: str
    offset: int
    value: bytes | None
    key: bytes | None = b"helpdesk"
    partition: int = 3
    home: int = 3
    timestamp_ms: int = 1_772_366_400_000
    unreadable: UnreadableBatch | None = None

    def acknowledge(self) -> None:
        self.port.happened.append(("acknowledge", self.offset))

    def abandon(self) -> None:
        self.port.happened.append(("abandon", self.offset))


@dataclass
class FakePort:
    """A decision log, a checkpoint store and the offsets of records."""

    snapshots: dict[bytes, bytes] = field(default_factory=dict)
    happened: list[tuple[str, object]] = field(default_factory=list)
    """What was sent, saved, acknowledged and abandoned, in order."""
    failures: list[BaseException] = field(default_factory=list)
    """What the next attempts to send raise, in order."""
    end: int = 0
    committed: int = 0
    is_away: bool = False
    is_mute: bool = False
    """Questions for offsets are not answered."""

    def message(self, topic: str, offset: int, value: bytes | None) -> FakeMessage:
        return FakeMessage(self, topic, offset, value)

    async def emit(self, key: bytes, decision: bytes | None) -> None:
        self._fail()
        self.happened.append(("emit", decision))

    async def ask_for_look(self, key: bytes, partition: int) -> None:
        self._fail()
        self.happened.append(("ask_for_look", (key, partition)))

    async def write_dead_letter(self, message: InputMessage, reason: str, detail: str) -> None:
        self._fail()
        self.happened.append(("dead_letter", (message.offset, reason, detail)))

    async def save(self, partition: int, writes: Mapping[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            self._fail()
            self.happened.append(("save", (key, partition)))
            write(self.snapshots, {key: value})

    async def end_offset(self, partition: int) -> int:
        if self.is_away:
            raise ConnectionError
        if self.is_mute:
            await asyncio.get_running_loop().create_future()
        return self.end

    def committed_offset(self, partition: int) -> int:
        return self.committed

    @property
    def kinds(self) -> list[str]:
        """What happened, without to what."""
        return [kind for kind, _ in self.happened]

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
