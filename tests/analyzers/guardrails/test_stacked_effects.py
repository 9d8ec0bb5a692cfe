"""Design effects of stacked checks: bits are those of each check by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    TURN_FIELDS,
    Assumption,
    DesignEffect,
    EffectCells,
    TurnSums,
    correlations,
)
from understudy.analyzers.guardrails.graded_columns import GRADED_FIELDS
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    GradedTest,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.guardrails.stacked_effects import EffectTests, StackedEffects
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential.bets import FloatArray

ASSUMPTIONS = (Assumption(False, None), Assumption(False, 5.0), Assumption(True, None))
SLICES = (["all", "language:en"], ["all"], ["language:en", "language:ja", "language:de"])
STACKS: dict[str, tuple[AnyTest, ...]] = {
    "rates": (BinaryTest(0.01), BinaryTest(0.002, ratio=3.0), BinaryTest(0.05)),
    "limits": (LimitTest(0.02), LimitTest(0.2), LimitTest(0.02)),
    "means": (MeanTest(factor=1.1, relative=True), MeanTest(factor=0.0), MeanTest(shift=0.1)),
    "grades": (GradedTest(0.05, 0.5), GradedTest(0.02), GradedTest(0.1, 0.5)),
}


def divisors(
    test: AnyTest, known: DesignEffect, seen: TurnSums, assumption: Assumption
) -> FloatArray:
    """What divides the increments of T windows of one check, (T, n_slices)."""
    cells = EffectCells.of([(test, known.slices)])
    stacked = StackedEffects.of([known])
    unnamed = np.full(len(known.slices), unnamed_factor(known, assumption))
    correlation = correlations(cells, known.named)
    return stacked.divisors(cells, correlation, unnamed, seen, assumption)


def unnamed_factor(known: DesignEffect, assumption: Assumption) -> float:
    """The factor of one check's requests that name no conversation."""
    return float(StackedEffects.of([known]).unnamed_factors(assumption)[0])


def after_window(
    test: AnyTest,
    known: DesignEffect,
    start_ms: int,
    statistics: FloatArray,
    together: FloatArray,
    seen: TurnSums,
) -> DesignEffect:
    """What one check knows after a folded window."""
    tests = EffectTests(StackedTest([test], [len(known.slices)]), StackedTest([test], [1]))
    stacked = StackedEffects.of([known])
    (after,) = stacked.after(tests, start_ms, statistics, together[None], seen).split(
        [known.slices]
    )
    return after


def drawn(tests: Sequence[AnyTest], rng: np.random.Generator) -> tuple[FloatArray, TurnSums]:
    """A window in all cells: statistics, and what it says about turns."""
    n_cells, n_fields = sum(map(len, SLICES)), len(tests[0].fields)
    statistics = rng.poisson(rng.choice([0.0, 1.0, 30.0]), (n_cells, n_fields)).astype(float)
    statistics[:, 0] = 4.0 * statistics.max(axis=1)
    if isinstance(tests[0], BinaryTest):  # whose fields of arms stand at the end
        statistics[:, [7, 10]] = statistics[:, :1] * rng.integers(0, 2)
    if isinstance(tests[0], MeanTest):  # of pairs alone: both kinds at once tell nothing
        statistics[:, 6:] = 0.0
    if len(GRADED_FIELDS) == n_fields:
        statistics = np.floor(statistics / 4.0)
    turns = rng.poisson(6.0, (n_cells, PARTIES, len(TURN_FIELDS))).astype(float)
    requests = turns[..., 0] + rng.poisson(3.0, (n_cells, PARTIES))
    return statistics, TurnSums(turns * rng.integers(0, 2, (n_cells, 1, 1)), requests)


def bits(known: DesignEffect) -> list[object]:
    arrays: list[FloatArray] = [
        known.named, known.requests, known.pending, known.stable_blocks, known.harm_blocks
    ]  # fmt: skip
    return [known.slices, known.stable_bad, *((array + 0.0).tobytes() for array in arrays)]


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
@pytest.mark.parametrize("tests", STACKS.values(), ids=STACKS.keys())
def test_stacked_checks_know_what_each_knows_alone(
    tests: tuple[AnyTest, ...], assumption: Assumption
) -> None:
    rng = np.random.default_rng(1)
    sizes = [len(names) for names in SLICES]
    ends = np.cumsum([0, *sizes])
    of_tests = EffectTests(StackedTest(tests, sizes), StackedTest(tests, [1] * len(tests)))
    cells = EffectCells.of(list(zip(tests, SLICES, strict=True)))
    alone = [DesignEffect.begin(test, names) for test, names in zip(tests, SLICES, strict=True)]
    stacked = StackedEffects.of(alone)
    for number in range(25):
        statistics, seen = drawn(tests, rng)
        unnamed = np.repeat(stacked.unnamed_factors(assumption), sizes)
        correlation = correlations(cells, stacked.named)
        divided = stacked.divisors(cells, correlation, unnamed, seen.of_one(), assumption)
        together = np.array([statistics[start] for start in ends[:-1]])
        stacked = stacked.after(of_tests, 10_000 * number, statistics, together, seen)
        for check, (test, known) in enumerate(zip(tests, alone, strict=True)):
            own = slice(ends[check], ends[check + 1])
            of_own = TurnSums(seen.turns[own], seen.requests[own])
            expected = divisors(test, known, of_own.of_one(), assumption)
            assert np.array_equal(divided[:, own], expected)
            alone[check] = after_window(
                test, known, 10_000 * number, statistics[own], together[check], of_own
            )
    assert [bits(one) for one in stacked.split(SLICES)] == [bits(one) for one in alone]
    assert stacked.harm_blocks[..., 7:].any(), "some blocks were compared"
