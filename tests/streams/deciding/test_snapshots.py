"""Snapshots in parts: what is written, what a crash in between leaves, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from zlib import crc32

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT, World, replaced
from tests.streams.deciding.fake_port import write
from understudy.analyzers.guardrails.state import decode_rows
from understudy.analyzers.guardrails.window_store import IDLE_WINDOWS
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.windows import WindowsMessage, windows_message
from understudy.streams.deciding import snapshots
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.snapshots import (
    Checkpoint,
    UnreadableSnapshot,
    Writes,
    decision_in,
    decode_snapshot,
    encode_snapshot,
    snapshot_in,
)
from understudy.streams.deciding.state_store import RolloutStateStore
from understudy.streams.zstd import zstd

KEY = ROLLOUT.encode()
RECORD = encode_rollout_record(
    RolloutRecord(manifest=read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
guardrails: [{{metric: error_rate, max_increase: 1pp, slices: [all, each language]}}]
"""))
)  # fmt: skip
OPEN = 6
"""Windows that are open at a time."""


@pytest.fixture(autouse=True)
def all_rows_are_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FEW_ROWS", 1)


def messages(count: int) -> Iterator[WindowsMessage]:
    """Each has a new window, and closes one."""
    world = World(requests=20)
    rows = [message.rows for message in world.messages(5, count)]
    for version, message in enumerate(world.messages(5, count)):
        closed = rows[version - OPEN] if version >= OPEN else []
        early = [msgspec.structs.replace(row, closed=False) for row in message.rows]
        both = [msgspec.structs.replace(row, version=version) for row in (*closed, *early)]
        yield replaced(message, version=version, rows=both)


class Log:
    """A store with its table, and all that was written to the table."""

    def __init__(self) -> None:
        self.table: dict[bytes, bytes] = {}
        self.written: list[Writes] = []
        self.restart()
        self.store.apply_record(KEY, RECORD, LogPlace(0, 0, 1))
        self.save()

    def restart(self) -> None:
        self.store = RolloutStateStore(self.table)

    def take(self, message: WindowsMessage) -> None:
        place = LogPlace(0, message.version, 1_000 * message.version)
        self.store.apply_windows(KEY, msgspec.json.encode(message), place)

    def save(self) -> Checkpoint:
        checkpoint = self.store.checkpoint(KEY)
        for writes in checkpoint:
            write(self.table, writes)
            self.written.append(writes)
        self.store.mark_saved(KEY)
        return checkpoint

    def check(self) -> None:
        """Fails unless the table holds the newest state."""
        assert snapshot_in(self.table, KEY) == self.store.snapshot(KEY)


def test_only_rows_that_have_changed_are_written() -> None:
    log = Log()
    for number, message in enumerate(messages(20)):
        log.take(message)
        part, snapshot = log.save()
        assert list(snapshot) == [KEY]
        (value,) = part.values()
        assert value is not None
        rows = decode_rows(zstd.decompress(value)).names()
        assert len(rows) == len(World().languages), "those that have closed are folded"
        assert len(decode_snapshot(log.table[KEY]).parts) == min(number + 1, OPEN)
        log.check()
    assert len(log.table) == 1 + OPEN + 1


def test_what_has_not_changed_is_not_written_again_after_a_restart_either() -> None:
    log = Log()
    for message in messages(10):
        log.take(message)
        log.save()
        log.restart()
        log.take(message)
        assert log.save()[0] == {}
        log.check()


def test_few_rows_stay_in_the_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FEW_ROWS", 1_000)
    log = Log()
    for message in messages(10):
        log.take(message)
        log.save()
    assert list(log.table) == [KEY]
    log.check()


