"""How often verdicts on two recorded runs are wrong, and what they find, by number of cases.

Cases are drawn with rates, margins, languages, conversations and heavy tails as given, and judged
under the default policy (18 guardrails) unless the row names a margin: then a policy of one
guardrail has it. "At the margin" is harm that is just tolerated, so neither verdict is right: a
rollback must come in at most 1 % and a promotion in at most 5 % of samples.

    python benchmarks/fixed_sample.py [--samples 400] [--cases 50,200,1000,5000] [--only TEXT]
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from understudy.analyzers.fixed_sample.findings import findings, lacks
from understudy.analyzers.fixed_sample.sample import Labels, Sample, column_names
from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.row_columns import HISTOGRAMS, HistogramColumn, RowColumns
from understudy.analyzers.guardrails.stage_counts import StageSums
from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.manifests import read_policy
from understudy.schemas.measure_kinds import both_sides, only_candidate, only_stable
from understudy.schemas.rollout_metrics import METRICS, RATES
from understudy.schemas.rollouts import Rollout

POLICY: Final = "rollout_id: files\nmodels: {stable: a, candidate: b}\nmode: shadow\n"
LOSSES: Final = ("error_rate", "json_valid_rate", "json_schema_valid_rate", "language_match_rate",
                 "fallback_rate", "truncation_rate", "empty_rate", "refusal_rate",
                 "incomplete_rate", "tool_call_invalid_rate", "garbled_rate", "repetition_rate",
                 "tool_call_missing_rate", "reasoning_leak_rate")  # fmt: skip
"""Rates of the default policy."""
Array = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator, int], tuple[Array, Array]]


@dataclass(frozen=True)
class Scenario:
    """How cases are drawn; `harms` adds to the candidate's rates."""

    name: str
    truth: str
    """rollback, promote, or margin where neither is right."""
    rate: float = 0.01
    shared: float = 0.5
    """Chance that one draw decides both sides."""
    harms: Mapping[str, float] = field(default_factory=dict)
    languages: int = 1
    harmed_language: bool = False
    """Whether the harm is in the second language alone."""
    turns: int = 1
    """Of each conversation; all turns share one fate."""
    cost: Draw | None = None
    duration: Draw | None = None
    margin: str = ""
    """Of JSON validity as the only guardrail."""

    def rollout(self) -> Rollout:
        """Return the policy."""
        if not self.margin:
            return read_policy(POLICY)
        limit = f"{{metric: json_valid_rate, max_drop: {self.margin}}}"
        return read_policy(f"{POLICY}guardrails: [{limit}]\n")


def log_normal(spread: float, increase: float, noise: float = 0.3) -> Draw:
    """Values that vary log-normally by prompt, and by `noise` beyond that."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        prompt = spread * rng.standard_normal(n)
        sides = np.exp(prompt + noise * rng.standard_normal((2, n)))
        return sides[0], sides[1] * (1.0 + increase)

    return draw


def constant_against(draw_candidate: Draw) -> Draw:
    """Stable always costs 1; the candidate what the second of two values says."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        return np.ones(n), draw_candidate(rng, n)[1]

    return draw


def pareto(shape: float, increase: float) -> Draw:
    """Independent Pareto values."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        sides = rng.pareto(shape, (2, n)) + 1.0
        return sides[0], sides[1] * (1.0 + increase)

    return draw


def loops(share: float, factor: float) -> Draw:
    """Alike, but that some of the candidate's answers cost so many times more."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        stable, candidate = log_normal(0.6, 0.0)(rng, n)
        return stable, candidate * np.where(rng.random(n) < share, factor, 1.0)

    return draw


