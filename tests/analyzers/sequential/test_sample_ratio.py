import math

import numpy as np
import pytest

from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD, log_evidence


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_evidence_averages_one_on_the_planned_share(share):
    expected = math.fsum(
        math.comb(60, k) * share**k * (1 - share) ** (60 - k) * math.exp(log_evidence(k, 60, share))
        for k in range(61)
    )
    assert expected == pytest.approx(1.0)


def test_missing_requests_are_found_and_planned_ones_are_not():
    assert log_evidence(500, 10_000, 0.05) < 0.0
    assert log_evidence(400, 10_000, 0.05) > LOG_THRESHOLD
    assert log_evidence(0, 0, 0.05) == 0.0


def test_false_alarms_are_rarer_than_one_in_a_thousand_at_every_look_together():
    rng = np.random.default_rng(2)
    arrivals = rng.binomial(200, 0.05, size=(300, 50)).cumsum(axis=1)
    peak = [
        max(log_evidence(int(k), 200 * (look + 1), 0.05) for look, k in enumerate(row))
        for row in arrivals
    ]
    assert sum(value >= math.log(20.0) for value in peak) <= 15
    assert max(peak) < LOG_THRESHOLD


@pytest.mark.parametrize(("candidate", "requests", "share"), [(3, 2, 0.5), (-1, 2, 0.5), (1, 2, 1)])
def test_impossible_input_is_an_error(candidate, requests, share):
    with pytest.raises(ValueError, match=r"planned share|exceed"):
        log_evidence(candidate, requests, share)
