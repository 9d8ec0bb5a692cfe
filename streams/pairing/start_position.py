"""Where reading a partition begins: what was committed, against what the log still has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.streams.pairing.commit_rule import CommitMetadata


@dataclass(frozen=True, slots=True)
class StartPosition:
    """The offset to begin at, and what an earlier run is known to have closed there."""

    offset: int
    metadata: CommitMetadata | None = None
    lost_records: int = 0
    """Deleted by retention before they were read, with the sides that waited for a partner."""
    is_committed_gone: bool = False
    """Retention deleted the committed offset."""
    is_truncated: bool = False
    """Records before the offset are not read, and nothing is known of the windows they lie in."""
    is_beyond_end: bool = False
    """The committed offset lies after the end: the topic was deleted and created again."""


def start_position(
    committed: int, metadata: CommitMetadata | None, first: int, end: int
) -> StartPosition:
    """Return where to begin; `committed` is negative for none, the log holds [first, end)."""
    if committed < 0 or committed > end:
        return StartPosition(first, is_truncated=first > 0, is_beyond_end=committed > end)
    if committed < first:
        return _after_loss(committed, metadata, first)
    return StartPosition(
        committed,
        metadata,
        is_truncated=_is_truncated(committed, metadata),
    )


def _is_truncated(offset: int, metadata: CommitMetadata | None) -> bool:
    """Whether windows may have begun before an offset, and nothing says which.

    So it is after a reset of the group by Kafka's tools, and for a new group whose log no longer
    begins at 0; and while no event has been read since.
    """
    if offset == 0:
        return False
    return metadata is None or metadata.closed_until_ms is metadata.complete_from_ms is None


def _after_loss(committed: int, metadata: CommitMetadata | None, first: int) -> StartPosition:
    """Go on where everything had been flushed, and count what is lost.

    Windows that were open there cannot be rebuilt; their rows stay as they were flushed.
    """
    position = metadata.position if metadata else committed
    lost = max(0, first - position) + (metadata.waiting_sides if metadata else 0)
    start = max(first, position)
    if metadata is not None:
        metadata = CommitMetadata(
            closed_until_ms=metadata.watermark_ms,
            position=start,
            watermark_ms=metadata.watermark_ms,
            complete_from_ms=metadata.complete_from_ms,
            gaps_before=metadata.gaps + start - position,
        )
    return StartPosition(
        start,
        metadata,
        lost_records=lost,
        is_committed_gone=True,
        is_truncated=_is_truncated(start, metadata),
    )
