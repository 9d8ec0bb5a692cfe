"""What Alertmanager gets, field by field, as its documentation has it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from tests.streams.alerting.samples import (
    AT,
    LINKED,
    LINKS,
    NOW,
    ROLLOUT,
    decision,
    evidence,
    message,
    tombstone,
)
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.decision_message import notified_state_of
from understudy.streams.alerting.receiver import Notification

ALERTMANAGER = Alertmanager("http://alertmanager:9093/", 60.0, LINKS)


def alerts(notification: Notification | None) -> list[dict[str, Any]]:
    assert notification is not None
    decoded: list[dict[str, Any]] = json.loads(notification.body)
    return decoded


def test_a_rollback_is_an_alert_of_api_v2() -> None:
    notification = ALERTMANAGER.notification(None, message(decision("rollback")), NOW)
    assert notification is not None
    assert notification.url == "http://alertmanager:9093/api/v2/alerts"
    assert notification.headers == {"Content-Type": "application/json"}
    assert alerts(notification) == [
        {
            "labels": {
                "alertname": "UnderstudyRollback",
                "rollout_id": ROLLOUT,
                "severity": "critical",
            },
            "annotations": {
                "summary": f"Rollout {ROLLOUT} is rolled back",
                "description": "JSON validity in `ja` fell 9.1 points <!channel>",
                "dashboard": LINKED,
            },
            "startsAt": "2026-03-02T12:00:00Z",
            "endsAt": "2026-03-02T12:08:00Z",
            "generatorURL": LINKED,
        }
    ]


def test_every_kind_of_alarm_has_its_labels() -> None:
    some = decision(paused=True, alarming=(evidence(),), breaches=("sample_ratio",))
    got = alerts(ALERTMANAGER.notification(None, message(some), NOW))
    assert [alert["labels"] for alert in got] == [
        {"alertname": "UnderstudyPaused", "rollout_id": ROLLOUT, "severity": "warning"},
        {
            "alertname": "UnderstudyGuardrail",
            "rollout_id": ROLLOUT,
            "guardrail": "duration_p95",
            "slice": "language:ja",
            "severity": "warning",
        },
        {
            "alertname": "UnderstudyDataQuality",
            "rollout_id": ROLLOUT,
            "guardrail": "sample_ratio",
            "severity": "warning",
        },
    ]


def test_without_a_link_there_is_no_generator_url() -> None:
    plain = Alertmanager("http://alertmanager:9093", 60.0)
    assert (
        "generatorURL"
        not in alerts(plain.notification(None, message(decision("rollback")), NOW))[0]
    )


def test_an_alert_that_fires_no_more_is_resolved() -> None:
    before = notified_state_of(message(decision("rollback", breaches=("late_share",))))
    got = alerts(ALERTMANAGER.notification(before, message(decision("rollback", minute=1)), NOW))
    ends = {alert["labels"]["alertname"]: alert["endsAt"] for alert in got}
    assert ends == {
        "UnderstudyRollback": "2026-03-02T12:08:00Z",
        "UnderstudyDataQuality": "2026-03-02T12:05:00Z",
    }


def test_a_forgotten_rollout_has_no_alerts() -> None:
    before = notified_state_of(message(decision("rollback")))
    got = alerts(ALERTMANAGER.notification(before, tombstone(), NOW))
    assert [alert["endsAt"] for alert in got] == ["2026-03-02T12:05:00Z"]


def test_no_alert_ends_before_it_starts() -> None:
    early = AT - dt.timedelta(hours=1)
    before = notified_state_of(message(decision("rollback", breaches=("late_share",))))
    for alert in alerts(ALERTMANAGER.notification(before, message(decision("rollback")), early)):
        assert alert["startsAt"] <= alert["endsAt"]


def test_reminders_repeat_what_fires_with_a_later_end() -> None:
    firing = notified_state_of(message(decision("rollback"))).alarms
    later = NOW + dt.timedelta(minutes=1)
    (alert,) = alerts(ALERTMANAGER.reminder(firing, later))
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T12:00:00Z", "2026-03-02T12:09:00Z")
    assert ALERTMANAGER.reminder([], later) is None


def test_a_guardrail_leads_to_its_evidence_and_without_a_dashboard_to_nothing() -> None:
    broken = message(decision(alarming=(evidence(),)))
    (alert,) = alerts(ALERTMANAGER.notification(None, broken, NOW))
    assert alert["annotations"]["dashboard"] == (
        f"{LINKED}/evidence/duration_p95?slice=language%3Aja"
    )
    (bare,) = alerts(Alertmanager("http://a", 60.0).notification(None, broken, NOW))
    assert set(bare["annotations"]) == {"summary", "description"}
    assert "generatorURL" not in bare
