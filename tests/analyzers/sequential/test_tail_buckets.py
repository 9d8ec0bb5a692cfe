import math

import numpy as np
import pytest

from understudy.analyzers.sequential import tail_buckets


def bucket_of(value):
    return math.ceil(math.log(value) / math.log(tail_buckets.GAMMA))


def histogram(values):
    buckets, counts = np.unique([bucket_of(v) for v in values], return_counts=True)
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_reference_holds_the_quantile(quantile):
    values = np.random.default_rng(4).lognormal(6.0, 0.5, 5_000)
    bucket = tail_buckets.reference_bucket(histogram(values), quantile)
    exact = np.quantile(values, quantile, method="inverted_cdf")
    assert tail_buckets.GAMMA ** (bucket - 1) < exact <= tail_buckets.GAMMA**bucket


def test_a_quantile_between_two_buckets_lies_in_the_lower():
    assert tail_buckets.reference_bucket({7: 50, -2: 50}, 0.5, enough_units=100) == -2
    assert tail_buckets.reference_bucket({7: 20, -2: 50, 9: 30}, 0.51, enough_units=100) == 7


def test_what_hardly_anybody_exceeds_gives_way_to_the_bucket_before():
    """A hundred prompts, one of them slow, take turns: the slowest is 1.2 % of a thousand."""
    atoms = {10: 500, 20: 488, 90: 12}
    assert tail_buckets.reference_bucket(atoms, 0.99) == 20
    assert tail_buckets.reference_bucket(atoms, 0.5) == 10, "enough exceed it"
    assert tail_buckets.reference_bucket({10: 986, 90: 12, 91: 2}, 0.99) == 10
    assert tail_buckets.reference_bucket({10: 986, 90: 11, 91: 3}, 0.99) == 90, "enough do"
    assert tail_buckets.reference_bucket({10: 970, 90: 30}, 0.99) == 90, "three times as many"
    assert tail_buckets.reference_bucket({90: 1_000}, 0.99) == 90, "there is none before"


def test_no_reference_before_enough_requests():
    assert tail_buckets.reference_bucket({}, 0.99) is None
    assert tail_buckets.reference_bucket({}, 0.99, enough_units=0) is None
    assert tail_buckets.reference_bucket({3: 499}, 0.99) is None
    assert tail_buckets.reference_bucket({3: 500}, 0.99) == 3
    with pytest.raises(ValueError, match="between 0 and 1"):
        tail_buckets.reference_bucket({3: 500}, 1.0)


@pytest.mark.parametrize("ratio", [0.5, 1.05, 1.2, 1.5, 3.0])
def test_the_raised_threshold_is_rounded_against_each_verdict(ratio):
    up = tail_buckets.raised_bucket(100, ratio, "rollback")
    down = tail_buckets.raised_bucket(100, ratio, "promotion")
    assert up == down + 1
    assert tail_buckets.GAMMA**down < ratio * tail_buckets.GAMMA**100 < tail_buckets.GAMMA**up


@pytest.mark.parametrize("steps", [-7, 0, 1, 23])
def test_a_ratio_of_whole_buckets_is_not_rounded(steps):
    for direction in ("rollback", "promotion"):
        assert tail_buckets.raised_bucket(100, tail_buckets.GAMMA**steps, direction) == 100 + steps
    with pytest.raises(ValueError, match="positive"):
        tail_buckets.raised_bucket(100, 0.0, "rollback")
