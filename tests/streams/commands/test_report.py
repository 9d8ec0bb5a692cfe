"""`understudy report` on a mock cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import Kafka, manifest
from understudy.streams.commands.main import main

pytestmark = pytest.mark.embedded
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))


def report(kafka: Kafka, *arguments: str) -> Result:
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka.settings.bootstrap_servers,
        "UNDERSTUDY_HTTP_PUBLIC_URL": "https://understudy.example",
    }
    nowhere = ["--clickhouse", "chdb:///nowhere/at/all"]
    return CliRunner().invoke(main, ["report", *arguments, *nowhere], env=environment)


def test_a_report_needs_kafka_alone_and_says_what_it_lacks(kafka: Kafka, tmp_path: Path) -> None:
    kafka.store.apply(manifest(ROLLOUT))
    processor = DecisionProcessor(kafka)
    processor.obey()
    for message in BROKEN.messages(5, 40):
        processor.judge(message)
    file = tmp_path / "report.html"
    done = report(kafka, ROLLOUT, "--html", str(file))
    assert done.exit_code == 0, done.output
    text = file.read_text()
    assert "Rolled back: gateways send the candidate nothing." in text
    assert "ClickHouse could not be asked" in text
    assert f'href="https://understudy.example/rollouts/{ROLLOUT}"' in text
    late = report(kafka, ROLLOUT, "--html", str(file), "--since", "0s")
    assert late.exit_code == 2
    assert "--since must be before the newest window" in late.output


def test_a_rollout_that_is_not_there_is_wrong_usage(kafka: Kafka) -> None:
    kafka.store.apply(manifest())
    done = report(kafka, "checkuot", "--html", "-")
    assert done.exit_code == 2
    assert "did you mean checkout" in done.output


def test_without_a_file_there_is_no_report(kafka: Kafka) -> None:
    done = report(kafka, "checkout")
    assert done.exit_code == 2
    assert "--html" in done.output
