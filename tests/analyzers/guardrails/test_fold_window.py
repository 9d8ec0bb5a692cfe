"""Folding all checks of a kind together gives each the bits that it would have by itself."""

from __future__ import annotations

import copy

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import MANY, policy
from tests.analyzers.guardrails.test_stacked_effects import after_window, bits, divisors
from tests.analyzers.guardrails.world import Harm, World, key_of
from understudy.analyzers.guardrails.apply_windows import apply_windows, enter_stage
from understudy.analyzers.guardrails.check_evidence import CheckEvidence, FoldedWindow
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.design_effect import DesignEffect, together_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.fold_window import assumption_of, batch_of, fold_window
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.window_store import RowKey, StoredRow
from understudy.schemas.rollouts import Rollout

SHADOW = policy(MANY)
CANARY = policy(
    "{metric: error_rate, max_increase: 1pp}, {metric: duration_p95, max_increase: 20%}, "
    "{metric: cost_usd, max_increase: 10%}, "
    "{metric: error_rate, name: threefold, max_increase: 3x}",
    mode="canary", stages="[50%]",
)  # fmt: skip


def folded_alone(
    rollout: Rollout,
    state: RolloutState,
    start_ms: int,
    rows: list[tuple[RowKey, StoredRow]],
    *,
    is_late: bool,
) -> dict[str, tuple[CheckEvidence, DesignEffect]]:
    """Evidence and design effect of each check after a window, whose rows are all of the stage."""
    batch, layout = batch_of(state, "events", rows), state.layouts["events"]
    found = {}
    for check, places in zip(state.checks, state.table.places_of_check, strict=True):
        if check.source != "events":
            continue
        counts = start_ms >= state.measured_since.counts_from_ms(check.metric.name)
        counted = batch if counts else np.zeros_like(batch)
        statistics = counted[places, layout.part(check.key)]
        turns = layout.turn_sums(check, counted, places)
        evidence, effect = copy.copy(state.evidence[check.name]), state.effects[check.name]
        divisor = divisors(check.test, effect, turns.of_one(), assumption_of(rollout))[0]
        forgiven_ms = state.status.forgiven_through_ms
        window = FoldedWindow(start_ms, statistics, statistics, start_ms > forgiven_ms, is_late)
        evidence.fold(check.test, window, divisor)
        if not is_late:
            together = together_of(evidence.slices, statistics)
            effect = after_window(check.test, effect, start_ms, statistics, together, turns)
        found[check.name] = evidence, effect
    return found


def plain(evidence: CheckEvidence) -> dict[str, object]:
    return {
        name: (value + 0.0).tobytes() if isinstance(value, np.ndarray) else value
        for name, value in msgspec.structs.asdict(evidence).items()
    }


@pytest.mark.parametrize("rollout", [SHADOW, CANARY], ids=["shadow", "canary"])
@pytest.mark.parametrize("is_independent", [False, True])
@pytest.mark.parametrize("is_late", [False, True])
def test_checks_are_folded_together_as_each_by_itself(
    rollout: Rollout, is_independent: bool, is_late: bool
) -> None:
    rollout = msgspec.structs.replace(rollout, independent_requests=is_independent)
    checks = checks_of(rollout)
    state = RolloutState.begin(rollout, checks)
    world = World(mode=rollout.stages[0].mode, harm=Harm(bad={"error": 0.03}))
    messages = world.messages(1, 40)
    for one in messages[:-1]:
        apply_windows(rollout, state, one)
    rows = messages[-1].rows
    keys = [key_of(row) for row in rows]
    layout = state.layouts["events"]
    columns = RowColumns.of_rows(rows, layout.names)
    vectors = layout.read(keys, columns, state.table, state.tail_thresholds)
    stored = [
        (key, StoredRow(row.version, row.closed, values))
        for key, row, values in zip(keys, rows, vectors, strict=True)
    ]
    start_ms = keys[0].start_ms
    expected = folded_alone(rollout, state, start_ms, stored, is_late=is_late)
    fold_window(rollout, state, "events", start_ms, stored, is_late=is_late)
    assert expected.keys() == {check.name for check in checks if check.source == "events"}
    for name, (evidence, effect) in expected.items():
        assert plain(state.evidence[name]) == plain(evidence), name
        assert bits(state.effects[name]) == bits(effect), name


def test_what_a_look_knows_after_a_fold_is_what_stacking_the_checks_anew_gives() -> None:
    state = RolloutState.begin(SHADOW, checks_of(SHADOW))
    for one in World().messages(1, 9):
        apply_windows(SHADOW, state, one)
    assumption = assumption_of(SHADOW)
    for stack in state.stacks.of_source["events"]:
        known = stack.known(state.evidence, state.effects, assumption)
        own = [copy.copy(state.evidence[name]) for name in stack.parts]
        stacked = CheckEvidence.stacked(own)
        assert plain(known.evidence) == plain(stacked)
        assert known.evidence.log_wealth is not stacked.log_wealth
    enter_stage(state, 0)
    for stack in state.stacks.of_source["events"]:
        assert not stack.known(state.evidence, state.effects, assumption).units_closed.any()


@pytest.mark.parametrize(
    "rule",
    [
        "metric: error_rate, max_increase: 1pp",
        "metric: error_rate, max: 5%",
        "metric: cost_usd, max_increase: 10%",
        "metric: duration_p95, max_increase: 20%",
    ],
)
def test_checks_that_cover_no_slice_yet_are_folded_too(rule: str) -> None:
    """Nobody names a workflow, and each workflow is judged alone."""
    evaluator = RolloutEvaluator(policy(f"{{{rule}, slices: [each workflow]}}"))
    messages = World(requests=20, workflow="").messages(1, 3)
    decisions = [evaluator.take(message) for message in messages]
    assert decisions[0] is not None
    assert evaluator.open_rows() == []
    assert evaluator.decision().evidence == []
