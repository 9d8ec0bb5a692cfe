"""The state store: the policy and evidence of every rollout of the partitions held. Pure.

Raw messages of `understudy.rollouts` and `understudy.windows` go in; an `Output` comes out: the
decisions to emit, and whether the rollout's state has changed. A decision is emitted before the
state is saved: after a crash in between the same decision is computed again, and none is lost.

The table holds a snapshot of each rollout, see `snapshots`. It is large, so it need not be written
after each message: `checkpoint` returns what has changed, `mark_saved` says that the table holds
it, and the messages since then are read again after a crash. Evaluators restored from snapshots
stay in memory until `clear`, which has to be called when partitions change hands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.policy_change import successor
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollout_records import (
    ROLLOUTS_SCHEMA_VERSION,
    RolloutRecord,
    decode_rollout_record,
)
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.schemas.windows import WINDOWS_SCHEMA_VERSION, WindowsMessage, windows_message
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.snapshots import (
    Checkpoint,
    Part,
    RolloutSnapshot,
    SavedParts,
    UnreadableSnapshot,
    decode_snapshot,
    encode_snapshot,
    is_slot,
    restored_evaluator,
    slots_of,
)

MOST_TOGETHER: Final = 16
"""Messages of a rollout that are decoded and read together: one of each of a dozen partitions. More
save little, and have to be read again where one of them changes what is read."""


class InvalidMessage(ValueError):
    """A message that cannot be used: it becomes a dead letter."""


class NotInMemory(LookupError):
    """A rollout that was dropped from memory, so that its state is not known any more."""


class ReplayDiverged(RuntimeError):
    """Messages newer than the snapshot failed when applied again, so the state is unknown.

    Going on would lose what they said: the process has to end and read them again.
    """


@dataclass(frozen=True, slots=True)
class Output:
    """What applying a message led to: emit the decisions, then save the rollout's snapshot."""

    key: bytes
    decisions: tuple[bytes | None, ...] = ()
    """Values for the topic of decisions; None deletes."""
    is_state_changed: bool = False
    """Whether the table's snapshot is behind now."""
    is_without_policy: bool = False
    """Whether these are windows of a rollout that nobody has announced."""
    awaits_look: bool | None = None
    """Whether no look has seen these windows yet: if no message follows, ask for one. None where
    the message says nothing of that: it was not applied."""
    rejections: tuple[str, ...] = ()
    """The record's commands that were rejected, and why."""


class _Decoded(NamedTuple):
    payload: bytes
    message: WindowsMessage


@dataclass(slots=True)
class _LiveRollout:
    """A rollout in memory."""

    record: RolloutRecord
    evaluator: RolloutEvaluator
    last_applied_command: int
    record_offset: int
    record_timestamp_ms: int
    newest_windows: LogPlace | None = None
    parts: SavedParts = field(default_factory=SavedParts)
    """Of the snapshot in the table."""
    parts_to_save: SavedParts = field(default_factory=SavedParts)
    """Of the last checkpoint, which may not be in the table yet."""
    unsaved_messages: list[tuple[bytes, LogPlace]] = field(default_factory=list)
    """Messages of windows that the table's snapshot does not include yet."""

    def has_applied(self, place: LogPlace) -> bool:
        """Whether a record has been applied already; offsets begin anew with a topic made anew."""
        is_before = place.offset <= self.record_offset
        return is_before and place.timestamp_ms <= self.record_timestamp_ms

    def snapshot(self) -> RolloutSnapshot:
        """All of it, without parts."""
        return self._snapshot(())

    def checkpoint(self, key: bytes) -> Checkpoint:
        """A part with what has changed, then the snapshot that names it."""
        writes, self.parts_to_save = self.parts.with_changes(key, self.evaluator)
        return writes, {key: encode_snapshot(self._snapshot(self.parts_to_save.parts))}

    def mark_saved(self) -> None:
        """The table holds the last checkpoint, which is the newest state."""
        self.parts = self.parts_to_save
        self.evaluator.note_saved()
        self.unsaved_messages.clear()

    def _snapshot(self, parts: tuple[Part, ...]) -> RolloutSnapshot:
        state = self.evaluator.encode_state(with_open_rows=not parts)
        return RolloutSnapshot(
            record=self.record,
            state=msgspec.Raw(state),
            last_applied_command=self.last_applied_command,
            record_offset=self.record_offset,
            record_timestamp_ms=self.record_timestamp_ms,
            newest_windows=self.newest_windows,
            parts=parts,
        )

    def add(
        self,
        payload: bytes,
        message: WindowsMessage,
        place: LogPlace,
        following: Sequence[WindowsMessage] = (),
    ) -> Decision | None:
        cause = place.cause("windows")
        decision = self.evaluator.add(message, place.timestamp_ms, cause, following)
        self.unsaved_messages.append((payload, place))
        self.newest_windows = place.newest_with(self.newest_windows)
        return decision


