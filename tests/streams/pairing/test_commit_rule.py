"""Which offset may be committed, and what its metadata say."""

from __future__ import annotations

import msgspec
import pytest

from understudy.streams.pairing.commit_rule import METADATA_VERSION, CommitMetadata, CommitRule
from understudy.streams.pairing.pairing_policy import PairingPolicy

POLICY = PairingPolicy(window_s=10, join_timeout_s=30, allowed_lateness_s=40)
HORIZON_MS = POLICY.horizon_ms
METADATA = CommitMetadata(closed_until_ms=5_000, position=7, watermark_ms=100_000, waiting_sides=3)


def rule(*checkpoints: tuple[int, int | None]) -> CommitRule:
    """A rule that has passed offsets with the watermarks before them."""
    made = CommitRule(HORIZON_MS)
    for offset, watermark_ms in checkpoints:
        made.passed(offset, watermark_ms, waiting_sides=offset)
    return made


def test_the_committed_offset_trails_the_watermark_by_the_horizon() -> None:
    made = rule((0, 0), (10, 1_000), (20, 2_000), (30, HORIZON_MS + 1_999))
    safe = made.safe_commit(30)
    assert safe is not None
    assert (safe.offset, safe.metadata.closed_until_ms) == (10, 1_000)
    assert (safe.metadata.position, safe.metadata.watermark_ms) == (30, HORIZON_MS + 1_999)
    assert safe.metadata.waiting_sides == 30
    made.passed(40, HORIZON_MS + 2_000, 0)
    later = made.safe_commit(40)
    assert later is not None
    assert later.offset == 20, "exactly the horizon behind"


def test_nothing_past_what_has_been_flushed_counts() -> None:
    made = rule((0, 0), (10, 1_000), (20, HORIZON_MS + 5_000))
    safe = made.safe_commit(19)
    assert safe is not None
    assert (safe.offset, safe.metadata.position) == (0, 10)


def test_before_the_first_position_nothing_is_known() -> None:
    assert rule((5, 0)).safe_commit(4) is None
    assert CommitRule(HORIZON_MS).safe_commit(100) is None


def test_until_an_event_sets_the_clock_only_the_beginning_is_safe() -> None:
    made = rule((0, None), (10, None), (20, None))
    safe = made.safe_commit(20)
    assert safe is not None
    assert (safe.offset, safe.metadata.closed_until_ms) == (0, None)
    assert safe.metadata.position == 20
    made.passed(30, 1_000_000, 0)
    made.passed(40, 1_000_000 + HORIZON_MS, 0)
    later = made.safe_commit(40)
    assert later is not None
    assert (later.offset, later.metadata.closed_until_ms) == (30, 1_000_000)


def test_metadata_survive_the_way_through_kafka() -> None:
    assert CommitMetadata.decode(METADATA.encode()) == METADATA


@pytest.mark.parametrize("text", [None, "", "another tool's", "[]", '{"position": "x"}'])
def test_metadata_of_others_are_none(text: str | None) -> None:
    assert CommitMetadata.decode(text) is None


def test_metadata_of_a_newer_release_are_refused() -> None:
    newer = msgspec.structs.replace(METADATA, version=METADATA_VERSION + 1)
    with pytest.raises(ValueError, match="newer release"):
        CommitMetadata.decode(newer.encode())


def test_windows_that_had_closed_are_marked_closed() -> None:
    assert METADATA.mark_closed(POLICY).closed_until_ms == 100_000 - 10_000 - 40_000
    further = msgspec.structs.replace(METADATA, closed_until_ms=90_000)
    assert further.mark_closed(POLICY) == further
    unknown = msgspec.structs.replace(METADATA, watermark_ms=None)
    assert unknown.mark_closed(POLICY) == unknown
