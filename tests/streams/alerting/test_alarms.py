"""Which alarms a decision raises."""

from __future__ import annotations

import msgspec

from tests.streams.alerting.samples import decision, evidence
from understudy.streams.alerting.alarms import alarms_of


def test_labels_are_the_same_from_decision_to_decision() -> None:
    first, second = decision("rollback"), decision("rollback", minute=9)
    assert [a.key for a in alarms_of(first)] == [a.key for a in alarms_of(second)]


def test_only_evidence_that_alarms_together_is_named() -> None:
    strong, weak = evidence(log=6.0), evidence(slice_name="language:en", log=1.0)
    assert [a.slice for a in alarms_of(decision(alarming=(strong, weak)))] == ["language:ja"]
    quiet = msgspec.structs.replace(decision(alarming=(strong,)), log_evidence={"alert": 2.0})
    assert alarms_of(quiet) == ()
