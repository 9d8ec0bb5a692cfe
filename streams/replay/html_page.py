"""What a report on recorded events, or on two recorded runs, holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from understudy.analyzers.guardrails.formatting import format_count, format_percent
from understudy.analyzers.guardrails.guardrail_titles import (
    as_heading,
    missing_titles,
    slice_titles,
)
from understudy.schemas.adapters.cases import Case
from understudy.schemas.decisions import Decision
from understudy.schemas.fixed_sample import FixedSampleVerdict
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.dashboard.pairs_page import pair_view
from understudy.streams.dashboard.recorded_traffic import recorded_languages, recorded_traffic
from understudy.streams.dashboard.report_page import (
    TEXTS_ARE_CUT,
    ReportPage,
    TrafficPart,
    decision_facts,
    decision_gaps,
    evidence_part,
    headline,
    pairs_wanted,
    sample_pairs_wanted,
    sample_part,
    traffic_part,
)
from understudy.streams.replay.report import ReportSums
from understudy.streams.replay.report_pairs import ReportPairs

NOT_SHOWN: Final = "What the models answered is not in this report: --pairs 0 left it out."
NONE_WORSE: Final = "No answers are shown: in no pair is the candidate's worse than stable's."


def replay_page(
    sums: ReportSums,
    files: Sequence[str],
    decision: Decision | None,
    policy: str,
    pairs: ReportPairs | None = None,
    most_pairs: int = 0,
) -> ReportPage:
    """Return the report on a recording; without a policy there is no verdict in it."""
    shown = pairs.worst(pairs_wanted(decision), most_pairs) if pairs else []
    if decision is None:
        gaps = ["Nothing was judged: no --policy was given."]
    else:
        gaps = decision_gaps(decision)
    return ReportPage(
        title=decision.rollout_id if decision else ", ".join(sums.rollouts()) or "no rollout",
        verdict=decision.verdict if decision else "",
        headline=headline(decision.verdict) if decision else "Compared, and not judged.",
        facts=[("Recorded in", ", ".join(files)), *(decision_facts(decision) if decision else [])],
        reasons=decision.reasons if decision else [],
        alerts=[alert.sentence for alert in decision.alerts] if decision else [],
        missing=missing_titles(decision.missing, decision.evidence)
        if decision and decision.verdict == "hold"
        else [],
        evidence=evidence_part(decision) if decision else None,
        traffic=_traffic(sums),
        pairs=[pair_view(pair) for pair in shown],
        policy=policy,
        gaps=[*gaps, *_pairs_gaps(shown, pairs)],
    )


def comparison_page(
    sums: ReportSums,
    verdict: FixedSampleVerdict,
    policy: str,
    *,
    title: str,
    read: Sequence[tuple[str, str]],
    notes: Sequence[str],
    examples: Mapping[str, Sequence[Case]],
    unjudged: Sequence[str],
    pairs: ReportPairs | None = None,
    most_pairs: int = 0,
) -> ReportPage:
    """Return the report on two recorded runs. `read` says what was read, as title and text."""
    rows, left = sample_part(verdict)
    shown = pairs.worst(sample_pairs_wanted(verdict), most_pairs) if pairs else []
    more = [f"{format_count(left)} more slices without a finding are not listed; --json has all."]
    return ReportPage(
        title=title,
        verdict=verdict.verdict,
        headline=_HEADLINES[verdict.verdict],
        facts=[*read, ("Cases", _cases(verdict)), ("Policy", verdict.policy_hash[:16])],
        reasons=verdict.reasons,
        alerts=verdict.alerts,
        missing=[],
        notes=list(notes),
        sample=rows,
        sample_method=_method(verdict),
        examples=[
            (as_heading(*slice_titles([name], verdict.findings)), _places(cases))
            for name, cases in examples.items()
        ],
        traffic=_traffic(sums),
        pairs=[pair_view(pair, is_timed=False) for pair in shown],
        policy=policy,
        gaps=[*unjudged, *(more if left else []), *_pairs_gaps(shown, pairs)],
    )


_HEADLINES: Final = {
    "rollback": "The candidate is worse than the policy tolerates.",
    "hold": "These cases suffice neither to reject the candidate nor to accept it.",
    "promote": "All that the policy requires is shown to be within its limits.",
}


def _pairs_gaps(shown: Sequence[CapturedPair], pairs: ReportPairs | None) -> Iterator[str]:
    if pairs is None:
        yield NOT_SHOWN
        return
    if pairs.not_redacted:
        some = format_count(pairs.not_redacted)
        yield f"Pairs that are not shown, since their texts could not be redacted: {some}."
    if shown:
        yield TEXTS_ARE_CUT
    elif not pairs.not_redacted:
        yield NONE_WORSE


def _traffic(sums: ReportSums) -> TrafficPart | None:
    of_language = sums.languages()
    return traffic_part(
        recorded_traffic(sums.whole()), recorded_languages(of_language), "over all that was read"
    )


def _cases(verdict: FixedSampleVerdict) -> str:
    count = format_count(verdict.cases)
    if verdict.units == verdict.cases:
        return count
    return f"{count}, in {format_count(verdict.units)} conversations"


def _method(verdict: FixedSampleVerdict) -> str:
    return (
        f"One look at a fixed number of cases, by exact tests of harm beyond the limit: of "
        f"candidates that are within all limits at most {format_percent(verdict.false_rollback)} "
        "are rejected, and of those beyond a limit at most "
        f"{format_percent(verdict.false_promotion)} are accepted. Live requests are judged "
        "otherwise, by tests that stay valid however often one looks."
    )


def _places(cases: Sequence[Case]) -> str:
    """Ids with the place of candidate's record, or stable's where there is no other."""
    found = [(case.id, case.candidate or case.stable) for case in cases]
    return ", ".join(f"{name} ({one.place})" for name, one in found if one is not None)
