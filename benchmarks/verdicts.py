"""How often verdicts are false and how soon they are right, on simulated rollouts.

Every scenario is simulated many times and looked at every 100 requests, by the project's own
evidence and by three habits it replaces: a one-sided z-test at 1 % at each look, a threshold on the
point estimate of each window of 600 requests ("five minutes"), and a one-sided Mann-Whitney test at
1 % on the values of all windows so far, 100 requests each, from ten windows on. All four know the
margin: stable's value is raised by it before comparing. What was asked for (error rates, and 1.2
times the delays first aimed at) is held against what was measured. Requests are independent here;
`real_traffic.py` has conversations, late and lost answers, and small languages.

    python benchmarks/verdicts.py [--rollouts 10000] [--seed 1] [--json FILE] [--markdown FILE]
        [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from understudy.analyzers.sequential import Arm, Arms, exact, two_arm
from understudy.analyzers.sequential.bets import (
    Direction,
    FloatArray,
    log_evidence,
    log_sum_exp,
    signed_bets,
)
from understudy.analyzers.sequential.restart import (
    log_share,
    log_shares,
    restarted,
    restarted_path,
)
from understudy.analyzers.sequential.tail_buckets import GAMMA, raised_bucket
from understudy.analyzers.sequential.unbounded import (
    CALIBRATION_UNITS,
    PRIOR_UNITS,
    Moments,
    Observations,
    Scale,
    log_increments,
    paired_ratio,
    unpaired,
)
from understudy.analyzers.sequential.unbounded import staked as staked_increments

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]

LOOKS: Final = 200
PER_LOOK: Final = 100
CHUNK: Final = 250
LOG_ROLLBACK: Final = float(np.log(100.0))
LOG_PROMOTION: Final = float(np.log(20.0))
MIN_REQUESTS: Final = 5_000
"""Of a policy that names none."""
Z_ONE_PERCENT: Final = 2.3263478740408408
THRESHOLD_LOOKS: Final = 6
FEWEST_WINDOWS: Final = 10
REFERENCE_UNITS: Final = 5_000

DIRECTIONS: Final[tuple[Direction, Direction]] = ("rollback", "promotion")

Firsts = dict[str, IntArray]
"""First look (rollouts,) at which a method speaks, `never` beyond the last; keyed by method."""


class Sample(NamedTuple):
    """What the methods see of some rollouts; all but the bets' axis is (rollouts, looks)."""

    rollback: FloatArray
    promotion: FloatArray
    harm: Floats | None = None
    harm_square: Floats | None = None
    candidate_value: Floats | None = None
    stable_value: Floats | None = None


# Methods -----------------------------------------------------------------------------------------


def first_look(hit: BoolArray) -> IntArray:
    """Index of the first hit along the last axis, or its length."""
    first: IntArray = np.where(hit.any(axis=-1), hit.argmax(axis=-1), hit.shape[-1])
    return first


def evidence_of_restarts(increments: FloatArray) -> FloatArray:
    """Log rollback evidence at every look, (rollouts, looks)."""
    rollouts, looks, bets = increments.shape
    fresh = np.broadcast_to(log_shares(np.arange(float(looks)))[:, None], (looks, rollouts))
    begun = np.full((rollouts, bets), -np.inf)
    path = restarted_path(begun, increments.transpose(1, 0, 2), fresh)
    return log_evidence(path[1:]).T


def z_test(harm: Floats, square: Floats) -> BoolArray:
    """Whether a z-test on everything so far rejects at each look."""
    units = PER_LOOK * np.arange(1.0, harm.shape[1] + 1.0)
    total = harm.cumsum(axis=1)
    variance = square.cumsum(axis=1) - total**2 / units
    rejected: BoolArray = total > Z_ONE_PERCENT * np.sqrt(np.maximum(variance, 1e-12))
    return rejected


def threshold(harm: Floats) -> IntArray:
    """First look at which a finished window's point estimate lies beyond the margin."""
    windows = harm.shape[1] // THRESHOLD_LOOKS
    sums = harm[:, : windows * THRESHOLD_LOOKS].reshape(-1, windows, THRESHOLD_LOOKS).sum(axis=2)
    # Half a part in a billion: a sum of exact zeros must not breach by its rounding.
    window = first_look(sums > 1e-9)
    ended = (window + 1) * THRESHOLD_LOOKS - 1
    return np.where(window < windows, ended, harm.shape[1]).astype(np.int64)


