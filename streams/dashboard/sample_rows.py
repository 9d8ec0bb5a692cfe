"""What a report shows of each guardrail of a fixed sample: two files, judged once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
    sides_text,
)
from understudy.analyzers.guardrails.formatting import format_count, format_number
from understudy.analyzers.guardrails.guardrail_titles import as_heading, guardrail_title
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.fixed_sample import FixedSampleFinding
from understudy.streams.dashboard.evidence_rows import FindingRow, finding_of
from understudy.streams.dashboard.interval_bars import interval_bar


@dataclass(frozen=True, slots=True)
class SampleRow(FindingRow):
    """A row about a fixed sample."""

    cases: str
    p_harm: str


def sample_rows(findings: Sequence[FixedSampleFinding]) -> list[SampleRow]:
    """Return findings as rows, in their order."""
    return [_row(one) for one in findings]


def _row(one: FixedSampleFinding) -> SampleRow:
    return SampleRow(
        guardrail=one.guardrail,
        title=as_heading(guardrail_title(one.guardrail, one.metric)),
        slice_title=slice_title(one.slice),
        action=one.action,
        limit=limit_text(one),
        cases=format_count(one.cases),
        sides=sides_text(one),
        harm=harm_text(one, one.harm),
        interval=interval_text(one),
        finding=finding_of(one),
        p_harm=_p_value(one.p_harm),
        is_required=one.required,
        note=one.note or _needed(one),
        bar=interval_bar(one),
    )


def _p_value(p: float) -> str:
    return "<0.0001" if p < 1e-4 else format_number(p, 2)


def _needed(one: FixedSampleFinding) -> str:
    """How many cases would do, where these do not."""
    if one.status != "open" or one.cases_needed is None:
        return ""
    return f"models that are alike would pass in {format_count(one.cases_needed)} cases"
