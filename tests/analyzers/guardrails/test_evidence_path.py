"""The evidence at a look: prefixes of the open windows, unresolved requests at their worst."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.check_evidence import CheckEvidence, FoldedWindow
from understudy.analyzers.guardrails.evidence_path import (
    IncrementsCache,
    OpenWindows,
    PathCache,
    Stack,
    best_prefix,
    log_evidence_path,
)
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
    SequentialTest,
)
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential.bets import FloatArray, log_evidence

TEST = BinaryTest(margin=0.01)
SLICES = ["all", "language:ja"]
WINDOW_MS = 10_000


def pairs(stable_only: float, candidate_only: float, n: float = 200.0) -> FloatArray:
    """(k,) statistics of pairs that count alike in both directions."""
    sums = dict.fromkeys(TEST.fields, 0.0)
    sums["pairs"] = n
    for direction in ("rollback", "promotion"):
        sums[f"stable_only_{direction}"] = stable_only
        sums[f"candidate_only_{direction}"] = candidate_only
    return np.array(list(sums.values()))


def drawn(seed: int, windows: int, share: float = 0.05) -> FloatArray:
    """(windows, 2, k) statistics of both slices."""
    rng = np.random.default_rng(seed)
    bad = rng.binomial(200, share, (windows, len(SLICES), 2))
    return np.array([[pairs(*one) for one in window] for window in bad])


def folded(
    windows: FloatArray, test: SequentialTest = TEST, first: int = 0, divisor: float = 1.0
) -> CheckEvidence:
    evidence = CheckEvidence.begin(test, SLICES)
    for number, one in enumerate(windows, first):
        evidence.fold(
            test, FoldedWindow(number * WINDOW_MS, one, one, True, False), np.full(2, divisor)
        )
    return evidence


def open_windows(
    statistics: FloatArray, at_worst: FloatArray | None = None, *, first: int = 0,
    is_resolved: FloatArray | None = None,
) -> OpenWindows:  # fmt: skip
    steps = len(statistics)
    starts = (first + np.arange(steps)) * WINDOW_MS
    resolved = np.ones((steps, len(SLICES)), bool) if is_resolved is None else is_resolved > 0
    worst = statistics if at_worst is None else at_worst
    effect = np.ones((steps + 1, len(SLICES)))
    return OpenWindows(starts, statistics, worst, resolved, np.ones(steps, bool), effect)


def path_of(evidence: CheckEvidence, windows: OpenWindows, test: AnyTest = TEST) -> FloatArray:
    return log_evidence_path([stack(test, evidence, windows)], PathCache())


def stack(test: AnyTest, evidence: CheckEvidence, windows: OpenWindows) -> Stack:
    stacked = StackedTest([test], [len(evidence.slices)])
    return Stack(stacked, evidence, windows, IncrementsCache())


def test_the_path_says_what_folding_will_say() -> None:
    """Without unresolved requests a prefix is what the evidence becomes when it is folded."""
    windows = drawn(1, 40)
    path = path_of(folded(windows[:30]), open_windows(windows[30:], first=30))
    for step in range(11):
        evidence = folded(windows[: 30 + step])
        assert np.array_equal(path[step], log_evidence(evidence.log_wealth))


def test_each_window_is_divided_by_its_own_design_effect() -> None:
    windows = open_windows(drawn(6, 3))
    alone = path_of(CheckEvidence.begin(TEST, SLICES), windows)
    divided = windows._replace(design_effect=np.array([[1.0, 4.0]] * 4))
    path = path_of(CheckEvidence.begin(TEST, SLICES), divided)
    assert np.array_equal(path[:, 0], alone[:, 0])
    won = TEST.increments(windows.statistics, "rollback", np.zeros(3))
    expected = log_evidence(np.log(0.5) + won[0, 1] / 4.0)
    assert path[1, 1] == pytest.approx(expected)


def test_folding_windows_one_by_one_is_a_path_of_many() -> None:
    windows = drawn(2, 12)
    whole = path_of(CheckEvidence.begin(TEST, SLICES), open_windows(windows))
    assert whole.shape == (13, 2)
    assert np.array_equal(whole[0], [-np.inf, -np.inf])


def test_old_windows_lose_nothing_to_new_ones_that_wait() -> None:
    """All unresolved requests at their worst would hide the harm that is long known."""
    known = np.array([[pairs(0, 30)] * 2] * 6)
    waiting = np.array([[pairs(0, 0)] * 2] * 3)
    windows = np.concatenate([known, waiting])
    worst = windows.copy()
    worst[6:] = pairs(200, 0)
    path = path_of(CheckEvidence.begin(TEST, SLICES), open_windows(windows, worst))
    best = best_prefix(path, np.log([0.5, 0.5]))
    assert best.prefix == 6
    assert best.log_evidence > np.log(100.0) > path[-1].max()


def test_what_fails_fast_is_no_harm_while_the_others_are_awaited() -> None:
    """The candidate's failures came, stable's answers to the rest of the window did not."""
    seen = np.array([[pairs(0, 10, n=20.0)] * 2] * 8)
    worst = seen.copy()
    worst[:, :] = pairs(10, 10, n=200.0)
    evidence = CheckEvidence.begin(TEST, SLICES)
    assert best_prefix(path_of(evidence, open_windows(seen)), np.log([0.5, 0.5])).log_evidence > 5
    at_worst = best_prefix(path_of(evidence, open_windows(seen, worst)), np.log([0.5, 0.5]))
    assert at_worst.log_evidence < 0.0


def test_an_action_takes_all_its_evidence_at_the_same_prefix() -> None:
    path = np.array([[0.0, 5.0], [5.0, 0.0], [4.0, 4.0]])
    best = best_prefix(path, np.log([0.5, 0.5]))
    assert best.prefix == 0
    assert best.log_evidence == pytest.approx(np.log(0.5 * (1.0 + np.exp(5.0))))
    assert best_prefix(path[:, :0], np.zeros(0)).log_evidence == -np.inf


def test_a_mean_stays_what_it_was_before_any_unresolved_request() -> None:
    test = MeanTest(factor=1.1, relative=True)
    rng = np.random.default_rng(3)
    windows = []
    for _ in range(12):
        stable, candidate = rng.gamma(4.0, 1.0, 50), 1.5 * rng.gamma(4.0, 1.0, 50)
        sums = [50.0, candidate.sum(), stable.sum(), (candidate**2).sum(),
                (candidate * stable).sum(), (stable**2).sum(), *([0.0] * 6)]  # fmt: skip
        windows.append([sums, sums])
    resolved = np.ones((12, 2))
    resolved[8, 1] = 0.0
    seen = open_windows(np.array(windows), is_resolved=resolved)
    path = path_of(CheckEvidence.begin(test, SLICES), seen, test)
    assert path[12, 0] > path[8, 0]
    assert (path[9:, 1] == path[8, 1]).all()
    assert np.array_equal(path[:9, 0], path[:9, 1])


@pytest.mark.parametrize("test", [TEST, LimitTest(0.02)])
def test_what_a_look_remembers_is_what_is_computed_anew(test: AnyTest) -> None:
    rng = np.random.default_rng(4)
    cache, paths, evidence = IncrementsCache(), PathCache(), CheckEvidence.begin(test, SLICES)
    windows = np.zeros((6, 2, len(test.fields)))
    for look in range(30):
        place = int(rng.integers(len(windows)))
        windows[place, :, 0] += 50.0
        windows[place, :, 1] += rng.integers(0, 5)
        if look % 7 == 6:
            windows = np.concatenate([windows[1:], np.zeros((1, *windows.shape[1:]))])
        if look == 17:
            evidence.log_wealth = evidence.log_wealth.clip(min=0.25)
        seen = open_windows(windows.copy(), first=look // 7)
        stacks = [stack(test, evidence, seen)._replace(cache=cache)]
        path = log_evidence_path(stacks, paths)
        assert np.array_equal(path, path_of(evidence, seen, test))
        path[:] = 0.0  # what was returned is the caller's


def test_checks_with_different_numbers_of_stakes_share_a_path() -> None:
    windows = drawn(5, 5)
    limit = LimitTest(0.02)
    rates = np.zeros((5, 2, 3))
    rates[..., 0], rates[..., 1:] = 200.0, 9.0
    stacks = [
        stack(TEST, CheckEvidence.begin(TEST, SLICES), open_windows(windows)),
        stack(limit, CheckEvidence.begin(limit, SLICES), open_windows(rates)),
    ]
    paths = PathCache()
    together = log_evidence_path(stacks, paths)
    assert np.array_equal(log_evidence_path(stacks, paths), together)
    apart = [
        log_evidence_path([one._replace(cache=IncrementsCache())], PathCache()) for one in stacks
    ]
    assert together == pytest.approx(np.concatenate(apart, axis=1), rel=1e-14)
