"""Where a partition begins, for every relation of the committed offset to the log."""

from __future__ import annotations

import msgspec
import pytest

from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.start_position import StartPosition, start_position

WATERMARK_MS = 1_700_000_000_000
KNOWN = CommitMetadata(
    closed_until_ms=WATERMARK_MS - 260_000,
    position=80,
    watermark_ms=WATERMARK_MS,
    waiting_sides=3,
)


@pytest.mark.parametrize(
    ("committed", "first", "end", "expected"),
    [
        pytest.param(-1001, 0, 0, StartPosition(0), id="nothing committed, nothing there"),
        pytest.param(-1001, 40, 90, StartPosition(40, is_truncated=True), id="nothing committed"),
        pytest.param(91, 0, 90, StartPosition(0, is_beyond_end=True), id="another log"),
        pytest.param(50, 0, 90, StartPosition(50, is_truncated=True), id="no metadata of ours"),
        pytest.param(
            50,
            70,
            90,
            StartPosition(70, lost_records=20, is_committed_gone=True, is_truncated=True),
            id="deleted",
        ),
    ],
)
def test_without_metadata(committed: int, first: int, end: int, expected: StartPosition) -> None:
    assert start_position(committed, None, first, end) == expected


def test_a_reset_to_where_the_log_begins_is_a_whole_log_again() -> None:
    assert not start_position(0, None, 0, 90).is_truncated


def test_it_stays_truncated_until_an_event_has_been_read() -> None:
    nothing_read = CommitMetadata(closed_until_ms=None, position=50, watermark_ms=None)
    assert start_position(50, nothing_read, 40, 90).is_truncated
    read = msgspec.structs.replace(nothing_read, complete_from_ms=WATERMARK_MS)
    start = start_position(50, read, 40, 90)
    assert not start.is_truncated
    assert start.metadata == read
    assert not start_position(0, nothing_read, 0, 90).is_truncated


def test_metadata_of_another_log_are_not_used() -> None:
    assert start_position(91, KNOWN, 0, 90).metadata is None


def test_reading_begins_with_the_watermark_before_the_committed_offset() -> None:
    start = start_position(50, KNOWN, 0, 90)
    assert (start.offset, start.metadata) == (50, KNOWN)


@pytest.mark.parametrize(("first", "offset", "lost"), [(60, 80, 3), (85, 85, 5 + 3)])
def test_after_a_loss_it_goes_on_where_all_was_flushed(first: int, offset: int, lost: int) -> None:
    start = start_position(50, KNOWN, first, 90)
    assert (start.offset, start.lost_records, start.is_committed_gone) == (offset, lost, True)
    assert start.metadata == CommitMetadata(
        closed_until_ms=WATERMARK_MS,
        position=offset,
        watermark_ms=WATERMARK_MS,
        gaps_before=offset - KNOWN.position,
    )
