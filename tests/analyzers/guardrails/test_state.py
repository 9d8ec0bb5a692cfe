"""State survives JSON exactly, keeps its layout, and is refused where it does not belong."""

from __future__ import annotations

import msgspec
import pytest

from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.stage_counts import StageCounts
from understudy.analyzers.guardrails.state import (
    STATE_VERSION,
    Latch,
    RolloutState,
    decode_header,
    decode_state,
    encode_state,
)
from understudy.analyzers.guardrails.statistics import LimitStatistics
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.window_deltas import ArrivedEvents, OpenRow, OpenRows
from understudy.schemas.manifests import read_policy

POLICY = read_policy(
    """
rollout_id: helpdesk
models: {stable: a, candidate: b}
stages: [shadow, 50%]
guardrails:
  - {metric: error_rate, max_increase: 1pp}
  - {metric: duration_p95, max_increase: 20%}
  - {metric: duration_p99, max: 8s}
  - {metric: cost_usd, max_increase: 10%}
  - {metric: similarity_excess, max: 5pp}
"""
)


def test_state_of_a_whole_rollout_survives_json_exactly() -> None:
    evaluator = RolloutEvaluator(POLICY)
    for message in World(requests=200, harm=Harm(bad={"error": 0.02})).messages(3, 30):
        for row in message.rows[1:]:
            row.closed = False  # so that there are open rows, too
        evaluator.take(message)
        payload = evaluator.encode_state()
        state = decode_state(POLICY, payload)
        assert encode_state(state) == payload
    assert state.partitions["events"][0].rows
    assert state.tail_thresholds["all"]["duration"].buckets
    assert state.versions("events") == {0: 30}
    assert state.versions("feedback") == {}


def test_the_layout_of_the_state() -> None:
    """Another layout needs another STATE_VERSION, but for fields at the end of the status."""
    state = RolloutState.begin(POLICY, stage=1)
    state.status.rolled_back = Latch(7, ["why"])
    state.stage = StageCounts(since_ms=5, requests=9)
    state.arrivals.languages.append("ja")
    state.tail_thresholds = {"all": {"duration": TailThreshold(histogram={-3: 4})}}
    row = OpenRow(2, {"error_rate": LimitStatistics(4, 1, 1)}, ArrivedEvents(8, 3))
    state.partitions = {"events": {3: OpenRows(2, 1, {"[10]": 10}, {"[20]": row})}}
    assert msgspec.json.decode(encode_state(state)) == {
        "policy_hash": state.policy_hash,
        "version": STATE_VERSION,
        "status": [1, 0, -1, [7, ["why"], []], None, "hold", 0, "", 0, 0, 0, 0, 0, 0, 0, 0, {}],
        "stage": [5, None, None, 9, 0, 0, 0, 0, 0, 0, 0.0],
        "arrivals": [["ja"], []],
        "tail_thresholds": {"all": {"duration": [{"-3": 4}, {}, 0]}},
        "partitions": {
            "events": {
                "3": [2, 1, {"[10]": 10}, {"[20]": [2, {"error_rate": ["limit", 4, 1, 1]}, [8, 3]]}]
            }
        },
        "evidence": {},
    }


def test_any_release_can_read_the_header() -> None:
    state = RolloutState.begin(POLICY)
    state.status.rolled_back = Latch(7, ["why"])
    later = msgspec.json.decode(encode_state(state))
    later["version"], later["evidence"] = STATE_VERSION + 1, "quite different"
    payload = msgspec.json.encode(later)
    assert decode_header(payload).status.rolled_back == Latch(7, ["why"])
    with pytest.raises(ValueError, match="another policy or release"):
        decode_state(POLICY, payload)
