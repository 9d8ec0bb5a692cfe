"""The registry of rollouts: records and decisions in two compacted topics, read and changed.

The topics are the only store there is. Every call opens its own clients and closes them, so a
`RolloutRegistry` may be used from any thread, by commands and by the HTTP API alike. A call blocks,
for about half a second.

A record is changed optimistically: read it, write the change, and check whether another writer came
in between; if so, do it again. Deciding workers skip a command whose number they have seen, so of
two commands with one number the first counts. Reading follows the same rule: it merges the commands
that were applied, out of all records that compaction has left.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Final, TypeVar

import msgspec
import structlog

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import (
    Command,
    CommandKind,
    RolloutRecord,
    encode_rollout_record,
    new_rollout_record,
)
from understudy.schemas.rollouts import RolloutManifest, compile_manifest, nearest
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.compacted_topic import (
    StoredValue,
    TopicSnapshot,
    key_text,
    read_snapshot,
)
from understudy.streams.kafka.producer import send_and_wait
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.rollouts.audit import Audit
from understudy.streams.rollouts.record_decoding import merge_commands, read_decision, read_record
from understudy.streams.settings import KafkaSettings

REQUEST_TIMEOUT_S: Final = 15.0
"""Longer than a broker's restart takes, so that one passes unseen."""
_MAX_ATTEMPTS: Final = 10
"""Each lets one of the colliding writers through; ten at once is more than any team has."""
_VERSION_BYTES: Final = 8
"""64 bits tell the records of one rollout apart; nobody chooses them to collide."""
_RETRY_AFTER_S: Final = 0.3
"""Writers that collided try again at random times, each time spread further."""

log = structlog.get_logger(__name__)

Value = TypeVar("Value")
Place = tuple[int, int]
"""Partition and offset."""
Change = Callable[[RolloutRecord | None], RolloutRecord]
Expected = Callable[[RolloutRecord | None], bool]
"""Whether a record, or that there is none, is what a change is meant for."""


class UnknownRollout(KeyError):
    """There is no such rollout."""

    def __init__(self, rollout_id: str, known: Mapping[str, object]) -> None:
        self.rollout_id = rollout_id
        self.hint = nearest(rollout_id, known)
        super().__init__(rollout_id)

    def __str__(self) -> str:
        return f"there is no rollout {self.rollout_id}{self.hint}"


class RecordChanged(RuntimeError):
    """A record that is not the one a change was meant for."""

    def __init__(self, rollout_id: str) -> None:
        super().__init__(f"{rollout_id} has changed meanwhile; read it and try again")


class ChangeConflict(RuntimeError):
    """A record that cannot be changed: this release cannot read it, or others keep changing it."""


def expect_anything(_: RolloutRecord | None) -> bool:
    """Change whatever there is."""
    return True


def record_version(record: RolloutRecord) -> str:
    """Return what is the same for the same policy after the same commands."""
    content = msgspec.json.encode(record.manifest) + str(record.last_number).encode()
    return hashlib.blake2b(content, digest_size=_VERSION_BYTES).hexdigest()


