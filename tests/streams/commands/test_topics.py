"""`understudy topics` on a mock cluster."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from understudy.schemas.topics import understudy_topics
from understudy.streams.commands.main import main
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded


def test_as_json_and_csv(
    embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    created = CliRunner().invoke(main, ["topics", "--json"])
    found = CliRunner().invoke(main, ["topics", "--csv"])
    document = json.loads(created.stdout)
    assert document["existing"] == []
    header, *rows = csv.reader(found.stdout.splitlines())
    assert header == ["topic", "state", "setting", "wanted", "actual"]
    names = {row[0] for row in rows if row[1] == "existing"}
    assert names == set(document["created"]) >= {spec.name for spec in understudy_topics()}
    assert all(all(row) for row in rows if row[1] == "differs")


def test_it_creates_what_is_missing_and_then_finds_it(
    embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    first, second = (CliRunner().invoke(main, ["topics"]) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    changelog = "understudy.understudy-deciding-rollouts-changelog"
    names = {spec.name for spec in understudy_topics()} | {changelog}
    for result, word in ((first, "created"), (second, "existing")):
        lines = [line.split() for line in result.stdout.splitlines()]
        assert {line[1] for line in lines if line[0] == word} == names
