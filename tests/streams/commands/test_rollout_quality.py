"""`understudy rollout quality` on a mock cluster."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from tests.analyzers.windows.test_quality_columns import preferring
from tests.streams.clickhouse.test_evaluation_rows import put
from tests.streams.rollouts.records import Kafka, manifest
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.commands.main import main

pytestmark = pytest.mark.embedded
NOW = dt.datetime.now(dt.UTC)
"""Without a decision, the last day ends now."""


@pytest.fixture
def stored(clickhouse_url: str, clickhouse_database: str) -> Iterator[str]:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    at = {"rollout_id": "checkout", "request_time": NOW - dt.timedelta(hours=2), "language": "ja"}
    put(client, *(preferring("stable", pair_id=str(n), usage={"cost_usd": 0.01}, **at)
                  for n in range(60)))  # fmt: skip
    yield f"{clickhouse_url}?database={clickhouse_database}"
    client.close()


def quality(kafka: Kafka, url: str, *arguments: str) -> Result:
    environment = {"UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka.settings.bootstrap_servers}
    command = ["rollout", "quality", "checkout", "--clickhouse", url, *arguments]
    return CliRunner().invoke(main, command, env=environment)


def test_what_evaluators_say(kafka: Kafka, stored: str) -> None:
    kafka.store.apply(manifest())
    done = quality(kafka, stored)
    assert done.exit_code == 0, done.output
    assert "60 pairs judged for $0.6." in done.output
    assert "Its noise is unknown: no control pair has been judged." in done.output
    assert "worse than stable" in done.output
    assert "100 % → 0 %" in done.output
    together, ja = json.loads(quality(kafka, stored, "--json").output)["evaluators"]
    assert (together["language"], ja["language"], ja["pairs"]) == (None, "ja", 60)
    assert quality(kafka, stored, "--csv").output.startswith("evaluator,language,pairs")
    assert "No pair requested" in quality(kafka, stored, "--since", "1h").output


def test_a_rollout_that_is_not_there_is_wrong_usage(kafka: Kafka) -> None:
    kafka.store.apply(manifest("another"))
    assert quality(kafka, "chdb:///nowhere/at/all").exit_code == 2
