"""Which alarms a decision raises."""

from __future__ import annotations

import msgspec

from tests.streams.alerting.samples import ROLLOUT, decision, evidence
from understudy.schemas.decisions import Alert
from understudy.streams.alerting.alarms import alarms_of


def test_labels_are_the_same_from_decision_to_decision() -> None:
    first, second = decision("rollback"), decision("rollback", minute=9)
    assert [a.key for a in alarms_of(first)] == [a.key for a in alarms_of(second)]


def test_each_alert_is_an_alarm_with_its_own_sentence() -> None:
    """However many there are; the kind of an alert decides the alarm's name."""
    guardrails = tuple(evidence(guardrail=f"limit_{n}") for n in range(7))
    some = decision(alarming=guardrails, breaches=("late_share",))
    others = [
        Alert(kind="stable", name="json_valid_rate", sentence="stable's JSON is broken"),
        Alert(kind="model", name="stable", sentence="stable answers with another model"),
    ]
    found = alarms_of(msgspec.structs.replace(some, alerts=[*some.alerts, *others]))
    assert [(one.name, one.guardrail, one.slice, one.description) for one in found] == [
        *(("UnderstudyGuardrail", f"limit_{n}", "language:ja", f"limit_{n} is slow")
          for n in range(7)),
        ("UnderstudyDataQuality", "late_share", "", "late_share is broken"),
        ("UnderstudyStable", "json_valid_rate", "", "stable's JSON is broken"),
        ("UnderstudyModel", "stable", "", "stable answers with another model"),
    ]  # fmt: skip
    assert found[-1].summary == f"Rollout {ROLLOUT}: model, stable"
