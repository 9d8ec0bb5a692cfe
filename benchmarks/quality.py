"""How soon a guardrail on preferences finds worse answers, and how often it is wrong.

    python benchmarks/quality.py
    python benchmarks/quality.py --rollouts 4000 --json

A scripted judge prefers the better of two answers with a given probability. Which of the two comes
first is a matter of chance, as by the hash of a pair; a judge that likes the first place prefers it
more often by so many points. A part of the pairs is asked in both orders and counts with the mean.

The evidence is that of the service: its test, its restarts, its weights and thresholds, for the
policy below. Each rollout is stopped where its own slice alone would roll it back.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.graded_columns import DIFFERENCES, GRADED_FIELDS, GRADES
from understudy.analyzers.guardrails.slices import ALL, Arrivals
from understudy.analyzers.sequential.bets import FloatArray, log_evidence
from understudy.analyzers.sequential.restart import log_shares, restarted
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollouts import Rollout, compile_manifest

POLICY: Final = """
rollout_id: quality
models: {{stable: a, candidate: b}}
independent_requests: true
guardrails:
  - {{metric: quality_preference, evaluator: judge@1, max_drop: {margin}}}
"""
LANGUAGES: Final = 30
PAIRS_PER_WINDOW: Final = 10
"""Sixty judged pairs a minute, the default budget, all of one slice."""
MOST_PAIRS: Final = 40_000
FOUND_WITHIN: Final = 15_000
RIGHT: Final = 0.8
"""How often the judge prefers the better answer."""
BOTH_ORDERS: Final = 0.2
AT_ONCE: Final = 250
"""Rollouts that are simulated together, for memory."""


@dataclass(frozen=True)
class Judge:
    """How the judge judges, and how often the candidate really is the better one."""

    wins: float
    first_place: float = 0.0
    """By how many points, as a share, it prefers the answer shown first more often."""
    ties: float = 0.0
    """Share of the pairs that it calls a tie, in either order."""

    def chances(self) -> FloatArray:
        """Of the values 0, 1/4, 1/2, 3/4 and 1 of a pair, (5,)."""
        found = np.zeros(5)
        for is_better, chance in ((True, self.wins), (False, 1.0 - self.wins)):
            likes = [
                np.clip((RIGHT if is_better else 1.0 - RIGHT) + sign * self.first_place, 0.0, 1.0)
                for sign in (1.0, -1.0)
            ]
            one = [np.array([(1 - self.ties) * (1 - p), self.ties, (1 - self.ties) * p])
                   for p in likes]  # fmt: skip
            single, both = 0.5 * (one[0] + one[1]), np.convolve(one[0], one[1])
            found += chance * BOTH_ORDERS * both
            found[::2] += chance * (1.0 - BOTH_ORDERS) * single
        return found


@dataclass(frozen=True)
class Result:
    """What happened to all rollouts."""

    wins: float
    first_place: float
    ties: float
    margin: str
    slice: str
    rollouts: int
    found_share: float
    """Within `FOUND_WITHIN` judged pairs of the slice."""
    median_pairs: float | None
    """Of all rollouts; None where fewer than half were stopped."""
    stopped_share: float
    """Within `MOST_PAIRS`."""


def rollout_of(margin: str) -> Rollout:
    return compile_manifest(read_manifest(POLICY.format(margin=margin)))


def simulate(judge: Judge, margin: str, slice_name: str, rollouts: int, seed: int) -> Result:
    """Simulate rollouts; the slice is `all`, or the last of `LANGUAGES` languages to turn up."""
    rollout = rollout_of(margin)
    check = next(one for one in checks_of(rollout) if one.is_guardrail)
    languages = [f"l{number}" for number in range(LANGUAGES)]
    weights = Arrivals(languages=languages).weights(check.guardrail.slices)
    name = ALL if slice_name == ALL else f"language:{languages[-1]}"
    threshold = -np.log(rollout.false_rollback * check.weight * weights[name])
    rng = np.random.default_rng(seed)
    stopped = np.concatenate(
        [
            _stopped_at(check, judge, threshold, min(AT_ONCE, rollouts - start), rng)
            for start in range(0, rollouts, AT_ONCE)
        ]
    )
    median = float(np.median(stopped))
    return Result(
        wins=judge.wins,
        first_place=judge.first_place,
        ties=judge.ties,
        margin=margin,
        slice=slice_name,
        rollouts=rollouts,
        found_share=float((stopped <= FOUND_WITHIN).mean()),
        median_pairs=median if np.isfinite(median) else None,
        stopped_share=float(np.isfinite(stopped).mean()),
    )


def _stopped_at(
    check: Check, judge: Judge, threshold: float, n: int, rng: np.random.Generator
) -> FloatArray:
    """After how many judged pairs each of n rollouts is stopped; infinite where it never is."""
    windows = MOST_PAIRS // PAIRS_PER_WINDOW
    counts = rng.multinomial(PAIRS_PER_WINDOW, judge.chances(), size=(windows, n))
    tenths = [int(np.flatnonzero(np.isclose(DIFFERENCES, value))[0])
              for value in (-1.0, -0.5, 0.0, 0.5, 1.0)]  # fmt: skip
    statistics = np.zeros((windows, n, len(GRADED_FIELDS)))
    statistics[..., GRADES.start : GRADES.stop][..., tenths] = counts
    test = check.test
    wealth, stopped = np.full((n, test.n_bets), -np.inf), np.full(n, np.inf)
    fresh = log_shares(np.arange(windows, dtype=np.float64))
    nothing = np.zeros((n, 3))
    for window in range(windows):
        won = test.increments(statistics[window], "rollback", nothing)
        wealth = restarted(wealth, won, fresh[window])
        is_over = np.isinf(stopped) & (log_evidence(wealth) >= threshold)
        stopped[is_over] = (window + 1) * PAIRS_PER_WINDOW
    return stopped


CASES: Final = [
    (Judge(wins=0.45), "0pp", ALL),
    (Judge(wins=0.45), "0pp", "language"),
    (Judge(wins=0.45, first_place=0.1), "0pp", "language"),
    (Judge(wins=0.45, ties=0.3), "0pp", "language"),
    (Judge(wins=0.45), "2pp", ALL),
    (Judge(wins=0.40), "2pp", "language"),
    (Judge(wins=0.50), "0pp", ALL),
    (Judge(wins=0.50), "0pp", "language"),
    (Judge(wins=0.50, first_place=0.1), "0pp", ALL),
    (Judge(wins=0.50, ties=0.3), "0pp", ALL),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    results = [
        simulate(judge, margin, name, asked.rollouts, asked.seed + place)
        for place, (judge, margin, name) in enumerate(CASES)
    ]
    if asked.json:
        print(json.dumps([asdict(one) for one in results], indent=2))
        return
    print("wins  first  ties  margin  slice     found in 15,000  median pairs  stopped in 40,000")
    for one in results:
        median = "–" if one.median_pairs is None else f"{one.median_pairs:,.0f}"
        print(
            f"{one.wins:4.0%}  {one.first_place:5.0%}  {one.ties:4.0%}  {one.margin:>6}  "
            f"{one.slice:8}  {one.found_share:15.1%}  {median:>12}  {one.stopped_share:17.1%}"
        )


if __name__ == "__main__":
    main()
