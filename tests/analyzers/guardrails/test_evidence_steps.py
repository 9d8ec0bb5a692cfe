"""Evidence at each of many windows: the same bits as from folding them one by one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from understudy.analyzers.guardrails.check_evidence import CheckEvidence, FoldedWindow
from understudy.analyzers.guardrails.evidence_steps import EvidenceSteps, FoldedWindows
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
)

SLICES = ["all", "language:en", "language:ja"]
WINDOWS = 25
PAIRED_FIELDS = 7
"""Of a yes or no on both sides; arms come after them."""


def drawn(test: AnyTest, seed: int, *, arms: bool) -> np.ndarray:
    """Statistics of windows, some of which lack an arm, or all units."""
    rng = np.random.default_rng(seed)
    shape = WINDOWS, len(SLICES)
    units = rng.poisson(rng.choice([0.0, 2.0, 40.0], shape)).astype(float)
    statistics = np.zeros((*shape, len(test.fields)))
    if isinstance(test, MeanTest):
        means = rng.lognormal(0.0, 0.3, (2, *shape)) * units
        squares = np.stack([means[0] * 1.5, means[0] * means[1] / (units + 1.0), means[1] * 1.4])
        paired = np.moveaxis(np.stack([units, *means, *squares]), 0, -1)
        others = rng.permutation(units)
        of_arms = np.stack([units, means[0], squares[0], others, means[1], squares[2]], axis=-1)
        statistics[..., 6:] = of_arms if arms else 0.0
        statistics[..., :6] = 0.0 if arms else paired
    elif isinstance(test, LimitTest):
        bad = rng.binomial(units.astype(int), 0.1)
        statistics[:] = np.stack([units, bad, bad], axis=-1)
    elif arms:
        others = rng.poisson(20.0, shape) * (rng.random(shape) < 0.6)
        bad, other_bad = rng.binomial(units.astype(int), 0.1), rng.binomial(others, 0.1)
        parts = [units, bad, bad, others, other_bad, other_bad]
        statistics[..., PAIRED_FIELDS:] = np.stack(parts, axis=-1)
    else:
        alone = rng.binomial(units.astype(int), 0.1)
        parts = [units, alone, units * 0, units * 0, alone, units * 0, units * 0]
        statistics[..., :PAIRED_FIELDS] = np.stack(parts, axis=-1)
    return statistics


TESTS: dict[str, tuple[AnyTest, bool]] = {
    "pairs": (BinaryTest(0.01), False),
    "arms": (BinaryTest(0.01), True),
    "limit": (LimitTest(0.05), False),
    "mean": (MeanTest(factor=1.1, relative=True), False),
    "mean of arms": (MeanTest(factor=1.1, relative=True), True),
}


@pytest.mark.parametrize(("test", "arms"), TESTS.values(), ids=TESTS.keys())
def test_many_windows_are_folded_to_the_same_bits(test: AnyTest, arms: bool) -> None:
    statistics = drawn(test, 3, arms=arms)
    rng = np.random.default_rng(4)
    starts = 10_000 * np.cumsum(rng.integers(1, 9, WINDOWS))
    windows = FoldedWindows(
        starts,
        statistics,
        of_stage=statistics * (starts > starts[5])[:, None, None],
        counts_for_rollback=starts > starts[2],
        design_effect=rng.uniform(1.0, 4.0, (WINDOWS, len(SLICES))),
    )
    one = CheckEvidence.begin(test, SLICES)
    folded = [msgspec.json.encode(plain(one))]
    for step in range(WINDOWS):
        window = FoldedWindow(
            int(starts[step]),
            statistics[step],
            windows.of_stage[step],
            bool(windows.counts_for_rollback[step]),
            is_late=False,
        )
        one.fold(test, window, windows.design_effect[step])
        folded.append(msgspec.json.encode(plain(one)))
    steps = EvidenceSteps(test, CheckEvidence.begin(test, SLICES), windows)
    taken = [steps.taken(step) for step in range(WINDOWS + 1)]
    assert [msgspec.json.encode(plain(some)) for some in taken] == folded
    halfway = EvidenceSteps(test, taken[9], FoldedWindows(*(part[9:] for part in windows)))
    assert msgspec.json.encode(plain(halfway.taken(WINDOWS - 9))) == folded[-1]
    for step in (0, 7, WINDOWS):
        assert steps.at(step).won.tobytes() == taken[step].won.tobytes()
        assert steps.log_wealth[step].tobytes() == taken[step].log_wealth.tobytes()


def plain(evidence: CheckEvidence) -> dict[str, object]:
    """All that is kept, arrays as the hexadecimal of their bytes; -0 is 0."""
    found: dict[str, object] = {}
    for name in evidence.__struct_fields__:
        value = getattr(evidence, name)
        is_array = isinstance(value, np.ndarray)
        found[name] = (value + 0.0).tobytes().hex() if is_array else value
    return found


def test_what_was_taken_does_not_change_with_the_arrays_that_it_came_from() -> None:
    test = BinaryTest(0.01)
    statistics = drawn(test, 5, arms=False)
    nothing = np.zeros((WINDOWS, len(SLICES)))
    windows = FoldedWindows(
        10_000 * np.arange(WINDOWS), statistics, statistics, nothing[:, 0] == 0.0, nothing + 1.0
    )
    steps = EvidenceSteps(test, CheckEvidence.begin(test, SLICES), windows)
    taken = steps.taken(4)
    before = taken.total.copy()
    taken.total += 1.0
    assert steps.at(4).total.tobytes() == before.tobytes()
