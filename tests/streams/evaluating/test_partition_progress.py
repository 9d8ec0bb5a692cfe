"""What may be committed."""

from __future__ import annotations

from understudy.streams.evaluating.partition_progress import PartitionProgress

MAX_WAIT_MS = 1_000


def test_the_first_unfinished_request_holds_the_offset() -> None:
    progress = PartitionProgress(0, position=0)
    progress.begin("a", 3, 0)
    progress.begin("b", 5, 0)
    progress.begin("a", 6, 0)
    progress.position = 9
    assert progress.safe_offset(MAX_WAIT_MS) == 3
    ticket = progress.add_task("a")
    progress.end("a")
    assert progress.safe_offset(MAX_WAIT_MS) == 3
    ticket.finish()
    assert progress.safe_offset(MAX_WAIT_MS) == 5
    progress.end("b")
    assert progress.safe_offset(MAX_WAIT_MS) == 9
    assert progress.unfinished == 0


def test_a_task_that_ends_before_the_last_is_added() -> None:
    progress = PartitionProgress(0, position=4)
    progress.begin("a", 3, 0)
    progress.add_task("a").finish()
    second = progress.add_task("a")
    progress.end("a")
    assert progress.unfinished == 1
    second.finish()
    second.finish()
    assert progress.unfinished == 0


def test_a_side_that_waits_in_vain_does_not_hold_the_offset_for_ever() -> None:
    progress = PartitionProgress(0, position=50)
    progress.begin("alone", 3, timestamp_ms=1_000)
    progress.begin("asked", 4, timestamp_ms=1_000)
    progress.add_task("asked")
    progress.end("asked")
    progress.timestamp_ms = 1_500
    assert progress.safe_offset(MAX_WAIT_MS) == 3
    progress.timestamp_ms = 5_000
    assert progress.safe_offset(MAX_WAIT_MS) == 4, "what is asked is waited for"


def test_what_a_process_that_was_killed_may_have_asked() -> None:
    """Requests that it could have read, and no others."""
    progress = PartitionProgress(0, position=5, may_be_asked_before=8)
    progress.begin("a", 7, 0)
    progress.begin("b", 8, 0)
    assert progress.may_be_asked_already("a")
    assert not progress.may_be_asked_already("b")
