"""What a changed policy would have decided on the windows that are stored. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.formatting import format_count, format_duration
from understudy.schemas.decisions import Decision
from understudy.streams.dashboard.evidence_rows import EvidenceRow, evidence_rows
from understudy.streams.dashboard.rollout_page import all_requests, worse_slices

MAX_DECISIONS: Final = 50
"""More than a policy makes of a week: it changes its mind rarely."""


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """What a policy made of stored windows."""

    decisions: Sequence[Decision]
    """Those that change something, in order."""
    outcome: Decision
    """As of the last window."""
    rows: int
    """Of windows."""
    open_rows: int
    """Rows that had not closed when they were read."""


@dataclass(frozen=True, slots=True)
class TrialStep:
    """One decision that would have been made."""

    at: dt.datetime
    after: str
    """Since the first one."""
    verdict: str
    stage: str
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class BacktestPage:
    """The result of a backtest."""

    verdict: str
    summary: str
    steps: list[TrialStep]
    together: list[EvidenceRow]
    slices: list[EvidenceRow]
    notes: list[str]


def backtest_page(trial: StoredTrial) -> BacktestPage:
    """Return what the page shows."""
    first = trial.decisions[0].decided_at if trial.decisions else trial.outcome.decided_at
    shown = trial.decisions[:MAX_DECISIONS]
    rows = evidence_rows(trial.outcome, trial.outcome.evidence)
    return BacktestPage(
        verdict=trial.outcome.verdict,
        summary=_summary(trial, first),
        steps=[_step(one, first) for one in shown],
        together=all_requests(rows),
        slices=worse_slices(rows),
        notes=_notes(trial, len(trial.decisions) - len(shown)),
    )


def _summary(trial: StoredTrial, first: dt.datetime) -> str:
    last = next((one for one in trial.decisions if one.verdict == trial.outcome.verdict), None)
    after = "" if last is None else f" after {format_duration(_seconds(last, first))}"
    match trial.outcome.verdict:
        case "rollback":
            return f"It would have rolled the candidate back{after}."
        case "promote":
            return f"It would have promoted the candidate{after}."
        case _:
            return "It would have decided nothing yet."


def _step(decision: Decision, first: dt.datetime) -> TrialStep:
    alerts = [f"alert: {alert.sentence}" for alert in decision.alerts]
    return TrialStep(
        at=decision.decided_at,
        after=format_duration(_seconds(decision, first)),
        verdict=decision.verdict,
        stage=decision.stage.stage.name,
        sentences=[*decision.reasons, *alerts],
    )


def _seconds(decision: Decision, first: dt.datetime) -> float:
    return (decision.decided_at - first).total_seconds()


def _notes(trial: StoredTrial, left: int) -> list[str]:
    notes = [
        f"{format_count(trial.rows)} window rows were judged. Each window counted as complete when "
        "it ended, so a worker may decide later than this."
    ]
    if trial.open_rows:
        notes.append(f"{format_count(trial.open_rows)} of them had not closed yet.")
    if left > 0:
        notes.append(f"{format_count(left)} later decisions are not listed.")
    return notes
