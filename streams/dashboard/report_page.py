"""What a report holds: one file about a rollout, or about two recorded runs. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_percent,
    format_time,
)
from understudy.analyzers.guardrails.guardrail_titles import (
    as_heading,
    guardrail_title,
    guardrail_titles,
    slice_titles,
)
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.schemas.api import PastDecision
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.fixed_sample import FixedSampleVerdict
from understudy.schemas.rollout_records import Command
from understudy.streams.clickhouse.evidence_history import EvidencePoint
from understudy.streams.clickhouse.traffic_figures import LanguageTraffic, Traffic
from understudy.streams.dashboard.answers_page import EvaluatorPart
from understudy.streams.dashboard.drawn_charts import DrawnChart, drawn
from understudy.streams.dashboard.evidence_page import evidence_page
from understudy.streams.dashboard.evidence_rows import (
    EvidenceRow,
    Finding,
    evidence_rows,
    finding_of,
    worst_evidence,
)
from understudy.streams.dashboard.heat_map import HeatMap, heat_map
from understudy.streams.dashboard.language_table import LanguageTable, language_table
from understudy.streams.dashboard.pair_filter import Chosen, chosen_of
from understudy.streams.dashboard.pairs_page import PairView
from understudy.streams.dashboard.rollout_page import all_requests, data_quality, worse_slices
from understudy.streams.dashboard.sample_rows import SampleRow, sample_rows
from understudy.streams.dashboard.traffic_page import TrafficPage, traffic_page

MAX_COURSES: Final = 4
"""Guardrails whose course is drawn, the worst first: two pages of charts."""
MAX_BY_LANGUAGE: Final = 6
"""Guardrails that have a table of all their languages, the worst first."""
HEAT_COLUMNS: Final = 9
"""Languages side by side on a sheet of paper; more go below."""
_HEADLINES: Final = {
    "rollback": "Rolled back: gateways send the candidate nothing.",
    "hold": "Held: the evidence suffices neither to roll back nor to promote.",
    "promote": "To be promoted: all that the policy requires is shown to be within its limits.",
    "waiting": "No decision yet.",
}


@dataclass(frozen=True, slots=True)
class Course:
    """How the evidence of one guardrail in one slice grew."""

    title: str
    charts: list[DrawnChart]


@dataclass(frozen=True, slots=True)
class EvidencePart:
    """What a decision rests on."""

    together: list[EvidenceRow]
    slices: list[EvidenceRow]
    heat: list[HeatMap]
    """In parts that fit a sheet side by side."""
    by_language: list[tuple[str, list[EvidenceRow]]]
    """Guardrails that are worse in some language, with all their languages."""
    courses: list[Course]
    quality: list[tuple[str, str]]
    method: str


@dataclass(frozen=True, slots=True)
class TrafficPart:
    """What was counted, in words of when."""

    span: str
    page: TrafficPage
    charts: list[DrawnChart]
    languages: LanguageTable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """A report. Parts that are None or empty are left out."""

    title: str
    verdict: str
    """Empty where nothing was judged."""
    headline: str
    facts: list[tuple[str, str]]
    reasons: list[str]
    alerts: list[str]
    reasons_of: dt.datetime | None = None
    """When the reasons were, where the evidence is newer: a rollback keeps its own."""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What became of records that are no simple case."""
    evidence: EvidencePart | None = None
    sample: list[SampleRow] = field(default_factory=list)
    sample_method: str = ""
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Of two files: what is broken, and where to look."""
    traffic: TrafficPart | None = None
    answers: list[EvaluatorPart] = field(default_factory=list)
    """What evaluators said in the span of time."""
    pairs: list[PairView] = field(default_factory=list)
    """The worst captured ones."""
    decisions: list[PastDecision] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    policy: str = ""
    gaps: list[str] = field(default_factory=list)
    """What this report does not tell, a sentence each."""
    address: str = ""
    """Of the rollout's page on a dashboard; empty where there is none."""


TEXTS_ARE_CUT: Final = "Texts of pairs are redacted and cut; names of people may be left in them."


def headline(verdict: str) -> str:
    """Return what a verdict means."""
    return _HEADLINES[verdict]


def courses_wanted(decision: Decision) -> list[Evidence]:
    """Return the evidence whose course is worth drawing, the worst first.

    Where nothing is worse, it is what promotion waits for longest.
    """
    worse = [one for one in decision.evidence if finding_of(one).is_worse]
    if worse:
        return sorted(worse, key=lambda one: (finding_of(one).rank, -one.units))[:MAX_COURSES]
    required = [one for one in decision.evidence if one.required and one.harm is not None]
    return sorted(required, key=lambda one: one.log_promotion)[:1]


def pairs_wanted(decision: Decision | None) -> list[Chosen]:
    """Return which pairs to show: those of the worst evidence; where there are none, any."""
    worst = worst_evidence(decision) if decision else None
    return [Chosen()] if worst is None else [chosen_of(worst.metric, worst.slice), Chosen()]


def sample_pairs_wanted(verdict: FixedSampleVerdict) -> list[Chosen]:
    """Return the same of a fixed sample: those of its worst finding."""
    worse = [one for one in verdict.findings if finding_of(one).is_worse]
    worst = min(worse, key=lambda one: finding_of(one).rank, default=None)
    return [Chosen()] if worst is None else [chosen_of(worst.metric, worst.slice), Chosen()]


