"""What the table holds of a rollout: a snapshot, and parts of it that are written apart. Pure.

The snapshot of a large rollout is mostly the rows of its open windows, of which a tenth changes
from one checkpoint to the next. So these rows are in *parts*, entries of the table by themselves:
each checkpoint writes a part with the rows that have changed, then the snapshot, which names the
parts in their order. Of a row that is in several parts the last one counts. A part that has no
newest row any more is not named: windows are folded in the order in which they came, so that is so
after the life of a window.

A crash may come between the two writes, so a part that the snapshot in the table names is never
written over: parts go to *slots*, and a new one to a free one. A slot that the snapshot does not
name any more is free for the next checkpoint, so nothing has to be deleted before the rollout is.

    helpdesk        the snapshot: policy, evidence, names of parts
    helpdesk/0      rows
    helpdesk/1      other rows, or older ones, which the snapshot does not name
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.policy_change import successor
from understudy.analyzers.guardrails.state import RowName, decode_header, decode_rows
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.zstd import zstd

ZSTD_LEVEL: Final = 3
"""zstd's default: higher levels take several times as long for a few percent less."""
FEW_ROWS: Final = 64
"""So many rows of open windows, some 6 kB, stay in the snapshot: each message has its price."""
MOST_PARTS: Final = 64
"""Beyond this all rows are written anew. Windows live for some three minutes, so at a checkpoint in
ten seconds there are eighteen; many decisions, or long join timeouts, lead to more."""
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
    """Some rows of open windows, an entry by themselves."""

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
    """Rows that were left out of the state, older ones first; none where the state has all."""

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


def is_slot(key: bytes, rollout: bytes | None = None) -> bool:
    """Return whether a key is that of a slot, of some rollout or of this one."""
    return SLOT_MARK in key if rollout is None else key.startswith(rollout + SLOT_MARK)


def slot_key(key: bytes, slot: int) -> bytes:
    """Return the key of a slot of a rollout."""
    return b"%b%b%d" % (key, SLOT_MARK, slot)


def slots_of(key: bytes, table: Iterable[bytes]) -> list[bytes]:
    """Return the keys of a rollout's slots in a table, whether or not its snapshot names them."""
    return sorted(one for one in table if is_slot(one, key))


class SavedParts:
    """The parts that the snapshot in the table names, and in which of them each row is."""

    def __init__(
        self,
        parts: Sequence[Part] = (),
        slots: Mapping[RowName, int] | None = None,
        values: Sequence[bytes] = (),
    ) -> None:
        """`slots` says in which part the newest version of each row is.

        Where it is not known, it follows from the parts' values, decompressed, as soon as it is
        asked for: not while a worker takes over.
        """
        self.parts = tuple(parts)
        self._slots, self._values = slots, values

    def _known_slots(self) -> Mapping[RowName, int]:
        if self._slots is None:
            found: dict[RowName, int] = {}
            for part, value in zip(self.parts, self._values, strict=False):
                found.update(dict.fromkeys(decode_rows(value).names(), part.slot))
            self._slots, self._values = found, ()
        return self._slots

    def with_changes(self, key: bytes, evaluator: RolloutEvaluator) -> tuple[Writes, SavedParts]:
        """Return the part to write, if there is one, and all parts once it is there."""
        rows = evaluator.open_rows()
        if len(rows) < FEW_ROWS:
            return {}, SavedParts()
        changed = evaluator.changed_rows()
        slots = self._known_slots()
        kept = {row: slots[row] for row in rows if row in slots and row not in changed}
        named = set(kept.values())
        parts = [part for part in self.parts if part.slot in named]
        if len(parts) >= MOST_PARTS:
            kept, parts = {}, []
        anew = [row for row in rows if row not in kept]
        if not anew:
            return {}, SavedParts(parts, kept)
        taken = {part.slot for part in self.parts}
        slot = next(slot for slot in count() if slot not in taken)
        value = _compressed(evaluator.encode_rows(anew))
        parts.append(Part(slot, crc32(value)))
        return {slot_key(key, slot): value}, SavedParts(parts, kept | dict.fromkeys(anew, slot))


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
    evaluator, _ = restored_evaluator(table, key, snapshot)
    state = msgspec.Raw(evaluator.encode_state())
    return msgspec.structs.replace(snapshot, state=state, parts=())


def restored_evaluator(
    table: Mapping[bytes, bytes], key: bytes, snapshot: RolloutSnapshot
) -> tuple[RolloutEvaluator, SavedParts]:
    """Return the evaluator of a snapshot in a table, and its parts. Raises `UnreadableSnapshot`."""
    with _read():
        rollout, state = compile_manifest(snapshot.record.manifest), bytes(snapshot.state)
        values = [_part_in(table, key, part) for part in snapshot.parts]
        try:
            evaluator = RolloutEvaluator(rollout, state, parts=values)
        except ValueError:  # another release wrote it
            return successor(rollout, rollout, state), SavedParts(snapshot.parts)
        return evaluator, SavedParts(snapshot.parts, values=values)


def decision_in(table: Mapping[bytes, bytes], key: bytes) -> Decision:
    """Return the decision that follows from what a table holds, with all evidence: for views.

    Raises KeyError where it holds nothing of the rollout, and `UnreadableSnapshot`.
    """
    evaluator, _ = restored_evaluator(table, key, decode_snapshot(table[key]))
    return evaluator.decision()


def _part_in(table: Mapping[bytes, bytes], key: bytes, part: Part) -> bytes:
    value = table.get(slot_key(key, part.slot))
    if value is None or crc32(value) != part.checksum:
        raise UnreadableSnapshot(f"slot {part.slot} of {key!r} does not hold what was saved there")
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
