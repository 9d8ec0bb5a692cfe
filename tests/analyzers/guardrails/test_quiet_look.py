"""A look that is left out would have found nothing: decisions and states are the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.world import Harm, World, message, replaced
from understudy.analyzers.guardrails import quiet_look
from understudy.analyzers.guardrails.evaluate import Evaluation
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.quiet_look import LastLook
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.windows.rows import total
from understudy.schemas.decisions import encode_decision
from understudy.schemas.manifests import read_policy
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import SECTIONS, WindowRow, WindowsMessage

POLICY = read_policy(
    """
rollout_id: helpdesk
models: {stable: a, candidate: b}
guardrails:
  - {metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}
  - {metric: json_valid_rate, max_drop: 1pp, slices: [all, each language]}
  - {metric: fallback_rate, max: 5%, action: pause}
  - {metric: truncation_rate, max_increase: 3x, floor: 1pp, action: alert}
  - {metric: duration_p95, max_increase: 20%, slices: [all, each language]}
  - {metric: cost_usd, max_increase: 10%, slices: [all, each language]}
"""
)
VERSIONS = 4
"""Of a window's rows, a second and more apart, as its requests come in."""
LAG = 3
"""Windows that are open."""
HARMS = {
    "none": Harm(),
    "json": Harm(bad={"json_valid": 0.9}),
    "truncated": Harm(bad={"truncated": 0.9}),
    "dear": Harm(dearer=3.0, slower=3.0),
}


