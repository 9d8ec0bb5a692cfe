"""The evidence at a look: prefixes of the open windows, unresolved requests at their worst."""

from __future__ import annotations

import copy
from typing import NamedTuple
from unittest.mock import Mock

import numpy as np
import pytest

from understudy.analyzers.guardrails.check_evidence import CheckEvidence, FoldedWindow
from understudy.analyzers.guardrails.check_stacks import Known
from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    Assumption,
    DesignEffect,
    EffectCells,
    TurnSums,
)
from understudy.analyzers.guardrails.evidence_path import (
    EvidencePath,
    LookBasis,
    StackWindows,
    best_prefix,
)
from understudy.analyzers.guardrails.measured_since import MeasuredSince
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
    SequentialTest,
)
from understudy.analyzers.guardrails.stacked_effects import StackedEffects
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential.bets import FloatArray, IntArray, log_evidence

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


class Layout:
    """Of batches (T, n_slices, width): sums, sums at their worst, requests that wait."""

    def __init__(self, n_fields: int) -> None:
        self.gauges_in_batch = slice(2 * n_fields, 2 * n_fields + 1)

    def turn_counts(self, batches: FloatArray, evaluator: str) -> TurnSums:
        shape = *batches.shape[:2], PARTIES
        return TurnSums(np.zeros((*shape, 6)), np.zeros(shape))


class OneCheck:
    """A stack of one check in all slices."""

    evaluator = ""

    def __init__(self, test: AnyTest, *, first_number: int = 0) -> None:
        self.test, self.n_fields = StackedTest([test], [len(SLICES)]), len(test.fields)
        self.n_cells, self.places = len(SLICES), np.arange(len(SLICES))
        self.effect = EffectCells.of([(test, SLICES)])
        self._first = first_number

    def rests_on(self, thresholds: object, measured_since: object) -> object:
        return None

    def counts(self, starts_ms: IntArray, measured_since: object) -> None:
        return None

    def read(
        self, batches: FloatArray, gauges: FloatArray, starts_ms: IntArray, thresholds: object,
        at: tuple[IntArray, IntArray],
    ) -> tuple[FloatArray, FloatArray]:  # fmt: skip
        own = batches[at][:, self._first :]
        return own[:, : self.n_fields], own[:, self.n_fields : 2 * self.n_fields]


class Windows(NamedTuple):
    """What `OpenSums` has of open windows."""

    starts_ms: IntArray
    batches: FloatArray
    has_changed: FloatArray


def open_windows(
    statistics: FloatArray, at_worst: FloatArray | None = None, *, first: int = 0,
    is_resolved: FloatArray | None = None,
) -> Windows:  # fmt: skip
    steps = len(statistics)
    waits = np.zeros((steps, len(SLICES))) if is_resolved is None else is_resolved == 0.0
    worst = statistics if at_worst is None else at_worst
    batches = np.concatenate([statistics, worst, waits[..., None]], axis=-1)
    starts = (first + np.arange(steps)) * WINDOW_MS
    return Windows(starts, batches, np.ones((steps, len(SLICES)), bool))


def known_by(test: AnyTest, evidence: CheckEvidence, factors: tuple[float, ...] = ()) -> Known:
    """What folded windows say, with a factor by slice that divides later ones."""
    effects = StackedEffects.of([DesignEffect.begin(test, SLICES)])
    n = len(SLICES)
    return Known(
        evidence, effects, np.ones((n, 3)), np.array(factors or [1.0] * n), np.zeros(n), np.zeros(n)
    )


def basis(forgiven_through_ms: int = -1) -> LookBasis:
    return LookBasis({}, MeasuredSince(), forgiven_through_ms, Assumption(False, None))


def path_of(
    evidence: CheckEvidence, windows: Windows, test: AnyTest = TEST,
    factors: tuple[float, ...] = (),
) -> FloatArray:  # fmt: skip
    path = EvidencePath([OneCheck(test)], Layout(len(test.fields)))
    path.update(windows, [known_by(test, evidence, factors)], basis())
    return path.held


def test_the_path_says_what_folding_will_say() -> None:
    """Without unresolved requests a prefix is what the evidence becomes when it is folded."""
    windows = drawn(1, 40)
    path = path_of(folded(windows[:30]), open_windows(windows[30:], first=30))
    for step in range(11):
        evidence = folded(windows[: 30 + step])
        assert np.array_equal(path[step], log_evidence(evidence.log_wealth))


