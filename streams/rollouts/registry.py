"""Rollouts and decisions as they stand in their compacted topics, read and changed.

The topics are the only store there is. Every call opens its own clients and closes them, so a
`RolloutStore` may be used from any thread, by commands and by the HTTP API alike. A call blocks,
for about half a second.

A record is changed by reading it, writing it, and looking whether anybody wrote in between; who
finds that does it again. Those who obey skip a command whose number they have seen, so of two
commands with one number the first counts. Reading goes by the same rule: it gathers the commands
that were obeyed, out of all records that compaction has left.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import (
    Command,
    CommandKind,
    RolloutRecord,
    encode_rollout_record,
)
from understudy.schemas.rollouts import RolloutManifest, compile_manifest, nearest
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.rollouts.record_decoding import gather, read_decision, read_record
from understudy.streams.settings import KafkaSettings

WRITE_TIMEOUT_S: Final = 15.0
MAX_ATTEMPTS: Final = 10
_STEP_ASIDE_S: Final = 0.3
"""Those who collided try again at different times, later and later."""
_SPARE_S: Final = 5.0
"""A little longer than librdkafka itself takes to give a message up, so that it says why."""
_log = structlog.get_logger()

Value = TypeVar("Value")
Place = tuple[int, int]
"""Partition and offset."""
Change = Callable[[RolloutRecord | None], RolloutRecord]


class UnknownRollout(KeyError):
    """There is no such rollout."""

    def __init__(self, rollout_id: str, known: Mapping[str, object]) -> None:
        self.rollout_id = rollout_id
        self.hint = nearest(rollout_id, known)
        super().__init__(rollout_id)

    def __str__(self) -> str:
        return f"there is no rollout {self.rollout_id}{self.hint}"


class NoTopic(LookupError):
    """The topic is not there."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"there is no topic {topic}; `understudy topics` creates it")


class CannotChange(RuntimeError):
    """The record is of a newer release, or others change it all the time."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A message of a topic."""

    place: Place
    value: bytes


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A topic as it stood: what each key was given since it was last deleted, and the ends."""

    written: Mapping[str, Sequence[_Written]]
    ends: Mapping[int, int]


class RolloutStore:
    """Both topics of one installation. Raises `KafkaException` when the broker is away."""

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = WRITE_TIMEOUT_S) -> None:
        """Writes wait for the broker's acknowledgement as long as `timeout_s`."""
        self._kafka = kafka
        self._timeout_s = timeout_s
        names = topics(kafka)
        self._rollouts = names.rollouts.name
        self._decisions = names.decisions.name

    def rollouts(self) -> dict[str, RolloutRecord]:
        """All records as of now, by rollout; what cannot be read is left out with a warning."""
        return _readable(self._rollouts, self._read(self._rollouts), _gathered)

    def decisions(self) -> dict[str, Decision]:
        """The newest decision about each rollout; what cannot be read is left out likewise."""
        return _readable(self._decisions, self._read(self._decisions, newest=True), _newest)

    def find(self, rollout_id: str) -> RolloutRecord | None:
        """One record. Raises `CannotChange` when there is one that cannot be read."""
        return _present(rollout_id, self._read(self._rollouts), set())

    def put(self, record: RolloutRecord) -> None:
        """Write a record over whatever is there; `apply` and `tell` keep what others wrote."""
        self._write(record.manifest.rollout_id, _encoded(record))

    def delete(self, rollout_id: str) -> None:
        """Forget a rollout, readable or not. Raises `UnknownRollout`."""
        found = self._read(self._rollouts).written
        if rollout_id not in found:
            raise UnknownRollout(rollout_id, found)
        self._write(rollout_id, None)

    def apply(self, manifest: RolloutManifest) -> RolloutRecord:
        """Put a policy in force; raises `PolicyError` for one that cannot be used.

        What operators told the rollout before stays.
        """
        compile_manifest(manifest)

        def change(found: RolloutRecord | None) -> RolloutRecord:
            if found is None:
                return RolloutRecord(manifest=manifest)
            return msgspec.structs.replace(found, manifest=manifest)

        return self._change(manifest.rollout_id, change)

    def tell(
        self,
        rollout_id: str,
        kind: CommandKind,
        *,
        reason: str = "",
        by: str = "",
        at: dt.datetime | None = None,
    ) -> RolloutRecord:
        """Add a command. Raises `UnknownRollout`, and `ValueError` for a reason too long."""
        when = at or dt.datetime.now(dt.UTC)

        def change(found: RolloutRecord | None) -> RolloutRecord:
            if found is None:
                raise UnknownRollout(rollout_id, self.rollouts())
            told = found.told(kind, when, reason=reason, by=by)
            return found if _is_among(told.commands[-1], found.commands) else told

        return self._change(rollout_id, change)

    def _change(self, rollout_id: str, change: Change) -> RolloutRecord:
        """Change a record so that nothing is lost that others write meanwhile.

        `change` is asked again when others wrote, and then finds what counts of its own work.
        """
        own: set[Place] = set()
        for attempt in range(MAX_ATTEMPTS):
            before = self._read(self._rollouts)
            record = change(_present(rollout_id, before, own))
            value = _encoded(record)
            if _stands(rollout_id, value, before):
                return record
            place = self._write(rollout_id, value)
            between = self._between(rollout_id, before.ends, place)
            if not between:
                return record
            own.add(place)
            if between[-1].value() is None:  # our write undid the deletion
                self._write(rollout_id, None)
            time.sleep(random.uniform(0.0, _STEP_ASIDE_S * (attempt + 1)))
        raise CannotChange(f"others change {rollout_id} all the time; try again")

    def _between(self, rollout_id: str, ends: Mapping[int, int], place: Place) -> list[Message]:
        """What anybody wrote about the rollout between a reading and a write."""
        partition, offset = place
        with TopicReader(self._kafka, self._rollouts) as reader:
            messages = reader.read({partition: (ends.get(partition, 0), offset)})
            return [message for message in messages if _key(message) == rollout_id]

    def _read(self, topic: str, *, newest: bool = False) -> _Snapshot:
        """The topic to its end as of now, or only the newest of each key; deletions delete."""
        written: dict[str, list[_Written]] = {}
        with TopicReader(self._kafka, topic) as reader:
            bounds = reader.bounds()
            if not bounds:
                raise NoTopic(topic)
            for message in reader.read(bounds):
                key, value = _key(message), message.value()
                if value is None or newest:
                    written.pop(key, None)
                if value is not None:
                    written.setdefault(key, []).append(_Written(_place(message), value))
        return _Snapshot(written, {number: end for number, (_, end) in bounds.items()})

    def _write(self, rollout_id: str, value: bytes | None) -> Place:
        """Write and wait; where it stands now. Raises `KafkaException` when refused."""
        places: list[Place] = []
        errors: list[KafkaError] = []

        def told(error: KafkaError | None, message: Message) -> None:
            if error is None:
                places.append(_place(message))
            else:
                errors.append(error)

        producer = self._producer()
        producer.produce(self._rollouts, value, rollout_id.encode(), on_delivery=told)
        producer.flush(self._timeout_s + _SPARE_S)
        if not places:
            late = KafkaError(KafkaError._MSG_TIMED_OUT, "the broker did not acknowledge")
            raise KafkaException(errors[0] if errors else late)
        return places[0]

    def _producer(self) -> Producer:
        config = {
            **producer_config(self._kafka),
            "message.timeout.ms": int(self._timeout_s * 1e3),
            "linger.ms": 0,
        }
        return Producer(config, logger=KAFKA_LOGGER)


