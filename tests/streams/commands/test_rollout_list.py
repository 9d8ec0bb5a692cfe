"""`understudy rollout list` on a mock cluster."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.streams.commands.rollout_runs import Run, ended
from tests.streams.rollouts.records import DECISIONS, Kafka, killed, manifest
from understudy.schemas.decisions import encode_decision

pytestmark = pytest.mark.embedded


def test_without_rollouts_the_list_says_what_to_do(run: Run) -> None:
    ended(run("list"), 0, "no rollouts; `understudy rollout apply -f POLICY` starts one")
    assert json.loads(run("list", "--json").stdout) == []


def test_the_list_has_a_line_for_each(kafka: Kafka, run: Run) -> None:
    for name in ("checkout", "search"):
        kafka.store.apply(manifest(name))
    kafka.write(DECISIONS, ("search", encode_decision(killed(rollout_id="search"))))
    lines = [line.split() for line in ended(run("list"), 0).splitlines()]
    assert ["checkout", "shadow", "waiting", "–", "–"] in lines
    assert any(line[:3] == ["search", "shadow", "rollback"] and "tone" in line for line in lines)
    documents = json.loads(run("list", "--json").stdout)
    assert [one["verdict"] for one in documents] == ["waiting", "rollback"]
    assert documents[1]["is_latched"] is True
    assert documents[0]["candidate_share"] is None
    assert set(documents[0]) == set(documents[1])


def test_decisions_may_be_encoded_by_any_release(kafka: Kafka, run: Run) -> None:
    """What cannot be read is left out with a warning, not the end of the list."""
    kafka.store.apply(manifest())
    kafka.write(DECISIONS, ("checkout", msgspec.json.encode({"schema_version": 9})))
    ended(run("list"), 0, "waiting")
