"""The store: every rollout's policy and evidence, between two topics and a table. Pure.

Raw messages of `understudy.rollouts` and `understudy.windows` go in; a `Step` comes out: what to
tell the topic of decisions, and whether the table is to change. A decision is told first: a crash
in between computes the same decision again, and loses none.

The table maps `rollout_id` to an `Entry`, JSON in zstd. An entry is large, so it need not be
written after each step: `value` has the newest, `saved` says that the table holds it, and what came
since is to be read again after a crash. Deciders made of entries are kept in memory until `forget`,
which whoever loses a partition has to call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import zstandard

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.policy_change import successor
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollout_records import (
    ROLLOUTS_SCHEMA_VERSION,
    Command,
    RolloutRecord,
    decode_rollout_record,
)
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.schemas.windows import WINDOWS_SCHEMA_VERSION, WindowsMessage

ZSTD_LEVEL: Final = 3


class Refused(ValueError):
    """A message that cannot be used; a dead letter."""


class ReplayDiverged(RuntimeError):
    """The messages that the table lacks failed when taken again: nothing to go on after."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the table holds of a rollout."""

    record: RolloutRecord
    kept: dict[str, Any]
    """State of the evaluator."""
    obeyed: int
    """Number of the last command obeyed."""
    offset: int
    timestamp_ms: int
    """Where and when the record stood in its topic: an older one that is read again is ignored."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a message brought: first send, then keep what `RolloutStateStore.value` says."""

    key: bytes
    told: tuple[bytes | None, ...] = ()
    """Values for the topic of decisions; None deletes."""
    changes: bool = False
    """Whether the table does not hold all any more."""


@dataclass(slots=True)
class _LiveRollout:
    """A rollout in memory."""

    record: RolloutRecord
    evaluator: RolloutEvaluator
    obeyed: int
    offset: int
    timestamp_ms: int
    since: list[bytes] = field(default_factory=list)
    """Messages that the table's entry does not have yet."""

    def entry(self) -> bytes:
        entry = Entry(
            record=self.record,
            kept=self.evaluator.to_builtins(),
            obeyed=self.obeyed,
            offset=self.offset,
            timestamp_ms=self.timestamp_ms,
        )
        return zstandard.compress(msgspec.json.encode(entry), ZSTD_LEVEL)


class RolloutStateStore:
    """Rollouts of the partitions held; reads the table, never writes it. Not thread-safe."""

    def __init__(self, table: Mapping[bytes, bytes]) -> None:
        self._table = table
        self._known: dict[bytes, _LiveRollout] = {}
        self.ignored: Counter[str] = Counter()
        """Messages of windows without a policy, by rollout."""
        self.refused_commands: list[str] = []
        """Commands of the last record that made no sense, and why."""

    def forget(self) -> None:
        """Drop what is in memory: the table has it, or it is read again."""
        self._known.clear()

    def value(self, key: bytes) -> bytes | None:
        """What the table is to hold of a rollout; None for nothing."""
        live = self._known.get(key)
        return live.entry() if live else None

    def saved(self, key: bytes) -> None:
        """The table holds the `value` of a rollout now."""
        if key in self._known:
            self._known[key].since.clear()

    def windows(self, key: bytes | None, payload: bytes | None) -> Step:
        """Judge a message of windows. Raises `Refused`; then nothing has changed."""
        message = _windows_message(key, payload)
        name = message.rollout_id.encode()
        live = self._find(name)
        if live is None:
            self.ignored[message.rollout_id] += 1
            return Step(name)
        with self._undoing(name):
            told = _encoded([live.evaluator.take(message)])
            live.since.append(payload or b"")
            return Step(name, told, changes=True)

    def rollout(
        self, key: bytes | None, payload: bytes | None, offset: int, timestamp_ms: int
    ) -> Step:
        """Take a record: a new or changed policy, commands, or its end. Raises `Refused`.

        A policy that counts from now on is told at once, before there is any evidence. What the
        table lacks must be saved before a record is taken and right after: unlike messages of
        windows, which come again in their order, a record may then stand between others.
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
        with self._undoing(key):
            return self._taken(key, known, record, offset, timestamp_ms)

    def _taken(
        self, key: bytes, known: _LiveRollout | None, record: RolloutRecord, offset: int, at_ms: int
    ) -> Step:
        told: list[Decision | None] = []
        evaluator = _evaluator(record, known)
        evaluator.advance_clock(at_ms)
        if known is None or evaluator is not known.evaluator:
            told.append(evaluator.decision())
        obeyed = known.obeyed if known else 0
        told += [self._obey(evaluator, command) for command in record.commands_after(obeyed)]
        live = _LiveRollout(record, evaluator, max(obeyed, record.last_number), offset, at_ms)
        self._known[key] = live
        return Step(key, _encoded(told), changes=True)

    def _obey(self, evaluator: RolloutEvaluator, command: Command) -> Decision | None:
        evaluator.advance_clock(round(command.at.timestamp() * 1000))
        if command.kind == "kill":
            return evaluator.kill(_why(command))
        if command.kind == "resume":
            return evaluator.resume()
        try:
            return evaluator.promote()
        except ValueError as error:
            self.refused_commands.append(f"{command.number} {command.kind}: {error}")
            return None

    def _find(self, key: bytes) -> _LiveRollout | None:
        """From memory or else from the table."""
        if key not in self._known and key in self._table:
            self._known[key] = _restored(self._table[key])
        return self._known.get(key)

    @contextmanager
    def _undoing(self, key: bytes) -> Iterator[None]:
        """Take a rollout back to where it was when what was to change it failed half-way."""
        try:
            yield
        except Exception as error:
            self._take_back(key)
            if isinstance(error, ValueError):
                raise Refused(str(error)) from error
            raise

    def _take_back(self, key: bytes) -> None:
        """To the table's entry and what came since: the same messages give the same state."""
        live = self._known.pop(key, None)
        before = self._find(key)
        if live is None or before is None:
            return
        try:
            for payload in live.since:
                before.evaluator.take(_windows_message(key, payload))
                before.since.append(payload)
        except Exception as error:
            raise ReplayDiverged(repr(error)) from error


def decision_as_of(entry: bytes) -> Decision:
    """The decision that follows from the table's value, with all evidence: for pages and views."""
    return _restored(entry).evaluator.decision()


def _restored(value: bytes) -> _LiveRollout:
    entry = msgspec.json.decode(zstandard.decompress(value), type=Entry)
    rollout = compile_manifest(entry.record.manifest)
    try:
        evaluator = RolloutEvaluator(rollout, entry.kept)
    except ValueError:  # another release wrote it
        evaluator = successor(rollout, rollout, entry.kept)
    return _LiveRollout(entry.record, evaluator, entry.obeyed, entry.offset, entry.timestamp_ms)


def _evaluator(record: RolloutRecord, known: _LiveRollout | None) -> RolloutEvaluator:
    """The known one if the policy still means the same."""
    rollout = compile_manifest(record.manifest)
    if known is None:
        return RolloutEvaluator(rollout)
    previous = known.evaluator.rollout
    if policy_hash(rollout) == policy_hash(previous):
        return known.evaluator
    return successor(rollout, previous, known.evaluator.to_builtins())


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
