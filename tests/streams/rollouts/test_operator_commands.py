"""Commands that no record can hold or no worker could apply are refused, and not stored."""

from __future__ import annotations

import pytest

from tests.streams.rollouts.interrupted import Interrupted
from tests.streams.rollouts.records import Kafka, evaluator, manifest
from tests.streams.rollouts.records import killed as stopped
from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import CommandKind
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.rollouts.audit import Actor
from understudy.streams.rollouts.operator_commands import (
    MAX_BY_CHARACTERS,
    MAX_REASON_CHARACTERS,
    InvalidCommandText,
    apply_policy,
    check_command_text,
    delete_rollout,
    issue_command,
)
from understudy.streams.rollouts.policy_diff import PolicyFile
from understudy.streams.rollouts.registry import UnknownRollout


@pytest.mark.parametrize("kind", ["kill", "resume", "promote"])
def test_texts_of_the_largest_size_are_taken(kind: CommandKind) -> None:
    check_command_text(kind, reason="r" * MAX_REASON_CHARACTERS, by="b" * MAX_BY_CHARACTERS)


@pytest.mark.parametrize(
    ("kind", "reason", "by", "name"),
    [
        ("kill", "", "", "reason"),
        ("kill", " \n", "anna", "reason"),
        ("resume", "r" * (MAX_REASON_CHARACTERS + 1), "", "reason"),
        ("promote", "", "b" * (MAX_BY_CHARACTERS + 1), "by"),
    ],
)
def test_texts_that_a_record_cannot_hold(
    kind: CommandKind, reason: str, by: str, name: str
) -> None:
    with pytest.raises(InvalidCommandText) as raised:
        check_command_text(kind, reason=reason, by=by)
    assert raised.value.name == name


def test_only_a_kill_needs_a_reason() -> None:
    check_command_text("resume", reason="", by="")


ANNA = Actor(by="anna", via="http", address="10.0.0.5", forwarded_for="192.0.2.1")


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


@pytest.mark.embedded
def test_a_dry_run_writes_nothing_and_the_same_policy_neither(kafka: Kafka) -> None:
    file = PolicyFile("a.yaml", manifest(), compile_manifest(manifest()))
    assert apply_policy(kafka.store, file, dry_run=True, actor=ANNA).effect == "created"
    assert kafka.store.find("checkout") is None
    assert apply_policy(kafka.store, file, dry_run=False, actor=ANNA).effect == "created"
    assert apply_policy(kafka.store, file, dry_run=False, actor=ANNA).effect == "unchanged"


@pytest.mark.embedded
def test_commands_are_numbered_and_carry_what_the_operator_saw(kafka: Kafka) -> None:
    kafka.store.apply(manifest())
    issued = issue_command(
        kafka.store, "checkout", "promote", reason="", actor=Actor(by="anna"), expects=7
    )
    assert (issued.number, issued.kind, issued.by, issued.expects) == (1, "promote", "anna", 7)
    killed = issue_command(kafka.store, "checkout", "kill", reason="tone", actor=Actor(by=""))
    assert (killed.number, killed.expects) == (2, None)


@pytest.mark.embedded
def test_a_promotion_of_a_rolled_back_rollout_is_rejected_at_once(kafka: Kafka) -> None:
    kafka.store.apply(manifest())
    kafka.write("understudy.decisions", ("checkout", encode_decision(stopped())))
    with pytest.raises(CommandRejected, match="checkout is rolled back; resume it first"):
        issue_command(kafka.store, "checkout", "promote", reason="", actor=Actor(by=""))
    assert kafka.store.rollouts()["checkout"].commands == ()


@pytest.mark.embedded
def test_a_promotion_beyond_the_last_stage_is_rejected(kafka: Kafka) -> None:
    last = evaluator()
    for _ in ("shadow", "5%"):
        last.promote()
    kafka.store.apply(manifest())
    kafka.write("understudy.decisions", ("checkout", encode_decision(last.decision())))
    with pytest.raises(CommandRejected, match="at its last stage, 25%"):
        issue_command(kafka.store, "checkout", "promote", reason="", actor=Actor(by=""))
    record = kafka.store.find("checkout")
    assert record is not None
    assert record.commands == ()


@pytest.mark.embedded
def test_an_unknown_rollout_is_no_command(kafka: Kafka) -> None:
    for kind in ("kill", "promote"):
        with pytest.raises(UnknownRollout):
            issue_command(kafka.store, "checkout", kind, reason="tone", actor=Actor(by=""))  # type: ignore[arg-type]


@pytest.mark.embedded
def test_every_change_is_in_the_audit_and_stays_there(kafka: Kafka) -> None:
    file = PolicyFile("a.yaml", manifest(), compile_manifest(manifest()))
    for _ in range(2):
        apply_policy(kafka.store, file, dry_run=False, actor=ANNA)
    issue_command(kafka.store, "checkout", "kill", reason="tone", actor=ANNA)
    with pytest.raises(UnknownRollout):
        issue_command(kafka.store, "chekout", "kill", reason="tone", actor=ANNA)
    apply_policy(kafka.store, file, dry_run=True, actor=ANNA)
    delete_rollout(kafka.store, "checkout", actor=Actor(by="ben"))
    deleted, killed, applied = kafka.store.audit.read("checkout", 10)
    assert [one.action for one in (applied, killed, deleted)] == ["apply", "kill", "delete"]
    assert (applied.effect, applied.policy_hash) == ("created", policy_hash(file.rollout))
    assert (killed.reason, killed.command_number, killed.by) == ("tone", 1, "anna")
    assert (killed.via, killed.address, killed.forwarded_for) == ("http", "10.0.0.5", "192.0.2.1")
    assert (deleted.by, deleted.via) == ("ben", "command line")
    assert applied.at <= killed.at <= deleted.at


@pytest.mark.embedded
def test_what_a_policy_changes_is_held_against_what_it_replaced(kafka: Kafka) -> None:
    """Somebody else is faster: the answer says what became of their policy."""
    file = PolicyFile("a.yaml", manifest(), compile_manifest(manifest()))
    other = manifest(more="false_rollback: 0.02")
    slower = Interrupted(kafka.settings, lambda: kafka.store.apply(other))
    diff = apply_policy(slower, file, dry_run=False, actor=ANNA)
    assert diff.effect == "changed"
    assert diff.lines[2:] == ("-false_rollback: 0.02", "+false_rollback: 0.01")
