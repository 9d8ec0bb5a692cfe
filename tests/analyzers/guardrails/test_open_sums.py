"""What is kept of the sums of open windows is what all their rows add up to, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import MANY, policy
from tests.analyzers.guardrails.test_window_store import versions_of
from tests.analyzers.guardrails.world import message
from understudy.analyzers.guardrails.apply_windows import apply_windows
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.fold_window import batch_of
from understudy.analyzers.guardrails.open_sums import OpenSums, sums_in_order
from understudy.analyzers.guardrails.state import RolloutState, decode_state, encode_state
from understudy.schemas.windows import WindowsMessage

ROLLOUT = policy(MANY)
CHECKS = checks_of(ROLLOUT)
PARTITIONS = 5
"""So many that some slices have many rows."""


def messages(seed: int) -> Iterator[WindowsMessage]:
    """Versions of rows of a few windows and partitions, in any order."""
    rng = np.random.default_rng(seed)
    histories = [
        (partition, history)
        for partition in range(PARTITIONS)
        for history in versions_of(PARTITIONS * seed + partition)
    ]
    for step in range(4):
        for place in rng.permutation(len(histories)).tolist():
            partition, history = histories[place]
            if step < len(history) and not history[step].closed:
                yield message([history[step]], version=step + 1, partition=partition)


def updated(state: RolloutState) -> OpenSums:
    sums, store = state.sums["events"], state.stores["events"]
    sums.update(store)
    assert sums.starts_ms.tolist() == store.starts()
    return sums


def added_up(state: RolloutState) -> list[np.ndarray]:
    store = state.stores["events"]
    return [batch_of(state, "events", store.rows_of(start_ms)) for start_ms in store.starts()]


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_all_rows(seed: int) -> None:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for number, one in enumerate(messages(seed)):
        apply_windows(ROLLOUT, state, one)
        if number % 7 < 2:
            assert np.array_equal(updated(state).batches, np.array(added_up(state)))
    anew = decode_state(ROLLOUT, CHECKS, encode_state(state))
    assert np.array_equal(updated(anew).batches, updated(state).batches)


def test_what_has_changed_is_told() -> None:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for one in messages(1):
        apply_windows(ROLLOUT, state, one)
    sums = updated(state)
    assert sums.has_changed.all(), "nobody has taken note of it"
    sums.has_changed[:] = False
    before = sums.batches.copy()
    last, *_ = (one for one in messages(1) if one.version == 1)
    (row,) = last.rows
    pair = msgspec.structs.replace(row.pair, pairs=row.pair.pairs + 500)
    newer = msgspec.structs.replace(row, version=9, pair=pair)
    apply_windows(ROLLOUT, state, message([newer], version=9, partition=last.partition))
    differs = (updated(state).batches != before).any(axis=-1)
    assert np.array_equal(sums.has_changed, differs)
    assert 1 <= differs.sum() <= 3


def test_windows_that_were_folded_leave() -> None:
    state = RolloutState.begin(ROLLOUT, CHECKS)
    for one in messages(2):
        apply_windows(ROLLOUT, state, one)
    n_open = updated(state).starts_ms.size
    store = state.stores["events"]
    store.fold(store.starts()[0])
    assert updated(state).starts_ms.size == n_open - 1
    assert np.array_equal(updated(state).batches, np.array(added_up(state)))


@pytest.mark.parametrize("n_groups", [1, 3, 40])
def test_groups_are_added_up_one_after_the_other(n_groups: int) -> None:
    rng = np.random.default_rng(n_groups)
    vectors = rng.lognormal(0.0, 4.0, (100, 5))
    groups = rng.integers(0, n_groups, len(vectors))
    distinct, sums = sums_in_order(vectors, groups)
    assert sorted(distinct.tolist()) == sorted(set(groups.tolist()))
    for group, of_group in zip(distinct.tolist(), sums, strict=True):
        expected = np.zeros(5)
        for vector in vectors[groups == group]:
            expected = expected + vector
        assert np.array_equal(of_group, expected)