class RolloutStateStore:
    """Rollouts of the partitions held; reads the table, never writes it. Not thread-safe."""

    def __init__(self, table: Mapping[bytes, bytes]) -> None:
        self._table = table
        self._live: dict[bytes, _LiveRollout] = {}
        self._deleted: set[bytes] = set()
        """Rollouts that the table still holds, and should not."""
        self._newest_windows: dict[int, LogPlace] = {}
        """By partition, of the newest windows of any rollout: they come before a new policy."""
        self._announced: dict[bytes, deque[bytes]] = {}
        """By rollout, payloads of windows that will be applied next, in their order."""
        self._decoded: dict[bytes, deque[_Decoded]] = {}
        """By rollout, those that come before them."""

    def clear(self) -> None:
        """Drop what is in memory: it is restored from the table, or read again."""
        self._live.clear()
        self._deleted.clear()
        self._newest_windows.clear()
        self.announce(())

    def announce(self, messages: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Note keys and payloads of windows that will be applied next, in their order.

        Rows of one rollout's messages are read together then. It changes no state: a message that
        is never applied is forgotten with the next call.
        """
        self._announced, self._decoded = {}, {}
        for key, payload in messages:
            if key is not None and payload is not None:
                self._announced.setdefault(key, deque()).append(payload)

    def checkpoint(self, key: bytes) -> Checkpoint:
        """Return what to write to the table, so that it holds the newest state of a rollout.

        Raises `NotInMemory`: what is merely not known here must not be deleted from the table.
        """
        if key in self._deleted:  # the snapshot first: what it names must be there as long as it is
            return {key: None}, dict.fromkeys(slots_of(key, self._table))
        return self._live_rollout(key).checkpoint(key)

    def snapshot(self, key: bytes) -> RolloutSnapshot | None:
        """Return the newest state of a rollout, without parts; None for one that was deleted.

        Raises `NotInMemory`.
        """
        return None if key in self._deleted else self._live_rollout(key).snapshot()

    def mark_saved(self, key: bytes) -> None:
        """Note that the table holds the last checkpoint of a rollout, and nothing came since."""
        self._deleted.discard(key)
        if key in self._live:
            self._live[key].mark_saved()

    def _live_rollout(self, key: bytes) -> _LiveRollout:
        if key not in self._live:
            raise NotInMemory(repr(key))
        return self._live[key]

    def apply_windows(self, key: bytes | None, payload: bytes | None, place: LogPlace) -> Output:
        """Add a message of windows to the evidence and evaluate it.

        Raises `InvalidMessage`; nothing has changed then.
        """
        message, following = self._decode(key, payload)
        name = message.rollout_id.encode()
        self._newest_windows[place.partition] = place.newest_with(
            self._newest_windows.get(place.partition)
        )
        live = self._find(name)
        if live is None:  # windows of events that name no rollout need none
            return Output(name, is_without_policy=bool(name))
        if place.is_applied(live.newest_windows):
            return Output(name, awaits_look=live.evaluator.awaits_look)
        with self._undone_on_error(name):
            decision = live.add(payload or b"", message, place, following)
            return Output(
                name,
                _encoded([decision]),
                is_state_changed=True,
                awaits_look=live.evaluator.awaits_look,
            )

    def _decode(
        self, key: bytes | None, payload: bytes | None
    ) -> tuple[WindowsMessage, list[WindowsMessage]]:
        """Return a message, and some that were announced after it."""
        decoded = self._decoded.setdefault(key or b"", deque())
        if not decoded:
            decoded.extend(self._decode_next(key or b""))
        if not decoded or decoded[0].payload is not payload:
            return _windows_message(key, payload), []
        message = decoded.popleft().message
        return message, [one.message for one in decoded]

    def _decode_next(self, key: bytes) -> Iterator[_Decoded]:
        """Decode what was announced next of a rollout; what is invalid is so in its own turn."""
        announced = self._announced.get(key, deque())
        for _ in range(min(MOST_TOGETHER, len(announced))):
            payload = announced.popleft()
            with suppress(InvalidMessage):
                yield _Decoded(payload, _windows_message(key, payload))

    def apply_record(self, key: bytes | None, payload: bytes | None, place: LogPlace) -> Output:
        """Apply a new or changed policy, its commands, or its deletion. Raises `InvalidMessage`.

        A new policy is answered by a decision at once, before there is any evidence. The table has
        to be saved before a record is applied and right after: messages of windows are read again
        in their order, but a record, read again, might come between others of them.
        """
        if key is None:
            raise InvalidMessage("the message has no key")
        live = self._find(key)
        if live is not None and live.has_applied(place):
            return Output(key)
        if payload is None:
            return self._delete(key)
        record = _record(key, payload)
        with self._undone_on_error(key):
            output = self._apply_policy(key, live, record, place)
            self._check_snapshot(key)
            return output

    def _check_snapshot(self, key: bytes) -> None:
        """Raise `InvalidMessage` when a record holds what the table cannot: it was not applied."""
        try:
            _restored({key: encode_snapshot(self._live[key].snapshot())}, key)
        except (OverflowError, UnreadableSnapshot) as error:
            raise InvalidMessage(f"no snapshot can hold this record: {error}") from error

    def _delete(self, key: bytes) -> Output:
        is_held = not is_slot(key) and (key in self._table or bool(slots_of(key, self._table)))
        is_known = self._live.pop(key, None) is not None or is_held
        if is_known:
            self._deleted.add(key)
        return Output(key, (None,), is_state_changed=is_known, awaits_look=False)

    def _apply_policy(
        self, key: bytes, live: _LiveRollout | None, record: RolloutRecord, place: LogPlace
    ) -> Output:
        cause = place.cause("rollouts")
        decisions: list[Decision | None] = []
        if live is not None and live.evaluator.awaits_look:  # what came before is judged before
            decisions.append(live.evaluator.look(cause))
        evaluator = _evaluator(record, live)
        evaluator.advance_clock(place.timestamp_ms)
        if live is None or evaluator is not live.evaluator:
            decisions.append(evaluator.announce(cause))
        last = live.last_applied_command if live else 0
        rejections = []
        for command in record.commands_after(last):
            decision = evaluator.apply_command(command, cause)
            decisions.append(decision)
            if rejection := decision.rejections.get(command.number):
                rejections.append(f"{command.number} {command.kind}: {rejection}")
        self._live[key] = _LiveRollout(
            record,
            evaluator,
            max(last, record.last_number),
            place.offset,
            place.timestamp_ms,
            live.newest_windows if live else self._newest_windows.get(place.partition),
            live.parts if live else self._parts_in_table(key),
        )
        self._deleted.discard(key)
        return Output(
            key,
            _encoded(decisions),
            is_state_changed=True,
            awaits_look=False,
            rejections=tuple(rejections),
        )

    def _parts_in_table(self, key: bytes) -> SavedParts:
        """Those that must stay, also of a rollout whose deletion is not saved yet."""
        return SavedParts(decode_snapshot(self._table[key]).parts if key in self._table else ())

    def _find(self, key: bytes) -> _LiveRollout | None:
        """From memory, or else restored from the table."""
        is_held = key in self._table and key not in self._deleted and not is_slot(key)
        if key not in self._live and is_held:
            self._live[key] = _restored(self._table, key)
        return self._live.get(key)

    @contextmanager
    def _undone_on_error(self, key: bytes) -> Iterator[None]:
        """Take a rollout back to its state before a message that failed half-way."""
        try:
            yield
        except Exception as error:
            self._restore(key)
            if isinstance(error, ValueError | OverflowError):
                raise InvalidMessage(str(error)) from error
            raise

    def _restore(self, key: bytes) -> None:
        """From the table's snapshot and the messages since: the same ones give the same state."""
        failed = self._live.pop(key, None)
        restored = self._find(key)
        if failed is None or restored is None:
            return
        try:
            for payload, place in failed.unsaved_messages:
                restored.add(payload, _windows_message(key, payload), place)
        except Exception as error:
            raise ReplayDiverged(repr(error)) from error


def look_request(key: bytes) -> bytes:
    """A message of windows that says nothing of a rollout, but asks for a look at it."""
    return msgspec.json.encode(
        windows_message([], rollout_id=key.decode(), partition=0, version=0, watermark=None)
    )


def _restored(table: Mapping[bytes, bytes], key: bytes) -> _LiveRollout:
    snapshot = decode_snapshot(table[key])
    evaluator, parts = restored_evaluator(table, key, snapshot)
    return _LiveRollout(
        snapshot.record,
        evaluator,
        snapshot.last_applied_command,
        snapshot.record_offset,
        snapshot.record_timestamp_ms,
        snapshot.newest_windows,
        parts,
    )


def _evaluator(record: RolloutRecord, live: _LiveRollout | None) -> RolloutEvaluator:
    """The live one if the policy still means the same, else its successor."""
    rollout = compile_manifest(record.manifest)
    if live is None:
        return RolloutEvaluator(rollout)
    previous = live.evaluator.rollout
    if policy_hash(rollout) == policy_hash(previous):
        return live.evaluator
    return successor(rollout, previous, live.evaluator.encode_state())


def _windows_message(key: bytes | None, payload: bytes | None) -> WindowsMessage:
    if payload is None:
        raise InvalidMessage("the message has no value")
    try:
        message = msgspec.json.decode(payload, type=WindowsMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _check_version(_version_of(payload), WINDOWS_SCHEMA_VERSION)
        raise InvalidMessage(str(error)) from None
    _check_envelope(key, message.rollout_id, message.schema_version, WINDOWS_SCHEMA_VERSION)
    return message


def _record(key: bytes, payload: bytes) -> RolloutRecord:
    try:
        record = decode_rollout_record(payload)
        compile_manifest(record.manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidMessage(str(error)) from None
    _check_envelope(key, record.manifest.rollout_id, record.schema_version, ROLLOUTS_SCHEMA_VERSION)
    return record


def _check_envelope(key: bytes | None, rollout_id: str, version: int, known_version: int) -> None:
    _check_version(version, known_version)
    if key != rollout_id.encode():
        raise InvalidMessage("the message's key is not its rollout_id")


def _check_version(version: int, known_version: int) -> None:
    if version != known_version:
        raise InvalidMessage(f"schema_version is {version}; this release reads {known_version}")


class _Versioned(msgspec.Struct):
    """As much of a message of windows as every release writes alike."""

    schema_version: int = WINDOWS_SCHEMA_VERSION


def _version_of(payload: bytes) -> int:
    """Return the version that a message names which is not of the form that is read."""
    try:
        return msgspec.json.decode(payload, type=_Versioned).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return WINDOWS_SCHEMA_VERSION


def _encoded(decisions: list[Decision | None]) -> tuple[bytes | None, ...]:
    return tuple(encode_decision(decision) for decision in decisions if decision is not None)
