"""Which alarms a decision raises. Pure: the same decision gives the same alarms.

An alarm is told from others by its labels, so what changes from decision to decision (counts,
sentences) never stands there, and neither does a pair id: labels are kept and shown for long.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from understudy.analyzers.guardrails.formatting import printable
from understudy.analyzers.sequential.weights import weighted_log_evidence, weightiest
from understudy.schemas.decisions import Decision, Evidence

Severity = Literal["critical", "warning"]

ROLLBACK: Final = "UnderstudyRollback"
PAUSED: Final = "UnderstudyPaused"
GUARDRAIL: Final = "UnderstudyGuardrail"
DATA_QUALITY: Final = "UnderstudyDataQuality"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong with a rollout for as long as its decisions say so."""

    name: str
    severity: Severity
    rollout_id: str
    guardrail: str
    """Of a guardrail, or of a limit of data quality; else empty."""
    slice: str
    summary: str
    description: str
    since: dt.datetime

    @property
    def labels(self) -> dict[str, str]:
        """What tells this alarm from others; the same for as long as it lasts."""
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
        """The labels, to look up."""
        return frozenset(self.labels.items())


def alarms_of(decision: Decision) -> tuple[Alarm, ...]:
    """All alarms of a decision, the gravest first."""
    alarms = []
    if decision.verdict == "rollback" or decision.is_latched:
        alarms.append(_of_rollout(decision, ROLLBACK, "critical", "is rolled back", decision.since))
    if decision.is_paused:
        alarms.append(_of_rollout(decision, PAUSED, "warning", "is paused", decision.decided_at))
    # A decision's alerts tell of its guardrails first, weightiest first, then of data quality.
    breaches = decision.quality.breaches
    first_breach = len(decision.alerts) - len(breaches)
    for place, evidence in enumerate(_alarming(decision)):
        words = _words(decision, place if place < first_breach else -1)
        alarms.append(_of_guardrail(decision, evidence, words))
    for place, breach in enumerate(breaches, first_breach):
        alarms.append(_of_quality(decision, breach, _words(decision, place)))
    return tuple(alarms)


def _words(decision: Decision, place: int) -> str:
    """One of the decision's alerts; all of them where it does not say which."""
    return decision.alerts[place] if place >= 0 else "; ".join(decision.alerts)


def _of_rollout(
    decision: Decision, name: str, severity: Severity, what: str, since: dt.datetime
) -> Alarm:
    return Alarm(
        name=name,
        severity=severity,
        rollout_id=decision.rollout_id,
        guardrail="",
        slice="",
        summary=f"Rollout {printable(decision.rollout_id)} {what}",
        description=printable("; ".join(decision.reasons)),
        since=since,
    )


def _of_guardrail(decision: Decision, evidence: Evidence, words: str) -> Alarm:
    where = printable(evidence.slice)
    return Alarm(
        name=GUARDRAIL,
        severity="warning",
        rollout_id=decision.rollout_id,
        guardrail=evidence.guardrail,
        slice=evidence.slice,
        summary=f"Rollout {printable(decision.rollout_id)}: "
        f"{printable(evidence.guardrail)} in {where}",
        description=printable(words),
        since=decision.decided_at,
    )


def _of_quality(decision: Decision, breach: str, words: str) -> Alarm:
    return Alarm(
        name=DATA_QUALITY,
        severity="warning",
        rollout_id=decision.rollout_id,
        guardrail=breach,
        slice="",
        summary=f"Rollout {printable(decision.rollout_id)}: data quality, {breach}",
        description=printable(words),
        since=decision.decided_at,
    )


def _alarming(decision: Decision) -> list[Evidence]:
    """What the guardrails that alert are alarmed by, together past the bar; weightiest first."""
    total = decision.log_evidence.get("alert")
    if total is None or total < decision.thresholds.log_rollback:
        return []
    of_action = [one for one in decision.evidence if one.action == "alert"]
    return weightiest(of_action, lambda one: weighted_log_evidence(one.log_rollback, one.weight))
