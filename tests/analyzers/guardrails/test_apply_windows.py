"""Applying messages: order, partitions, what comes late, idle partitions, resuming."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import MANY, evaluated, policy
from tests.analyzers.guardrails.world import WINDOW_S, Harm, World, message, replaced
from understudy.analyzers.guardrails.apply_windows import apply_windows
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.look import look
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.window_store import IDLE_WINDOWS
from understudy.schemas.windows import WindowRow, WindowsMessage

ROLLOUT = policy(MANY)
CHECKS = checks_of(ROLLOUT)
PARTITIONS = 3


def rows_of(seed: int, windows: int) -> list[WindowRow]:
    """Rows of three partitions, by window and partition, all closed in the end."""
    parts = [
        World(requests=30, partition=number).messages(seed + number, windows)
        for number in range(PARTITIONS)
    ]
    return [row for one in zip(*parts, strict=True) for part in one for row in part.rows]


def opened(row: WindowRow) -> WindowRow:
    return msgspec.structs.replace(row, closed=False)


def told(rows: list[WindowRow], seed: int | None) -> list[WindowsMessage]:
    """Each row open first and closed three windows later; messages cut and mixed by a seed.

    Within a partition the order stays what it is.
    """
    rng = random.Random(seed)
    flushes: dict[tuple[int, int], list[WindowRow]] = {}
    for row in rows:
        start = round((row.window_start - rows[0].window_start).total_seconds()) // WINDOW_S
        flushes.setdefault((start, row.partition), []).append(opened(row))
        flushes.setdefault((start + 3, row.partition), []).append(row)
    queues = [
        [
            message(of_flush, version=step + 1, partition=number)
            for (step, partition), of_flush in sorted(flushes.items(), key=lambda one: one[0])
            if partition == number
        ]
        for number in range(PARTITIONS)
    ]
    if seed is None:
        return [one for step in zip(*queues, strict=True) for one in step]
    mixed: list[WindowsMessage] = []
    while any(queues):
        queue = rng.choice([one for one in queues if one])
        longest = max(len(one) for one in queues)
        if longest - len(queue) < 3:  # so far partitions may be apart: until they close
            mixed += cut(rng, queue.pop(0))
    return mixed


def cut(rng: random.Random, one: WindowsMessage) -> list[WindowsMessage]:
    place = rng.randrange(len(one.rows) + 1)
    halves = [part for part in (one.rows[:place], one.rows[place:]) if part]
    return [replaced(one, rows=half) for half in halves]


def after(messages: list[WindowsMessage]) -> RolloutState:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for one in messages:
        apply_windows(ROLLOUT, state, one)
    return state


def evidence_of(state: RolloutState) -> list[list[float]]:
    return [
        [*one.log_rollback.tolist(), *one.log_promotion.tolist(), *one.total.ravel().tolist()]
        for one in look(ROLLOUT, state).checks
        if not one.check.is_tail  # thresholds hold from when they were learnt on
    ]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_partitions_and_any_cut_give_the_same_evidence_to_the_bit(seed: int) -> None:
    rows = rows_of(10 * seed, 14)
    straight, mixed = after(told(rows, None)), after(told(rows, seed))
    assert evidence_of(mixed) == evidence_of(straight)


def test_an_idle_partition_is_not_waited_for_for_ever() -> None:
    """Its open row is left out of the fold and counts when it closes, without a restart."""
    idle = World(requests=40, partition=1).messages(2, 1)[0].rows
    before = message([opened(row) for row in idle], version=1, partition=1)
    busy = World(requests=40).messages(1, IDLE_WINDOWS + 5)
    evaluator = RolloutEvaluator(ROLLOUT)
    evaluator.take(before)
    for one in busy[: IDLE_WINDOWS - 1]:
        evaluator.take(one)
    assert evaluator.decision().evidence[0].units_closed == 0, "it may still go on"
    for one in busy[IDLE_WINDOWS - 1 :]:
        evaluator.take(one)
    (errors, *_) = evaluator.decision().evidence
    assert errors.units_closed == 80 * len(busy)
    assert errors.units == errors.units_closed, "what may still change is not counted twice"
    evaluator.take(message(idle, version=2, partition=1))
    (errors, *_) = evaluator.decision().evidence
    assert errors.units_closed == errors.units == 80 * len(busy) + 80


def test_a_late_row_counts_once() -> None:
    messages = World(requests=40).messages(1, 6)
    late = World(requests=40, partition=7).messages(9, 2)[1]
    state = after([*messages, late])
    windows = {name: one.windows.copy() for name, one in state.evidence.items()}
    twice = after([*messages, late, late])
    assert evidence_of(twice) == evidence_of(state)
    once = after(messages)
    total = state.evidence["error_rate"].total[0, 0]
    assert total == once.evidence["error_rate"].total[0, 0] + 80
    for name, one in once.evidence.items():
        assert np.array_equal(windows[name], one.windows)


def test_what_was_known_at_a_resume_is_forgiven_open_windows_included() -> None:
    rollout = policy("{metric: error_rate, max_increase: 1pp}")
    harm = World(harm=Harm(bad={"error": 0.2})).messages(1, 30)
    told = [replaced(one, rows=[opened(row) for row in one.rows]) for one in harm]
    evaluator, _ = evaluated(rollout, told)
    assert evaluator.decision().verdict == "rollback"
    resumed = evaluator.resume()
    assert resumed is not None
    assert resumed.verdict == "hold"
    revived = RolloutEvaluator(rollout, evaluator.encode_state())
    for number, one in enumerate(harm):
        moved = msgspec.structs.replace(one, version=1_000 + number)
        revived.take(replaced(
            moved, rows=[msgspec.structs.replace(row, version=1_000) for row in one.rows]
        ))  # fmt: skip
    assert revived.decision().verdict == "hold", "they have closed, and were known"
    for one in World(harm=Harm(bad={"error": 0.2})).messages(3, 20, first=200):
        revived.take(msgspec.structs.replace(one, version=one.version + 10_000))
    assert revived.decision().verdict == "rollback"


def test_a_stage_counts_windows_that_begin_after_it() -> None:
    errors = "{metric: error_rate, max_increase: 3pp, slices: [all]}"
    evaluator, _ = evaluated(policy(errors, stages="[shadow, 50%]"), World().messages(1, 20))
    evaluator.promote()
    canary = World(mode="canary").messages(1, 40, first=20)
    for one in canary:
        evaluator.take(one)
    (evidence,) = evaluator.decision().evidence
    begun = canary[0].rows[0].window_start + dt.timedelta(minutes=1)
    counted = [row for one in canary for row in one.rows if row.window_start >= begun]
    units = sum(row.candidate.requests for row in counted)
    assert evaluator.decision().stage.requests == evidence.units_closed == units
