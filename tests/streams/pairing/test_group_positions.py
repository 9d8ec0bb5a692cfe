"""How far a group has come follows from its commit, its metadata and the log."""

from __future__ import annotations

import pytest

from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.group_positions import GroupPosition

READ_TO_90 = CommitMetadata(closed_until_ms=0, position=90, watermark_ms=0)


@pytest.mark.parametrize(
    ("committed", "metadata", "position", "lag"),
    [
        (None, None, 20, 80),
        (50, None, 50, 50),
        (50, READ_TO_90, 90, 10),
    ],
    ids=["nothing committed", "committed by another tool", "committed by pairing"],
)
def test_position_and_lag(
    committed: int | None, metadata: CommitMetadata | None, position: int, lag: int
) -> None:
    found = GroupPosition(0, first=20, end=100, committed=committed, metadata=metadata)
    assert (found.position, found.lag) == (position, lag)


def test_marks_of_transactions_at_the_end_are_no_lag() -> None:
    read = GroupPosition(0, first=0, end=91, committed=50, metadata=READ_TO_90, is_read=True)
    assert (read.position, read.lag) == (90, 0)


def test_what_retention_deleted_is_no_lag() -> None:
    behind = GroupPosition(0, first=60, end=100, committed=10, metadata=None)
    assert behind.lag == 40


def test_a_log_that_was_made_anew_has_no_lag() -> None:
    assert GroupPosition(0, first=0, end=5, committed=50, metadata=READ_TO_90).lag == 0