def mann_whitney(candidate: Floats, stable: Floats) -> BoolArray:
    """Whether candidate's window values exceed stable's at each look, ties corrected."""
    rollouts, looks = candidate.shape
    hit = np.zeros((rollouts, looks), dtype=np.bool_)
    wins = np.zeros(rollouts)
    ties = _TieCounter(candidate, stable)
    for look in range(looks):
        ours, theirs = candidate[:, : look + 1], stable[:, : look + 1]
        wins += _wins(candidate[:, look, None], theirs) + _wins(ours[:, :-1], stable[:, look, None])
        tied = ties.add(look)
        n = look + 1.0
        if n < FEWEST_WINDOWS:
            continue
        spread = n * n / 12.0 * (2 * n + 1 - tied / (2 * n * (2 * n - 1)))
        hit[:, look] = wins - 0.5 * n * n - 0.5 > Z_ONE_PERCENT * np.sqrt(np.maximum(spread, 1e-9))
    return hit


def _wins(left: Floats, right: Floats) -> FloatArray:
    won: FloatArray = (left > right).sum(axis=1) + 0.5 * (left == right).sum(axis=1)
    return won


class _TieCounter:
    """Running sum of t³ - t over groups of equal values, for values that are few."""

    def __init__(self, candidate: Floats, stable: Floats) -> None:
        values, codes = np.unique(np.stack([candidate, stable]), return_inverse=True)
        # Continuous values have no ties; thousands of distinct ones mean just that.
        self._codes = codes.reshape(2, *candidate.shape) if values.size <= 2_000 else None
        self._counts = np.zeros((candidate.shape[0], min(values.size, 2_000) + 1))
        self._sum = np.zeros(candidate.shape[0])

    def add(self, look: int) -> FloatArray:
        if self._codes is not None:
            rows = np.arange(self._sum.size)
            for side in self._codes:
                code = side[:, look]
                count = self._counts[rows, code]
                self._sum = self._sum + 3.0 * count * (count + 1.0)
                self._counts[rows, code] = count + 1.0
        return self._sum


def all_methods(sample: Sample) -> Firsts:
    """First look of every method that the sample has the data for."""
    firsts = {"ours": first_look(evidence_of_restarts(sample.rollback) >= LOG_ROLLBACK)}
    firsts |= promotions(log_evidence(sample.promotion.cumsum(axis=1)))
    if sample.harm is not None and sample.harm_square is not None:
        firsts["z"] = first_look(z_test(sample.harm, sample.harm_square))
        firsts["threshold"] = threshold(sample.harm)
    if sample.candidate_value is not None and sample.stable_value is not None:
        hit = mann_whitney(sample.candidate_value, sample.stable_value)
        firsts["mann_whitney"] = first_look(hit)
    return firsts


