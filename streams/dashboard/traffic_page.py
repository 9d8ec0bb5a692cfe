"""What the page of a rollout's traffic shows: both sides side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_percent,
    format_value,
)
from understudy.analyzers.windows.histogram import bucket_value, quantile
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.traffic_figures import SIDES, Traffic, TrafficStep
from understudy.streams.dashboard.charts import Chart, Line

KINDS: Final = (
    ("gave no answer", "errors", "model_requests"),
    ("of these, by a timeout", "timeouts", "model_requests"),
    ("answered with nothing", "empties", "answers"),
    ("refused or were filtered", "refusals", "answers"),
    ("broke off in the stream", "incompletes", "answers"),
    ("stopped at the length limit", "truncated", "finish_reason_known"),
    ("had damaged characters", "garbled", "texts"),
    ("ran in a loop", "repetitive", "texts"),
    ("showed their reasoning", "reasoning_leaks", "answers"),
    ("JSON in a markdown fence", "json_fenced", "json_expected"),
    ("JSON that breaks off", "json_truncated", "json_expected"),
    ("text around the JSON", "json_trailing_text", "json_expected"),
    ("no JSON at all", "json_not_json", "json_expected"),
    ("JSON in a JSON string", "json_quoted", "json_expected"),
    ("JSON nested beyond the limit", "json_too_deep", "json_expected"),
    ("called a tool wrongly", "tool_calls_invalid", "answers"),
    ("came from a fallback model", "fallbacks", "model_requests"),
)
"""Failures: in words, the column that counts them, and the column of what could have failed."""
ENDS: Final = (
    ("Paired", ("events_paired",)),
    ("Alone by design", ("events_single",)),
    ("Without a partner",
     ("events_unmatched_stable", "events_unmatched_candidate", "events_unmatched_control")),
    ("Copies", ("events_duplicate",)),
    ("Replaced by a later attempt", ("events_superseded",)),
    ("Late", ("events_late",)),
    ("Invalid", ("events_invalid",)),
)  # fmt: skip
"""Where events end; each ends in one place."""
_TIMES: Final = (
    ("Duration", "duration_ms_histogram"),
    ("Time to first token", "time_to_first_token_ms_histogram"),
)
_QUANTILES: Final = (0.5, 0.95, 0.99)
_STEP: Final = 10
"""Buckets of the histogram in a step of the chart: a fifth of the value, smooth to the eye."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A figure of both sides."""

    title: str
    stable: str
    candidate: str
    is_worse: bool = False
    """The candidate's share is larger; whether by chance, the verdict says."""


@dataclass(frozen=True, slots=True)
class TrafficPage:
    """Traffic in a span of time."""

    failures: list[SideBySide]
    times: list[SideBySide]
    costs: list[SideBySide]
    rollout_cost: list[tuple[str, str]]
    """What the rollout itself costs: answers that nobody was served."""
    ends: list[tuple[str, str, str]]
    """Where events went: a place, how many, which share."""
    charts: list[Chart]


def traffic_page(traffic: Traffic) -> TrafficPage:
    """Return what the page shows."""
    sums = traffic.sums
    return TrafficPage(
        failures=_failures(sums),
        times=[row for title, name in _TIMES for row in _quantiles(title, name, traffic)],
        costs=_costs(sums),
        rollout_cost=_rollout_cost(sums),
        ends=_ends(sums),
        charts=[*_course(traffic), *_distributions(traffic)],
    )


def _failures(sums: Mapping[str, float]) -> list[SideBySide]:
    found = []
    for title, failed, of in KINDS:
        counts = [(int(sums[f"{side}_{failed}"]), int(sums[f"{side}_{of}"])) for side in SIDES]
        if any(n for n, _ in counts):
            shares = [n / total if total else 0.0 for n, total in counts]
            cells = [_share(n, total) for n, total in counts]
            found.append(
                SideBySide(title, cells[0], cells[1], counts[0][1] > 0 and shares[1] > shares[0])
            )
    return found


def _share(count: int, total: int) -> str:
    return f"{format_count(count)} ({format_percent(count / total)})" if total else "–"


def _quantiles(title: str, name: str, traffic: Traffic) -> list[SideBySide]:
    histograms = [traffic.histograms[f"{side}_{name}"] for side in SIDES]
    if not any(histograms):
        return []
    found = []
    for q in _QUANTILES:
        stable, candidate = (format_value("ms", quantile(one, q)) for one in histograms)
        found.append(SideBySide(f"{title}, {_ordinal(q)}", stable, candidate))
    return found


def _ordinal(q: float) -> str:
    return "median" if q == 0.5 else f"p{100 * q:g}"


