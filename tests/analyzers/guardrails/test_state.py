"""State survives JSON exactly, keeps its layout, and is refused where it does not belong."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.world import Harm, World, replaced
from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.design_effect import DesignEffect
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.sequential_tests import MeanTest
from understudy.analyzers.guardrails.stage_counts import StageCounts
from understudy.analyzers.guardrails.state import (
    STATE_VERSION,
    Latch,
    RolloutState,
    decode_header,
    decode_state,
    encode_rows,
    encode_state,
)
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold, ThresholdEntry
from understudy.analyzers.guardrails.window_store import RowKey, StoredRow
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
BAD = Harm(bad={"error": 0.02})
CHECKS = checks_of(POLICY)


def test_state_of_a_whole_rollout_survives_json_exactly() -> None:
    evaluator = RolloutEvaluator(POLICY)
    for place, message in enumerate(World(requests=200, harm=BAD).messages(3, 30)):
        rows = message.rows
        for row in rows[1:]:
            row.closed = place < 20  # so that there are open rows, too
        evaluator.take(replaced(message, rows))
        payload = evaluator.encode_state()
        state = decode_state(POLICY, CHECKS, payload)
        assert encode_state(state) == payload
    assert state.stores["events"].partitions[0].rows
    assert state.tail_thresholds["all"]["duration"].buckets
    assert state.versions("events") == {0: 30}
    assert state.versions("feedback") == {}


def test_the_layout_of_the_state() -> None:
    """Another layout needs another STATE_VERSION, but for fields at the end of the status."""
    state = RolloutState.begin(POLICY, CHECKS, stage=1)
    state.status.rolled_back = Latch(7, ["why"], ["error_rate"])
    state.stage = StageCounts(since_ms=5, requests=9)
    state.arrivals.languages.append("ja")
    learnt = TailThreshold({-3: 4}, {2: 1}, [ThresholdEntry(9, {"0.5": 7})])
    state.tail_thresholds = {"all": {"duration": learnt}}
    state.measured_since.start_ms["fallback_rate"] = 30
    key = RowKey(20, 10, "shadow", "ja", "")
    store = state.stores["events"]
    store.apply(3, 2, {key: StoredRow(2, False, np.array([0.0, 7.0, 0.25]))})
    state.evidence = {"cost_usd": CheckEvidence.begin(MeanTest(), ["all"])}
    state.effects = {"cost_usd": DesignEffect.begin(MeanTest(), ["all"])}
    encoded = msgspec.msgpack.decode(encode_state(state))
    (cost,) = encoded.pop("evidence").values()
    assert [cost[0], *([shape for shape, _ in cost[1:12]]), *cost[12:]] == [
        ["all"], [1, 7], [1], [1, 12], [1, 3], [1, 7], [1, 12], [1, 12], [1, 12], [1, 3],
        [1, 12], [1, 12], -1, -1,
    ]  # fmt: skip
    (effect,) = encoded.pop("effects").values()
    assert [effect[0], *([shape for shape, _ in effect[1:6]]), effect[6]] == [
        ["all"], [1, 3, 9], [1, 3], [12], [4, 10], [4, 10], 0.0,
    ]  # fmt: skip
    blocks_shape, _ = encoded["stage"].pop()
    assert blocks_shape == [4, 10]
    values = [1, 3, [["u1", [1], b"\x07"], ["f8", [2], np.array([0.25]).tobytes()]]]
    nothing: list[object] = [[], [], [], [], [0, 0, []]]
    assert encoded == {
        "policy_hash": state.policy_hash,
        "version": STATE_VERSION,
        "status": [
            1, 0, -1, [7, ["why"], ["error_rate"]], None, "hold", 0, "", 0, 0, 0, 0, 0, 0, 0, 0, {},
            -1, 0, False,
        ],
        "stage": [
            5, None, None, 9, 0, 0, 0, 0, 0, 0, 0, 0, [{}] * 4, [{}] * 4, 0.0, [0, 0], [0, 0], 0.0,
        ],
        "arrivals": [["ja"], []],
        "tail_thresholds": {"all": {"duration": [{-3: 4}, {2: 1}, [[9, {"0.5": 7}]]]}},
        "stores": {
            "events": [
                None,
                {3: [2, None, []]},
                [[3], [list(key)], [2], [False], values],
            ],
            "feedback": [None, {}, nothing],
            "evaluations": [None, {}, nothing],
        },
        "measured_since": [{"fallback_rate": 30}],
        "is_folded": False,
        "passed": [],
    }  # fmt: skip


def test_evidence_of_other_cells_is_refused() -> None:
    evaluator = RolloutEvaluator(POLICY)
    for message in World(requests=200, harm=BAD).messages(2, 4):
        evaluator.take(message)
    state = decode_state(POLICY, CHECKS, evaluator.encode_state())
    state.passed = [np.zeros(state.stacks.n_cells)]
    assert decode_state(POLICY, CHECKS, encode_state(state)).passed
    state.passed = [np.zeros(state.stacks.n_cells - 1)]
    with pytest.raises(ValueError, match="other checks or slices"):
        decode_state(POLICY, CHECKS, encode_state(state))


def test_rows_that_are_encoded_by_themselves_give_the_same_state() -> None:
    """Also where one window was folded without some of its rows, and in whichever order."""
    evaluator, parts = RolloutEvaluator(POLICY), []
    for place, message in enumerate(World(requests=50, harm=BAD).messages(3, 50)):
        rows = message.rows
        for row in rows[1:]:
            row.closed = 0 < place < 40
        evaluator.take(replaced(message, rows))
        state = decode_state(POLICY, CHECKS, evaluator.encode_state())
        rows = state.open_rows()
        parts.append(encode_rows(state, reversed(rows[-2:])))
    whole = encode_state(state)
    assert len(state.stores["events"].partitions[0].rows) > len(rows), "of a folded window"
    rest = encode_state(state, with_open_rows=False)
    assert len(rest) < len(whole)
    assert encode_state(decode_state(POLICY, CHECKS, rest, [encode_rows(state, rows)])) == whole
    assert encode_state(decode_state(POLICY, CHECKS, rest, parts)) == whole
    assert encode_state(decode_state(POLICY, CHECKS, rest)) == rest


def test_rows_that_change_are_noted_until_they_are_saved() -> None:
    evaluator = RolloutEvaluator(POLICY)
    first, *others = World(requests=50).messages(3, 3)
    second, third = (
        replaced(one, [msgspec.structs.replace(row, closed=False) for row in one.rows])
        for one in others
    )
    evaluator.take(first)
    evaluator.take(second)
    opened = evaluator.open_rows()
    assert len(opened) == len(second.rows)
    assert evaluator.changed_rows() == set(opened), "nothing is noted of what was folded"
    evaluator.note_saved()
    evaluator.take(second)
    evaluator.look()
    assert evaluator.changed_rows() == set()
    evaluator.take(third)
    assert evaluator.changed_rows() == set(evaluator.open_rows()).difference(opened)


def test_any_release_can_read_the_header() -> None:
    state = RolloutState.begin(POLICY, CHECKS)
    state.status.rolled_back = Latch(7, ["why"])
    later = msgspec.msgpack.decode(encode_state(state))
    later["version"], later["evidence"] = STATE_VERSION + 1, "quite different"
    payload = msgspec.msgpack.encode(later)
    assert decode_header(payload).status.rolled_back == Latch(7, ["why"])
    with pytest.raises(ValueError, match="another policy or release"):
        decode_state(POLICY, CHECKS, payload)
