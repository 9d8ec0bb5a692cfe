"""`understudy dead-letters list` on a real broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.brokers.contract import Broker
from tests.streams.commands.dead_letter_runs import run_dead_letters
from tests.streams.diagnostics.brokers import (
    MakeTopics,
)
from understudy.schemas.topics import Topics
from understudy.streams.commands.main import main

pytestmark = pytest.mark.integration


def test_list_counts_each_event_once(kafka_broker: Broker, filled: Topics) -> None:
    result = run_dead_letters(kafka_broker, filled, "list", "--json", "--limit", "3")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["total"] == 10
    assert document["reasons"] == {"clock_ahead": 4, "not_json": 5, "schema": 1}
    assert len(document["newest"]) == 3


def test_list_filters(kafka_broker: Broker, filled: Topics) -> None:
    for arguments, total in (
        (["--reason", "schema"], 1),
        (["--reason", "schema", "--reason", "not_json"], 6),
        (["--rollout", "shop"], 1),
        (["--since", "1h"], 10),
        (["--since", "2100-01-01"], 0),
    ):
        result = run_dead_letters(kafka_broker, filled, "list", "--json", *arguments)
        assert json.loads(result.stdout)["total"] == total, arguments


def test_without_the_topic(kafka_broker: Broker, topics: MakeTopics, tmp_path: Path) -> None:
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": "nobody-has-this.",
    }
    result = CliRunner().invoke(main, ["dead-letters", "list"], env=environment)
    assert result.exit_code == 1
    assert "understudy topics" in result.stderr
