"""What a page shows of each piece of evidence: its figures, and how far it tells. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
    promotion_multiple,
    rollback_multiple,
    sides_text,
    times,
)
from understudy.analyzers.guardrails.formatting import format_count
from understudy.analyzers.guardrails.guardrail_titles import as_heading, guardrail_title
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.fixed_sample import FixedSampleFinding
from understudy.schemas.rollout_metrics import METRICS
from understudy.streams.dashboard.interval_bars import IntervalBar, interval_bar


class Finding(StrEnum):
    """How far evidence tells, the worst first."""

    BREACH = "breach"
    BEYOND = "beyond"
    WORSE = "worse"
    UNCLEAR = "unclear"
    WITHIN = "within"
    BETTER = "better"
    UNMEASURED = "unmeasured"

    @property
    def rank(self) -> int:
        """Lower is worse."""
        return tuple(Finding).index(self)

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is worse than stable, or beyond its limit."""
        return self in (Finding.BREACH, Finding.BEYOND, Finding.WORSE)


WORDS: Final = {
    Finding.BREACH: "harm beyond the limit is shown",
    Finding.BEYOND: "beyond the limit, by its 95 % interval",
    Finding.WORSE: "worse than stable, by its 95 % interval",
    Finding.UNCLEAR: "too small to tell",
    Finding.WITHIN: "within the limit",
    Finding.BETTER: "better than stable, by its 95 % interval",
    Finding.UNMEASURED: "not measured",
}
"""In words, since colour alone tells nobody who cannot see it."""
SIGNS: Final = {
    Finding.BREACH: "✕",
    Finding.BEYOND: "▲",
    Finding.WORSE: "△",
    Finding.UNCLEAR: "·",
    Finding.WITHIN: "✓",
    Finding.BETTER: "▽",
    Finding.UNMEASURED: "–",
}
KEY: Final = [(SIGNS[finding], words) for finding, words in WORDS.items()]
"""What the signs mean."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """What was found about a guardrail in a slice, ready to be shown."""

    guardrail: str
    """As its policy names it."""
    title: str
    slice_title: str
    action: str
    limit: str
    sides: str
    harm: str
    interval: str
    finding: Finding
    is_required: bool
    note: str
    bar: IntervalBar | None

    @property
    def words(self) -> str:
        """The finding in words."""
        return WORDS[self.finding]

    @property
    def sign(self) -> str:
        """The finding as one character."""
        return SIGNS[self.finding]


@dataclass(frozen=True, slots=True)
class EvidenceRow(FindingRow):
    """A row about a rollout."""

    slice: str
    units: str
    unit_count: int
    rollback: str
    rollback_multiple: float
    promotion: str
    promotion_multiple: float


def evidence_rows(decision: Decision, evidence: Sequence[Evidence]) -> list[EvidenceRow]:
    """Return evidence as rows, in its order."""
    return [_row(one, decision) for one in evidence]


def worst_evidence(decision: Decision) -> Evidence | None:
    """Return what speaks most for a rollback: a breach before all else; None without any."""
    known = [one for one in decision.evidence if one.harm is not None]
    return max(
        known,
        key=lambda one: (one.status == "breach", rollback_multiple(one, decision)),
        default=None,
    )


def finding_of(one: Evidence | FixedSampleFinding) -> Finding:
    """Return how far a piece of evidence tells.

    The interval of a rollout holds at all looks together, so what it excludes is certain; that of a
    fixed sample holds at the one look there is.
    """
    low, high = one.interval
    if one.status == "breach":
        return Finding.BREACH
    if one.harm is None:
        return Finding.UNMEASURED
    if low is not None and low > one.harm_margin:
        return Finding.BEYOND
    is_difference = _is_difference(one)
    if is_difference and low is not None and low > 0:
        return Finding.WORSE
    if is_difference and high is not None and high < 0:
        return Finding.BETTER
    is_within = high is not None and high < one.harm_margin
    return Finding.WITHIN if is_within or one.status == "pass" else Finding.UNCLEAR


def _is_difference(one: Evidence | FixedSampleFinding) -> bool:
    """Return whether a harm of 0 means that the sides are alike.

    Of multiples of a rate and of quantiles it means that the candidate is at its limit.
    """
    is_multiple = one.relative and one.unit == "share"
    is_quantile = METRICS[one.metric].kind == "quantile"
    return one.limit in ("max_increase", "max_drop") and not (is_multiple or is_quantile)


def _row(one: Evidence, decision: Decision) -> EvidenceRow:
    rollback, promotion = rollback_multiple(one, decision), promotion_multiple(one, decision)
    return EvidenceRow(
        guardrail=one.guardrail,
        title=as_heading(guardrail_title(one.guardrail, one.metric)),
        slice=one.slice,
        slice_title=slice_title(one.slice),
        action=one.action,
        limit=limit_text(one),
        units=format_count(one.units),
        unit_count=one.units,
        sides=sides_text(one),
        harm=harm_text(one, one.harm),
        interval=interval_text(one),
        finding=finding_of(one),
        rollback=times(rollback),
        rollback_multiple=rollback,
        promotion=times(promotion),
        promotion_multiple=promotion,
        is_required=one.required,
        note=one.note,
        bar=interval_bar(one),
    )
