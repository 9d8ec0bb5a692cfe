"""Changed rows are cut into messages in one way, for pairing and for replays."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from understudy.analyzers.windows.drawn_rows import DrawnRow, window_rows
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.row_lists import MOST_ROWS
from understudy.schemas.windows import WindowsMessage
from understudy.streams.pairing import windows_messages as module
from understudy.streams.pairing.windows_messages import ChangedRows, windows_messages

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def rows(rollout_id: str, count: int, partition: int = 3, version: int = 70) -> list[DrawnRow]:
    found = []
    for number in range(count):
        sums = WindowSums()
        sums.add_count("stable_requests", number)
        key = SliceKey(rollout_id, "", "en", f"flow-{number}", to_epoch_ms(START))
        found.append(
            DrawnRow.of(
                sums, key, window_s=10, partition=partition, version=version, closed=number == 2
            )
        )
    return found


def messages(*changed: list[DrawnRow]) -> list[tuple[WindowsMessage, bytes]]:
    return list(
        windows_messages(
            ChangedRows(some, "events", some[0].partition if some else 3, 70, 1_500)
            for some in changed
        )
    )


def test_each_message_holds_rows_of_one_rollout_in_order() -> None:
    some = [row for pair in zip(rows("a", 3), rows("b", 3), strict=True) for row in pair]
    found = [message for message, _ in messages(some)]
    assert [(message.rollout_id, len(message.rows)) for message in found] == [("a", 3), ("b", 3)]
    assert found[0].rows == window_rows(rows("a", 3))
    assert {(m.source, m.partition, m.version) for m in found} == {("events", 3, 70)}
    assert found[0].watermark == dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=dt.UTC)


def test_messages_of_partitions_are_those_of_each_alone() -> None:
    """Rows that leave together are laid out together, and nothing shows of it."""
    some = [rows("a", 3), rows("b", 1, partition=4), [], rows("a", 250, partition=5)]
    together = [encoded for _, encoded in messages(*some)]
    assert together == [encoded for one in some for _, encoded in messages(one)]
    assert b"stable_requests" not in together[1], "it is zero in all rows of that message"
    assert b"closed" not in together[3]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (MOST_ROWS, [MOST_ROWS]), (2 * MOST_ROWS + 1, [MOST_ROWS, MOST_ROWS, 1])],
)
def test_messages_are_cut_by_rows(count: int, sizes: list[int]) -> None:
    assert [len(message.rows) for message, _ in messages(rows("a", count))] == sizes


def test_messages_are_cut_by_bytes_down_to_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 400)
    found = messages(rows("a", 5))
    assert [row for message, _ in found for row in message.rows] == window_rows(rows("a", 5))
    assert len(found) > 1
    assert all(len(encoded) <= 400 or len(message.rows) == 1 for message, encoded in found)


def test_the_encoding_is_that_of_the_message() -> None:
    for message, encoded in messages(rows("a", 201)):
        assert msgspec.json.decode(encoded, type=WindowsMessage) == message
