"""Every expected failure becomes a message on one line and an exit code; a bug stays a bug."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from confluent_kafka import KafkaError, KafkaException

from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.commands.failures import command_error
from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.replay.recordings import RecordingError
from understudy.streams.rollouts.operator_commands import InvalidCommandText
from understudy.streams.rollouts.policy_diff import UnusablePolicy
from understudy.streams.rollouts.registry import UnknownRollout
from understudy.streams.settings import SettingsError


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "no route")), UNREACHABLE,
         "Kafka at localhost:9092 cannot be reached: no route; start it, or correct "),
        (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")), FAILED,
         "Kafka at localhost:9092: not allowed"),
        (SinkBusy("cannot be reached"), UNREACHABLE, "ClickHouse: cannot be reached"),
        (SinkBroken("no rights"), FAILED, "ClickHouse: no rights"),
        (DatabaseError("Syntax error"), FAILED, "ClickHouse: Syntax error"),
        (InvalidCommandText("reason", "is too long"), WRONG_USAGE, "--reason is too long"),
        (UnknownRollout("chekout", {"checkout": 1}), WRONG_USAGE, "did you mean checkout?"),
        (UnusablePolicy("p.yaml:1:1: unknown key"), WRONG_USAGE, "p.yaml:1:1: unknown key"),
        (SettingsError("unknown key x"), WRONG_USAGE, "unknown key x"),
        (MissingTopic("events"), FAILED, "`understudy topics` creates it"),
        (CommandRejected("it is at its last stage"), FAILED, "it is at its last stage"),
        (RecordingError("a.gz: not gzip"), FAILED, "a.gz: not gzip"),
    ],
)  # fmt: skip
def test_expected_failures(error: Exception, exit_code: int, message: str) -> None:
    found = command_error(error, {})
    assert found is not None
    assert found.exit_code == exit_code
    assert message in found.message


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x")])
def test_a_bug_is_not_hidden(error: Exception) -> None:
    assert command_error(error, {}) is None


def test_what_others_wrote_acts_on_no_terminal() -> None:
    found = command_error(UnknownRollout("\x1b[2J" * 1000, {}), {})
    assert found is not None
    assert found.message.isprintable()
    assert len(found.message) <= 2001