def stream(harm: Harm, mode: str = "shadow", n: int = 15) -> Iterator[WindowsMessage]:
    """Messages of a few requests each; a third of the windows is without harm."""
    rows = []
    for part in range(VERSIONS):
        before = World(mode=mode, requests=12).messages(part, n // 3)
        after = World(mode=mode, requests=12, harm=harm).messages(part, n - n // 3, first=n // 3)
        rows.append([one.rows for one in (*before, *after)])
    for window in range(n + LAG):
        if window >= LAG:  # what closes
            yield version(rows, window - LAG, VERSIONS, VERSIONS * window)
        for step in range(VERSIONS if window < n else 0):
            yield version(rows, window, step + 1, VERSIONS * window + step + 1)


def version(
    rows: list[list[list[WindowRow]]], window: int, parts: int, number: int
) -> WindowsMessage:
    found = []
    for pieces in zip(*(of_part[window] for of_part in rows), strict=True):
        sums = total(pieces[:parts])
        sections = {name: getattr(sums, name) for name in SECTIONS}
        is_closed = number == VERSIONS * (window + LAG)
        found.append(msgspec.structs.replace(pieces[0], closed=is_closed, **sections))
    return message(found, version=number)


@pytest.mark.parametrize("mode", ["shadow", "canary"])
@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_looks_that_are_left_out_would_have_found_nothing(
    harm: Harm, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[quiet_look._Reached | None] = []
    reached = quiet_look._reached

    def noted(state: RolloutState, changed_from_ms: int) -> quiet_look._Reached | None:
        bounds.append(reached(state, changed_from_ms))
        return bounds[-1]

    monkeypatch.setattr(quiet_look, "_reached", noted)
    stage = [one.mode for one in POLICY.stages].index(mode)
    evaluator, looking = (RolloutEvaluator(POLICY, stage=stage) for _ in range(2))
    n_left_out = 0
    for number, one in enumerate(stream(harm, mode)):
        bounds.clear()
        last_look = evaluator._last_look
        decision = evaluator.add(one, 2_000 * number)
        n_left_out += evaluator._last_look is last_look
        looking._last_look = None
        expected = looking.add(one, 2_000 * number)
        assert (decision and encode_decision(decision)) == (expected and encode_decision(expected))
        if bounds and bounds[0] is not None and looking._last_look is not None:
            _is_below(bounds[0], looking._last_look._evaluation, looking._state)
    assert evaluator.encode_state() == looking.encode_state()
    assert n_left_out > 10


def _is_below(bound: quiet_look._Reached, found: Evaluation, state: RolloutState) -> None:
    """Of each cell by itself, and of each action."""
    at_most = state.paths["events"].held.max(axis=0)
    stacks = state.stacks
    assert (at_most <= bound.most[stacks.places_in_order["events"]] + 1e-9).all()
    for action, log_evidence in found.log_evidence.items():
        assert log_evidence <= quiet_look.log_sum(stacks, action, bound.most) + 1e-9


def settled() -> tuple[LastLook, RolloutState]:
    """A rollout that was looked at, in which nothing has happened since."""
    evaluator = RolloutEvaluator(POLICY)
    for number, one in enumerate(stream(Harm(), n=6)):
        evaluator.add(one, 2_000 * number)
    evaluator._last_look = None
    evaluator.look()
    quiet: LastLook | None = evaluator._last_look
    assert quiet is not None
    assert not quiet.may_differ(POLICY, evaluator._state)
    return quiet, evaluator._state


def test_it_is_looked_again_when_a_stage_has_come_far_enough() -> None:
    quiet, state = settled()
    state.stage.requests = 1_000_000
    state.stage.last_ms = (state.stage.first_ms or 0) + 10**9
    assert quiet.may_differ(POLICY, state)


def test_it_is_looked_again_after_a_fold() -> None:
    quiet, state = settled()
    state.note_fold()
    assert quiet.may_differ(POLICY, state)


def test_it_is_looked_again_when_data_cannot_be_trusted_any_more() -> None:
    quiet, state = settled()
    state.stage.late = state.stage.events
    assert quiet.may_differ(POLICY, state)


def test_it_is_looked_again_when_a_field_turns_up() -> None:
    quiet, state = settled()
    state.measured_since.start_ms["fallback_rate"] = 0
    assert quiet.may_differ(POLICY, state)


def test_an_open_row_of_a_folded_window_changes_nothing() -> None:
    evaluator = RolloutEvaluator(POLICY)
    closed = World(requests=12).messages(1, 2)
    for one in (*closed, closed[-1]):
        evaluator.take(one)
    assert not evaluator._state.stores["events"].starts()
    last_look = evaluator._last_look
    (late, _) = World(requests=12, partition=1).messages(2, 2)
    rows = [msgspec.structs.replace(row, closed=False) for row in late.rows]
    assert evaluator.take(message(rows, version=1, partition=1)) is None
    assert evaluator._last_look is last_look


def test_counts_that_cannot_be_have_no_bound() -> None:
    """More errors among those that wait than wait: a look says what they lead to."""
    evaluator = RolloutEvaluator(POLICY)
    *before, last = World(requests=5, languages=("en",)).messages(1, 3)
    for one in before:
        evaluator.take(one)
    unresolved = UnresolvedCounts(awaiting_stable=3, awaiting_stable_errors=40)
    rows = [
        msgspec.structs.replace(row, closed=False, version=9, unresolved=unresolved)
        for row in last.rows
    ]
    last_look = evaluator._last_look
    evaluator.take(replaced(last, version=9, rows=rows))
    assert evaluator._last_look is not last_look


def test_fresh_wealth_counts_where_there_was_none() -> None:
    wealth, fresh = np.full((1, 3), -np.inf), np.log([0.5])
    (most,) = quiet_look._after(wealth, fresh, [np.array([[1.0, 0.0]])])
    assert most == pytest.approx(np.log(0.5 * (np.e + 1.0) / 2.0)), "the third is padding"


def test_a_verdict_to_promote_is_looked_at_each_time() -> None:
    evaluator = RolloutEvaluator(POLICY)
    for number, one in enumerate(stream(Harm(), n=6)):
        evaluator.add(one, 2_000 * number)
    state = evaluator._state
    then = replace(evaluator._evaluate(with_results=False), verdict="promote")
    quiet = LastLook(state, then)
    state.status.signature = then.signature(state.status.stage)
    assert quiet.may_differ(POLICY, state)
