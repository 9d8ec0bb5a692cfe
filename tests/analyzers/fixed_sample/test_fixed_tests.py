from __future__ import annotations

import numpy as np

from understudy.analyzers.fixed_sample import fixed_tests
from understudy.analyzers.fixed_sample.fixed_tests import EvidenceTest
from understudy.analyzers.fixed_sample.means import FixedMeanTest
from understudy.analyzers.fixed_sample.paired_rates import PairedRateTest
from understudy.analyzers.fixed_sample.share_limits import ShareLimitTest
from understudy.analyzers.guardrails.column_readers import BinaryColumns, MeanColumns
from understudy.analyzers.guardrails.sequential_tests import BinaryTest, LimitTest, MeanTest


def binary(n: int, **counts: int) -> np.ndarray:
    """One case a unit; each count names a field and in how many of the first cases it is 1."""
    columns = BinaryColumns(*[np.zeros(n)] * len(BinaryColumns._fields))
    return np.column_stack(
        columns._replace(
            **{name: (np.arange(n) < number).astype(float) for name, number in counts.items()}
        )
    )


def test_each_kind_of_check_has_its_test() -> None:
    of = fixed_tests.test_of
    assert isinstance(of(BinaryTest(0.01), binary(5, pairs=5)), PairedRateTest)
    assert isinstance(of(BinaryTest(0.001, ratio=3.0), binary(5, pairs=5)), EvidenceTest)
    assert isinstance(of(BinaryTest(0.01), binary(5, candidate_units=5)), EvidenceTest)
    assert isinstance(of(LimitTest(0.01), np.zeros((5, 3))), ShareLimitTest)
    means = np.zeros((5, len(MeanColumns._fields)))
    assert isinstance(of(MeanTest(), means), FixedMeanTest)


def test_multiples_are_judged_by_the_evidence_of_the_sequential_test() -> None:
    units = binary(2_000, pairs=2_000, candidate_only_rollback=60, candidate_only_promotion=60)
    test = EvidenceTest.of(units, BinaryTest(0.001, ratio=3.0))
    assert (test.cases, test.design_effect, test.margin) == (2_000, 1.0, 0.001)
    assert test.p_harm(1e-3) < 1e-3
    assert test.p_within(0.05) == 1.0
    low, high = test.interval(0.05)
    assert low < 0.03 < high
    assert (test.smallest_harm_found(0.01), test.cases_needed(0.05)) == (None, None)


def test_an_arm_without_units_shows_nothing() -> None:
    test = EvidenceTest.of(binary(100, candidate_units=100), BinaryTest(0.01))
    assert not test.is_testable
    assert test.note == "there is no second run of stable to hold it against"
    assert test.p_harm(0.01) == 1.0