ALIKE: Final = log_normal(0.6, 0.0)
MARGIN: Final = {"json_valid_rate": 0.01}
SCENARIOS: Final = (
    *(
        Scenario(f"alike, rates {100 * rate:g} %", "promote", rate, cost=ALIKE, duration=ALIKE)
        for rate in (0.001, 0.01, 0.1, 0.3)
    ),
    Scenario("alike, 30 languages", "promote", languages=30, cost=ALIKE, duration=ALIKE),
    Scenario("alike, 5 turns of one fate", "promote", turns=5),
    *(
        Scenario(f"margin {margin} alone, at it, rate {100 * rate:g} %", "margin", rate, 0.3,
                 {"json_valid_rate": float(margin[:-2]) / 100}, margin=margin)
        for margin in ("0pp", "0.5pp", "1pp", "2pp", "5pp")
        for rate in (0.001, 0.05, 0.3)
    ),
    Scenario("JSON at the margin", "margin", harms=MARGIN, cost=ALIKE, duration=ALIKE),
    Scenario("all rates at the margin", "margin", harms={
        name: 0.02 if name in ("language_match_rate", "fallback_rate", "truncation_rate",
                               "refusal_rate", "repetition_rate") else 0.01 for name in LOSSES}),
    Scenario("JSON at the margin, 30 languages", "margin", harms=MARGIN, languages=30),
    Scenario("JSON at the margin, 5 turns of one fate", "margin", harms=MARGIN, turns=5),
    Scenario("JSON at the margin, 20 turns of one fate", "margin", harms=MARGIN, turns=20),
    Scenario("cost at the margin, log-normal 1", "margin", 0.0, cost=log_normal(1.0, 0.25)),
    Scenario("cost at the margin, Pareto 1.5", "margin", 0.0, cost=pareto(1.5, 0.25)),
    Scenario("cost at the margin, constant against Pareto 2.5", "margin", 0.0,
             cost=constant_against(pareto(2.5, 0.75 - 1.0))),
    Scenario("cost at the margin by loops, 1 % cost 26 times more", "margin", 0.0,
             cost=loops(0.01, 26.0)),
    Scenario("durations at the margin, log-normal", "margin", 0.0, duration=log_normal(0.8, 0.5)),
    Scenario("durations at the margin, Pareto 1.5", "margin", 0.0, duration=pareto(1.5, 0.5)),
    Scenario("JSON broken in 4 % more", "rollback", harms={"json_valid_rate": 0.04}),
    Scenario("JSON broken in 10 % more", "rollback", harms={"json_valid_rate": 0.1},
             cost=ALIKE, duration=ALIKE),
    Scenario("JSON broken in 10 % more, 10 languages", "rollback",
             harms={"json_valid_rate": 0.1}, languages=10, cost=ALIKE, duration=ALIKE),
    Scenario("JSON broken in half of one language of ten", "rollback",
             harms={"json_valid_rate": 0.5}, languages=10, harmed_language=True),
    Scenario("cost twice as high", "rollback", cost=log_normal(0.8, 1.0)),
    Scenario("durations three times as long", "rollback", duration=log_normal(0.6, 2.0)),
)  # fmt: skip


# Cases


def drawn(
    scenario: Scenario, checks: tuple[Check, ...], rng: np.random.Generator, n: int
) -> Sample:
    """Return n cases."""
    names = column_names(checks)
    numbers = {name: np.zeros(n) for name in names if name not in HISTOGRAMS}
    histograms = {name: _no_histogram(n) for name in names if name in HISTOGRAMS}
    units = np.arange(n) // scenario.turns
    # The most frequent language has a third of the cases, as products have it.
    weights = 1.0 / (1.0 + np.arange(scenario.languages))
    by_unit = rng.choice(scenario.languages, size=n, p=weights / weights.sum())
    languages = by_unit[units]
    harmed = languages == 1 if scenario.harmed_language else np.ones(n, np.bool_)
    _put(numbers, "pair_pairs", np.ones(n))
    for metric in LOSSES:
        harm = scenario.harms.get(metric, 0.0) * harmed[:: scenario.turns]
        bad = _bad(scenario, rng, harm)
        _put_rate(numbers, metric, bad[:, units[:n]] if scenario.turns > 1 else bad)
    if scenario.cost is not None:
        _put_cost(numbers, *scenario.cost(rng, n))
    if scenario.duration is not None:
        for side, values in zip(("stable", "candidate"), scenario.duration(rng, n), strict=True):
            histograms[f"{side}_duration_ms_histogram"] = HistogramColumn(
                n, np.arange(n), log_bucket(1_000.0 * values), np.ones(n)
            )
            _put(numbers, f"{side}_duration_ms_count", np.ones(n))
    columns = RowColumns(np.ones(n, np.bool_), numbers, histograms)
    labels = Labels(units, [f"l{one}" for one in languages.tolist()], [""] * n)
    counts = StageSums.of([])._replace(stable_requests=n, candidate_requests=n, pairs=n)
    return Sample(columns, labels, counts, checks)


