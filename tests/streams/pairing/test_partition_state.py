"""What both sources' states share: stepping over batches that cannot be unpacked."""

from __future__ import annotations

from tests.streams.pairing.log import POLICY, Log, event, opinion
from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.schemas.events import InvalidReason
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.records import RecordBatch

WHY = "it unpacks to more than 32 MiB"
PUSH = 190.0
"""A request this late closes the windows of the first ten seconds."""


def passed(log: Log, records: int) -> Log:
    """Step over so many records."""
    position = log.state.position
    log.outcomes.append(log.state.pass_unreadable(position, position + records, WHY))
    log.rows += window_rows(log.state.draw_rows())
    return log


def test_each_record_counts_and_one_dead_letter_names_them_all() -> None:
    log = passed(Log().read(event("a")), 3).read(event("a", "candidate"))
    assert log.state.position == 5
    assert (log.state.tally.read, log.state.tally.invalid, log.state.tally.paired) == (5, 3, 2)
    assert log.state.tally.accounted() == log.state.tally.read
    (letter,) = [one for outcome in log.outcomes for one in outcome.dead_letters]
    assert (letter.offset, letter.reason, letter.payload) == (1, InvalidReason.UNREADABLE, None)
    assert letter.detail == f"offsets 1 to 3: {WHY}"
    by_rollout = {row.rollout_id: row.events.invalid for row in log.rows}
    assert by_rollout == {"": 3, "r": 0}


def test_feedback_is_stepped_over_alike() -> None:
    log = passed(Log(state=FeedbackPartition).read(opinion("a")), 2).read(opinion("b"))
    assert (log.state.tally.invalid, log.state.tally.single) == (2, 2)


def test_before_any_event_only_the_beginning_may_be_committed() -> None:
    """They count in a window that is still open."""
    log = passed(Log(), 7)
    commit = log.state.safe_commit(7)
    assert commit is not None
    assert (commit.offset, commit.metadata.position) == (0, 7)


def test_read_again_they_count_once() -> None:
    """Their window has been closed and stored by the run before."""
    first = passed(Log().read(event("a")), 3).read(event("b", at_s=PUSH))
    commit = first.state.safe_commit(first.state.position)
    assert commit is not None
    resumed = commit.metadata
    again = Log(start_offset=1, resumed=resumed)
    passed(again, 3).read(event("b", at_s=PUSH))
    assert again.outcomes[0].dead_letters == []
    assert not any(row.events.invalid for row in again.rows)


def test_offsets_without_a_record_are_gaps_and_a_restart_remembers_them() -> None:
    """Marks of transactions and what compaction removed: they are not records that are missing."""
    stamps, keys = [10**15] * 2, [None] * 2
    state = Partition(0, POLICY)
    state.process(RecordBatch([event("a"), event("b")], [2, 5], stamps, keys))
    state.process(RecordBatch([event("c", at_s=PUSH), event("d", at_s=PUSH)], [6, 8], stamps, keys))
    assert (state.position, state.gaps, state.tally.read) == (9, 5, 4)
    commit = state.safe_commit(9)
    assert commit is not None
    assert (commit.offset, commit.metadata.gaps_before, commit.metadata.gaps) == (6, 4, 5)
    again = Partition(0, POLICY, start_offset=6, resumed=commit.metadata)
    again.process(RecordBatch([event("c", at_s=PUSH)], [6], [10**15], [None]))
    assert (again.position, again.gaps) == (7, 4)