def test_each_window_is_divided_by_the_design_effect_of_its_slice() -> None:
    windows = drawn(6, 3)
    alone = path_of(CheckEvidence.begin(TEST, SLICES), open_windows(windows))
    begun = CheckEvidence.begin(TEST, SLICES)
    path = path_of(begun, open_windows(windows), factors=(1.0, 4.0))
    assert np.array_equal(path[:, 0], alone[:, 0])
    won = TEST.increments(windows, "rollback", np.zeros(3))
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


MEAN = MeanTest(factor=1.1, relative=True)


def more_of(rng: np.random.Generator, test: AnyTest) -> FloatArray:
    """(k,) statistics of some requests, at times of one arm alone."""
    sums = dict.fromkeys(test.fields, 0.0)
    if isinstance(test, LimitTest):
        sums |= {"units": 50.0, "bad_rollback": float(rng.integers(0, 5))}
    elif isinstance(test, BinaryTest):
        sums |= {"pairs": 50.0, "candidate_only_rollback": float(rng.integers(0, 5))}
        for side in ("candidate", "stable"):
            if rng.random() < 0.3:
                sums |= {f"{side}_units": 20.0, f"{side}_bad_rollback": float(rng.integers(0, 4))}
    else:
        stable, candidate = rng.gamma(4.0, 1.0, 30), 1.3 * rng.gamma(4.0, 1.0, 30)
        values = [30.0, candidate.sum(), stable.sum(), (candidate**2).sum(),
                  (candidate * stable).sum(), (stable**2).sum()]  # fmt: skip
        sums |= dict(zip(test.fields, values, strict=False))
        if rng.random() < 0.3:
            arm = {"candidate_units": 30.0, "candidate_total": candidate.sum(),
                   "candidate_squares": (candidate**2).sum()}  # fmt: skip
            sums |= arm
    return np.array(list(sums.values()))


@pytest.mark.parametrize("test", [TEST, LimitTest(0.02), MEAN], ids=["pairs", "limit", "mean"])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_look_remembers_is_what_is_computed_anew(seed: int, test: AnyTest) -> None:
    rng = np.random.default_rng(seed)
    n_fields = len(test.fields)
    path, evidence = (
        EvidencePath([OneCheck(test)], Layout(n_fields)),
        CheckEvidence.begin(test, SLICES),
    )
    known, first, forgiven_ms = known_by(test, evidence), 0, -1
    statistics = np.zeros((6, len(SLICES), n_fields))
    worst, resolved = statistics.copy(), np.ones(statistics.shape[:2])
    has_changed = np.ones(statistics.shape[:2], bool)
    for look in range(60):
        for _ in range(rng.integers(0, 4)):
            at = int(rng.integers(len(statistics))), int(rng.integers(len(SLICES)))
            statistics[at] += more_of(rng, test)
            worst[at], resolved[at] = statistics[at], float(rng.random() < 0.7)
            if isinstance(test, BinaryTest) and not resolved[at]:
                worst[at][0] += 5.0
            has_changed[at] = True
        fresh = np.zeros_like(statistics[:1]), np.zeros_like(worst[:1]), np.ones_like(resolved[:1])
        if look % 7 == 3:  # another window begins
            statistics, worst, resolved = (
                np.concatenate(pair)
                for pair in zip((statistics, worst, resolved), fresh, strict=True)
            )
            has_changed = np.concatenate([has_changed, np.ones((1, len(SLICES)), bool)])
        if look % 7 == 6:  # the first one is folded
            evidence = copy.copy(evidence)
            evidence.fold(
                test, FoldedWindow(first * WINDOW_MS, statistics[0], statistics[0], True, False),
                np.ones(len(SLICES)),
            )  # fmt: skip
            known, first = known_by(test, evidence, (1.0, 1.0 + look / 10.0)), first + 1
            statistics, worst, resolved = statistics[1:], worst[1:], resolved[1:]
            has_changed = has_changed[1:]
        if look == 40:
            forgiven_ms = (first + 2) * WINDOW_MS
        windows = open_windows(statistics, worst, first=first, is_resolved=resolved)
        path.update(windows._replace(has_changed=has_changed), [known], basis(forgiven_ms))
        assert not has_changed.any()
        anew = EvidencePath([OneCheck(test)], Layout(n_fields))
        anew.update(windows, [known], basis(forgiven_ms))
        for name in ("held", "path", "n_windows", "design_effect"):
            assert np.array_equal(getattr(path, name), getattr(anew, name)), name
        for name in ("statistics", "waiting", "scales"):
            ours, theirs = (getattr(one.windows[0], name) for one in (path, anew))
            assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize("test", [TEST, LimitTest(0.02), MEAN], ids=["pairs", "limit", "mean"])