def promotions(evidence: FloatArray) -> Firsts:
    """First look that promotes, at all and once there are as many requests as policies ask for."""
    shown = evidence >= LOG_PROMOTION
    late = shown.copy()
    late[:, : MIN_REQUESTS // PER_LOOK - 1] = False
    return {"promotion": first_look(shown), "late": first_look(late)}


# Scenarios ---------------------------------------------------------------------------------------


def exact_pair(
    counts: npt.ArrayLike, values: FloatArray, margin: float, low: float
) -> tuple[FloatArray, FloatArray]:
    """Increments of both directions, (rollouts, looks, bets) each."""
    both = []
    for direction in DIRECTIONS:
        bets = signed_bets(direction, margin, low=low)
        both.append(exact.log_increments(counts, values, margin, bets))
    return both[0], both[1]


def paired_chances(stable_bad: float, candidate_bad: float, shared: float) -> list[float]:
    """Chances of stable alone bad, alike, candidate alone bad.

    With chance `shared` one and the same draw decides both sides, else each has its own.
    """
    both = shared * min(stable_bad, candidate_bad) + (1 - shared) * stable_bad * candidate_bad
    return [stable_bad - both, 1 - stable_bad - candidate_bad + 2 * both, candidate_bad - both]


def paired_sample(
    rng: np.random.Generator,
    rollouts: int,
    stable_bad: float,
    candidate_bad: float,
    margin: float,
    shared: float,
) -> Sample:
    """A paired binary outcome such as JSON validity."""
    chances = paired_chances(stable_bad, candidate_bad, shared)
    counts = rng.multinomial(PER_LOOK, chances, size=(rollouts, LOOKS))
    rollback, promotion = exact_pair(counts, exact.PAIRED_VALUES, margin, -1.0)
    harm = counts[..., 2] - counts[..., 0] - margin * PER_LOOK
    square = counts @ (exact.PAIRED_VALUES - margin) ** 2
    # Bad units of both sides: chance decides how many of those alike are both bad.
    both_bad = (stable_bad - chances[0]) / chances[1]
    common = rng.binomial(counts[..., 1], both_bad)
    raised = counts[..., 0] + common + margin * PER_LOOK
    return Sample(rollback, promotion, harm, square, counts[..., 2] + common + 0.0, raised)


def json_validity(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    for name, candidate_bad, shared in (
        ("JSON 99 → 99 % (0.5 pp)", 0.01, 0.5),
        ("JSON 99 → 98.5 % (0.5 pp), at the margin", 0.015, 0.5),
        ("JSON 99 → 98.5 %, at the margin, independent sides", 0.015, 0.0),
        ("JSON 99 → 97 % (0.5 pp)", 0.03, 0.5),
        ("JSON 99 → 97 %, independent sides", 0.03, 0.0),
    ):
        yield name, paired_sample(rng, rollouts, 0.01, candidate_bad, 0.005, shared)


def error_limit(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    limit = 0.01
    for name, rate in (
        ("error 0.5 % (limit 1 %)", 0.005),
        ("error 1 % (limit 1 %), at the limit", 0.01),
        ("error 2 % (limit 1 %)", 0.02),
    ):
        bad = rng.binomial(PER_LOOK, rate, size=(rollouts, LOOKS))
        counts = np.stack([PER_LOOK - bad, bad], axis=-1)
        rollback, promotion = exact_pair(counts, exact.LIMIT_VALUES, limit, 0.0)
        square = counts @ (exact.LIMIT_VALUES - limit) ** 2
        stable = rng.binomial(PER_LOOK, limit, size=(rollouts, LOOKS)) + 0.0
        yield name, Sample(rollback, promotion, bad - limit * PER_LOOK, square, bad + 0.0, stable)


@lru_cache(maxsize=500_000)
def _two_arm(
    candidate: int, bad: int, stable: int, stable_bad: int, margin: float, direction: Direction
) -> FloatArray:
    arms = Arms(Arm(candidate, bad), Arm(stable, stable_bad))
    return two_arm.log_increments(arms, margin, signed_bets(direction, margin))


def two_arm_increments(
    candidate: IntArray,
    bad: IntArray,
    stable: IntArray,
    stable_bad: IntArray,
    direction: Direction,
    margin: float = 0.0,
) -> FloatArray:
    """Increments (rollouts, looks, bets) of windows of two arms, alike windows computed once."""
    columns = [np.broadcast_to(part, bad.shape) for part in (candidate, bad, stable, stable_bad)]
    table = np.stack([column.ravel() for column in columns])
    code = np.ravel_multi_index(tuple(table), tuple(table.max(axis=1) + 1))
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    known = np.stack([_two_arm(*table[:, i].tolist(), margin, direction) for i in first])
    result: FloatArray = known[inverse].reshape(*bad.shape, -1)
    return result


def latency(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    """p99 of log-normal durations (sigma 0.5), 20 % more tolerated.

    Stable's p99 comes from 5 000 earlier requests. Sides are independent and go to two arms, or
    their logarithms correlate and both ways are taken: histograms to two arms, which ignores the
    pairing, and joint outcomes to the exact test.
    """
    sigma, tolerated = 0.5, 1.2
    for shared in (0.0, 0.5, 0.8, -0.8):
        earlier = sigma * rng.standard_normal((rollouts, REFERENCE_UNITS), dtype=np.float32)
        rank = int(np.ceil(0.99 * REFERENCE_UNITS)) - 1
        p99 = np.partition(earlier, rank, axis=1)[:, rank]
        bucket = np.ceil(p99 / np.log(GAMMA)).astype(np.int64)
        shape = (rollouts, LOOKS, PER_LOOK)
        stable = sigma * rng.standard_normal(shape, dtype=np.float32)
        candidate = sigma * rng.standard_normal(shape, dtype=np.float32)
        if shared:
            candidate = np.float32(shared) * stable + np.float32(np.sqrt(1 - shared**2)) * candidate
        for name, ratio in (
            ("p99 ×1 (×1.2)", 1.0),
            ("p99 ×1.2 (×1.2), at the margin", 1.2),
            ("p99 ×1.5 (×1.2)", 1.5),
        ):
            slower = candidate + np.float32(np.log(ratio))
            separate = _separate_tail(slower, stable, bucket, tolerated)
            if shared == 0.0:
                yield name, separate
                continue
            arms = Sample(separate.rollback, separate.promotion)
            paired = _paired_tail(slower, stable, bucket, tolerated)
            yield f"{name}, correlation {shared}, as two arms", arms
            yield f"{name}, correlation {shared}, joint", paired


def _exceeds(log_duration: npt.NDArray[np.float32], bucket: IntArray) -> BoolArray:
    edge = (bucket * np.log(GAMMA)).astype(np.float32)
    above: BoolArray = log_duration > edge[:, None, None]
    return above


def _raised(bucket: IntArray, ratio: float, direction: Direction) -> IntArray:
    return bucket + raised_bucket(0, ratio, direction)


def _separate_tail(
    candidate: npt.NDArray[np.float32],
    stable: npt.NDArray[np.float32],
    bucket: IntArray,
    ratio: float,
) -> Sample:
    stable_bad = _exceeds(stable, bucket).sum(axis=2)
    units = np.array(PER_LOOK)
    both = []
    for direction in DIRECTIONS:
        bad = _exceeds(candidate, _raised(bucket, ratio, direction)).sum(axis=2)
        both.append(two_arm_increments(units, bad, units, stable_bad, direction))
    bad = _exceeds(candidate, _raised(bucket, ratio, "rollback")).sum(axis=2)
    harm = (bad - stable_bad).astype(np.float64)
    square = (bad + stable_bad).astype(np.float64)
    # A window's p99 is its second largest of a hundred.
    ours = np.partition(candidate, PER_LOOK - 2, axis=2)[..., PER_LOOK - 2].astype(np.float64)
    theirs = np.partition(stable, PER_LOOK - 2, axis=2)[..., PER_LOOK - 2].astype(np.float64)
    return Sample(both[0], both[1], harm, square, ours, theirs + np.log(ratio))


def _paired_tail(
    candidate: npt.NDArray[np.float32],
    stable: npt.NDArray[np.float32],
    bucket: IntArray,
    ratio: float,
) -> Sample:
    slow = _exceeds(stable, bucket)
    both = []
    for direction in DIRECTIONS:
        slower = _exceeds(candidate, _raised(bucket, ratio, direction))
        worse, better = (slower & ~slow).sum(axis=2), (slow & ~slower).sum(axis=2)
        counts = np.stack([better, PER_LOOK - worse - better, worse], axis=-1)
        bets = signed_bets(direction, 0.0)
        both.append(exact.log_increments(counts, exact.PAIRED_VALUES, 0.0, bets))
    return Sample(both[0], both[1])


def cost(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    """Log-normal cost (sigma 1), log-normal ratio of the sides (sigma 0.4), 10 % tolerated."""
    same, stable = _costs(rng, rollouts, 1.0, 0.4)
    for name, ratio in (
        ("cost equal (+10 %)", 1.0),
        ("cost +10 % (+10 %), at the margin", 1.1),
        ("cost +15 % (+10 %)", 1.15),
    ):
        yield name, _cost_sample(ratio * same, stable, 0.1)


def heavier_cost(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    """The same with heavier tails: where a variance is learnt worst."""
    for sigma, spread in ((1.5, 0.4), (1.0, 0.8), (1.5, 0.8)):
        same, stable = _costs(rng, rollouts, sigma, spread)
        tail = f"sigma {sigma:g} and {spread:g}"
        for name, ratio in (("cost equal (+10 %)", 1.0), ("cost +10 % (+10 %)", 1.1)):
            end = ", at the margin" if ratio > 1.0 else ""
            sample = _cost_sample(ratio * same, stable, 0.1)
            yield f"{name}, {tail}{end}", Sample(sample.rollback, sample.promotion)


def _costs(
    rng: np.random.Generator, rollouts: int, sigma: float, spread: float
) -> tuple[FloatArray, FloatArray]:
    """Both sides' costs, alike in the mean, (rollouts, looks, requests) each."""
    shape = (rollouts, LOOKS, PER_LOOK)
    draws = rng.standard_normal(shape, dtype=np.float32).astype(np.float64)
    stable = np.exp(sigma * draws)
    noise = rng.standard_normal(shape, dtype=np.float32)
    return stable * np.exp(spread * noise - spread**2 / 2), stable


def _cost_sample(candidate: FloatArray, stable: FloatArray, margin: float) -> Sample:
    x = candidate - (1.0 + margin) * stable
    total, square = x.sum(axis=2), (x**2).sum(axis=2)
    both = _mean_increments(total, square, square, float(PER_LOOK))
    scale = Scale()
    for look in range(20):
        c, s = candidate[0, look], stable[0, look]
        squares = float(c @ c), float(c @ s), float(s @ s)
        batch = paired_ratio(PER_LOOK, float(c.sum()), float(s.sum()), *squares, margin)
        scale = _checked(batch, scale, both[0][0, look])
    ours, theirs = candidate.mean(axis=2), (1.0 + margin) * stable.mean(axis=2)
    return Sample(both[0], both[1], total, square, ours, theirs)


def _mean_increments(
    total: FloatArray, square: FloatArray, spread: FloatArray, units: float
) -> tuple[FloatArray, FloatArray]:
    """Both directions' increments, with `Scale` in vectors: calibrated first, then predicting."""
    calibrating = int(np.ceil(CALIBRATION_UNITS / units))
    prior = spread[:, :calibrating].sum(axis=1, keepdims=True) / (calibrating * units)
    earlier = spread.cumsum(axis=1) - spread
    seen = units * np.arange(LOOKS)
    charged = square + 2 * units * (PRIOR_UNITS * prior + earlier) / (PRIOR_UNITS + seen)
    both = [staked_increments(total, charged, prior, direction) for direction in DIRECTIONS]
    for increments in both:
        increments[:, :calibrating] = 0.0
    return both[0], both[1]


def _checked(batch: Observations, scale: Scale, increments: FloatArray) -> Scale:
    """The vectors must be what the package computes window by window; the scale after one."""
    assert np.allclose(log_increments(batch, scale, "rollback"), increments, rtol=1e-6)
    return scale.after(batch)


def cost_of_arms(rng: np.random.Generator, rollouts: int) -> Iterator[tuple[str, Sample]]:
    """The same costs on separate arms, 20 and 80 of every 100 requests; 10 % tolerated."""
    factor, candidates = 1.1, 20
    stables = PER_LOOK - candidates
    same = np.exp(rng.standard_normal((rollouts, LOOKS, candidates)))
    stable = np.exp(rng.standard_normal((rollouts, LOOKS, stables)))
    weight = candidates * stables / PER_LOOK
    for name, ratio in (
        ("cost equal (+10 %), two arms", 1.0),
        ("cost +10 % (+10 %), two arms, at the margin", 1.1),
        ("cost +50 % (+10 %), two arms", 1.5),
    ):
        candidate = ratio * same
        total = weight * (candidate.mean(axis=2) - factor * stable.mean(axis=2))
        noise = candidate.var(axis=2, ddof=1) / candidates
        noise = noise + factor**2 * stable.var(axis=2, ddof=1) / stables
        both = _mean_increments(total, total**2, weight**2 * noise, weight)
        scale = Scale()
        for look in range(20):
            arms = [
                Moments(side.size, float(side.sum()), float(side @ side))
                for side in (candidate[0, look], stable[0, look])
            ]
            scale = _checked(unpaired(arms[0], arms[1], factor), scale, both[0][0, look])
        yield name, Sample(both[0], both[1])


def after_health(rng: np.random.Generator, rollouts: int) -> Firsts:
    """JSON 99 → 97 % after 200 000 healthy requests: looks after the change."""
    healthy, harmful = 2_000, 400
    bets = signed_bets("rollback", 0.005)
    wealth = np.full((rollouts, bets.size), -np.inf)
    plain = np.zeros((rollouts, bets.size))
    hit = np.zeros((rollouts, healthy + harmful), dtype=np.bool_)
    plain_hit = np.zeros_like(hit)
    for look in range(healthy + harmful):
        chances = paired_chances(0.01, 0.01 if look < healthy else 0.03, 0.5)
        counts = rng.multinomial(PER_LOOK, chances, size=rollouts)
        won = exact.log_increments(counts, exact.PAIRED_VALUES, 0.005, bets)
        wealth, plain = restarted(wealth, won, log_share(look)), plain + won
        hit[:, look] = log_evidence(wealth) >= LOG_ROLLBACK
        plain_hit[:, look] = log_evidence(plain) >= LOG_ROLLBACK
    return {
        "early": np.where(hit[:, :healthy].any(axis=1), 0, healthy).astype(np.int64),
        "ours": first_look(hit[:, healthy:]),
        "plain": first_look(plain_hit[:, healthy:]),
    }


def languages(rng: np.random.Generator, rollouts: int, bad: FloatArray) -> Firsts:
    """Twenty languages and five paired metrics; `bad` (20,) is the candidate's chance of bad.

    Stable's is 1 %, 0.5 points are tolerated, languages are Zipf-distributed.
    """
    metrics, tongues = 5, bad.size
    share = 1.0 / np.arange(1, tongues + 1)
    # Half of a guardrail's weight goes to all requests, half to the named languages evenly.
    weights = np.log(np.array([0.5, *[0.5 / tongues] * tongues]) / metrics)
    margin, bets = 0.005, signed_bets("rollback", 0.005)
    wealth = np.full((rollouts, metrics, tongues + 1, bets.size), -np.inf)
    sums = np.zeros((3, rollouts, metrics, tongues + 1))
    chances = np.array([paired_chances(0.01, float(rate), 0.5) for rate in bad])
    hit, z_hit = np.zeros((2, rollouts, LOOKS), dtype=np.bool_)
    for look in range(LOOKS):
        units = rng.multinomial(PER_LOOK, share / share.sum(), size=rollouts)
        counts = rng.multinomial(units[:, None, :], chances, size=(rollouts, metrics, tongues))
        counts = np.concatenate([counts.sum(axis=2, keepdims=True), counts], axis=2)
        won = exact.log_increments(counts, exact.PAIRED_VALUES, margin, bets)
        wealth = restarted(wealth, won, log_share(look))
        weighted = (log_evidence(wealth) + weights).reshape(rollouts, -1)
        hit[:, look] = log_sum_exp(weighted) >= LOG_ROLLBACK
        centred = exact.PAIRED_VALUES - margin
        sums += np.stack([counts.sum(axis=-1), counts @ centred, counts @ centred**2])
        z_hit[:, look] = _any_z(sums)
    return {"ours": first_look(hit), "z": first_look(z_hit)}


def _any_z(sums: FloatArray) -> BoolArray:
    """Whether any slice with thirty units or more rejects, (rollouts,)."""
    units, total, square = sums
    variance = np.maximum(square - total**2 / np.maximum(units, 1.0), 1e-12)
    rejected = (units >= 30) & (total > Z_ONE_PERCENT * np.sqrt(variance))
    any_slice: BoolArray = rejected.any(axis=(1, 2))
    return any_slice


def ramp(rng: np.random.Generator, rollouts: int, harm: float) -> Firsts:
    """Two arms at 5, 10, 25 and 50 %; at 50 % both fail at 20 % for 2 000 requests. Margin 0."""
    share = np.repeat([0.05, 0.10, 0.25, 0.50], LOOKS // 4)
    rate = np.where((np.arange(LOOKS) >= 160) & (np.arange(LOOKS) < 180), 0.2, 0.01)
    units = rng.binomial(PER_LOOK, share, size=(rollouts, LOOKS))
    bad = rng.binomial(units, rate + harm)
    stable_bad = rng.binomial(PER_LOOK - units, rate)
    increments = two_arm_increments(units, bad, PER_LOOK - units, stable_bad, "rollback")
    n, k = units.cumsum(axis=1), bad.cumsum(axis=1)
    others, ks = (PER_LOOK - units).cumsum(axis=1), stable_bad.cumsum(axis=1)
    pooled = (k + ks) / (n + others)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / np.maximum(n, 1) + 1 / others), 1e-12))
    z_hit = k / np.maximum(n, 1) - ks / others > Z_ONE_PERCENT * spread
    return {
        "ours": first_look(evidence_of_restarts(increments) >= LOG_ROLLBACK),
        "z": first_look(z_hit),
    }


def speed() -> dict[str, float]:
    """Microseconds on one core for a window of 200 slices, and for one window of two arms."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(PER_LOOK, [0.01, 0.98, 0.01], size=200)
    bets = signed_bets("rollback", 0.01, grid=2.0 ** -np.arange(9.0))
    wealth = np.zeros((200, bets.size))

    def fold() -> None:
        won = exact.log_increments(counts, exact.PAIRED_VALUES, 0.01, bets)
        log_evidence(restarted(wealth, won, -8.0))

    small, large = Arms(Arm(50, 1), Arm(950, 9)), Arms(Arm(500, 150), Arm(9_500, 3_000))
    return {
        "200 slices × 9 bets, exact": _microseconds(fold),
        "two arms, 10 bad": _microseconds(lambda: two_arm.log_increments(small, 0.01, bets)),
        "two arms, 3 150 bad": _microseconds(lambda: two_arm.log_increments(large, 0.01, bets)),
    }


def _microseconds(work: Callable[[], object]) -> float:
    rounds = []
    for _ in range(200):
        start = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - start)
    return round(1e6 * float(np.median(rounds)), 1)


# Running and reporting ---------------------------------------------------------------------------


@dataclass
class Row:
    """Outcomes of one scenario, gathered over chunks."""

    name: str
    never: int = LOOKS
    chunks: list[Firsts] = field(default_factory=list)

    def outcome(self, method: str) -> dict[str, float] | None:
        """Share of rollouts in which a method spoke and the median requests until it did."""
        found = [chunk[method] for chunk in self.chunks if method in chunk]
        if not found:
            return None
        first = np.concatenate(found)
        median = float(np.median(first))
        requests = (median + 1) * PER_LOOK if median < self.never else float("inf")
        share = float((first < self.never).mean())
        return {"share": share, "median_requests": requests, "rollouts": float(first.size)}


FAMILIES: Final[tuple[Callable[[np.random.Generator, int], Iterator[tuple[str, Sample]]], ...]] = (
    json_validity,
    error_limit,
    latency,
    cost,
    heavier_cost,
    cost_of_arms,
)
METHODS: Final = ("ours", "z", "threshold", "mann_whitney", "promotion", "late", "plain", "early")
HEADINGS: Final = {
    "ours": "ours",
    "z": "z at each look",
    "threshold": "5-minute threshold",
    "mann_whitney": "Mann-Whitney",
    "promotion": "promotion",
    "late": "promotion from 5 000 on",
    "plain": "ours, ablated",
}
ASKED: Final = "asked for"

FALSE_ROLLBACKS: Final = 0.01
FALSE_PROMOTIONS: Final = 0.05
SLACK: Final = 1.2
HARMLESS: Final = ("none worse", "at the margin", "at the limit", "99 % (0.5 pp)")
"""In names of scenarios that may not be rolled back; those at the edge may not promote either."""
AT_THE_EDGE: Final = ("at the margin", "at the limit")
AIMS: Final[dict[str, tuple[str, int]]] = {
    "JSON 99 → 99 % (0.5 pp)": ("promotion", 3_800),
    "JSON 99 → 97 % (0.5 pp)": ("ours", 1_700),
    "error 0.5 % (limit 1 %)": ("promotion", 2_700),
    "error 2 % (limit 1 %)": ("ours", 1_700),
    "p99 ×1.5 (×1.2)": ("ours", 1_500),
    "p99 ×1 (×1.2), correlation 0.5, as two arms": ("promotion", 2_000),
    "p99 ×1 (×1.2), correlation 0.5, joint": ("promotion", 2_000),
    "p99 ×1 (×1.2), correlation 0.8, as two arms": ("promotion", 2_000),
    "p99 ×1 (×1.2), correlation 0.8, joint": ("promotion", 2_000),
    "p99 ×1.5 (×1.2), correlation 0.5, as two arms": ("ours", 1_100),
    "p99 ×1.5 (×1.2), correlation 0.5, joint": ("ours", 1_100),
    "p99 ×1.5 (×1.2), correlation 0.8, as two arms": ("ours", 1_100),
    "p99 ×1.5 (×1.2), correlation 0.8, joint": ("ours", 1_100),
    "cost equal (+10 %)": ("promotion", 400),
    "cost +15 % (+10 %)": ("ours", 3_050),
    "JSON 99 → 97 % after 200 000 healthy requests": ("ours", 3_100),
}
"""Median requests first aimed at, by what is to speak; for pairs' p99 no correlation is known."""


def simulate(rollouts: int, seed: int, report: Callable[[str], None]) -> list[Row]:
    """All rows. Chunks of rollouts bound memory, and each has its own generator."""
    rows: dict[str, Row] = {}

    def add(name: str, firsts: Firsts, never: int = LOOKS) -> None:
        rows.setdefault(name, Row(name, never)).chunks.append(firsts)

    for index, family in enumerate(FAMILIES):
        for chunk, size in enumerate(_chunks(rollouts, CHUNK)):
            for name, sample in family(np.random.default_rng([seed, index, chunk]), size):
                add(name, all_methods(sample))
        report(family.__name__)
    _simulate_others(rollouts, seed, add, report)
    return list(rows.values())


def _simulate_others(
    rollouts: int, seed: int, add: Callable[..., None], report: Callable[[str], None]
) -> None:
    equal, one_worse = np.full(20, 0.01), np.full(20, 0.01)
    one_worse[4] = 0.10
    scenarios: tuple[tuple[str, Callable[..., Firsts], tuple[Any, ...], int, int], ...] = (
        ("JSON 99 → 97 % after 200 000 healthy requests", after_health, (), rollouts, 400),
        ("20 languages × 5 metrics, none worse", languages, (equal,), 1_500, LOOKS),
        ("20 languages × 5 metrics, all at the margin", languages, (equal + 0.005,), 1_500, LOOKS),
        ("20 languages × 5 metrics, one language 99 → 90 %", languages, (one_worse,), 1_500, LOOKS),
        ("ramp 5 → 50 %, shared incident, none worse", ramp, (0.0,), rollouts, LOOKS),
        ("ramp 5 → 50 %, shared incident, errors +2 pp", ramp, (0.02,), rollouts, LOOKS),
    )
    for index, (name, scenario, extra, most, never) in enumerate(scenarios):
        for chunk, size in enumerate(_chunks(min(rollouts, most), CHUNK)):
            rng = np.random.default_rng([seed, 100 + index, chunk])
            add(name, scenario(rng, size, *extra), never)
        report(name)


def _chunks(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def summary(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as plain data."""
    return [
        {"scenario": row.name} | {m: found for m in METHODS if (found := row.outcome(m))}
        for row in rows
    ]


def asked(row: dict[str, Any]) -> str:
    """What was asked of the service in a scenario, and whether it does it."""
    name, said = row["scenario"], []
    if any(part in name for part in HARMLESS):
        said.append((f"rollback ≤ {FALSE_ROLLBACKS:g}", row["ours"]["share"] <= FALSE_ROLLBACKS))
    if "promotion" in row and any(part in name for part in AT_THE_EDGE):
        met = row["promotion"]["share"] <= FALSE_PROMOTIONS
        said.append((f"promotion ≤ {FALSE_PROMOTIONS:g}", met))
    if name in AIMS:
        method, requests = AIMS[name]
        most = SLACK * requests
        verdict = "rollback" if method == "ours" else "promotion"
        said.append((f"{verdict} by {spaced(most)}", row[method]["median_requests"] <= most))
    return ", ".join(f"{what}: {'met' if met else 'NOT MET'}" for what, met in said)


def spaced(number: float) -> str:
    """'1 700'."""
    return f"{number:,.0f}".replace(",", " ")


def cell(outcome: dict[str, float] | None) -> str:
    """'0.002' or '1.00 / 1 700'."""
    if outcome is None:
        return ""
    share, requests = outcome["share"], outcome["median_requests"]
    text = f"{share:.4f}".rstrip("0").rstrip(".")
    if share < 0.5 or not np.isfinite(requests):
        return text
    return f"{text} / {spaced(requests)}"


def table(rows: list[dict[str, Any]], console: Console) -> None:
    """Print what was measured."""
    shown = Table(title="P(rollback) / median requests until it; promotion likewise")
    shown.add_column("scenario (margin)", no_wrap=True)
    for heading in HEADINGS.values():
        shown.add_column(heading)
    shown.add_column(ASKED)
    for row in rows:
        shown.add_row(row["scenario"], *_cells(row))
    console.print(shown)
    missed = [row["scenario"] for row in rows if "NOT MET" in asked(row)]
    console.print(f"asked for and not met: {len(missed)}", *missed, sep="\n  ")


def _cells(row: dict[str, Any]) -> list[str]:
    return [*(cell(row.get(method)) for method in HEADINGS), asked(row)]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The same table for docs/statistics.md."""
    heads = ["scenario (margin)", *HEADINGS.values(), ASKED]
    lines = [heads, ["---"] * len(heads)]
    lines += [[row["scenario"], *_cells(row)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


LEFT_EDGE: Final = 1e-4


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """False rollbacks of every method where nothing is worse than tolerated, as a dot plot.

    Shares below the left edge, zero included, are drawn on it.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "verdicts"
    from matplotlib import pyplot as plt

    chosen = [row for row in rows if row["scenario"].endswith(HARMLESS) and "z" in row]
    figure, axes = plt.subplots(figsize=(9.0, 0.5 * len(chosen) + 1.6))
    styles = {"ours": "o", "z": "s", "threshold": "D", "mann_whitney": "^"}
    for number, (method, marker) in enumerate(styles.items()):
        points = [
            (max(row[method]["share"], LEFT_EDGE), place + 0.14 * (number - 1.5))
            for place, row in enumerate(chosen)
            if method in row
        ]
        shares, places = zip(*points, strict=True)
        axes.scatter(shares, places, marker=marker, s=45, label=HEADINGS[method])
    axes.axvline(0.01, color="grey", linestyle="--", linewidth=1.0)
    axes.annotate("1 %", (0.01, 1.0), (3, -12), ("data", "axes fraction"), "offset points")
    label = "share of rollouts with a false rollback (0 drawn at the left edge)"
    axes.set(xscale="log", xlim=(0.7 * LEFT_EDGE, 1.5), xlabel=label)
    axes.set_yticks(range(len(chosen)), [row["scenario"] for row in chosen])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.3, 1.0), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rollouts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    console, start = Console(width=230), time.perf_counter()

    def report(done: str) -> None:
        console.print(f"[dim]{time.perf_counter() - start:6.1f} s  {done}[/dim]")

    rows = summary(simulate(given.rollouts, given.seed, report))
    table(rows, console)
    spent = speed()
    console.print("median µs a window:", spent)
    if given.json:
        result = {"rollouts": given.rollouts, "seed": given.seed, "speed_us": spent, "rows": rows}
        text = json.dumps(result, ensure_ascii=False, indent=1).replace("Infinity", "null")
        given.json.write_text(text + "\n", encoding="utf-8")
    if given.markdown:
        given.markdown.write_text(markdown(rows), encoding="utf-8")
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