def _present(rollout_id: str, snapshot: _Snapshot, own: Set[Place]) -> RolloutRecord | None:
    """The record, to be changed; with the policy of others where they and we wrote at once.

    A record that cannot be read is not written over: its commands would be forgotten, and new ones
    given numbers that had been obeyed before.
    """
    written = snapshot.written.get(rollout_id)
    if written is None:
        return None
    try:
        gathered = _gathered(rollout_id, written)
    except ValueError as error:
        raise CannotChange(
            f"the record of {rollout_id} cannot be read ({error}); "
            "`understudy rollout delete` forgets it"
        ) from None
    others = [one for one in written if one.place not in own]
    if not others:
        return gathered
    return msgspec.structs.replace(gathered, manifest=_gathered(rollout_id, others).manifest)


def _encoded(record: RolloutRecord) -> bytes:
    """The record for the topic. Raises `ValueError` for what could not be read again."""
    value = encode_rollout_record(record)
    read_record(record.manifest.rollout_id, value)
    return value


def _stands(rollout_id: str, value: bytes, snapshot: _Snapshot) -> bool:
    """Whether this is what the topic says already, to the byte."""
    written = snapshot.written.get(rollout_id)
    return written is not None and written[-1].value == value


def _is_among(command: Command, others: Sequence[Command]) -> bool:
    """Whether it is there already, under whatever number."""
    return any(msgspec.structs.replace(one, number=command.number) == command for one in others)


def _readable(
    topic: str, snapshot: _Snapshot, decode: Callable[[str, Sequence[_Written]], Value]
) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, written in sorted(snapshot.written.items()):
        try:
            found[key] = decode(key, written)
        except ValueError as error:
            partition, offset = written[-1].place
            _log.warning(
                "rollouts.unreadable",
                topic=topic, partition=partition, offset=offset, key=key, error=str(error),
            )  # fmt: skip
    return found


def _gathered(key: str, written: Sequence[_Written]) -> RolloutRecord:
    """The last record, with the commands that count of all of them. Raises `ValueError`."""
    last = read_record(key, written[-1].value)
    before: RolloutRecord | None = None
    for one in written[:-1]:
        with suppress(ValueError):  # nobody obeyed it either
            before = gather(before, read_record(key, one.value))
    return gather(before, last)


def _newest(key: str, written: Sequence[_Written]) -> Decision:
    return read_decision(key, written[-1].value)


def _key(message: Message) -> str:
    return (message.key() or b"").decode("utf-8", "backslashreplace")


def _place(message: Message) -> Place:
    return message.partition() or 0, message.offset() or 0
