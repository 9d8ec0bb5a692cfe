"""Which alarms a decision raises. Pure: the same decision raises the same alarms.

Its labels identify an alarm, so they contain nothing that changes from decision to decision
(counts, sentences), and no pair id: labels are stored and shown for long.
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
    """A problem of a rollout; it fires for as long as the decisions say so."""

    name: str
    severity: Severity
    rollout_id: str
    guardrail: str
    """Name of a guardrail or of a limit of data quality; else empty."""
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
    # A decision's alerts are about guardrails first, the weightiest first, then data quality.
    breaches = decision.quality.breaches
    first_breach = len(decision.alerts) - len(breaches)
    for place, evidence in enumerate(_alarming(decision)):
        sentence = _sentence(decision, place if place < first_breach else -1)
        summary = f": {evidence.guardrail} in {evidence.slice}"
        alarms.append(_alarm(decision, GUARDRAIL, summary, sentence,
                             guardrail=evidence.guardrail, slice_name=evidence.slice))  # fmt: skip
    for place, breach in enumerate(breaches, first_breach):
        sentence = _sentence(decision, place)
        alarms.append(_alarm(decision, DATA_QUALITY, f": data quality, {breach}", sentence,
                             guardrail=breach))  # fmt: skip
    return tuple(alarms)


def _sentence(decision: Decision, place: int) -> str:
    """One of the decision's alerts; all of them where it does not say which."""
    return decision.alerts[place] if place >= 0 else "; ".join(decision.alerts)


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


def _alarming(decision: Decision) -> list[Evidence]:
    """The evidence of alerting guardrails, if together past the threshold; weightiest first."""
    total = decision.log_evidence.get("alert")
    if total is None or total < decision.thresholds.log_rollback:
        return []
    of_action = [one for one in decision.evidence if one.action == "alert"]
    return weightiest(of_action, lambda one: weighted_log_evidence(one.log_rollback, one.weight))
