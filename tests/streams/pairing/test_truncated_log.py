"""Of a log that no longer begins at its beginning, no window is written that may lack records.

Random logs are read whole, and again from a later offset on as by a group that has committed
nothing. What the second writes are rows that the first wrote too, to the byte.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import Any

import msgspec
import pytest

from tests.streams.pairing.log import EPOCH, opinion
from tests.streams.pairing.random_logs import Shape, random_log
from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.rows import latest, row_key
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import peek
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.records import RecordBatch

POLICY = PairingPolicy(
    window_s=2, join_timeout_s=6, allowed_lateness_s=7, max_clock_skew_s=3,
    request_time_tolerance_s=1, retry_grace_s=1,
)  # fmt: skip
START_MS = to_epoch_ms(EPOCH)
State = type[PartitionState]


def timestamps(log: list[bytes], rng: random.Random) -> list[int]:
    """As a broker stamps them: rising, and up to the clock skew before the request time."""
    now = START_MS - POLICY.max_clock_skew_ms
    stamps = []
    for payload in log:
        fields = peek(payload)
        time = fields.get("feedback_time") or fields.get("request_time")
        if isinstance(time, str):
            time_ms = to_epoch_ms(dt.datetime.fromisoformat(time))
            now = max(now, time_ms - rng.randrange(POLICY.max_clock_skew_ms + 1))
        stamps.append(now)
    return stamps


class Reading:
    """One state that reads a log to its end, in random batches; stored rows, newest versions."""

    def __init__(
        self, kind: State, log: list[bytes], stamps: list[int], start: int, rng: random.Random
    ) -> None:
        self.state = kind(0, POLICY, start_offset=start, is_truncated=start > 0)
        self.rows: list[WindowRow] = []
        if start:
            self.state.log_begins_at(stamps[start])
        while self.state.position < len(log):
            first = self.state.position
            end = min(len(log), first + rng.randrange(1, 40))
            n = end - first
            batch = RecordBatch(log[first:end], range(first, end), stamps[first:end], [None] * n)
            self.state.process(batch)
            self.rows += window_rows(self.state.draw_rows())

    def contents(self) -> dict[tuple[Any, ...], bytes]:
        """Rows as bytes; of an open one the version tells only when it was last drawn."""
        return {
            row_key(row): msgspec.json.encode(
                row if row.closed else msgspec.structs.replace(row, version=0)
            )
            for row in latest(self.rows)
        }


def feedback_log(rng: random.Random) -> list[bytes]:
    """Opinions that come up to ten seconds later, some twice."""
    arrivals = [
        (number * 0.3 + 10 * rng.random(), opinion(f"p{number}", number * 0.3))
        for number in range(150)
        for _ in range(rng.choice((1, 1, 1, 2)))
    ]
    return [payload for _, payload in sorted(arrivals)]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(), id="as usual"),
        pytest.param(Shape(disagreeing=0.25, skewed=0.5), id="disagreeing"),
        pytest.param(Shape(reused=0.6, retried=0.6), id="reused"),
        pytest.param(None, id="feedback"),
    ],
)
def test_what_is_written_is_what_the_whole_log_says(shape: Shape | None, seed: int) -> None:
    rng = random.Random(seed)
    kind: State = FeedbackPartition if shape is None else Partition
    log = feedback_log(rng) if shape is None else random_log(rng, 90, shape)
    stamps = timestamps(log, rng)
    start = rng.randrange(1, len(log))
    whole = Reading(kind, log, stamps, 0, rng).contents()
    rest = Reading(kind, log, stamps, start, rng)
    complete_from_ms = rest.state.complete_from_ms
    assert complete_from_ms is not None
    wanted = {
        key: row
        for key, row in whole.items()
        if to_epoch_ms(msgspec.json.decode(row, type=WindowRow).window_start) >= complete_from_ms
    }
    assert rest.contents() == wanted
    tally = rest.state.tally
    assert tally.read == len(log) - start
    assert tally.skipped > 0 or start > len(log) - 20


def test_without_the_rule_the_rows_would_hold_less() -> None:
    """So that the test above can fail: a state that does not know writes rows that differ."""
    rng = random.Random(5)
    log = random_log(rng, 90)
    stamps = timestamps(log, rng)
    whole = Reading(Partition, log, stamps, 0, rng).contents()
    rest = Reading(Partition, log, stamps, 0, rng)
    rest.state = Partition(0, POLICY, start_offset=60)
    n = len(log) - 60
    rest.state.process(RecordBatch(log[60:], range(60, len(log)), stamps[60:], [None] * n))
    rest.rows = window_rows(rest.state.draw_rows())
    assert any(whole[key] != row for key, row in rest.contents().items() if key in whole)


def test_a_restart_remembers_which_windows_are_incomplete() -> None:
    """Also while no event has been read, and then only for as long as it says more than commits."""
    rng = random.Random(1)
    log = random_log(rng, 90)
    state = Partition(0, POLICY, start_offset=10, is_truncated=True)
    from_ms = state.log_begins_at(timestamps(log, rng)[10])
    commit = state.safe_commit(10)
    assert commit is not None
    assert commit.metadata.complete_from_ms == from_ms
    resumed = commit.metadata
    again = Partition(0, POLICY, start_offset=commit.offset, resumed=resumed)
    assert again.complete_from_ms == from_ms
    both = [state, again]
    for one, (first, end) in itertools.product(both, [(10, 40), (40, len(log))]):
        n = end - first
        one.process(RecordBatch(log[first:end], range(first, end), [10**15] * n, [None] * n))
    assert window_rows(state.draw_rows()) == window_rows(again.draw_rows())


def test_nothing_counts_before_the_first_record_has_a_time() -> None:
    """What cannot be unpacked has none."""
    state = Partition(0, POLICY, start_offset=7, is_truncated=True)
    outcome = state.pass_unreadable(7, 9, "damaged")
    assert [letter.offset for letter in outcome.dead_letters] == [7]
    assert window_rows(state.draw_rows()) == []
