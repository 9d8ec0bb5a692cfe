"""The design effect at each of many windows: the same bits as window by window."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.guardrails.test_stacked_effects import after_window, divisors
from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    TURN_FIELDS,
    Assumption,
    DesignEffect,
    TurnSums,
)
from understudy.analyzers.guardrails.design_effect_steps import DesignEffectSteps, EffectWindows
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.sequential.bets import FloatArray

SLICES = ["all", "language:en", "language:ja"]
WINDOWS = 40


def drawn(test: AnyTest, *, few: bool, named: float) -> EffectWindows:
    """Windows, of which a share of the requests names conversations."""
    rng = np.random.default_rng(6)
    shape = WINDOWS, len(SLICES)
    units = rng.poisson(3.0 if few else 60.0, shape).astype(float)
    statistics = np.zeros((*shape, len(test.fields)))
    bad = rng.binomial(units.astype(int), 0.2)
    if isinstance(test, MeanTest):
        numbers = [units, bad + 1.0, bad + 2.0, bad * 2.0 + 1.0, bad * 1.5, bad * 2.5]
        statistics[..., :6] = np.stack(numbers, axis=-1)
    elif isinstance(test, LimitTest):
        statistics[:] = np.stack([units, bad, bad], axis=-1)
    else:
        both = rng.binomial(bad, 0.3)
        statistics[..., :7] = np.stack(
            [units, bad - both, both, both * 0, bad - both, both, both * 0], axis=-1
        )
    turns = np.zeros((*shape, PARTIES, len(TURN_FIELDS)))
    requests = np.zeros((*shape, PARTIES))
    requests[..., 0] = units
    of_conversations = rng.binomial(units.astype(int), named)
    first = rng.binomial(of_conversations, 0.3)
    turns[..., 0, :] = np.stack(
        [of_conversations, first, 3.0 * (of_conversations - first), of_conversations,
         bad * 0.5, bad * 0.2], axis=-1,
    )  # fmt: skip
    starts = 10_000 * np.cumsum(rng.integers(1, 5, WINDOWS))
    return EffectWindows(starts, statistics, statistics[:, 0], TurnSums(turns, requests))


def bits(known: DesignEffect) -> list[bytes]:
    arrays: list[FloatArray] = [
        known.named, known.requests, known.pending, known.stable_blocks, known.harm_blocks,
        np.array(known.stable_bad),
    ]  # fmt: skip
    return [(array + 0.0).tobytes() for array in arrays]


@pytest.mark.parametrize("test", [BinaryTest(0.01), LimitTest(0.1), MeanTest()], ids=type)
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("named", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(
    "assumption", [Assumption(False, None), Assumption(False, 5.0), Assumption(True, None)]
)
def test_many_windows_are_learnt_to_the_same_bits(
    test: AnyTest, few: bool, named: float, assumption: Assumption
) -> None:
    windows = drawn(test, few=few, named=named)
    known = DesignEffect.begin(test, SLICES)
    steps = DesignEffectSteps(test, known, windows, assumption)
    halfway: DesignEffectSteps | None = None
    for step in range(WINDOWS):
        if step == 13:
            rest = EffectWindows(
                *(part[13:] for part in windows[:3]), TurnSums(*(p[13:] for p in windows.seen))
            )
            halfway = DesignEffectSteps(test, known, rest, assumption)
        assert bits(steps.at(step)) == bits(known)
        seen = TurnSums(*(part[step] for part in windows.seen))
        of_window = divisors(test, known, seen.of_one(), assumption)
        assert steps.of_windows[step].tobytes() == of_window[0].tobytes()
        nothing = TurnSums(*(np.zeros_like(part) for part in seen))
        of_look = divisors(test, known, nothing.of_one(), assumption)
        assert steps.of_looks[step].tobytes() == of_look[0].tobytes()
        start_ms, statistics = int(windows.starts_ms[step]), windows.statistics[step]
        known = after_window(test, known, start_ms, statistics, windows.together[step], seen)
    assert bits(steps.at(WINDOWS)) == bits(known)
    assert halfway is not None
    assert bits(halfway.at(WINDOWS - 13)) == bits(known)
    assert halfway.of_windows.tobytes() == steps.of_windows[13:].tobytes()
