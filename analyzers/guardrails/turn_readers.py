"""What window rows say about turns of conversations, by party: pairs and each arm.

Rows of paired modes count turns of candidate − stable, others those of each arm's own outcomes.
They count no turns of a quantile's exceedances or of ratings, nor, in paired modes, of one side's
own outcomes or of what exceeds a multiple of stable's: there turns are taken to be as alike as they
can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.design_effect import PARTIES
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.sequential_tests import BinaryTest, MeanTest
from understudy.analyzers.sequential import conversations
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.rollout_metrics import MEANS, RATES

SECTIONS: Final = ("turns", "candidate_turns", "stable_turns")
"""By party, as in `design_effect`."""
_REQUESTS: Final = ("pair_pairs", "candidate_requests", "stable_requests")
"""Likewise; of paired modes the requests are pairs."""
COUNTS: Final = ("requests", "first", "earlier")
_OUTCOME: Final = ("pairs", "sums", "products")
_VALUES: Final = (
    "pairs", "candidate_sums", "stable_sums", "candidate_products", "stable_products",
    "cross_products",
)  # fmt: skip
COUNT_WIDTH: Final = PARTIES * (1 + len(COUNTS))
PRODUCT_WIDTH: Final = PARTIES * len(_OUTCOME)


_OF_EVALUATIONS: Final = (
    "quality_pairs", "quality_turns", "quality_first_turns", "quality_earlier_turns"
)  # fmt: skip
"""Requests and `COUNTS` of rows of evaluations, which are of pairs."""


def count_names(evaluator: str = "") -> list[str]:
    """Return the columns that `read_counts` needs."""
    if evaluator:
        return list(_OF_EVALUATIONS)
    return [
        name
        for requests, section in zip(_REQUESTS, SECTIONS, strict=True)
        for name in (requests, *(f"{section}_{one}" for one in COUNTS))
    ]


def read_counts(columns: RowColumns, evaluator: str = "") -> FloatArray:
    """Return requests, and those with turn, first turns and earlier turns, (n, 12) by party.

    Of the rows of an evaluator where one is named: pairs that it judged, of which those alone went
    before that were judged as well.
    """
    counts = np.stack([columns[name] for name in count_names(evaluator)], axis=-1)
    if evaluator:
        of_pairs = np.zeros((columns.n, COUNT_WIDTH))
        of_pairs[:, : counts.shape[-1]] = counts * columns.is_by(evaluator)[:, None]
        return of_pairs
    is_paired = columns.is_paired[:, None]
    own = np.arange(COUNT_WIDTH) < COUNT_WIDTH // PARTIES
    return np.where(own == is_paired, counts, 0.0)


def product_names(check: Check) -> list[str]:
    """Return the columns that `read_products` needs; none where turns are not multiplied."""
    is_mean = check.metric.name in MEANS
    if is_mean:
        name = MEANS[check.metric.name].name
    elif check.metric.name in RATES and check.source == "events":
        name = RATES[check.metric.name].joint
    else:
        return []
    parts = _VALUES if is_mean else _OUTCOME
    return [
        *(f"{SECTIONS[0]}_{name}_{part}" for part in parts),
        *(f"{section}_{name}_{part}" for section in SECTIONS[1:] for part in _OUTCOME),
    ]


def are_products_linear(check: Check) -> bool:
    """Return whether `read_products` adds up whole numbers; with a factor it rounds."""
    return not isinstance(check.test, MeanTest)


def read_products(check: Check, columns: RowColumns) -> FloatArray:
    """Return pairs of turns, sums and products of their outcomes, (n, 9) by party."""
    return products_reader(check)(columns)


def products_reader(check: Check) -> Callable[[RowColumns], FloatArray]:
    """Return what reads pairs of turns, sums and products of their outcomes, (n, 9) by party."""
    names, test = tuple(product_names(check)), check.test
    is_opposite = not isinstance(test, MeanTest) and check.metric.higher_is_better
    is_difference = _is_difference(check)

    def read(columns: RowColumns) -> FloatArray:
        products = np.zeros((PRODUCT_WIDTH, columns.n))
        if not names:
            return products.T
        numbers = columns.together(names)
        paired, arms = numbers[: -2 * len(_OUTCOME)], numbers[-2 * len(_OUTCOME) :]
        products[len(_OUTCOME) :] = arms
        if is_opposite:
            products[len(_OUTCOME) :] = [*_of_opposite(*arms[:3]), *_of_opposite(*arms[3:])]
        if not is_difference:
            return products.T
        if isinstance(test, MeanTest):
            products[: len(_OUTCOME)] = _of_difference(test.factor, paired)
        else:
            products[: len(_OUTCOME)] = paired
            if is_opposite:
                products[1] = -paired[1]
        return products.T

    return read


def products_key(check: Check) -> str:
    """Return what checks have in common that read the same products."""
    if isinstance(check.test, MeanTest):
        return f"{check.metric.name} x {check.test.factor!r}"
    return f"{check.metric.name}{'' if _is_difference(check) else ' alone'}"


def _is_difference(check: Check) -> bool:
    """Whether its harm is candidate − stable, whose turns paired rows count."""
    test = check.test
    return isinstance(test, MeanTest) or (isinstance(test, BinaryTest) and test.ratio == 1.0)


def _of_difference(factor: float, values: FloatArray) -> list[FloatArray]:
    """Pairs, sums and products of candidate - factor · stable."""
    pairs, candidate, stable, candidate_products, stable_products, both = values
    products = conversations.pairs_of_values(
        factor, factor**2, candidate_products, stable_products, both
    )
    return [pairs, candidate - factor * stable, products]


def _of_opposite(pairs: FloatArray, sums: FloatArray, products: FloatArray) -> list[FloatArray]:
    """Pairs, sums and products of 1 - x: where the outcome counted is the good one."""
    return [pairs, 2.0 * pairs - sums, pairs - sums + products]
