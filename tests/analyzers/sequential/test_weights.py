import math

import pytest

from understudy.analyzers.sequential.weights import (
    arrival_share,
    log_weighted_sum,
    weighted_log_evidence,
    weightiest,
)


def test_the_first_eight_share_a_half_and_the_next_a_quarter():
    assert arrival_share(7) == 1 / 16
    assert arrival_share(8) == 1 / 32
    assert sum(arrival_share(rank) for rank in range(200)) <= 1.0
    with pytest.raises(ValueError, match="rank"):
        arrival_share(-1)


def test_evidence_is_weighted_on_the_scale_of_logs():
    assert weighted_log_evidence(2.0, 0.5) == pytest.approx(math.log(0.5 * math.exp(2.0)))
    assert weighted_log_evidence(2.0, 0.0) == -math.inf
    assert weighted_log_evidence(None, 0.5) == -math.inf


def test_weighted_evidence_adds_up():
    assert log_weighted_sum([math.log(3.0), math.log(4.0), -math.inf]) == pytest.approx(
        math.log(7.0)
    )
    assert log_weighted_sum([]) == -math.inf


def test_what_carries_the_evidence_reaches_down_to_a_twentieth_of_the_top():
    logs = {"top": 5.0, "tied": 5.0, "just": 5.0 - math.log(19.9), "below": 5.0 - math.log(20.1)}
    assert weightiest(reversed(logs), logs.__getitem__) == ["tied", "top", "just"]
    assert weightiest(["none"], lambda _: -math.inf) == []
