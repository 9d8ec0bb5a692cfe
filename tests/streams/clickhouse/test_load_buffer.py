"""The buffer is bounded, batches by rows, bytes and age, and acknowledges in order."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.clickhouse.load_buffer import InsertBatch, LoadBuffer, LoadPolicy
from understudy.streams.clickhouse.native_format import Block

POLICY = LoadPolicy(batch_rows=10, batch_bytes=1000, batch_age_s=1.0, buffer_bytes=3000)


def block(rows: int = 1, nbytes: int = 100, table: str = "t", column: str = "c") -> Block:
    return Block(table, (column,), rows, b"x" * nbytes)


def take(buffer: LoadBuffer, now_s: float = 0.0, *, everything: bool = False) -> InsertBatch:
    batch = buffer.take_due(now_s, everything=everything)
    assert batch is not None
    return batch


def test_nothing_is_due_before_its_age() -> None:
    buffer = LoadBuffer(POLICY)
    assert buffer.due_at() is None
    buffer.offer([block()], {0: 1}, now_s=5.0)
    buffer.offer([block()], {0: 2}, now_s=5.5)
    assert buffer.due_at() == 6.0
    assert buffer.take_due(5.9) is None
    assert take(buffer, 6.0).rows == 2


@pytest.mark.parametrize(("rows", "nbytes"), [(10, 1), (1, 1000), (25, 2000)])
def test_a_full_batch_is_due_at_once(rows: int, nbytes: int) -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(rows, nbytes)], {}, now_s=5.0)
    assert take(buffer, 5.0).rows == rows


def test_a_batch_has_the_blocks_of_one_table_whatever_their_columns() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(column="a"), block(column="b"), block(table="u")], {0: 7}, now_s=0.0)
    buffer.offer([block(column="a")], {0: 9}, now_s=0.1)
    batches = [take(buffer, everything=True) for _ in range(2)]
    assert {(b.table, b.rows) for b in batches} == {("t", 3), ("u", 1)}
    assert buffer.take_due(0.0, everything=True) is None


def test_a_backlog_goes_in_batches_in_order() -> None:
    buffer = LoadBuffer(POLICY)
    for position in range(25):
        buffer.offer([block(rows=1, nbytes=1)], {0: position}, now_s=0.0)
    sizes = []
    while (batch := buffer.take_due(9.0)) is not None:
        sizes.append(batch.rows)
        buffer.stored(batch)
    assert sizes == [10, 10, 5]
    assert buffer.position(0) == 24
    assert buffer.empty


def test_the_bound_counts_what_is_being_inserted() -> None:
    buffer = LoadBuffer(POLICY)
    assert buffer.offer([block(nbytes=2000)], {}, now_s=0.0)
    batch = take(buffer)
    assert not buffer.offer([block(nbytes=1001)], {}, now_s=0.0)
    assert buffer.nbytes == 2000
    buffer.stored(batch)
    assert buffer.offer([block(nbytes=1001)], {}, now_s=0.0)


def test_what_exceeds_the_bound_alone_is_taken_alone() -> None:
    buffer = LoadBuffer(POLICY)
    assert buffer.offer([block(nbytes=9000)], {}, now_s=0.0)
    assert not buffer.offer([block(nbytes=1)], {}, now_s=0.0)


def test_a_refused_offer_leaves_no_trace() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(nbytes=2500)], {0: 1}, now_s=0.0)
    assert not buffer.offer([block(nbytes=400), block(nbytes=400)], {0: 2, 1: 2}, now_s=0.0)
    buffer.stored(take(buffer))
    assert buffer.position(0) == 1
    assert buffer.position(1) == -1
    assert buffer.empty


def test_an_offer_is_stored_when_all_its_blocks_are() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(table="a"), block(table="b")], {0: 5}, now_s=0.0)
    first, second = take(buffer, everything=True), take(buffer, everything=True)
    buffer.stored(first)
    assert buffer.position(0) == -1
    buffer.stored(second)
    assert buffer.position(0) == 5


def test_positions_move_in_the_order_of_the_offers() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(table="slow")], {0: 5}, now_s=0.0)
    buffer.offer([block(table="fast")], {0: 8, 1: 3}, now_s=0.1)
    buffer.offer([], {0: 9}, now_s=0.2)
    slow, fast = take(buffer, everything=True), take(buffer, everything=True)
    buffer.stored(fast)
    assert (buffer.position(0), buffer.position(1)) == (-1, 3)
    buffer.stored(slow)
    assert (buffer.position(0), buffer.position(1)) == (9, 3)


def test_a_position_without_rows_moves_at_once() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block(rows=0, nbytes=9)], {4: 17}, now_s=0.0)
    assert buffer.position(4) == 17
    assert buffer.empty


def test_a_forgotten_partition_starts_again() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([block()], {0: 50, 1: 50}, now_s=0.0)
    buffer.clear(0)
    buffer.offer([block(table="again")], {0: 20}, now_s=0.1)
    old, again = take(buffer, everything=True), take(buffer, everything=True)
    assert old.table == "t"
    buffer.stored(old)
    assert (buffer.position(0), buffer.position(1)) == (-1, 50)
    buffer.stored(again)
    assert buffer.position(0) == 20


class Versions:
    """Latest versions by key; a key takes 100 bytes."""

    table = "t"
    is_full = False

    def __init__(self, **versions: int) -> None:
        self.versions = versions

    @property
    def rows(self) -> int:
        return len(self.versions)

    @property
    def nbytes(self) -> int:
        return 100 * len(self.versions)

    @property
    def payload(self) -> bytes:
        return repr(self.versions).encode()

    def join(self, later: Versions) -> None:
        self.versions |= later.versions


def test_later_versions_take_the_place_of_those_that_wait() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([Versions(a=1, b=1)], {0: 1}, now_s=5.0)
    buffer.offer([Versions(a=2, c=2)], {0: 2, 1: 7}, now_s=5.9)
    assert (buffer.nbytes, buffer.due_at()) == (300, 6.0), "the first came at 5.0"
    batch = take(buffer, 6.0)
    assert (batch.rows, batch.payload) == (3, b"{'a': 2, 'b': 1, 'c': 2}")
    assert buffer.position(0) == -1
    buffer.stored(batch)
    assert (buffer.position(0), buffer.position(1)) == (2, 7), "both offers are stored"
    assert buffer.empty


def test_versions_that_are_being_inserted_are_left_as_they_are() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([Versions(a=1)], {0: 1}, now_s=0.0)
    first = take(buffer, 1.0)
    buffer.offer([Versions(a=2)], {0: 2}, now_s=1.0)
    buffer.stored(first)
    assert (first.payload, buffer.position(0)) == (b"{'a': 1}", 1)
    second = take(buffer, 2.0)
    buffer.stored(second)
    assert (second.payload, buffer.position(0), buffer.nbytes) == (b"{'a': 2}", 2, 0)


def test_what_is_full_is_left_as_it_is() -> None:
    buffer = LoadBuffer(POLICY)
    full = Versions(a=1)
    full.is_full = True
    buffer.offer([full], {0: 1}, now_s=0.0)
    buffer.offer([Versions(b=1)], {0: 2}, now_s=0.5)
    batch = take(buffer, 1.0)
    assert (batch.rows, batch.payload) == (2, b"{'a': 1}{'b': 1}")
    buffer.stored(batch)
    assert buffer.position(0) == 2


def test_many_versions_are_due_at_once() -> None:
    buffer = LoadBuffer(POLICY)
    buffer.offer([Versions(**{f"k{number}": 1 for number in range(6)})], {}, now_s=0.0)
    assert buffer.take_due(0.5) is None
    buffer.offer([Versions(**{f"k{number}": 2 for number in range(5, 11)})], {}, now_s=0.5)
    assert take(buffer, 0.5).rows == 11


OFFERS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("ab"), max_size=3),
        st.sets(st.integers(0, 2), max_size=3),
    ),
    max_size=20,
)


@given(offers=OFFERS, choices=st.data())
def test_a_position_is_never_ahead_of_what_is_stored(
    offers: list[tuple[list[str], set[int]]], choices: st.DataObject
) -> None:
    """Batches are taken and stored at random; compared with a plain account of all blocks."""
    buffer = LoadBuffer(LoadPolicy(batch_rows=2, buffer_bytes=10**9))
    numbers = count()
    unstored: dict[int, list[int]] = {}
    taken: list[tuple[InsertBatch, list[int]]] = []
    queues: dict[str, list[int]] = {"a": [], "b": []}
    for tables, partitions in offers:
        offer = next(numbers)
        for table in tables:
            queues[table].append(offer)
        unstored[offer] = sorted(partitions)
        buffer.offer([block(table=t) for t in tables], dict.fromkeys(partitions, offer), 0.0)
        if choices.draw(st.booleans()):
            batch = buffer.take_due(0.0, everything=True)
            if batch is not None:
                mine = [queues[batch.table].pop(0) for _ in range(batch.rows)]
                taken.append((batch, mine))
        if choices.draw(st.booleans()) and taken:
            batch, _ = taken.pop(choices.draw(st.integers(0, len(taken) - 1)))
            buffer.stored(batch)
        remaining = {o for q in queues.values() for o in q} | {o for _, os in taken for o in os}
        for partition in range(3):
            mine = [o for o, ps in unstored.items() if partition in ps]
            done = []
            for o in mine:
                if o in remaining:
                    break
                done.append(o)
            assert buffer.position(partition) == (done[-1] if done else -1)
