"""The figures of one piece of evidence, as every table and page shows them.

Evidence is shown as a multiple of what a verdict needs: at 1 it is enough. Rollback needs the sum
of all multiples to reach 1, promotion each required one.
"""

from __future__ import annotations

import math
from typing import Final

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_limit,
    format_percent,
    format_points,
    format_value,
    format_with_interval,
)
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.sequential.weights import weighted_log_evidence
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.fixed_sample import FixedSampleFinding
from understudy.schemas.rollout_metrics import METRICS, QUALITY_PREFERENCE

MINUS: Final = "−"
"""As wide as the plus sign, which a hyphen is not."""


def multiple(log_evidence: float | None, log_threshold: float) -> float:
    """Return evidence in units of what a verdict needs; 0 for none."""
    return 0.0 if log_evidence is None else math.exp(min(log_evidence - log_threshold, 700.0))


def rollback_multiple(one: Evidence, decision: Decision) -> float:
    """Return a row's weighted evidence for rollback as a share of what is needed."""
    weighted = weighted_log_evidence(one.log_rollback, one.weight)
    return multiple(weighted, decision.thresholds.log_rollback)


def promotion_multiple(one: Evidence, decision: Decision) -> float:
    """Return a row's evidence for promotion as a share of what is needed."""
    return multiple(one.log_promotion, decision.thresholds.log_promotion)


def limit_text(one: Evidence | FixedSampleFinding) -> str:
    """Return the limit as a policy writes it: `≤ +0.5 pp`."""
    metric = METRICS[one.metric]
    return format_limit(metric, one.limit, one.margin, relative=one.relative, floor=one.floor)


def interval_text(one: Evidence | FixedSampleFinding) -> str:
    """Return where the harm lies, `+0.1 pp to +0.9 pp`; a dash where an end is unbounded."""
    low, high = one.interval
    if low is None or high is None:
        return "–"
    return f"{harm_text(one, low)} to {harm_text(one, high)}"


def sides_text(one: Evidence | FixedSampleFinding) -> str:
    """Return the values of both sides, as far as they are limited."""
    known = [value for value in (one.stable, one.candidate) if value is not None]
    return " → ".join(format_value(one.unit, value) for value in known) or "–"


def harm_text(one: Evidence | FixedSampleFinding, value: float | None) -> str:
    """Return what the limit is about: points, per cent of stable, or the value itself."""
    if value is None:
        return "–"
    if one.limit in ("max", "min") and METRICS[one.metric].kind != "excess":
        return format_value(one.unit, abs(value))
    if one.unit == "share":
        return f"{100 * value:+.2f} pp".replace("-", MINUS)
    if one.relative:
        return f"{100 * value:+.1f} %".replace("-", MINUS)
    return format_value(one.unit, value)


def noise_figures(decision: Decision) -> list[tuple[str, str]]:
    """Return each evaluator, and what it says of stable and its second run, over all of them.

    `helpfulness@1`, `prefers stable's second run in 51 % (95 % interval 47 to 55 %) of 400 pairs`.
    """
    return [
        (str(one.evaluator), _noise_text(one))
        for one in decision.evaluators
        if one.slice == ALL and one.harm is not None
    ]


def _noise_text(one: Evidence) -> str:
    harm = one.harm or 0.0
    low, high = (math.nan if end is None else end for end in one.interval)
    pairs = f"{format_count(one.units)} control pairs"
    if one.metric == QUALITY_PREFERENCE.name:
        share = format_with_interval(format_percent, 0.5 - harm, 0.5 - high, 0.5 - low)
        return f"prefers stable's second run in {share} of {pairs}"
    points = format_with_interval(format_points, -harm, -high, -low)
    return f"scores stable's second run {points} above stable, {pairs}"


def times(value: float) -> str:
    """`0`, `<0.001`, `0.03`, `4.1`, `>1000`."""
    if value > 1_000:
        return ">1000"
    if 0.0 < value < 0.001:
        return "<0.001"
    return f"{value:.0f}" if value == 0 or value >= 10 else f"{value:.2g}"
