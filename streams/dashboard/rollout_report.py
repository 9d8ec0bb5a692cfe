"""Reads what a report on a rollout shows besides its policy and newest decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from understudy.analyzers.guardrails.formatting import format_time
from understudy.analyzers.guardrails.guardrail_titles import missing_titles
from understudy.schemas.api import AnswerQuality, HistoryPage, RolloutStatus
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.clickhouse.captured_pairs import worst_pairs
from understudy.streams.clickhouse.decision_history import END, DecisionHistory
from understudy.streams.clickhouse.evidence_history import EvidencePoint, read_course
from understudy.streams.clickhouse.pair_judgements import Said, read_judgements, said_of
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.traffic_figures import (
    LanguageTraffic,
    Traffic,
    read_languages,
    read_traffic,
)
from understudy.streams.dashboard.answers_page import answers_part
from understudy.streams.dashboard.pair_filter import REPORT_PAIRS, Chosen
from understudy.streams.dashboard.pairs_page import pair_view
from understudy.streams.dashboard.report_page import (
    TEXTS_ARE_CUT,
    ReportPage,
    courses_wanted,
    decision_facts,
    decision_gaps,
    evidence_part,
    headline,
    pairs_wanted,
    traffic_part,
)
from understudy.streams.dashboard.rollout_page import is_frozen, policy_text
from understudy.streams.rollouts.rollout_status import status_of

MAX_DECISIONS: Final = 50
"""That changed something; two pages of paper."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RolloutSource:
    """The rollout, its newest decision, and the span of time to count."""

    record: RolloutRecord
    decision: Decision | None
    since: dt.datetime
    until: dt.datetime
    most_pairs: int = REPORT_PAIRS
    """Captured pairs to show; 0 for none."""


class _Reader:
    """Asks ClickHouse until it fails once, and remembers why: then all questions fail alike."""

    def __init__(self, connection: ReadConnection) -> None:
        self._connection = connection
        self.problem = ""

    def read(self, ask: Callable[[ReadConnection], Result], without: Result) -> Result:
        if self.problem:
            return without
        try:
            return ask(self._connection)
        except (SinkBusy, SinkBroken) as error:
            self.problem = str(error)
            return without


def rollout_report(
    source: RolloutSource, connection: ReadConnection, address: str = ""
) -> ReportPage:
    """Return the report. Where ClickHouse cannot be asked, the report says so itself."""
    record, decision = source.record, source.decision
    rollout_id, span = record.manifest.rollout_id, (source.since, source.until)
    reader = _Reader(connection)
    courses = _courses(reader, source)
    found: Traffic | None = reader.read(lambda c: read_traffic(c, rollout_id, *span), None)
    none: list[LanguageTraffic] = []
    languages = reader.read(lambda c: read_languages(c, rollout_id, *span), none)
    judged = reader.read(
        lambda c: read_answer_quality(c, rollout_id, *span).evaluators, list[AnswerQuality]()
    )
    history = reader.read(
        lambda c: DecisionHistory(c).page(rollout_id, END, MAX_DECISIONS),
        HistoryPage(decisions=[], next_before=None),
    )
    problem = reader.problem
    pairs = _pairs(reader, source)
    said: Said = reader.read(lambda c: read_judgements(c, pairs), {})
    status = status_of(record, decision)
    first, last = (found.since, min(found.until, source.until)) if found else span
    counted = f"from {format_time(to_epoch_ms(first))} until {format_time(to_epoch_ms(last))}"
    models = record.manifest.models
    return ReportPage(
        title=rollout_id,
        verdict=status.verdict,
        headline=headline(status.verdict),
        facts=[
            ("Stable", models.stable), ("Candidate", models.candidate),
            *(decision_facts(decision) if decision else []),
        ],
        reasons=status.reasons,
        reasons_of=status.since if is_frozen(status) else None,
        alerts=status.alerts,
        missing=missing_titles(decision.missing, decision.evidence)
        if decision and status.verdict != "promote" else [],
        evidence=evidence_part(decision, courses) if decision else None,
        traffic=traffic_part(found, languages, counted) if found else None,
        answers=answers_part(judged, decision),
        pairs=[pair_view(pair, said_of(pair, said)) for pair in pairs],
        decisions=history.decisions,
        commands=list(reversed(record.commands)),
        policy=policy_text(record),
        gaps=[
            *_gaps(decision, status, problem, found, is_older=history.next_before is not None),
            *_pair_gaps(source, pairs, "" if problem else reader.problem),
        ],
        address=address,
    )  # fmt: skip


def _courses(reader: _Reader, source: RolloutSource) -> list[tuple[Evidence, list[EvidencePoint]]]:
    decision = source.decision
    if decision is None:
        return []
    none: list[EvidencePoint] = []
    read = partial(read_course, decision=decision, since=source.since)
    return [(one, reader.read(partial(read, one=one), none)) for one in courses_wanted(decision)]


def _gaps(
    decision: Decision | None, status: RolloutStatus, problem: str, traffic: Traffic | None,
    *, is_older: bool,
) -> list[str]:  # fmt: skip
    gaps = ["No decision has been made yet: there is no evidence."] if decision is None else []
    if decision is not None:
        gaps += decision_gaps(decision)
        if status.is_outdated:
            gaps.append("The newest decision was made under an earlier policy than the one below.")
    if problem:
        gaps.append(
            "ClickHouse could not be asked, so the course of the evidence, what was counted on "
            f"both sides, and earlier decisions are missing: {problem}."
        )
    elif traffic is None or not traffic.rows:
        gaps.append("ClickHouse has no windows of this span of time: nothing was counted.")
    if is_older:
        gaps.append(f"Only the newest {MAX_DECISIONS} decisions are listed.")
    return gaps


def _pairs(reader: _Reader, source: RolloutSource) -> list[CapturedPair]:
    """Pairs that show what the worst evidence found; where none does, the worst of all."""
    rollout_id, span = source.record.manifest.rollout_id, (source.since, source.until)
    none: list[CapturedPair] = []

    def read(connection: ReadConnection, chosen: Chosen) -> list[CapturedPair]:
        return worst_pairs(
            connection, rollout_id, language=chosen.language, workflow=chosen.workflow,
            kind=chosen.kind, since=span[0], until=span[1], limit=source.most_pairs,
        )  # fmt: skip

    for chosen in pairs_wanted(source.decision) if source.most_pairs else []:
        if found := reader.read(partial(read, chosen=chosen), none):
            return found
    return []


def _pair_gaps(source: RolloutSource, pairs: Sequence[CapturedPair], problem: str) -> list[str]:
    """What to say of answers: why there are none, or of what they are."""
    if pairs and problem:
        return [TEXTS_ARE_CUT, f"What evaluators said of them could not be read: {problem}."]
    if pairs:
        return [TEXTS_ARE_CUT]
    if source.record.manifest.capture == "none":
        return ["What the models answered is not in this report: the policy captures no pairs."]
    if problem:
        return [f"Captured pairs could not be read: {problem}."]
    if not source.most_pairs:
        return ["Captured pairs were left out of this report."]
    return ["No pair was captured in this span of time, so no answers are shown."]
