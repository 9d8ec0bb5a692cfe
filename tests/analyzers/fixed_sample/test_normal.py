from __future__ import annotations

from statistics import NormalDist

import pytest

from understudy.analyzers.fixed_sample.normal import normal_quantile, normal_tail, student_tail


@pytest.mark.parametrize("share", [1e-6, 0.025, 0.5, 0.95, 0.9999])
def test_quantiles_are_those_of_the_standard_library(share: float) -> None:
    assert normal_quantile(share) == pytest.approx(NormalDist().inv_cdf(share), abs=1e-8)
    assert normal_tail(normal_quantile(share)) == pytest.approx(1.0 - share, rel=1e-6)


@pytest.mark.parametrize(
    ("t", "freedom", "chance"),
    # From tables of Student's distribution.
    [(1.725, 20, 0.05), (2.845, 20, 0.005), (1.684, 40, 0.05), (3.551, 40, 0.0005)],
)
def test_student_is_within_a_few_per_cent_of_the_tables(
    t: float, freedom: int, chance: float
) -> None:
    assert student_tail(t, freedom) == pytest.approx(chance, rel=0.05)
