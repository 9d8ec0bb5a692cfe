"""What rows say about turns: requests by party, and products where the row has them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from understudy.analyzers.guardrails import turn_readers
from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.row_columns import PLACES, RowColumns
from understudy.analyzers.guardrails.turn_readers import (
    count_names,
    product_names,
    products_key,
    read_counts,
    read_products,
)

CHECKS = checks_of(
    policy(
        "{metric: error_rate, max_increase: 1pp}, {metric: error_rate, name: most, max: 3%}, "
        "{metric: error_rate, name: multiple, max_increase: 3x}, "
        "{metric: cost_usd, max_increase: 10%}, {metric: duration_p95, max_increase: 20%}, "
        "{metric: json_valid_rate, max_drop: 1pp}, {metric: feedback, max_drop: 5pp}"
    )
)
ERRORS, LIMIT, MULTIPLE, COST, P95, JSON, RATINGS, *_ = CHECKS


def columns_of(names: list[str], *, is_paired: bool) -> RowColumns:
    """One row that holds its own places."""
    numbers = {name: np.array([float(place + 1)]) for place, name in enumerate(names)}
    return RowColumns(np.array([is_paired]), numbers)


def test_rows_of_paired_modes_count_pairs_and_others_their_arms() -> None:
    names = count_names()
    paired = read_counts(columns_of(names, is_paired=True))
    arms = read_counts(columns_of(names, is_paired=False))
    assert paired.tolist() == [[1.0, 2.0, 3.0, 4.0, *([0.0] * 8)]]
    assert arms.tolist() == [[*([0.0] * 4), *map(float, range(5, 13))]]


def test_outcomes_are_multiplied_by_party() -> None:
    names = product_names(ERRORS)
    assert names[:3] == ["turns_error_pairs", "turns_error_sums", "turns_error_products"]
    assert read_products(ERRORS, columns_of(names, is_paired=True)).tolist() == [
        [float(n) for n in range(1, 10)]
    ]


def test_where_the_good_outcome_is_counted_the_bad_one_is_multiplied() -> None:
    """Of turns (1, 0) and (1, 1) in an arm: bad ones are (0, 1) and (0, 0)."""
    names = product_names(JSON)
    assert names[3:6] == [f"candidate_turns_json_valid_{part}" for part in turn_readers._OUTCOME]
    numbers = dict.fromkeys(names, np.zeros(1))
    numbers |= {
        "turns_json_valid_pairs": np.array([2.0]),
        "turns_json_valid_sums": np.array([1.0]),
        "candidate_turns_json_valid_pairs": np.array([2.0]),
        "candidate_turns_json_valid_sums": np.array([3.0]),
        "candidate_turns_json_valid_products": np.array([1.0]),
    }
    found = read_products(JSON, RowColumns(np.array([True]), numbers))[0].tolist()
    assert found == [2.0, -1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_the_candidates_own_outcome_is_not_the_harm_of_pairs() -> None:
    for check in (LIMIT, MULTIPLE):
        names = product_names(check)
        assert read_products(check, columns_of(names, is_paired=True)).tolist() == [
            [0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
        ]


def test_values_are_multiplied_at_the_margin() -> None:
    names = product_names(COST)
    found = read_products(COST, columns_of(names, is_paired=True))[0]
    assert found[:3].tolist() == pytest.approx([1.0, 2.0 - 1.1 * 3.0, 4.0 - 1.1 * 6.0 + 1.21 * 5.0])
    assert found[3:].tolist() == [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]


def test_every_column_that_is_read_is_one_of_a_row() -> None:
    names = [*count_names(), *(name for check in CHECKS for name in product_names(check))]
    assert set(names) <= PLACES.keys()


def test_a_quantile_and_ratings_multiply_nothing() -> None:
    assert product_names(P95) == product_names(RATINGS) == []
    assert not read_products(P95, columns_of([], is_paired=True)).any()


def test_checks_share_products_that_are_the_same() -> None:
    keys: list[Check] = [ERRORS, LIMIT, COST]
    assert len({products_key(check) for check in keys}) == 3
    assert products_key(ERRORS) == products_key(ERRORS)
