"""Commands as operators type them: on a mock cluster, and with dead letters on a real broker."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.brokers.contract import Broker
from tests.streams.commands.dead_letter_runs import HOSTILE, headers
from tests.streams.commands.rollout_runs import Run
from tests.streams.diagnostics.brokers import Headers, MakeTopics, event, key, write
from tests.streams.rollouts.records import Kafka
from understudy.schemas.topics import Topics
from understudy.streams.commands.main import main
from understudy.streams.kafka.embedded_broker import EmbeddedBroker


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


@pytest.fixture
def run(kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`understudy rollout` in a folder and on a broker of its own."""
    monkeypatch.chdir(tmp_path)
    servers = kafka.settings.bootstrap_servers

    def invoke(*arguments: str, stdin: str | None = None, color: bool = False) -> Result:
        environment = {"UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": servers}
        words = ["rollout", *arguments]
        return CliRunner().invoke(main, words, input=stdin, env=environment, color=color)

    return invoke


@pytest.fixture
def filled(kafka_broker: Broker, topics: MakeTopics) -> Topics:
    """Twelve dead letters about ten events, four of them worth a replay."""
    specs = topics()
    now = dt.datetime.now(dt.UTC)
    records: list[tuple[bytes | None, bytes | None, Headers]] = [
        *((key(n), event(n, at=now), headers(specs, "clock_ahead", n)) for n in range(4)),
        *((key(n), b"{broken", headers(specs, "not_json", n)) for n in range(4, 9)),
        (b"shop/1", HOSTILE, headers(specs, "schema", 9, "bad \x1b[31m field")),
    ]
    records += records[:2]
    write(kafka_broker, specs.dead_letters.name, records)
    return specs
