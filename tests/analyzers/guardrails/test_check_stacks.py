"""What a look reads of all checks at once is what each check's own reader says."""

from __future__ import annotations

import numpy as np

from tests.analyzers.guardrails.test_evaluator import MANY, policy
from tests.analyzers.guardrails.test_look import opened
from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.apply_windows import apply_windows
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.fold_window import assumption_of, batch_of
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.row_layout import tail_buckets
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.bets import log_evidence

ROLLOUT = policy(MANY)
CHECKS = checks_of(ROLLOUT)


def state_after(windows: int) -> RolloutState:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for one in World(harm=Harm(bad={"error": 0.03})).messages(1, windows):
        apply_windows(ROLLOUT, state, one)
    return state


def test_every_check_has_its_cells_in_one_stack_of_its_kind() -> None:
    state = state_after(3)
    covered = 0
    for number, (check, slices) in enumerate(zip(CHECKS, state.table.of_check, strict=True)):
        stack = state.stacks.of_check[check.name]
        cells = stack.parts[check.name]
        assert stack.source == check.source
        assert stack.test.has_worst == check.has_worst
        names = [state.table.names[place] for place in stack.places[cells]]
        assert names == slices
        in_order = state.stacks.in_order[number]
        assert state.stacks.names[in_order] == [f"{check.name}/{name}" for name in slices]
        covered += len(slices)
    assert covered == state.stacks.n_cells == state.stacks.log_weights.size


def test_statistics_of_cells_are_those_of_their_checks() -> None:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    apply_windows(ROLLOUT, state, opened(World().messages(1, 1)[0]))
    rows = list(state.stores["events"].partitions[0].rows.items())
    batch = batch_of(state, "events", rows)[None]
    assert batch.any()
    layout = state.layouts["events"]
    for check, places in zip(CHECKS, state.table.places_of_check, strict=True):
        stack = state.stacks.of_check[check.name]
        found = stack.statistics(batch)[:, stack.parts[check.name]]
        assert np.array_equal(found, batch[:, places, layout.part(check.key)])


def test_unresolved_requests_count_as_each_reader_says() -> None:
    state = state_after(40)
    layout, table = state.layouts["events"], state.table
    newest_ms = state.status.newest_window_ms
    starts = np.array([newest_ms - 10_000_000, newest_ms + 10_000])
    rng = np.random.default_rng(5)
    gauges = rng.integers(0, 9, (2, len(table.names), len(layout.gauges))).astype(np.float64)
    told = 0
    for check, slices, places in zip(CHECKS, table.of_check, table.places_of_check, strict=True):
        stack = state.stacks.of_check[check.name]
        found = stack.unresolved(gauges, starts, state.tail_thresholds)[:, stack.parts[check.name]]
        for step, start_ms in enumerate(starts.tolist()):
            for number, (name, place) in enumerate(zip(slices, places, strict=True)):
                columns = RowColumns(
                    np.ones(1, dtype=np.bool_),
                    dict(zip(layout.gauges, gauges[step, place, :, None], strict=True)),
                )
                if check.reader is not None:
                    expected = check.reader.unresolved(columns)
                else:
                    bucket = tail_buckets(check, state.tail_thresholds, name, start_ms)[0]
                    expected = check.tail.unresolved(columns, bucket)
                assert np.array_equal(found[step, number], expected[0])
                told += bool(expected.any())
    assert told


def test_what_is_known_changes_with_a_fold_and_a_restart_alone() -> None:
    state = state_after(20)
    stack = state.stacks.of_source["events"][0]

    def known() -> object:
        return stack.known(state.evidence, state.effects, assumption_of(ROLLOUT))

    before = known()
    assert known() is before
    for check in stack.checks:
        cells, evidence = stack.parts[check.name], state.evidence[check.name]
        assert np.array_equal(before.evidence.log_wealth[cells], evidence.log_wealth)
        assert np.array_equal(before.log_promotion[cells], log_evidence(evidence.won))
        assert np.array_equal(before.units_closed[cells], check.test.units(evidence.closed))
    state.evidence[stack.checks[-1].name].restart_rollback()
    assert known() is not before
    assert np.isneginf(known().evidence.log_wealth[stack.parts[stack.checks[-1].name]]).all()
    state.evidence[stack.checks[0].name].enter_stage()
    assert not known().units_closed[stack.parts[stack.checks[0].name]].any()