def _costs(sums: Mapping[str, float]) -> list[SideBySide]:
    def each(title: str, total: str, count: str, unit: str) -> SideBySide | None:
        known = [sums[f"{side}_{count}"] for side in SIDES]
        if not any(known):
            return None
        means = [
            sums[f"{side}_{total}"] / n if n else None for side, n in zip(SIDES, known, strict=True)
        ]
        stable, candidate = (format_value(unit, mean) for mean in means)
        return SideBySide(title, stable, candidate)

    rows = [
        each("Cost of an answer", "cost_usd_sum", "cost_usd_count", "usd"),
        each("Output tokens of an answer", "output_tokens_sum", "output_tokens_count", "tokens"),
        each("Positive ratings", "feedback_positive", "feedback_score_count", "share"),
    ]
    return [row for row in rows if row is not None]


def _rollout_cost(sums: Mapping[str, float]) -> list[tuple[str, str]]:
    requests, priced = sums["candidate_requests"], sums["candidate_cost_usd_count"]
    unserved = requests - sums["candidate_served"]
    if not priced or unserved <= 0:
        return []
    mean = sums["candidate_cost_usd_sum"] / priced
    return [
        ("Candidate's answers that nobody was served", format_count(int(unserved))),
        ("What they cost", format_value("usd", mean * unserved)),
        ("The same per 1,000 requests", format_value("usd", 1000 * mean * unserved / requests)),
    ]


def _ends(sums: Mapping[str, float]) -> list[tuple[str, str, str]]:
    counts = [(title, int(sum(sums[name] for name in names))) for title, names in ENDS]
    total = sum(count for _, count in counts)
    return [
        (title, format_count(count), format_percent(count / total))
        for title, count in counts
        if count
    ]


def _course(traffic: Traffic) -> list[Chart]:
    if len(traffic.steps) < 2:
        return []
    step_ms = min(later.at_ms - one.at_ms for one, later in pairwise(traffic.steps))
    steps = _complete(traffic, step_ms)
    x = [step.at_ms / 1000 for step in steps]

    def rates(side: str) -> list[float | None]:
        of = [(s.sums[f"{side}_errors"], s.sums[f"{side}_model_requests"]) for s in steps]
        return [100 * errors / total if total else None for errors, total in of]

    requests = [60_000 * step.sums["candidate_requests"] / step_ms for step in steps]
    total = sum(step.sums["candidate_requests"] for step in traffic.steps)
    spoken = f"Share of requests without an answer over {len(x)} steps of time."
    return [
        Chart(
            "Requests of the candidate, per minute", f"{total:,} requests in all.", x,
            [Line("requests", "main", requests)],
        ),
        Chart(
            "Requests without an answer, %", spoken, x,
            [Line(side, side, rates(side)) for side in ("stable", "candidate")],
            unit="%",
        ),
    ]  # fmt: skip


def _complete(traffic: Traffic, step_ms: int) -> list[TrafficStep]:
    """Without a last step that may still grow: it would look like a fall."""
    steps = traffic.steps
    if traffic.newest is None or len(steps) <= 2:
        return steps
    is_cut = steps[-1].at_ms + step_ms > to_epoch_ms(traffic.newest)
    return steps[:-1] if is_cut else steps


def _distributions(traffic: Traffic) -> list[Chart]:
    charts = []
    for title, name in _TIMES:
        histograms = [traffic.histograms[f"{side}_{name}"] for side in SIDES]
        if all(histograms):
            charts.append(_distribution(title, histograms))
    return charts


def _distribution(title: str, histograms: Sequence[Mapping[int, int]]) -> Chart:
    coarse = [_coarse(histogram) for histogram in histograms]
    steps = range(min(min(c) for c in coarse), max(max(c) for c in coarse) + 1)
    x = [bucket_value(_STEP * step + _STEP // 2) / 1000 for step in steps]
    lines = []
    for side, counts in zip(("stable", "candidate"), coarse, strict=True):
        total = sum(counts.values())
        lines.append((side, [100 * counts.get(step, 0) / total for step in steps]))
    medians = [format_value("ms", quantile(histogram, 0.5)) for histogram in histograms]
    spoken = f"Median {medians[0]} for stable, {medians[1]} for the candidate."
    return Chart(
        f"{title}, % of answers by seconds", spoken, x,
        [Line("stable", "stable", lines[0][1]), Line("candidate", "candidate", lines[1][1])],
        unit="%", x_axis="log",
    )  # fmt: skip


def _coarse(histogram: Mapping[int, int]) -> dict[int, int]:
    coarse: dict[int, int] = {}
    for bucket, count in histogram.items():
        coarse[bucket // _STEP] = coarse.get(bucket // _STEP, 0) + count
    return coarse
