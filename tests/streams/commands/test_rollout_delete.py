"""`understudy rollout delete` on a mock cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.streams.commands.rollout_runs import Run, ended
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import ROLLOUTS, Kafka, manifest, policy
from understudy.streams.commands.main import main
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded


def test_a_rollout_is_deleted_with_its_decision(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    processor = DecisionProcessor(kafka)
    processor.obey()
    ended(run("delete", "checkout", "--dry-run"), 0, "would delete checkout\n", "dry run")
    assert list(kafka.store.rollouts()) == ["checkout"]
    assert ended(run("delete", "checkout"), 0) == "deleted checkout\n"
    processor.obey()
    assert kafka.store.rollouts() == {}
    assert kafka.store.decisions() == {}
    ended(run("delete", "checkout"), 2, "there is no rollout checkout")


def test_a_record_that_cannot_be_read_stops_changes_but_not_deleting(
    kafka: Kafka, run: Run
) -> None:
    kafka.write(ROLLOUTS, ("checkout", b'{"schema_version": 9}'))
    for arguments in (["kill", "checkout", "--reason", "tone"], ["show", "checkout"]):
        ended(run(*arguments), 1, "cannot be read", "`understudy rollout delete` removes it")
    ended(run("apply", "-f", "-", stdin=policy()), 1, "cannot be read")
    ended(run("delete", "checkout"), 0, "deleted checkout")


def test_without_topics(embedded_broker: EmbeddedBroker, tmp_path: Path,
                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    for arguments in (["list"], ["show", "checkout"], ["delete", "checkout"]):
        result = CliRunner().invoke(main, ["rollout", *arguments])
        ended(result, 1, "Error: there is no topic understudy.rollouts; `understudy topics`")
