"""A look takes open windows as they are and changes no evidence."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import MANY, policy
from tests.analyzers.guardrails.world import Harm, World, message, replaced
from understudy.analyzers.guardrails.apply_windows import apply_windows
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.look import intervals, look
from understudy.analyzers.guardrails.state import RolloutState, decode_state, encode_state
from understudy.analyzers.windows.rows import total
from understudy.schemas.windows import SECTIONS, WindowRow, WindowsMessage

ROLLOUT = policy(MANY)
CHECKS = checks_of(ROLLOUT)


def opened(one: WindowsMessage) -> WindowsMessage:
    rows = [msgspec.structs.replace(row, closed=False) for row in one.rows]
    return replaced(one, rows=rows)


def after(messages: list[WindowsMessage]) -> RolloutState:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for one in messages:
        apply_windows(ROLLOUT, state, one)
    return state


def test_a_look_changes_nothing_and_is_the_same_after_a_restart() -> None:
    messages = World(harm=Harm(bad={"error": 0.03})).messages(1, 30)
    state = after([*messages[:20], *map(opened, messages[20:])])
    before = encode_state(state)
    seen = look(ROLLOUT, state)
    assert encode_state(state) == before
    again = look(ROLLOUT, decode_state(ROLLOUT, CHECKS, before))
    assert again.log_evidence == seen.log_evidence
    for ours, theirs in zip(seen.checks, again.checks, strict=True):
        assert np.array_equal(ours.log_rollback, theirs.log_rollback)
        assert np.array_equal(ours.total, theirs.total)


def test_versions_of_open_rows_replace_each_other_whole() -> None:
    """Evidence of an open window is that of its rows' newest versions, however they grew."""
    parts = [World(requests=50).messages(seed, 1)[0].rows[0] for seed in range(3)]
    versions = [added(parts[: number + 1]) for number in range(3)]
    history = [opened(message([row], version=n + 1)) for n, row in enumerate(versions)]
    grown, straight = look(ROLLOUT, after(history)), look(ROLLOUT, after(history[-1:]))
    for ours, theirs in zip(grown.checks, straight.checks, strict=True):
        assert np.array_equal(ours.log_rollback, theirs.log_rollback)
        assert np.array_equal(ours.total, theirs.total)


def added(rows: list[WindowRow]) -> WindowRow:
    sums = total(rows)
    return msgspec.structs.replace(rows[-1], **{name: getattr(sums, name) for name in SECTIONS})


def test_intervals_of_all_checks_are_those_of_each() -> None:
    harm = Harm(bad={"error": 0.03}, dearer=1.05)
    messages = World(harm=harm).messages(1, 30)
    seen = look(ROLLOUT, after([*messages[:20], *map(opened, messages[20:])]))
    known = 0
    for one, ends in zip(seen.checks, intervals(seen.checks, 0.05), strict=True):
        rests_on = one.interval_rests_on
        alone = one.check.test.interval(one.total, *rests_on, 0.05, one.design_effect)
        assert np.array_equal(ends, alone)
        known += bool(np.isfinite(ends).all() and one.total.any())
    assert known > 5


def test_promotion_counts_folded_windows_alone() -> None:
    messages = World().messages(1, 8)
    seen = look(ROLLOUT, after([opened(one) for one in messages]))
    assert not any(one.log_promotion.any() or one.units_closed.any() for one in seen.checks)
    (errors, *_) = look(ROLLOUT, after(messages)).checks
    assert errors.units_closed[0] == 8 * 200
    assert errors.newest_since_ms >= 0


def test_a_look_finds_what_crossed_between_two_looks() -> None:
    """Windows folded since the last look are prefixes as well, also when languages turn up."""
    bad = World(harm=Harm(bad={"error": 0.2})).messages(1, 8)
    good = World(languages=("en", "ja", "de"), harm=Harm(slower=1.0)).messages(2, 40, first=8)
    each, state = RolloutState.begin(ROLLOUT, CHECKS), RolloutState.begin(ROLLOUT, CHECKS)
    most = -np.inf
    for one in (*bad, *good):
        apply_windows(ROLLOUT, each, one)
        each.note_look()
        most = max(most, look(ROLLOUT, each).log_evidence["rollback"])
        apply_windows(ROLLOUT, state, one)
        state = decode_state(ROLLOUT, CHECKS, encode_state(state))
    now = look(ROLLOUT, each).log_evidence["rollback"]
    assert look(ROLLOUT, state).log_evidence["rollback"] == pytest.approx(most)
    assert now < most
    state.note_look()
    assert look(ROLLOUT, state).log_evidence["rollback"] == now
