"""One message stands for a batch that cannot be unpacked, and those around it are read."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from understudy.streams.deciding.faust_patches.unpack_limit import limit_unpacking
from understudy.streams.deciding.faust_patches.unreadable_batches import (
    ReadableRecords,
    UnreadableValue,
    read_over_unreadable_batches,
)
from understudy.streams.kafka.client_config import MAX_UNPACKED_BYTES

WINDOWS, CHANGELOG = TP("understudy.windows", 1), TP("deciding-rollouts-changelog", 1)
GZIP = 1
LARGE = b"0" * (MAX_UNPACKED_BYTES // 3)
AT_MS = 1_772_366_400_000


def batch(base: int, values: list[bytes], codec: int = GZIP) -> bytearray:
    """A batch as a broker keeps it."""
    builder: Any = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)  # type: ignore[arg-type]
    for number, value in enumerate(values):
        builder.append(number, AT_MS + number, b"helpdesk", value, [])
    built = bytearray(builder.build())
    built[:8] = base.to_bytes(8, "big")
    return built


def records(*batches: bytearray, tp: Any = WINDOWS, at: int = 0) -> ReadableRecords:
    limit_unpacking()
    return ReadableRecords(tp, MemoryRecords(b"".join(batches)), [], at, None, None, True, 0)


def places(found: ReadableRecords) -> list[tuple[int, int | None]]:
    """Offsets, and the first of the batch that a record stands for."""
    return [
        (one.offset, one.value.batch.first if isinstance(one.value, UnreadableValue) else None)
        for one in found
    ]


def test_what_lies_around_it_is_read() -> None:
    found = records(batch(3, [b"a", b"b"]), batch(5, [LARGE] * 4), batch(9, [b"c"]), at=3)
    assert places(found) == [(3, None), (4, None), (8, 5), (9, None)]
    assert found.next_fetch_offset == 10


def test_it_says_why() -> None:
    (one,) = records(batch(0, [LARGE] * 4))
    assert (one.key, one.value, one.timestamp) == (None, b"", AT_MS + 3)
    assert one.value.batch.why == "unpacks to more than 32 MiB"
    assert (one.value.batch.end, one.value.batch.records) == (4, 4)


def test_who_begins_within_it_loses_the_rest_of_it() -> None:
    assert places(records(batch(5, [LARGE] * 4), at=7)) == [(8, 7)]


def test_two_in_a_row() -> None:
    assert places(records(batch(0, [LARGE] * 4), batch(4, [LARGE] * 4))) == [(3, 0), (7, 4)]


def test_damage_is_stepped_over_too() -> None:
    damaged = batch(0, [b"a" * 100, b"b" * 100])
    damaged[-3] ^= 0xFF
    assert places(records(damaged, batch(2, [b"c"]))) == [(1, 0), (2, None)]


def test_a_changelog_is_not_stepped_over() -> None:
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(ValueError, match="unpacks to more than 32 MiB"),
    ):
        list(records(batch(0, [b"a"]), batch(1, [LARGE] * 4), tp=CHANGELOG))
    (said,) = logs
    assert (said["event"], said["topic"], said["offset"]) == (
        "deciding.changelog_unreadable", CHANGELOG.topic, 1,
    )  # fmt: skip


def test_the_fetcher_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", None)
    read_over_unreadable_batches()
    assert fetcher.PartitionRecords is ReadableRecords
