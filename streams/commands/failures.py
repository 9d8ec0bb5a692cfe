"""Which exception ends a command with which message and exit code: one place for all commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.commands.invocation import settings_of
from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.kafka.explanations import kafka_failure
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.replay.recordings import RecordingError
from understudy.streams.rollouts.operator_commands import InvalidCommandText
from understudy.streams.rollouts.policy_diff import UnusablePolicy
from understudy.streams.rollouts.registry import ChangeConflict, UnknownRollout
from understudy.streams.settings import SettingsError
from understudy.streams.terminal.plain_text import one_line


def command_error(error: Exception, meta: Mapping[str, Any]) -> CommandError | None:
    """Message and exit code for an expected failure, None for a bug.

    `meta` is the context's, which says with which settings the command ran.
    """
    match error:
        case KafkaException():
            return kafka_failure(error, settings_of(meta).kafka)
        case SinkBusy():
            return CommandError(f"ClickHouse: {error}", UNREACHABLE)
        case SinkBroken() | ClickHouseError():
            return CommandError(f"ClickHouse: {error}", FAILED)
        case InvalidCommandText():
            return CommandError(f"--{error}", WRONG_USAGE)
        case UnknownRollout() | UnusablePolicy() | SettingsError():
            return CommandError(one_line(str(error)), WRONG_USAGE)
        case MissingTopic() | ChangeConflict() | CommandRejected() | RecordingError():
            return CommandError(one_line(str(error)), FAILED)
    return None
