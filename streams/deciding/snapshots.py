"""What the table holds of a rollout: a snapshot, and parts of it that are written apart. Pure.

The snapshot of a large rollout is mostly the rows of its open windows, of which two or three in
fourteen change from one checkpoint to the next. So each large window is a *part*, an entry of the
table by itself, which is written when its rows have changed. The snapshot names its parts.

A crash may come between any two writes, so a checkpoint never overwrites a part that the snapshot
in the table names: parts go to *slots*, and a changed window goes to a free one. Once the snapshot
is written, the slot that it does not name any more is free for the next. So there are a few more
slots than windows, and nothing has to be deleted before the rollout is.

    helpdesk        the snapshot: policy, evidence, small windows, names of parts
    helpdesk/0      a window
    helpdesk/1      another one, or an older copy of one, which the snapshot does not name
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, islice
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.policy_change import successor
from understudy.analyzers.guardrails.state import WindowName, decode_header
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.zstd import zstd

ZSTD_LEVEL: Final = 3
"""zstd's default: higher levels take several times as long for a few percent less."""
ROWS_OF_PART: Final = 32
"""Windows of fewer rows stay in the snapshot: they take some 3 kB, and a message has its price."""
SLOT_MARK: Final = b"/"
"""No rollout_id contains it."""

Writes = Mapping[bytes, bytes | None]
"""Values of the table by key; None deletes."""
Checkpoint = tuple[Writes, ...]
"""What to write of a rollout. All of one element has to be there before the next is written."""


class UnreadableSnapshot(RuntimeError):
    """What the table holds of a rollout cannot be read, so its state is unknown.

    No message is to blame, and going on would lose what was decided: the process has to end.
    """


class Part(NamedTuple):
    """A window that is an entry by itself."""

    window: WindowName
    slot: int
    checksum: int
    """Of the entry: another one in its slot is no part of this snapshot."""


class RolloutSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What the table holds of a rollout, but for its parts."""

    record: RolloutRecord
    state: msgspec.Raw
    """State of the evaluator."""
    last_applied_command: int
    """Number of the command."""
    record_offset: int
    record_timestamp_ms: int
    """Offset and timestamp of the record: an older one that is read again is ignored."""
    newest_windows: LogPlace | None
    """Of the newest message of windows that the state includes: the same for them. They change no
    evidence, but a look at one would see what came after it."""
    parts: tuple[Part, ...] = ()
    """Windows that were left out of the state."""

    @property
    def awaits_look(self) -> bool:
        """Whether it holds messages that no look has seen."""
        return decode_header(bytes(self.state)).status.awaits_look


_decoder: Final = msgspec.msgpack.Decoder(RolloutSnapshot)


def encode_snapshot(snapshot: RolloutSnapshot) -> bytes:
    """Return a value of the table."""
    return _compressed(msgspec.msgpack.encode(snapshot))


def decode_snapshot(value: bytes) -> RolloutSnapshot:
    """Return the snapshot that a value of the table holds. Raises `UnreadableSnapshot`."""
    with _read():
        return _decoder.decode(zstd.decompress(value))


def is_slot(key: bytes, rollout: bytes = b"") -> bool:
    """Return whether a key is that of a slot, of some rollout or of this one."""
    return key.startswith(rollout + SLOT_MARK) if rollout else SLOT_MARK in key


def slot_key(key: bytes, slot: int) -> bytes:
    """Return the key of a slot of a rollout."""
    return b"%b%b%d" % (key, SLOT_MARK, slot)


def slots_of(key: bytes, table: Iterable[bytes]) -> list[bytes]:
    """Return the keys of a rollout's slots in a table, whether or not its snapshot names them."""
    return sorted(one for one in table if is_slot(one, key))


class SavedParts:
    """The parts that the snapshot in the table names."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts = {one.window: one for one in parts}

    def with_changed(
        self, key: bytes, evaluator: RolloutEvaluator
    ) -> tuple[dict[bytes, bytes], tuple[Part, ...]]:
        """Return the windows to write, by the keys of free slots, and all parts once they are."""
        large = evaluator.windows(at_least=ROWS_OF_PART)
        changed = evaluator.changed_windows()
        kept = [self._parts[one] for one in large if one in self._parts and one not in changed]
        anew = [one for one in large if one not in self._parts or one in changed]
        writes, parts = dict[bytes, bytes](), kept
        for window, slot in zip(anew, islice(self._free_slots(), len(anew)), strict=True):
            value = _compressed(evaluator.encode_window(window))
            writes[slot_key(key, slot)] = value
            parts.append(Part(window, slot, crc32(value)))
        return writes, tuple(sorted(parts))

    def _free_slots(self) -> Iterator[int]:
        taken = {one.slot for one in self._parts.values()}
        return (slot for slot in count() if slot not in taken)


def snapshot_in(table: Mapping[bytes, bytes], key: bytes) -> RolloutSnapshot | None:
    """Return all that a table holds of a rollout as a snapshot without parts; None for nothing.

    The same state gives the same bytes, in however many parts it was written. Raises
    `UnreadableSnapshot`.
    """
    if key not in table:
        return None
    snapshot = decode_snapshot(table[key])
    if not snapshot.parts:
        return snapshot
    state = msgspec.Raw(restored_evaluator(table, key, snapshot).encode_state())
    return msgspec.structs.replace(snapshot, state=state, parts=())


def restored_evaluator(
    table: Mapping[bytes, bytes], key: bytes, snapshot: RolloutSnapshot
) -> RolloutEvaluator:
    """Return the evaluator of a snapshot in a table. Raises `UnreadableSnapshot`."""
    with _read():
        rollout, state = compile_manifest(snapshot.record.manifest), bytes(snapshot.state)
        windows = [_part_in(table, key, part) for part in snapshot.parts]
        try:
            return RolloutEvaluator(rollout, state, windows=windows)
        except ValueError:  # another release wrote it
            return successor(rollout, rollout, state)


def decision_in(table: Mapping[bytes, bytes], key: bytes) -> Decision:
    """Return the decision that follows from what a table holds, with all evidence: for views.

    Raises KeyError where it holds nothing of the rollout, and `UnreadableSnapshot`.
    """
    return restored_evaluator(table, key, decode_snapshot(table[key])).decision()


def _part_in(table: Mapping[bytes, bytes], key: bytes, part: Part) -> bytes:
    value = table.get(slot_key(key, part.slot))
    if value is None or crc32(value) != part.checksum:
        raise UnreadableSnapshot(f"slot {part.slot} of {key!r} does not hold {part.window}")
    return zstd.decompress(value)


def _compressed(value: bytes) -> bytes:
    return zstd.compress(value, ZSTD_LEVEL)


@contextmanager
def _read() -> Iterator[None]:
    """Whatever fails here is a snapshot that somebody else wrote, or another release."""
    try:
        yield
    except (MemoryError, UnreadableSnapshot):
        raise
    except Exception as error:
        raise UnreadableSnapshot(repr(error)) from error