def test_a_window_may_begin_between_two_others(test: AnyTest) -> None:
    rng, layout = np.random.default_rng(6), Layout(len(test.fields))
    statistics = np.array([[more_of(rng, test) for _ in SLICES] for _ in range(5)])
    known, windows = known_by(test, CheckEvidence.begin(test, SLICES)), open_windows(statistics)
    path, anew = (EvidencePath([OneCheck(test)], layout) for _ in range(2))
    others = [0, 1, 3, 4]
    path.update(Windows(*(part[others] for part in windows)), [known], basis())
    has_changed = np.zeros(statistics.shape[:2], dtype=bool)
    has_changed[2] = True
    path.update(windows._replace(has_changed=has_changed), [known], basis())
    anew.update(windows, [known], basis())
    for name in ("held", "path", "n_windows", "design_effect"):
        assert np.array_equal(getattr(path, name), getattr(anew, name)), name


def test_checks_with_different_numbers_of_stakes_share_a_path() -> None:
    limit = LimitTest(0.02)
    rates = np.zeros((5, 2, 3))
    rates[..., 0], rates[..., 1:] = 200.0, 9.0
    own = [open_windows(drawn(5, 5)), open_windows(rates)]
    begun = [CheckEvidence.begin(test, SLICES) for test in (TEST, limit)]
    known = [known_by(test, one) for test, one in zip((TEST, limit), begun, strict=True)]
    n_fields = len(TEST.fields)
    both = np.concatenate([own[0].batches[..., : 2 * n_fields], own[1].batches], axis=-1)
    layout = Layout(n_fields)
    layout.gauges_in_batch = slice(both.shape[-1] - 1, None)
    path = EvidencePath([OneCheck(TEST), OneCheck(limit, first_number=2 * n_fields)], layout)
    path.update(own[0]._replace(batches=both), known, basis())
    apart = [
        path_of(begun[0], own[0]),
        path_of(begun[1], own[1]._replace(has_changed=np.ones((5, 2), bool)), limit),
    ]
    assert path.held == pytest.approx(np.concatenate(apart, axis=1), rel=1e-14)


def test_after_a_look_that_failed_all_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    test, rng = BinaryTest(0.01), np.random.default_rng(5)
    path = EvidencePath([OneCheck(test)], Layout(len(test.fields)))
    known, looks_at = known_by(test, CheckEvidence.begin(test, SLICES)), basis(-1)
    arm = dict.fromkeys(test.fields, 0.0) | {"candidate_units": 20.0, "stable_units": 20.0}
    statistics = np.array([[list(arm.values())] * len(SLICES)] * 4)
    bad = [test.fields.index(f"candidate_bad_{way}") for way in ("rollback", "promotion")]
    statistics[..., bad] = rng.integers(0, 6, statistics.shape[:2])[..., None]
    waiting = statistics.copy()
    waiting[1, 0, test.fields.index("stable_units")] = 0.0
    path.update(open_windows(waiting), [known], looks_at)
    has_changed = np.zeros(statistics.shape[:2], dtype=bool)
    has_changed[1, 0] = True  # stable's arm, which had waited, has come
    windows = open_windows(statistics)
    with monkeypatch.context() as failing:
        failing.setattr(StackWindows, "win", Mock(side_effect=ValueError("impossible")))
        with pytest.raises(ValueError, match="impossible"):
            path.update(windows._replace(has_changed=has_changed), [known], looks_at)
    path.update(windows._replace(has_changed=has_changed), [known], looks_at)
    anew = EvidencePath([OneCheck(test)], Layout(len(test.fields)))
    anew.update(windows, [known], looks_at)
    assert np.array_equal(path.path, anew.path)
    assert np.array_equal(path.held, anew.held)