def evidence_part(
    decision: Decision, courses: Sequence[tuple[Evidence, Sequence[EvidencePoint]]] = ()
) -> EvidencePart:
    """Return what a decision rests on. `courses` are pieces of evidence with their past."""
    rows = evidence_rows(decision, decision.evidence)
    heat = heat_map(rows)
    return EvidencePart(
        together=all_requests(rows),
        slices=worse_slices(rows),
        heat=heat.parts(HEAT_COLUMNS) if heat.is_worth_showing else [],
        by_language=_by_language(decision),
        courses=[found for one, points in courses if (found := _course(decision, one, points))],
        quality=data_quality(decision),
        method=_method(decision),
    )


def traffic_part(
    traffic: Traffic, languages: Sequence[LanguageTraffic], span: str
) -> TrafficPart | None:
    """Return what was counted; None where nothing was."""
    if not traffic.rows:
        return None
    page = traffic_page(traffic)
    table = language_table(languages) if len(languages) > 1 else None
    return TrafficPart(span, page, [drawn(chart) for chart in page.charts], table)


def sample_part(verdict: FixedSampleVerdict) -> tuple[list[SampleRow], int]:
    """Return the findings of a fixed sample, the worst first, and how many say too little.

    Left out are slices in which nothing is found; over all cases together each is shown.
    """
    measured = [one for one in verdict.findings if one.cases or one.status == "breach"]
    shown = [one for one in measured if one.slice == ALL or _is_listed(finding_of(one))]
    rows = sorted(sample_rows(shown), key=lambda row: row.finding.rank)
    return rows, len(measured) - len(shown)


def _is_listed(finding: Finding) -> bool:
    return finding.is_worse or finding is Finding.BETTER


def decision_gaps(decision: Decision) -> list[str]:
    """Return what a decision does not tell, a sentence each."""
    gaps, evidence = [], decision.evidence
    if decision.not_measured:
        gaps.append(f"Not measured, since no request says anything about it: "
                    f"{', '.join(guardrail_titles(decision.not_measured, evidence))}.")  # fmt: skip
    is_open = decision.verdict != "rollback"
    if is_open and decision.too_few:
        gaps.append(f"Too few requests to tell: {_slices(decision.too_few, evidence)}.")
    if is_open and decision.point_other_way:
        slices = _slices(decision.point_other_way, evidence)
        gaps.append(f"Beyond the limit, though that may be chance: {slices}.")
    if decision.stage.judged_share < 1.0:
        rest = format_percent(decision.stage.judged_share)
        gaps.append(f"The evidence rests on {rest} of the requests; the others lack a side or "
                    "came late.")  # fmt: skip
    return gaps


def decision_facts(decision: Decision) -> list[tuple[str, str]]:
    """Return what identifies a decision and where it stands."""
    stage = decision.stage
    facts = [
        ("Stage", f"{stage.stage.name} ({stage.stage.mode})"),
        ("Candidate gets", format_percent(decision.candidate_share)),
        ("Requests in closed windows", f"{format_count(stage.requests)}, at least "
         f"{format_count(stage.stage.min_requests)} wanted"),
        ("Decided", format_time(to_epoch_ms(decision.decided_at))),
        ("Policy", decision.policy_hash[:16]),
    ]  # fmt: skip
    if decision.sequence:
        facts.insert(3, ("Decision", f"number {decision.sequence}"))
    if decision.windows_until is not None:
        facts.append(("Windows until", format_time(to_epoch_ms(decision.windows_until))))
    return facts


def _by_language(decision: Decision) -> list[tuple[str, list[EvidenceRow]]]:
    by_guardrail: dict[str, list[Evidence]] = {}
    for one in decision.evidence:
        if one.units and (one.slice == ALL or one.slice.startswith("language:")):
            by_guardrail.setdefault(one.guardrail, []).append(one)
    worst = {
        name: min(map(finding_of, some), key=lambda finding: finding.rank)
        for name, some in by_guardrail.items()
        if len(some) > 1
    }
    names = sorted(
        (name for name, finding in worst.items() if finding.is_worse),
        key=lambda name: worst[name].rank,
    )
    chosen = [sorted(by_guardrail[name], key=_by_size) for name in names[:MAX_BY_LANGUAGE]]
    return [(_title(some[0]), evidence_rows(decision, some)) for some in chosen]


def _title(one: Evidence) -> str:
    return as_heading(guardrail_title(one.guardrail, one.metric))


def _by_size(one: Evidence) -> tuple[bool, int, str]:
    return one.slice != ALL, -one.units, one.slice


def _course(decision: Decision, one: Evidence, points: Sequence[EvidencePoint]) -> Course | None:
    charts = [drawn(chart) for chart in evidence_page(decision, one, points).charts]
    return Course(f"{_title(one)} in {slice_title(one.slice)}", charts) if charts else None


def _method(decision: Decision) -> str:
    limits = decision.thresholds
    return (
        f"Tests stay valid however often one looks: of candidates that are within all limits, at "
        f"most {format_percent(limits.false_rollback)} are ever rolled back, and of those beyond a "
        f"limit at most {format_percent(limits.false_promotion)} are promoted. Intervals hold at "
        "all looks together. Evidence is a multiple of what a verdict takes: a rollback needs the "
        "sum of its rows to reach 1, promotion each required row."
    )


def _slices(names: Sequence[str], evidence: Sequence[Evidence]) -> str:
    """Return `guardrail/slice` names as people read them, the first of many."""
    left = len(names) - _MOST_NAMED
    shown = "; ".join(slice_titles(names[:_MOST_NAMED], evidence))
    return f"{shown}; and {left} more" if left > 0 else shown


_MOST_NAMED: Final = 60
"""Slices in a sentence: a quarter of a page. A rollout of thirty languages has hundreds."""
