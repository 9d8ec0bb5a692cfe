"""Answers of real models to the same prompts, as two files: one look at what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analyzers.fixed_sample.cases import policy
from tests.analyzers.guardrails.test_model_outputs import (
    NEAR_IDENTICAL,
    REGRESSIONS,
    Comparison,
    Pair,
    compared,
    event,
)
from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.analyzers.fixed_sample.units import UNIT_WINDOW_S, unit_times_ms
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.fixed_sample import FixedSampleVerdict
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.replay_events import replay

DEFAULT = policy()
ERRORS = [regression for regression, reason in REGRESSIONS if reason.startswith("error rate")]


def events(pairs: list[Pair], times_ms: list[int]) -> Iterator[bytes]:
    for number, (pair, time_ms) in enumerate(zip(pairs, times_ms, strict=True)):
        for side in ("stable", "candidate"):
            one = event(pair, side, number, from_epoch_ms(time_ms))
            yield json.dumps({**one, "rollout_id": DEFAULT.rollout_id}).encode()


def judged(folder: Path, comparison: Comparison) -> FixedSampleVerdict:
    pairs = compared(folder, comparison)
    times_ms = unit_times_ms([None] * len(pairs))
    pairing = PairingPolicy(window_s=UNIT_WINDOW_S)
    result = replay(events(pairs, times_ms), pairing, max(times_ms))
    verdict = judge_fixed_sample(result.rows, DEFAULT)
    assert verdict.cases == verdict.units == len(pairs)
    return verdict


@pytest.mark.data
@pytest.mark.parametrize("comparison", NEAR_IDENTICAL, ids=lambda c: f"{c.stable}~{c.candidate}")
def test_models_like_themselves_are_not_rolled_back(
    model_outputs_dir: Path, comparison: Comparison
) -> None:
    verdict = judged(model_outputs_dir, comparison)
    assert verdict.verdict in ("hold", "promote"), verdict.reasons


@pytest.mark.data
@pytest.mark.parametrize("comparison", ERRORS, ids=lambda c: c.candidate)
def test_many_more_errors_are_rolled_back(model_outputs_dir: Path, comparison: Comparison) -> None:
    verdict = judged(model_outputs_dir, comparison)
    assert verdict.verdict == "rollback"
    assert any(one.startswith("error rate over all requests rose") for one in verdict.reasons)
