"""The store: what stands in the topics, and that nothing is lost when several write at once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import KafkaException

from tests.integration.topic_log import partition_of
from tests.streams.rollouts.interrupted import Interrupted
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed, manifest
from understudy.schemas.decisions import decode_decision, encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import PolicyError
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.state_store import RolloutStateStore
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.rollouts.registry import (
    ChangeConflict,
    RecordChanged,
    RolloutRegistry,
    UnknownRollout,
    record_version,
)
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
RECORD = RolloutRecord(manifest=manifest())


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


def test_without_topics(embedded_broker: EmbeddedBroker) -> None:
    store = RolloutRegistry(KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers))
    with pytest.raises(MissingTopic, match=r"understudy\.rollouts; `understudy topics`"):
        store.rollouts()


def test_the_last_one_wins_and_deletions_delete(kafka: Kafka) -> None:
    other = msgspec.structs.replace(RECORD, manifest=manifest("search"))
    changed = msgspec.structs.replace(RECORD, manifest=manifest(more="false_rollback: 0.02"))
    for record in (RECORD, other, changed):
        kafka.store.put(record)
    kafka.store.delete("search")
    assert kafka.store.rollouts() == {"checkout": changed}
    with pytest.raises(UnknownRollout):
        kafka.store.delete("search")
    decision = killed()
    kafka.write(
        DECISIONS,
        ("gone", encode_decision(killed(rollout_id="gone"))),
        ("checkout", encode_decision(killed("first"))),
        ("gone", None),
        ("checkout", encode_decision(decision)),
    )
    assert kafka.store.decisions() == {"checkout": decision}


def test_keys_go_where_the_deciding_side_looks(kafka: Kafka) -> None:
    for number in range(8):
        kafka.store.put(RolloutRecord(manifest=manifest(f"rollout-{number}")))
    for message in kafka.messages(ROLLOUTS):
        key = message.key()
        assert key is not None
        assert message.partition() == partition_of(key, EMBEDDED_PARTITIONS)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"schema_version": 9}',
        encode_rollout_record(RolloutRecord(manifest=manifest("other"))),
    ],
)
def test_what_cannot_be_read_is_left_out_and_not_written_over(kafka: Kafka, value: bytes) -> None:
    kafka.store.put(RolloutRecord(manifest=manifest("search")))
    kafka.write(ROLLOUTS, ("checkout", value))
    assert list(kafka.store.rollouts()) == ["search"]
    with pytest.raises(ChangeConflict, match="rollout delete"):
        kafka.store.add_command("checkout", "kill")
    kafka.store.delete("checkout")
    assert kafka.store.find("checkout") is None


def test_a_decision_of_a_newer_release_is_left_out(kafka: Kafka) -> None:
    newer = msgspec.structs.replace(killed(), schema_version=2)
    kafka.write(DECISIONS, ("checkout", encode_decision(newer)), ("other", b"{"))
    assert kafka.store.decisions() == {}


def test_commands_are_numbered(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    kafka.store.add_command("checkout", "kill", reason="tone", by="anna@host", at=AT)
    told = kafka.store.add_command("checkout", "resume")
    assert [(c.number, c.kind) for c in told.commands] == [(1, "kill"), (2, "resume")]
    assert told.commands[0].reason == "tone"
    assert told.commands[0].by == "anna@host"
    assert told.commands[0].at == AT
    assert kafka.store.rollouts() == {"checkout": told}


def test_applying_keeps_commands(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    told = kafka.store.add_command("checkout", "kill")
    changed = manifest(more="false_rollback: 0.02")
    assert kafka.store.apply(changed).commands == told.commands
    assert kafka.store.apply(changed).manifest == changed
    assert len(kafka.messages(ROLLOUTS)) == 3, "the last one changed nothing"


def test_nothing_is_written_that_cannot_be_read_again(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    with pytest.raises(ValueError, match="length <= 1024"):
        kafka.store.add_command("checkout", "kill", reason="x" * 2000)
    with pytest.raises(PolicyError):
        kafka.store.apply(msgspec.structs.replace(RECORD.manifest, stages=[]))
    assert kafka.store.rollouts() == {"checkout": RECORD}


def test_an_unknown_rollout_has_a_likely_name(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    with pytest.raises(UnknownRollout) as caught:
        kafka.store.add_command("chekout", "kill")
    assert str(caught.value) == "there is no rollout chekout; did you mean checkout?"


def obeyed(kafka: Kafka) -> tuple[int, bool]:
    """Stage and latch of who reads the whole topic."""
    store = RolloutStateStore({})
    told: list[bytes] = []
    for message in kafka.messages(ROLLOUTS):
        output = store.apply_record(
            message.key(), message.value(), LogPlace(0, message.offset() or 0, 0)
        )
        told += [value for value in output.decisions if value is not None]
    last = decode_decision(told[-1])
    return last.stage.index, last.is_latched


def test_two_who_promote_at_once_promote_twice(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    first = Interrupted(
        kafka.settings, lambda: kafka.store.add_command("checkout", "promote", by="b")
    )
    told = first.add_command("checkout", "promote", by="a")
    assert [(c.number, c.by) for c in told.commands] == [(1, "b"), (2, "a")]
    assert kafka.store.rollouts() == {"checkout": told}
    assert obeyed(kafka) == (2, False)


def test_a_policy_applied_meanwhile_stays_and_the_command_counts_once(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    changed = manifest(more="promotion: automatic")
    first = Interrupted(kafka.settings, lambda: kafka.store.apply(changed))
    told = first.add_command("checkout", "promote")
    assert told.manifest == changed
    assert len(told.commands) == 1
    assert kafka.store.rollouts() == {"checkout": told}
    assert obeyed(kafka) == (1, False)


def test_a_kill_while_a_policy_is_applied_is_not_lost(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    changed = manifest(more="promotion: automatic")
    first = Interrupted(kafka.settings, lambda: kafka.store.add_command("checkout", "kill"))
    assert first.apply(changed).manifest == changed
    found = kafka.store.rollouts()["checkout"]
    assert [command.kind for command in found.commands] == ["kill"]
    assert found.manifest == changed
    assert obeyed(kafka) == (0, True)


def test_a_rollout_deleted_meanwhile(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    first = Interrupted(kafka.settings, lambda: kafka.store.delete("checkout"))
    with pytest.raises(UnknownRollout):
        first.add_command("checkout", "kill")
    assert kafka.store.rollouts() == {}


def test_a_policy_applied_while_its_rollout_is_deleted_begins_anew(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    kafka.store.add_command("checkout", "kill")
    first = Interrupted(kafka.settings, lambda: kafka.store.delete("checkout"))
    assert first.apply(manifest(more="promotion: automatic")).commands == ()
    assert kafka.store.rollouts()["checkout"].commands == ()


def seen(record: RolloutRecord) -> Callable[[RolloutRecord | None], bool]:
    """That the record is still this one."""
    return lambda found: found is not None and record_version(found) == record_version(record)


def test_a_version_says_whether_policy_and_commands_are_the_same() -> None:
    killed = RECORD.with_command("kill", AT, reason="tone", by="")
    other = msgspec.structs.replace(RECORD, manifest=manifest(more="false_rollback: 0.02"))
    versions = [record_version(one) for one in (RECORD, killed, other)]
    assert len(set(versions)) == 3
    assert record_version(RolloutRecord(manifest=manifest())) == versions[0]


def test_of_two_who_change_one_policy_the_second_is_told_and_changes_nothing(
    kafka: Kafka,
) -> None:
    """Whether it comes while the first one writes, or after."""
    kafka.store.apply(RECORD.manifest)
    faster, slower = (manifest(more=f"false_rollback: 0.0{n}") for n in (2, 3))
    first = Interrupted(kafka.settings, lambda: kafka.store.apply(faster, seen(RECORD)))
    with pytest.raises(RecordChanged, match="checkout has changed meanwhile"):
        first.apply(slower, seen(RECORD))
    assert kafka.store.rollouts()["checkout"].manifest == faster
    with pytest.raises(RecordChanged):
        kafka.store.apply(slower, seen(RECORD))
    assert kafka.store.rollouts()["checkout"].manifest == faster


def test_a_policy_is_not_created_over_another(kafka: Kafka) -> None:
    other = manifest(more="false_rollback: 0.02")
    first = Interrupted(kafka.settings, lambda: kafka.store.apply(other))
    with pytest.raises(RecordChanged):
        first.apply(RECORD.manifest, lambda found: found is None)
    assert kafka.store.rollouts()["checkout"].manifest == other


def test_what_has_changed_is_not_deleted(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    first = Interrupted(kafka.settings, lambda: kafka.store.add_command("checkout", "kill"))
    with pytest.raises(RecordChanged):
        first.delete("checkout", seen(RECORD))
    found = kafka.store.rollouts()["checkout"]
    assert [command.kind for command in found.commands] == ["kill"]
    with pytest.raises(RecordChanged):
        kafka.store.delete("checkout", seen(RECORD))
    kafka.store.delete("checkout", seen(found))
    assert kafka.store.rollouts() == {}


def test_many_at_once_are_all_heard(kafka: Kafka) -> None:
    kafka.store.apply(RECORD.manifest)
    names = {f"operator {number}" for number in range(3)}
    threads = [
        threading.Thread(
            target=kafka.store.add_command, args=("checkout", "kill"), kwargs={"by": name}
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commands = kafka.store.rollouts()["checkout"].commands
    assert [command.number for command in commands] == [1, 2, 3]
    assert {command.by for command in commands} == names


def test_without_a_broker() -> None:
    nobody = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(KafkaException):
        RolloutRegistry(nobody, timeout_s=0.5).rollouts()
    with pytest.raises(KafkaException):
        RolloutRegistry(nobody, timeout_s=0.5).put(RECORD)
