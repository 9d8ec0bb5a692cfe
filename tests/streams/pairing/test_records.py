"""A batch of records can be cut into parts and stays the same."""

from __future__ import annotations

from itertools import chain

import pytest

from understudy.streams.pairing.records import RecordBatch

BATCH = RecordBatch(
    payloads=[b"a", None, b"c", b"d", b"e"],
    offsets=range(10, 15),
    timestamps_ms=[1, 2, 3, 4, 5],
    keys=[b"k", b"k", None, b"k", b"k"],
)


@pytest.mark.parametrize(("records", "lengths"), [(2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_parts_hold_all_records_in_order(records: int, lengths: list[int]) -> None:
    parts = list(BATCH.parts(records))
    assert [len(part) for part in parts] == lengths
    for column in ("payloads", "offsets", "timestamps_ms", "keys"):
        cut = chain.from_iterable(getattr(part, column) for part in parts)
        assert list(cut) == list(getattr(BATCH, column))


def test_of_no_records_there_are_no_parts() -> None:
    assert list(RecordBatch([], [], [], []).parts(2)) == []
