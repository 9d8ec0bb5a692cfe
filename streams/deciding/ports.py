"""What the decision processor needs of its surroundings, as protocols; `faust_port` fulfils them.

    assigned → clear; message → process; decision → emit; checkpoint → save; revoked → hand over

So the processor runs without Faust: in tests, and on whatever may replace it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from understudy.streams.kafka.unreadable import UnreadableBatch


class RetriableSendError(Exception):
    """Kafka did not take a message this time, and may take it the next."""


class InputMessage(Protocol):
    """A message of windows or of rollouts."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def home(self) -> int:
        """The partition where messages with its key belong."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp_ms(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def unreadable(self) -> UnreadableBatch | None:
        """The batch that the message stands for, if it could not be unpacked."""

    def acknowledge(self) -> None:
        """All that it led to is emitted and saved: its offset may be committed."""

    def abandon(self) -> None:
        """It will never be acknowledged here: a rebalance or a stop need not wait for it."""


class DecisionLog(Protocol):
    """Where results go. Methods return when the broker has the message.

    They raise `RetriableSendError`, or another exception when Kafka refuses the message for good.
    """

    async def emit(self, key: bytes, decision: bytes | None) -> None:
        """Write a decision; None deletes the rollout's."""

    async def ask_for_look(self, key: bytes, partition: int) -> None:
        """Write a message of windows that has no rows: whoever reads it looks at the rollout."""

    async def write_dead_letter(self, message: InputMessage, reason: str, detail: str) -> None:
        """Write a message that could not be used, with its place and why."""


class CheckpointStore(Protocol):
    """The table of snapshots, and the changelog that it is recovered from."""

    @property
    def snapshots(self) -> Mapping[bytes, bytes]:
        """The table, of the partitions held."""

    async def save(self, partition: int, writes: Mapping[bytes, bytes | None]) -> None:
        """Write values to the changelog, in whatever order, then to the table; None deletes.

        Raises as a `DecisionLog` does, and some may have been written then.
        """


class RecordOffsets(Protocol):
    """How far the topic of rollouts goes, and how far the group has read it."""

    async def end_offset(self, partition: int) -> int:
        """The offset after the last record; 0 where there is none. Raises if Kafka is away."""

    def committed_offset(self, partition: int) -> int:
        """The offset that the group has committed; 0 for none."""
