"""Which offset is safe to commit, and what its metadata must say.

With every sink flushed up to position N, the last offset O before which the watermark was at most
*watermark at N - horizon* is committed. Everything newer than `closed_until`, the watermark
before O, lies at or after O; so reading from O with empty state rebuilds all that is still open.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from understudy.streams.pairing.pairing_policy import PairingPolicy

METADATA_VERSION: Final = 1


class CommitMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """Metadata of a committed offset; times are epoch milliseconds of event time."""

    closed_until_ms: int | None
    """The watermark before the committed offset."""
    position: int
    """The offset up to which every sink had been flushed."""
    watermark_ms: int | None
    """The watermark at that position."""
    waiting_sides: int = 0
    """Sides that waited for a partner at that position."""
    gaps_before: int = 0
    """Offsets before the committed one that hold no record: marks of transactions, compaction."""
    gaps: int = 0
    """The same before the position."""
    complete_from_ms: int | None = None
    """Windows that start before are not written: the log no longer had all of their records."""
    version: int = METADATA_VERSION

    def encode(self) -> str:
        """Encode as the text that Kafka stores with an offset."""
        return msgspec.json.encode(self).decode()

    def mark_closed(self, policy: PairingPolicy) -> CommitMetadata:
        """Mark all windows closed that had closed, and so were flushed, at the position.

        They reach a join timeout further than `closed_until`. Within that time a record may
        disagree with a side before the committed offset; without that side, which is not read
        again, it would be counted in another window.
        """
        if self.closed_until_ms is None or self.watermark_ms is None:
            return self
        closed_ms = self.watermark_ms - policy.window_ms - policy.allowed_lateness_ms
        return msgspec.structs.replace(self, closed_until_ms=max(self.closed_until_ms, closed_ms))

    @staticmethod
    def decode(text: str | None) -> CommitMetadata | None:
        """Decode; None for metadata that is not ours. Raises ValueError for a newer version."""
        if not text:
            return None
        try:
            metadata = msgspec.json.decode(text, type=CommitMetadata)
        except msgspec.MsgspecError:
            return None
        if metadata.version > METADATA_VERSION:
            raise ValueError(f"committed by a newer release (metadata version {metadata.version})")
        return metadata


@dataclass(frozen=True, slots=True)
class SafeCommit:
    """An offset that may be committed, with its metadata."""

    offset: int
    metadata: CommitMetadata


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    offset: int
    watermark_before_ms: int | None
    waiting_sides: int
    gaps: int


@dataclass(slots=True)
class CommitRule:
    """Knows which offset is safe, from the watermark before the offsets where batches began."""

    horizon_ms: int
    _checkpoints: deque[_Checkpoint] = field(default_factory=deque)

    def passed(
        self, offset: int, watermark_ms: int | None, waiting_sides: int, gaps: int = 0
    ) -> None:
        """Note that `offset` is next and what the watermark is before it.

        Until an event has set the clock only the beginning is safe: what was invalid before counts
        in a window that is still open.
        """
        if watermark_ms is not None:
            while len(self._checkpoints) > 1 and self._checkpoints[-1].watermark_before_ms is None:
                self._checkpoints.pop()
        self._checkpoints.append(_Checkpoint(offset, watermark_ms, waiting_sides, gaps))

    def safe_commit(self, flushed_to: int) -> SafeCommit | None:
        """Return the commit that is safe when all sinks hold everything before `flushed_to`.

        None when nothing is known at that position.
        """
        at = self._at(flushed_to)
        if at is None:
            return None
        safe = self._checkpoints[0]
        if at.watermark_before_ms is not None:
            limit = at.watermark_before_ms - self.horizon_ms
            while len(self._checkpoints) > 1 and _at_most(self._checkpoints[1], limit):
                self._checkpoints.popleft()
            safe = self._checkpoints[0]
        return SafeCommit(
            safe.offset,
            CommitMetadata(
                closed_until_ms=safe.watermark_before_ms,
                position=at.offset,
                watermark_ms=at.watermark_before_ms,
                waiting_sides=at.waiting_sides,
                gaps_before=safe.gaps,
                gaps=at.gaps,
            ),
        )

    def _at(self, flushed_to: int) -> _Checkpoint | None:
        """Return the newest checkpoint that is not past the flushed position."""
        for checkpoint in reversed(self._checkpoints):
            if checkpoint.offset <= flushed_to:
                return checkpoint
        return None


def _at_most(checkpoint: _Checkpoint, limit_ms: int) -> bool:
    watermark_ms = checkpoint.watermark_before_ms
    return watermark_ms is not None and watermark_ms <= limit_ms