class RolloutRegistry:
    """Both topics of one installation.

    Raises `MissingTopic`, and `KafkaException` when the broker is away or refuses.
    """

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """The broker has `timeout_s` for the answer to one request."""
        self._kafka = kafka
        self._timeout_s = timeout_s
        names = topics(kafka)
        self._rollouts = names.rollouts.name
        self._decisions = names.decisions.name
        self.audit = Audit(kafka)

    def rollouts(self) -> dict[str, RolloutRecord]:
        """Return all records by rollout; one that cannot be read is left out with a warning."""
        return _readable(self._rollouts, self._read(self._rollouts), _merged)

    def decisions(self) -> dict[str, Decision]:
        """Return the newest decision about each rollout; an unreadable one is left out likewise."""
        snapshot = self._read(self._decisions, newest_only=True)
        return _readable(self._decisions, snapshot, _newest)

    def find(self, rollout_id: str) -> RolloutRecord | None:
        """Return one record. Raises `ChangeConflict` when there is one that cannot be read."""
        return _present(rollout_id, self._read(self._rollouts), set())

    def require(self, rollout_id: str) -> RolloutRecord:
        """Return the same. Raises `UnknownRollout` where there is none."""
        record = self.find(rollout_id)
        if record is None:
            raise UnknownRollout(rollout_id, self.rollouts())
        return record

    def put(self, record: RolloutRecord) -> None:
        """Overwrite a record; `apply` and `add_command` keep what other writers changed."""
        self._write(record.manifest.rollout_id, _encoded(record))

    def delete(self, rollout_id: str, is_expected: Expected = expect_anything) -> None:
        """Delete a rollout, readable or not. Raises `UnknownRollout` and `RecordChanged`."""
        before = self._read(self._rollouts)
        if rollout_id not in before.values:
            raise UnknownRollout(rollout_id, before.values)
        if is_expected is expect_anything:
            self._write(rollout_id, None)
            return
        if not is_expected(_present(rollout_id, before, set())):
            raise RecordChanged(rollout_id)
        place = self._write(rollout_id, None)
        between = self._written_between(rollout_id, before.ends, place)
        if between:
            self._write(rollout_id, between[-1])  # what we deleted was not what was expected
            raise RecordChanged(rollout_id)

    def apply(
        self,
        manifest: RolloutManifest,
        is_expected: Expected = expect_anything,
        on_found: Callable[[RolloutRecord | None], object] = expect_anything,
    ) -> RolloutRecord:
        """Put a policy in force; the rollout's commands stay.

        `on_found` is told what the policy replaces; again, when that has changed meanwhile.
        Raises `PolicyError`, and `RecordChanged` when it would replace another record than
        expected.
        """
        compile_manifest(manifest)
        at = dt.datetime.now(dt.UTC)

        def change(found: RolloutRecord | None) -> RolloutRecord:
            if not is_expected(found):
                raise RecordChanged(manifest.rollout_id)
            on_found(found)
            if found is None:
                return new_rollout_record(manifest, at)
            return found.with_manifest(manifest, at)

        return self._change(manifest.rollout_id, change)

    def add_command(
        self,
        rollout_id: str,
        kind: CommandKind,
        *,
        reason: str = "",
        by: str = "",
        at: dt.datetime | None = None,
        expects: int | None = None,
    ) -> RolloutRecord:
        """Add a command. Raises `UnknownRollout`, and `ValueError` for a reason too long."""
        issued_at = at or dt.datetime.now(dt.UTC)

        def change(found: RolloutRecord | None) -> RolloutRecord:
            if found is None:
                raise UnknownRollout(rollout_id, self.rollouts())
            changed = found.with_command(kind, issued_at, reason=reason, by=by, expects=expects)
            return found if _contains(found.commands, changed.commands[-1]) else changed

        return self._change(rollout_id, change)

    def _change(self, rollout_id: str, change: Change) -> RolloutRecord:
        """Change a record so that nothing is lost that others write meanwhile.

        `change` is called again after a collision, and then finds what counts of its own write.
        """
        own: set[Place] = set()
        for attempt in range(_MAX_ATTEMPTS):
            before = self._read(self._rollouts)
            present = _present(rollout_id, before, own)
            try:
                record = change(present)
            except RecordChanged:
                if own and present is not None:  # someone was faster: take our own write back
                    self._write(rollout_id, _encoded(present))
                raise
            value = _encoded(record)
            if _is_stored(rollout_id, value, before):
                return record
            place = self._write(rollout_id, value)
            between = self._written_between(rollout_id, before.ends, place)
            if not between:
                return record
            own.add(place)
            if between[-1] is None:  # our write undid the deletion
                self._write(rollout_id, None)
            time.sleep(random.uniform(0.0, _RETRY_AFTER_S * (attempt + 1)))
        raise ChangeConflict(
            f"others changed {rollout_id} {_MAX_ATTEMPTS} times meanwhile; try again"
        )

    def _written_between(
        self, rollout_id: str, ends: Mapping[int, int], place: Place
    ) -> list[bytes | None]:
        """Return the values that others gave the rollout between a read and our write."""
        partition, offset = place
        with TopicReader(self._kafka, self._rollouts, timeout_s=self._timeout_s) as reader:
            messages = reader.read({partition: (ends.get(partition, 0), offset)})
            return [message.value() for message in messages if key_text(message) == rollout_id]

    def _read(self, topic: str, *, newest_only: bool = False) -> TopicSnapshot:
        return read_snapshot(self._kafka, topic, newest_only=newest_only, timeout_s=self._timeout_s)

    def _write(self, rollout_id: str, value: bytes | None) -> Place:
        """Write and wait for the broker's acknowledgement; return where the record lies."""
        config = producer_config(self._kafka)
        return send_and_wait(config, self._rollouts, value, rollout_id, timeout_s=self._timeout_s)


def _present(rollout_id: str, snapshot: TopicSnapshot, own: Set[Place]) -> RolloutRecord | None:
    """Return the record to change; with the policy of others where they and we wrote at once.

    A record that cannot be read is not overwritten: its commands would be lost, and new ones
    would get numbers that workers have applied already.
    """
    values = snapshot.values.get(rollout_id)
    if values is None:
        return None
    try:
        merged = _merged(rollout_id, values)
    except ValueError as error:
        raise ChangeConflict(
            f"the record of {rollout_id} cannot be read ({error}); "
            "`understudy rollout delete` removes it"
        ) from None
    others = [one for one in values if (one.partition, one.offset) not in own]
    if not others:
        return merged
    theirs = _merged(rollout_id, others)
    return msgspec.structs.replace(
        merged, manifest=theirs.manifest, capture_since=theirs.capture_since
    )


def _encoded(record: RolloutRecord) -> bytes:
    """Encode a record. Raises `ValueError` for one that could not be read again."""
    value = encode_rollout_record(record)
    read_record(record.manifest.rollout_id, value)
    return value


def _is_stored(rollout_id: str, value: bytes, snapshot: TopicSnapshot) -> bool:
    """Whether the topic holds exactly this value already."""
    values = snapshot.values.get(rollout_id)
    return values is not None and values[-1].value == value


def _contains(commands: Sequence[Command], command: Command) -> bool:
    """Whether the command is among others, under whatever number."""
    return any(msgspec.structs.replace(one, number=command.number) == command for one in commands)


def _readable(
    topic: str, snapshot: TopicSnapshot, decode: Callable[[str, Sequence[StoredValue]], Value]
) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, values in sorted(snapshot.values.items()):
        try:
            found[key] = decode(key, values)
        except ValueError as error:
            last = values[-1]
            log.warning(
                "rollouts.record_unreadable", topic=topic, partition=last.partition,
                offset=last.offset, key=key, error=str(error),
            )  # fmt: skip
    return found


def _merged(key: str, values: Sequence[StoredValue]) -> RolloutRecord:
    """Return the last record, with all commands that were applied. Raises `ValueError`."""
    last = read_record(key, values[-1].value)
    before: RolloutRecord | None = None
    for one in values[:-1]:
        with suppress(ValueError):  # no worker could read it, so none applied its commands
            before = merge_commands(before, read_record(key, one.value))
    return merge_commands(before, last)


def _newest(key: str, values: Sequence[StoredValue]) -> Decision:
    return read_decision(key, values[-1].value)
