"""What is kept of a row, and how rows add up by slice."""

from __future__ import annotations

import numpy as np

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import World
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.slices import Arrivals
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.window_store import RowKey

CHECKS = checks_of(
    policy(
        "{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}, "
        "{metric: duration_p95, max_increase: 20%, slices: [all, each language]}"
    )
)
ERRORS, _, P95 = CHECKS
LAYOUT = RowLayout(CHECKS)
ARRIVALS = Arrivals(["en", "ja"], ["chat"])
TABLE = SliceTable(CHECKS, ARRIVALS)
(MESSAGE,) = World(requests=300).messages(1, 1)
ROWS = {RowKey.of(row): row for row in MESSAGE.rows}


def known(*names: str) -> dict[str, dict[str, TailThreshold]]:
    threshold = TailThreshold()
    threshold.learn(MESSAGE.rows[0].stable.duration_ms_histogram | {400: 500}, 0)
    return {name: {"duration": threshold} for name in names}


def batch(thresholds: dict[str, dict[str, TailThreshold]]) -> np.ndarray:
    vectors = LAYOUT.read(ROWS, TABLE, thresholds)
    return LAYOUT.batch(vectors, list(ROWS), TABLE)


def test_a_check_and_its_warning_share_their_statistics() -> None:
    n_fields = len(ERRORS.test.fields)
    assert LAYOUT.n_common == n_fields
    assert LAYOUT.part(ERRORS.key) == slice(0, n_fields)


def test_rows_add_up_to_their_slices() -> None:
    sums = batch({})
    pairs = sums[:, ERRORS.test.fields.index("pairs")]
    assert pairs.tolist() == [600.0, 300.0, 300.0]
    assert LAYOUT.batch(np.zeros((0, LAYOUT.width)), [], TABLE).shape == sums.shape


def test_a_tail_is_read_where_its_threshold_is_known() -> None:
    units = P95.test.fields.index("candidate_units")
    assert not batch({})[:, LAYOUT.part(P95.key)].any()
    sums = batch(known("all", "language:ja"))[:, LAYOUT.part(P95.key)]
    assert sums[:, units].tolist() == [600.0, 0.0, 300.0]


def test_a_row_may_not_hold_less_than_before() -> None:
    first, second = LAYOUT.read(ROWS, TABLE, {})[:2].copy()
    assert not LAYOUT.shrank(first, first)
    less = first.copy()
    less[0] -= 1.0
    assert LAYOUT.shrank(first, less)
    assert second.shape == (LAYOUT.width,)
