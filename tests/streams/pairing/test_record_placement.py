"""A wrong partitioner and wrong keys are found among few records, counted, and said once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import pytest

from tests.integration.bad_input import event
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.pairing.record_placement import (
    EVERY_RECORD_UNTIL,
    STRIDE,
    WARN_EVERY_S,
    PlacementCheck,
    PlacementCounts,
)
from understudy.streams.pairing.records import RecordBatch

PARTITIONS = 12


def batch(
    pair_ids: Sequence[str], *, key: Callable[[str], bytes | None], first: int = 0
) -> RecordBatch:
    count = len(pair_ids)
    return RecordBatch(
        payloads=[event(pair_id) for pair_id in pair_ids],
        offsets=range(first, first + count),
        timestamps_ms=[0] * count,
        keys=[key(pair_id) for pair_id in pair_ids],
    )


def right(pair_id: str) -> bytes:
    return f"r/{pair_id}".encode()


def ids_in(number: int, partitioner: Callable[[bytes, int], int], count: int) -> list[str]:
    """Pairs whose keys a partitioner puts into a partition."""
    names = (f"pair-{n}" for n in range(100_000))
    found = (name for name in names if partitioner(right(name), PARTITIONS) == number)
    return [next(found) for _ in range(count)]


def crc32(key: bytes, partitions: int) -> int:
    return zlib.crc32(key) % partitions


def check(partitions: int | None = PARTITIONS) -> PlacementCheck:
    return PlacementCheck(lambda: partitions)


def test_what_lies_where_it_belongs_is_no_warning() -> None:
    found = check()
    found.look(3, batch(ids_in(3, partition_of, 20), key=right))
    assert found.counts == PlacementCounts(checked=20)
    assert found.warning(0.0) is None


def test_another_partitioner_is_counted_and_named() -> None:
    found = check()
    names = ids_in(3, crc32, 60)
    found.look(3, batch(names, key=right, first=500))
    elsewhere = sum(partition_of(right(name), PARTITIONS) != 3 for name in names)
    assert 40 < elsewhere <= 60
    assert found.counts == PlacementCounts(60, elsewhere=elsewhere, by_crc32=elsewhere)
    warning = found.warning(0.0)
    assert warning is not None
    name = names[warning.offset - 500]
    assert warning.key == warning.expected_key == f"r/{name}"
    assert warning.expected_partition == partition_of(right(name), PARTITIONS)


@pytest.mark.parametrize("key", [lambda _: None, lambda _: b"", lambda pair_id: pair_id.encode()])
def test_a_key_of_another_form_is_counted(key: Callable[[str], bytes | None]) -> None:
    found = check()
    names = [name for name in map(str, range(500)) if partition_of(name.encode(), PARTITIONS) == 3]
    found.look(3, batch(names[:10], key=key))
    assert found.counts == PlacementCounts(checked=10, wrong_key=10)
    warning = found.warning(0.0)
    assert warning is not None
    assert warning.expected_key == f"r/{names[9]}"


def test_turns_have_the_key_of_their_conversation() -> None:
    found = check()
    payloads = [event(f"p{n}", conversation_id="c", turn=n + 1) for n in range(3)]
    number = partition_of(b"r/c", PARTITIONS)
    found.look(number, RecordBatch(payloads, range(3), [0] * 3, [b"r/c"] * 3))
    assert found.counts == PlacementCounts(checked=3)
    found.look(number, RecordBatch(payloads[:1], range(3, 4), [0], [b"r/p0"]))
    assert found.counts.wrong_key == 1
    warning = found.warning(0.0)
    assert warning is not None
    assert warning.expected_key == "r/c"


def test_the_warning_comes_once_in_a_while() -> None:
    found = check()
    wrong = batch(["a"], key=lambda _: b"")
    for now_s, comes in (
        (0.0, True),
        (1.0, False),
        (WARN_EVERY_S, True),
        (WARN_EVERY_S + 1, False),
    ):
        found.look(0, wrong)
        assert (found.warning(now_s) is not None) is comes
    assert found.warning(3 * WARN_EVERY_S) is not None, "what was not logged is not forgotten"
    assert found.warning(9 * WARN_EVERY_S) is None, "nothing new"


@pytest.mark.parametrize("size", [1, 7, 100, 5_000])
def test_few_records_are_looked_at_however_batches_are_cut(size: int) -> None:
    found = check()
    total = 20_000
    one = event("a")
    for first in range(0, total, size):
        count = min(size, total - first)
        found.look(
            0, RecordBatch([one] * count, range(first, first + count), [0] * count, [b""] * count)
        )
    assert found.counts.checked == EVERY_RECORD_UNTIL + (total - 1) // STRIDE


def test_partitions_that_were_added_are_no_fault_of_gateways() -> None:
    grown = iter([4, PARTITIONS, PARTITIONS])
    found = PlacementCheck(lambda: next(grown))
    names = [name for name in ids_in(3, partition_of, 50) if partition_of(right(name), 4) != 3]
    found.look(3, batch(names or ids_in(3, partition_of, 5), key=right))
    assert found.counts.elsewhere == 0


def test_without_an_answer_nobody_is_accused() -> None:
    found = check(None)
    found.look(3, batch(["a", "b"], key=lambda _: b""))
    assert found.counts == PlacementCounts()


def test_what_is_no_event_is_a_matter_of_dead_letters() -> None:
    found = check()
    payloads = [None, b"", b"[" * 10_000, b'{"rollout_id": 7}', b"\xff"]
    found.look(0, RecordBatch(payloads, range(5), [0] * 5, [b"k"] * 5))
    assert found.counts == PlacementCounts()
    assert found.warning(0.0) is None