def _bad(scenario: Scenario, rng: np.random.Generator, harm: Array) -> Array:
    """Which units are bad on stable's side and on the candidate's, (2, n_units)."""
    own = rng.random((2, harm.size))
    own[1] = np.where(rng.random(harm.size) < scenario.shared, own[0], own[1])
    limits = np.stack([np.full(harm.size, scenario.rate), scenario.rate + harm])
    return (own < limits).astype(np.float64)


def _put(numbers: dict[str, Array], name: str, values: Array) -> None:
    """Fill a column, where some check reads it."""
    if name in numbers:
        numbers[name] = values


def _put_rate(numbers: dict[str, Array], metric: str, bad: Array) -> None:
    rate, ones = RATES[metric], np.ones(bad.shape[1])
    true = 1.0 - bad if METRICS[metric].higher_is_better else bad
    _put(numbers, f"pair_{rate.paired_among}", ones)
    _put(numbers, f"pair_{only_stable(rate.joint)}", true[0] * (1.0 - true[1]))
    _put(numbers, f"pair_{only_candidate(rate.joint)}", true[1] * (1.0 - true[0]))
    _put(numbers, f"pair_{both_sides(rate.joint)}", true[0] * true[1])
    for side, values in zip(("stable", "candidate"), true, strict=True):
        _put(numbers, f"{side}_{rate.among}", ones)
        _put(numbers, f"{side}_{rate.success}", values)


def _put_cost(numbers: dict[str, Array], stable: Array, candidate: Array) -> None:
    parts = {
        "count": np.ones_like(stable), "stable_sum": stable, "candidate_sum": candidate,
        "stable_squares": stable**2, "candidate_squares": candidate**2,
        "products": stable * candidate,
    }  # fmt: skip
    for name, values in parts.items():
        _put(numbers, f"pair_cost_usd_{name}", values)


def _no_histogram(n: int) -> HistogramColumn:
    nothing = np.zeros(0, np.int64)
    return HistogramColumn(n, nothing, nothing, np.zeros(0))


# Verdicts


def verdict(rollout: Rollout, sample: Sample) -> str:
    """Return the verdict alone, as `judge_fixed_sample` reaches it."""
    found = findings(rollout, sample)
    if any(one.is_breach and one.check.action == "rollback" for one in found):
        return "rollback"
    return "hold" if lacks(rollout, sample, found) else "promote"


def results(samples: int, cases: list[int], only: str) -> Iterator[dict[str, Any]]:
    """Yield the shares of verdicts of each scenario and number of cases."""
    for scenario in SCENARIOS:
        if only not in scenario.name:
            continue
        rollout = scenario.rollout()
        checks = checks_of(rollout)
        for n in cases:
            rng = np.random.default_rng([n, zlib.crc32(scenario.name.encode())])
            found = [verdict(rollout, drawn(scenario, checks, rng, n)) for _ in range(samples)]
            shares = {one: found.count(one) / samples for one in ("rollback", "promote")}
            yield {"scenario": scenario.name, "truth": scenario.truth, "cases": n, **shares}


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--cases", default="50,200,1000,5000")
    parser.add_argument("--only", default="", help="scenarios whose name has this text")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    cases = [int(one) for one in arguments.cases.split(",")]
    rows = results(arguments.samples, cases, arguments.only)
    if arguments.json:
        for row in rows:
            print(json.dumps(row), flush=True)
        return
    table = Table("scenario", "right is", *(f"{n:,}" for n in cases), caption="rollback / promote")
    by_scenario: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_scenario.setdefault(row["scenario"], []).append(row)
    for name, of_scenario in by_scenario.items():
        shares = [f"{row['rollback']:.3f} / {row['promote']:.3f}" for row in of_scenario]
        table.add_row(name, of_scenario[0]["truth"], *shares)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
