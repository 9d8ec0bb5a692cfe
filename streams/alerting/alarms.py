"""Which alarms a decision raises. Pure: the same decision raises the same alarms.

Its labels identify an alarm, so they contain nothing that changes from decision to decision
(counts, sentences), and no pair id: labels are stored and shown for long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from understudy.analyzers.guardrails.formatting import printable
from understudy.analyzers.guardrails.guardrail_titles import guardrail_titles
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.decisions import Alert, AlertKind, Decision

Severity = Literal["critical", "warning"]

ROLLBACK: Final = "UnderstudyRollback"
PAUSED: Final = "UnderstudyPaused"
GUARDRAIL: Final = "UnderstudyGuardrail"
DATA_QUALITY: Final = "UnderstudyDataQuality"
STABLE: Final = "UnderstudyStable"
EVALUATOR: Final = "UnderstudyEvaluator"
MODEL: Final = "UnderstudyModel"
DRIFT: Final = "UnderstudyDrift"
_NAMES: Final[Mapping[AlertKind, tuple[str, str]]] = {
    "guardrail": (GUARDRAIL, ": "),
    "data_quality": (DATA_QUALITY, ": data quality, "),
    "stable": (STABLE, ": stable, "),
    "evaluator": (EVALUATOR, ": evaluator, "),
    "model": (MODEL, ": model, "),
}
"""Kind of an alert to the alarm's name, and how its summary begins."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A problem of a rollout; it fires for as long as the decisions say so."""

    name: str
    severity: Severity
    rollout_id: str
    guardrail: str
    """Name of a guardrail, a limit of data quality, an evaluator or a side; else empty."""
    slice: str
    summary: str
    description: str
    since: dt.datetime

    @property
    def labels(self) -> dict[str, str]:
        """What identifies this alarm; the same for as long as it fires."""
        labels = {
            "alertname": self.name,
            "rollout_id": self.rollout_id,
            "guardrail": self.guardrail,
            "slice": self.slice,
            "severity": self.severity,
        }
        return {name: printable(value) for name, value in labels.items() if value}

    @property
    def key(self) -> frozenset[tuple[str, str]]:
        """The labels as a key for look-ups."""
        return frozenset(self.labels.items())


def alarms_of(decision: Decision) -> tuple[Alarm, ...]:
    """All alarms of a decision, the most severe first."""
    alarms = []
    reasons = "; ".join(decision.reasons)
    if decision.verdict == "rollback" or decision.is_latched:
        alarms.append(_alarm(decision, ROLLBACK, " is rolled back", reasons,
                             severity="critical", since=decision.since))  # fmt: skip
    if decision.is_paused:
        alarms.append(_alarm(decision, PAUSED, " is paused", reasons))
    for alert in decision.alerts:
        name, about = _NAMES[alert.kind]
        slice_name = alert.slice if alert.kind == "guardrail" else ""
        summary = f"{about}{_title(alert, decision)}"
        summary += f" in {slice_title(slice_name)}" if slice_name else ""
        alarms.append(_alarm(decision, name, summary, alert.sentence,
                             guardrail=alert.name, slice_name=slice_name))  # fmt: skip
    return tuple(alarms)


def _title(alert: Alert, decision: Decision) -> str:
    """What an alert is about, in words; an evaluator and a side are called as they are."""
    match alert.kind:
        case "guardrail" | "stable":
            return guardrail_titles([alert.name], decision.evidence)[0]
        case "data_quality":
            return alert.name.replace("_", " ")
    return alert.name


def _alarm(
    decision: Decision,
    name: str,
    summary: str,
    description: str,
    *,
    severity: Severity = "warning",
    guardrail: str = "",
    slice_name: str = "",
    since: dt.datetime | None = None,
) -> Alarm:
    return Alarm(
        name=name,
        severity=severity,
        rollout_id=decision.rollout_id,
        guardrail=guardrail,
        slice=slice_name,
        summary=printable(f"Rollout {decision.rollout_id}{summary}"),
        description=printable(description),
        since=since or decision.decided_at,
    )
