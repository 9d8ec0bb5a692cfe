"""Recorded events as a worker's messages: batches follow event time, rows are emitted early."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.bad_input import event
from understudy.schemas.windows import WindowsMessage
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.from_events import batches_by_event_time, batches_by_size
from understudy.streams.replay.replay_events import replay


def at(second: int) -> bytes:
    moment = f"2025-01-01T00:{second // 60:02}:{second % 60:02}Z"
    return event(f"p{second}", mode="canary", sides=["stable"], request_time=moment)


def test_a_batch_ends_when_request_times_have_advanced_by_an_interval() -> None:
    lines = [at(0), at(3), at(5), at(6), at(10), at(11)]
    batches = list(batches_by_event_time(lines, interval_s=5.0))
    assert batches == [lines[:3], lines[3:6]]


def test_lines_without_a_time_do_not_end_a_batch() -> None:
    lines = [b"{", at(0), b"", at(1), b"{"]
    assert list(batches_by_event_time(lines, interval_s=5.0)) == [lines]
    assert list(batches_by_event_time([b"{"] * 5, max_lines=2)) == [[b"{"] * 2, [b"{"] * 2, [b"{"]]


@given(st.lists(st.integers(0, 3000)), st.integers(1, 10))
def test_every_line_is_in_one_batch(seconds: list[int], max_lines: int) -> None:
    lines = [at(second) for second in seconds]
    batches = list(batches_by_event_time(lines, max_lines=max_lines))
    assert [line for batch in batches for line in batch] == lines
    assert all(0 < len(batch) <= max_lines for batch in batches)


@pytest.mark.parametrize("cut", [batches_by_event_time, batches_by_size])
def test_a_batch_of_long_lines_is_as_short_as_memory_demands(
    cut: Callable[..., Iterator[list[bytes]]],
) -> None:
    lines = [b"x" * 40, b"y" * 10, b"z" * 60, b"", b"w"]
    assert list(cut(lines, max_bytes=50)) == [lines[:2], lines[2:3], lines[3:]]
    assert list(cut(lines, max_lines=2)) == [lines[:2], lines[2:4], lines[4:]]


def test_a_listener_sees_rows_grow_and_close_and_changes_nothing() -> None:
    lines = [at(second) for second in range(0, 400, 2)]
    policy = PairingPolicy(window_s=10, join_timeout_s=20, allowed_lateness_s=30)
    messages: list[WindowsMessage] = []
    listened = replay(lines, policy, 1_800_000_000_000, None, messages.append)
    alone = replay(lines, policy, 1_800_000_000_000)
    assert listened.tally.read == alone.tally.read == len(lines)
    requests = [sum(row.stable.requests for row in one.rows) for one in (listened, alone)]
    assert requests == [len(lines), len(lines)]
    versions = [message.version for message in messages]
    assert versions == sorted(versions)
    last = {row.window_start: row for message in messages for row in message.rows}
    assert all(row.closed for row in last.values())
    assert sum(row.stable.requests for row in last.values()) == len(lines)
    assert any(not row.closed for message in messages for row in message.rows)
