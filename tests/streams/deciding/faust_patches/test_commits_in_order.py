"""What is committed lies behind no message that was delivered and is not done."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import defaultdict, deque
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.commits_in_order import CommitsInOrder
from understudy.streams.deciding.faust_patches.unreadable_batches import UnreadableValue
from understudy.streams.kafka.unreadable import UnreadableBatch

WINDOWS = TP("understudy.windows", 0)
CHANGELOG = TP("understudy-deciding-rollouts-changelog", 0)


def consumer(committed: int | None = None) -> Any:
    """One that has the partitions, and what it needs of an app."""
    topics = SimpleNamespace(acks_enabled_for=lambda topic: topic == WINDOWS.topic)
    tables = SimpleNamespace(changelog_topics={CHANGELOG.topic})
    return bare(
        CommitsInOrder,
        app=SimpleNamespace(consumer_generation_id=1, topics=topics, tables=tables),
        _acked=defaultdict(list),
        _acked_index=defaultdict(set),
        _committed_offset=defaultdict(lambda: None, {WINDOWS: committed}),
        _delivered=defaultdict(deque),
        _done=defaultdict(set),
        _n_acked=0,
        _unacked_messages=set(),
        _waiting_for_ack=None,
    )


def record(offset: int, value: bytes = b"{}", place: TP = WINDOWS) -> Any:
    return SimpleNamespace(
        topic=place.topic, partition=place.partition, offset=offset, timestamp=0, timestamp_type=0,
        headers=(), key=None, value=value, checksum=None, serialized_key_size=-1,
        serialized_value_size=-1,
    )  # fmt: skip


def deliver(one: Any, *offsets: int) -> dict[int, Any]:
    """Messages by offset, as a stream hands them out."""
    messages = {offset: one._to_message(WINDOWS, record(offset)) for offset in offsets}
    for message in messages.values():
        message.tracked = True
    return messages


def commit(one: Any) -> int | None:
    """What is committed now."""
    offsets: dict[TP, int] = one._filter_committable_offsets(one._filter_tps_with_pending_acks())
    one._committed_offset.update(offsets)
    return offsets.get(WINDOWS)


@pytest.mark.parametrize("committed", [None, 5])
def test_a_message_that_is_not_done_is_passed_by_no_commit(committed: int | None) -> None:
    """Not the first one either, whether or not there was a commit before."""
    one = consumer(committed)
    messages = deliver(one, 5, 6, 7)
    one.ack(messages[6])
    assert commit(one) is None
    one.ack(messages[5])
    assert commit(one) == 7
    one.ack(messages[7])
    assert commit(one) == 8
    assert not one._acked[WINDOWS]
    assert not one._acked_index[WINDOWS]


def test_missing_offsets_hold_nothing_up_and_stand_for_no_message() -> None:
    one = consumer(5)
    messages = deliver(one, 5, 6)
    asyncio.run(one._add_gap(WINDOWS, 7, 10))
    messages |= deliver(one, 10, 11)
    for offset in (5, 6, 11):
        one.ack(messages[offset])
    assert commit(one) == 7
    one.ack(messages[10])
    assert commit(one) == 12


def test_a_revocation_passes_nothing() -> None:
    """Faust forgets then what was committed and what was acknowledged."""
    one = consumer(5)
    messages = deliver(one, 5, 6, 7, 8)
    one.ack(messages[5])
    one.ack(messages[7])
    for known in (one._acked, one._acked_index, one._committed_offset):
        known.pop(WINDOWS, None)
    one.ack(messages[8])
    assert commit(one) == 6


def test_nothing_is_committed_under_a_later_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what is done: others may have had the partition, and come further."""
    committed: list[int | None] = []

    async def revoke(one: Any, revoked: set[TP]) -> None:
        one._committed_offset.pop(WINDOWS)
        committed.append(commit(one))
        one.ack(messages[6])

    monkeypatch.setattr(Consumer, "on_partitions_revoked", revoke)
    one = consumer(5)
    messages = deliver(one, 5, 6)
    one.ack(messages[5])
    asyncio.run(one.on_partitions_revoked({WINDOWS}))
    assert committed == [6]
    assert commit(one) is None


def test_after_a_seek_what_is_delivered_again_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def seek(_: Any) -> None:
        """To what is committed."""

    monkeypatch.setattr(Consumer, "perform_seek", seek)
    one = consumer(5)
    one.ack(deliver(one, 5, 6)[6])
    asyncio.run(one.perform_seek())
    messages = deliver(one, 5, 6, 7)
    one.ack(messages[5])
    assert commit(one) == 6
    one.ack(messages[7])
    assert commit(one) is None
    one.ack(messages[6])
    assert commit(one) == 8


def test_what_a_late_seek_delivers_again_holds_nothing_up() -> None:
    """Faust drops what it has read; the newest message is handed out again."""
    one = consumer(10)
    messages = deliver(one, 10, 11, 12)
    again = deliver(one, 10, 11, 12, 13)
    one.ack(messages[11])
    assert commit(one) is None
    for message in (messages[10], messages[12], again[12], again[13]):
        one.ack(message)
    assert commit(one) == 14
    assert not one._delivered[WINDOWS]
    assert not one._done[WINDOWS]


def test_what_lies_before_a_commit_holds_nothing_up() -> None:
    """A commit that was under way during a seek; a log whose offsets have begun anew."""
    one = consumer(5)
    messages = deliver(one, 3, 4, 5, 6)
    one.ack(messages[6])
    assert commit(one) is None
    one.ack(messages[5])
    assert commit(one) == 7


def test_a_message_that_a_stream_skipped_is_not_done() -> None:
    one = consumer(5)
    message = one._to_message(WINDOWS, record(5))
    message.incref()
    message.ack(one)
    assert commit(one) is None


def test_at_random() -> None:
    """Messages come in order, with gaps between, and are done in any order."""
    for seed in range(300):
        rng = Random(seed)
        one, undone, last = consumer(rng.choice((None, 1))), dict[int, Any](), 0
        for _ in range(30):
            last += rng.choice((1, 1, 2, 7))
            undone |= deliver(one, last)
            for offset in rng.sample(sorted(undone), rng.randint(0, len(undone))):
                one.ack(undone.pop(offset))
            commit(one)
            committed = one._committed_offset[WINDOWS] or 0
            assert committed <= min(undone, default=last + 1), seed
            assert undone or committed == last + 1, seed


def test_the_changelog_is_not_counted() -> None:
    one = consumer()
    one._to_message(CHANGELOG, record(3, place=CHANGELOG))
    assert not one._delivered


def test_a_batch_of_many_records_takes_no_memory() -> None:
    one = consumer()
    value = UnreadableValue.of(UnreadableBatch(1, 400_000_001, "too large"))
    one.ack(deliver(one, 0)[0])
    tracemalloc.start()
    message = one._to_message(WINDOWS, record(400_000_000, value))
    message.tracked = True
    one.ack(message)
    assert message.value == b""
    assert commit(one) == 400_000_001
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
