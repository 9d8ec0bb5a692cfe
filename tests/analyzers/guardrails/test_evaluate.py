"""What belongs to the evidence of one check in one slice."""

from __future__ import annotations

import pytest

from understudy.analyzers.guardrails.evaluate import SliceEvidence


@pytest.mark.parametrize(
    ("interval", "within"),
    [((0.001, 0.004), True), ((0.0, 0.004), False), ((0.001, 0.005), False), ((0.006, 0.1), False)],
)
def test_real_but_tolerated_harm_is_said(interval: tuple[float, float], within: bool) -> None:
    evidence = SliceEvidence("json", "all", 0.5, -2.0, 5.0, 10_000, 0.005, interval=interval)
    assert evidence.tolerated is within