def test_rows_move_to_parts_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for number, message in enumerate(messages(24)):
        monkeypatch.setattr(snapshots, "FEW_ROWS", 1_000 if number // 4 % 2 else 1)
        log.take(message)
        log.save()
        log.check()
        if number % 3 == 0:
            log.restart()


def test_a_row_that_was_open_when_its_window_was_folded_does_not_come_back() -> None:
    """It closes late; a part from before still has it."""
    log, late = Log(), World(requests=20, partition=1).messages(5, 1)[0]
    opened = [msgspec.structs.replace(row, closed=False) for row in late.rows]
    log.take(replaced(late, rows=opened))
    log.save()
    closing = messages(IDLE_WINDOWS + OPEN + 3)
    for message in closing:
        log.take(message)
        log.save()
    version = message.version + 1
    closed = [msgspec.structs.replace(row, version=version) for row in late.rows]
    log.take(replaced(late, rows=closed, version=version))
    log.save()
    log.check()
    before = log.store.snapshot(KEY)
    log.restart()
    log.take(replaced(late, rows=closed, version=version))
    assert log.store.snapshot(KEY) == before


def test_many_parts_are_written_anew_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_PARTS", 3)
    log = Log()
    sizes = []
    for message in messages(12):
        log.take(message)
        log.save()
        log.check()
        sizes.append(len(decode_snapshot(log.table[KEY]).parts))
    assert sizes == [1, 2, 3] + [1, 2, 3] * 3
    assert len(log.table) <= 1 + 3 + 1


def test_a_crash_between_any_two_writes_leaves_the_checkpoint_before_or_the_new_one() -> None:
    log = Log()
    for message in messages(12):
        before, at_before = dict(log.table), len(log.written)
        wanted = [snapshot_in(before, KEY)]
        log.take(message)
        log.save()
        wanted.append(snapshot_in(log.table, KEY))
        torn = before
        written = [writes.items() for writes in log.written[at_before:]]
        for key, value in chain.from_iterable(written):
            write(torn, {key: value})
            assert snapshot_in(torn, KEY) in wanted
        assert torn == log.table


def test_after_a_torn_checkpoint_what_is_read_again_gives_the_same() -> None:
    """The part that was written before the crash is named by nobody, and written over."""
    calm, torn = Log(), Log()
    for message in messages(12):
        calm.take(message)
        calm.save()
        torn.take(message)
        write(torn.table, torn.store.checkpoint(KEY)[0])
        torn.restart()
        torn.take(message)
        torn.save()
        torn.check()
    assert snapshot_in(torn.table, KEY) == snapshot_in(calm.table, KEY)
    assert len(torn.table) == len(calm.table)


def test_a_deletion_leaves_no_slot_although_it_is_torn() -> None:
    log = Log()
    for message in messages(8):
        log.take(message)
        log.save()
    log.store.apply_record(KEY, None, LogPlace(0, 1, 2))
    write(log.table, log.store.checkpoint(KEY)[0])
    assert snapshot_in(log.table, KEY) is None
    assert log.table, "the crash comes before the slots are emptied"
    log.restart()
    assert log.store.apply_record(KEY, None, LogPlace(0, 1, 2)).is_state_changed
    log.save()
    assert log.table == {}


def test_a_rollout_that_begins_anew_spares_what_the_table_still_needs() -> None:
    """Its deletion is not saved yet."""
    log = Log()
    for message in messages(8):
        log.take(message)
        log.save()
    before = snapshot_in(log.table, KEY)
    log.store.apply_record(KEY, None, LogPlace(0, 1, 2))
    log.store.apply_record(KEY, RECORD, LogPlace(0, 2, 3))
    log.take(msgspec.structs.replace(message, version=100))
    write(log.table, log.store.checkpoint(KEY)[0])
    assert snapshot_in(log.table, KEY) == before


@pytest.mark.parametrize("rollout_id", [f"{ROLLOUT}/0", "/", f"{ROLLOUT}/", ""])
def test_a_rollout_that_is_called_like_a_slot_or_not_at_all_touches_none(rollout_id: str) -> None:
    log = Log()
    for message in messages(3):
        log.take(message)
        log.save()
    log.restart()
    name = rollout_id.encode()
    payload = msgspec.json.encode(
        windows_message([], rollout_id=rollout_id, partition=0, version=9)
    )
    output = log.store.apply_windows(name, payload, LogPlace(0, 9, 9))
    assert output.is_without_policy == bool(name)
    assert not log.store.apply_record(name, None, LogPlace(0, 9, 9)).is_state_changed


@pytest.mark.parametrize("value", [None, b"", b"something else"])
def test_a_part_that_is_not_what_the_snapshot_names_ends_it(value: bytes | None) -> None:
    log = Log()
    log.take(next(messages(1)))
    log.save()
    write(log.table, {KEY + b"/0": value})
    for read in (snapshot_in, decision_in):
        with pytest.raises(UnreadableSnapshot):
            read(log.table, KEY)
    log.restart()
    with pytest.raises(UnreadableSnapshot):
        log.take(next(messages(1)))


def test_parts_of_another_release_are_left_with_the_evidence() -> None:
    """What was latched stays."""
    log = Log()
    for message in messages(4):
        log.take(message)
        log.save()
    before = decision_in(log.table, KEY)
    snapshot = decode_snapshot(log.table[KEY])
    state = msgspec.msgpack.decode(snapshot.state)
    state["version"] += 1
    state["stores"] = "otherwise"
    other = zstd.compress(b"of another release", 3)
    write(log.table, {KEY + b"/0": other})
    parts = tuple(one._replace(slot=0, checksum=crc32(other)) for one in snapshot.parts)
    raw = msgspec.Raw(msgspec.msgpack.encode(state))
    changed = msgspec.structs.replace(snapshot, state=raw, parts=parts)
    write(log.table, {KEY: encode_snapshot(changed)})
    after = decision_in(log.table, KEY)
    assert (after.sequence, after.partitions) == (before.sequence, {})
    log.restart()
    for message in messages(4):
        log.take(msgspec.structs.replace(message, version=50 + message.version))
        log.save()
        log.check()
