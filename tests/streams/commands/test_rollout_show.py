"""`understudy rollout show` on a mock cluster."""

from __future__ import annotations

import json

import pytest

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.streams.commands.rollout_runs import Run, ended
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import DECISIONS, Kafka, manifest
from understudy.schemas.decisions import decode_decision

pytestmark = pytest.mark.embedded
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))


def test_show_before_anything_was_decided(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    ended(run("show", "checkout"), 0, "rollout_id: checkout", "max_increase: 1pp",
          "WAITING  no decision yet")  # fmt: skip
    document = json.loads(run("show", "checkout", "--json").stdout)
    assert document["decision"] is None
    assert document["record"]["manifest"]["rollout_id"] == "checkout"


def test_show_after_a_rollback(kafka: Kafka, run: Run) -> None:
    processor = DecisionProcessor(kafka)
    kafka.store.apply(manifest(ROLLOUT))
    processor.obey()
    for message in BROKEN.messages(5, 40):
        processor.judge(message)
    ended(run("show", ROLLOUT), 0, f"ROLLBACK  {ROLLOUT}, stage shadow", "error_rate", "breach")
    document = json.loads(run("show", ROLLOUT, "--json").stdout)
    emitted = kafka.messages(DECISIONS)[-1].value()
    assert emitted is not None
    assert document["decision"] == json.loads(emitted)
    assert decode_decision(emitted).verdict == "rollback"


def test_what_operators_wrote_acts_on_no_terminal(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    ended(run("kill", "checkout", "--reason", "\x1b[2J\x1b]0;owned\x07", "--by", "\x9b1m",
              "--wait", "0"), 0)  # fmt: skip
    DecisionProcessor(kafka).obey()
    for arguments in (["show", "checkout"], ["list"], ["show", "checkout", "--json"]):
        printed = ended(run(*arguments), 0)
        assert not any(character in printed for character in "\x1b\x07\x9b"), arguments
    assert "\\x1b[2J" in run("show", "checkout").output
