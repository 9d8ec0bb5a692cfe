"""The docket: every rollout's policy and evidence, between two topics and a table. Pure.

Raw messages of `understudy.rollouts` and `understudy.windows` go in; a `Step` comes out: what to
tell the topic of decisions, then what to keep in the table. In this order: a crash in between
computes the same decision again, and loses none.

The table maps `rollout_id` to an `Entry`, JSON in zstd. Deciders made of entries are kept in memory
until `forget`, which whoever loses a partition has to call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import zstandard

from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollout_records import (
    ROLLOUTS_SCHEMA_VERSION,
    Command,
    RolloutRecord,
    decode_rollout_record,
)
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.schemas.windows import WINDOWS_SCHEMA_VERSION, WindowsMessage
from understudy.streams.deciding.decider import Decider
from understudy.streams.deciding.succession import successor

ZSTD_LEVEL: Final = 3


class Refused(ValueError):
    """A message that cannot be used; a dead letter."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the table holds of a rollout."""

    record: RolloutRecord
    kept: dict[str, Any]
    """State of the decider."""
    obeyed: int
    """Number of the last command obeyed."""
    offset: int
    timestamp_ms: int
    """Where and when the record stood in its topic: an older one that is read again is ignored."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a message brought: first send, then keep."""

    key: bytes
    told: tuple[bytes | None, ...] = ()
    """Values for the topic of decisions; None deletes."""
    changes: bool = False
    entry: bytes | None = None
    """The table's new value where it changes; None deletes."""


@dataclass(slots=True)
class _Docketed:
    """A rollout in memory."""

    record: RolloutRecord
    decider: Decider
    obeyed: int
    offset: int
    timestamp_ms: int

    def entry(self) -> bytes:
        entry = Entry(
            record=self.record,
            kept=self.decider.to_builtins(),
            obeyed=self.obeyed,
            offset=self.offset,
            timestamp_ms=self.timestamp_ms,
        )
        return zstandard.compress(msgspec.json.encode(entry), ZSTD_LEVEL)


class Docket:
    """Rollouts of the partitions held; reads the table, never writes it. Not thread-safe."""

    def __init__(self, table: Mapping[bytes, bytes]) -> None:
        self._table = table
        self._known: dict[bytes, _Docketed] = {}
        self.ignored: Counter[str] = Counter()
        """Messages of windows without a policy, by rollout."""
        self.refused_commands: list[str] = []
        """Commands of the last record that made no sense, and why."""

    def forget(self) -> None:
        """Drop what is in memory; the table has it."""
        self._known.clear()

    def windows(self, key: bytes | None, payload: bytes | None) -> Step:
        """Judge a message of windows. Raises `Refused`; then nothing has changed."""
        message = _windows_message(key, payload)
        name = message.rollout_id.encode()
        docketed = self._find(name)
        if docketed is None:
            self.ignored[message.rollout_id] += 1
            return Step(name)
        with _Undoing(self._known, name):
            decision = docketed.decider.take(message)
            return Step(name, _encoded([decision]), True, docketed.entry())

    def rollout(
        self, key: bytes | None, payload: bytes | None, offset: int, timestamp_ms: int
    ) -> Step:
        """Take a record: a new or changed policy, commands, or its end. Raises `Refused`.

        A policy that counts from now on is told at once, before there is any evidence.
        """
        self.refused_commands = []
        if key is None:
            raise Refused("without a key")
        known = self._find(key)
        if known and offset <= known.offset and timestamp_ms <= known.timestamp_ms:
            return Step(key)
        if payload is None:
            self._known.pop(key, None)
            return Step(key, (None,), changes=key in self._table)
        record = _record(key, payload)
        with _Undoing(self._known, key):
            return self._taken(key, known, record, offset, timestamp_ms)

    def _taken(
        self, key: bytes, known: _Docketed | None, record: RolloutRecord, offset: int, at_ms: int
    ) -> Step:
        told: list[Decision | None] = []
        decider = _decider(record, known)
        decider.hear(at_ms)
        if known is None or decider is not known.decider:
            told.append(decider.decision())
        obeyed = known.obeyed if known else 0
        told += [self._obey(decider, command) for command in record.commands_after(obeyed)]
        docketed = _Docketed(record, decider, max(obeyed, record.last_number), offset, at_ms)
        self._known[key] = docketed
        return Step(key, _encoded(told), True, docketed.entry())

    def _obey(self, decider: Decider, command: Command) -> Decision | None:
        decider.hear(round(command.at.timestamp() * 1000))
        if command.kind == "kill":
            return decider.kill(_why(command))
        if command.kind == "resume":
            return decider.resume()
        try:
            return decider.promote()
        except ValueError as error:
            self.refused_commands.append(f"{command.number} {command.kind}: {error}")
            return None

    def _find(self, key: bytes) -> _Docketed | None:
        """From memory or else from the table."""
        if key not in self._known and key in self._table:
            self._known[key] = _restored(self._table[key])
        return self._known.get(key)


class _Undoing:
    """Forget a rollout in memory when what was to change it failed half-way."""

    def __init__(self, known: dict[bytes, _Docketed], key: bytes) -> None:
        self._known, self._key = known, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        self._known.pop(self._key, None)
        if isinstance(error, ValueError):
            raise Refused(str(error)) from error


def decision_as_of(entry: bytes) -> Decision:
    """The decision that follows from the table's value, with all evidence: for pages and views."""
    return _restored(entry).decider.decision()


def _restored(value: bytes) -> _Docketed:
    entry = msgspec.json.decode(zstandard.decompress(value), type=Entry)
    rollout = compile_manifest(entry.record.manifest)
    try:
        decider = Decider(rollout, entry.kept)
    except ValueError:  # another release wrote it
        decider = successor(rollout, rollout, entry.kept)
    return _Docketed(entry.record, decider, entry.obeyed, entry.offset, entry.timestamp_ms)


def _decider(record: RolloutRecord, known: _Docketed | None) -> Decider:
    """The known one if the policy still means the same."""
    rollout = compile_manifest(record.manifest)
    if known is None:
        return Decider(rollout)
    previous = known.decider.rollout
    if policy_hash(rollout) == policy_hash(previous):
        return known.decider
    return successor(rollout, previous, known.decider.to_builtins())


def _windows_message(key: bytes | None, payload: bytes | None) -> WindowsMessage:
    if payload is None:
        raise Refused("without a value")
    try:
        message = msgspec.json.decode(payload, type=WindowsMessage)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(str(error)) from None
    if message.schema_version != WINDOWS_SCHEMA_VERSION:
        raise Refused(f"schema_version {message.schema_version} is not known here")
    if key != message.rollout_id.encode():
        raise Refused("the key is not the rollout_id")
    return message


def _record(key: bytes, payload: bytes) -> RolloutRecord:
    try:
        record = decode_rollout_record(payload)
        compile_manifest(record.manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(str(error)) from None
    if record.schema_version != ROLLOUTS_SCHEMA_VERSION:
        raise Refused(f"schema_version {record.schema_version} is not known here")
    if key != record.manifest.rollout_id.encode():
        raise Refused("the key is not the rollout_id")
    return record


def _encoded(decisions: list[Decision | None]) -> tuple[bytes | None, ...]:
    return tuple(encode_decision(decision) for decision in decisions if decision is not None)


def _why(command: Command) -> str:
    told = f"killed by {command.by or 'an operator'}"
    return f"{told}: {command.reason}" if command.reason else told
