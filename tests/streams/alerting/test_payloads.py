"""What each receiver gets, field by field, as their documentation has it."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from tests.streams.alerting.samples import AT, NOW, ROLLOUT, decision, evidence, message, tombstone
from understudy.streams.alerting.alarms import alarms_of
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.decision_message import DecisionMessage, notified_state_of
from understudy.streams.alerting.receiver import Notification
from understudy.streams.alerting.slack import MAX_SECTION_CHARACTERS, Slack, message_of
from understudy.streams.alerting.webhook import Webhook, signature

LINK = "https://understudy.example/rollouts/{rollout_id}"
LINKED = "https://understudy.example/rollouts/helpdesk%20%3Cv2%3E%20%26%20more"
PAGE = Path(__file__).parents[3] / "docs" / "alerting.md"

ALERTMANAGER = Alertmanager("http://alertmanager:9093/", 60.0, LINK)
SLACK = Slack("https://hooks.slack.example/services/T/B/secret", LINK)
WEBHOOK = Webhook("https://ops.example/hook", "s3cret", LINK)


def alerts(notification: Notification | None) -> list[dict[str, Any]]:
    assert notification is not None
    decoded: list[dict[str, Any]] = json.loads(notification.body)
    return decoded


# Alertmanager


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


def test_labels_are_the_same_from_decision_to_decision() -> None:
    first, second = decision("rollback"), decision("rollback", minute=9)
    assert [a.key for a in alarms_of(first)] == [a.key for a in alarms_of(second)]


def test_no_alert_ends_before_it_starts() -> None:
    early = AT - dt.timedelta(hours=1)
    before = notified_state_of(message(decision("rollback", breaches=("late_share",))))
    for alert in alerts(ALERTMANAGER.notification(before, message(decision("rollback")), early)):
        assert alert["startsAt"] <= alert["endsAt"]


def test_reminders_repeat_what_fires_with_a_later_end() -> None:
    states = [
        notified_state_of(message(decision("rollback"))),
        notified_state_of(message(decision())),
    ]
    later = NOW + dt.timedelta(minutes=1)
    (alert,) = alerts(ALERTMANAGER.reminder(states, later))
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T12:00:00Z", "2026-03-02T12:09:00Z")
    assert ALERTMANAGER.reminder([], later) is None


def test_only_evidence_that_alarms_together_is_named() -> None:
    strong, weak = evidence(log=6.0), evidence(slice_name="language:en", log=1.0)
    assert [a.slice for a in alarms_of(decision(alarming=(strong, weak)))] == ["language:ja"]
    quiet = msgspec.structs.replace(decision(alarming=(strong,)), log_evidence={"alert": 2.0})
    assert alarms_of(quiet) == ()


# Slack


def test_a_message_has_text_and_mrkdwn_sections() -> None:
    notification = SLACK.notification(
        None, message(decision("rollback", alarming=(evidence(),))), NOW
    )
    assert notification is not None
    assert notification.url == SLACK.url
    name = "helpdesk &lt;v2&gt; &amp; more"
    assert json.loads(notification.body) == {
        "text": f":red_circle: Rolled back: {name}",
        "blocks": [
            section(
                f"*:red_circle: Rolled back: {name}*\nStage canary; candidate's share 0 %"
            ),
            section(
                "• JSON validity in `ja` fell 9.1 points &lt;!channel&gt;\n"
                "• alert: duration_p95 is slow"
            ),
            section(f"<{LINKED}|Evidence>"),
        ],
    }  # fmt: skip


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def test_people_hear_of_changes_alone() -> None:
    def says(before: DecisionMessage, after: DecisionMessage) -> bool:
        return SLACK.notification(notified_state_of(before), after, NOW) is not None

    hold = message(decision())
    assert not says(hold, message(decision(minute=1)))
    assert says(hold, message(decision("rollback")))
    assert says(hold, message(decision(paused=True)))
    assert says(hold, message(decision(breaches=("late_share",))))
    assert says(hold, message(decision(stage=1)))
    assert says(message(decision("rollback")), hold)
    alarmed = message(decision(alarming=(evidence(),)))
    assert says(hold, alarmed)
    assert not says(alarmed, message(decision(alarming=(evidence(slice_name="all"),))))
    assert SLACK.notification(None, tombstone(), NOW) is None


def test_a_section_is_never_too_long_nor_cut_in_an_escape() -> None:
    for extra in range(8):
        reasons = ["x" * extra + "&" * 4_000]
        message = message_of(msgspec.structs.replace(decision(), reasons=reasons), "")
        text = message["blocks"][1]["text"]["text"]
        assert len(text) <= MAX_SECTION_CHARACTERS
        assert re.fullmatch(r"• x*(&amp;)+…", text)


# The webhook


def test_the_webhook_gets_the_decision_as_it_stands_in_the_topic() -> None:
    told = message(decision("promote"))
    notification = WEBHOOK.notification(None, told, NOW)
    assert notification is not None
    assert json.loads(notification.body) == {
        "type": "decision",
        "id": notification.headers["X-Understudy-Delivery"],
        "rollout_id": ROLLOUT,
        "url": LINKED,
        "decision": json.loads(told.payload),
    }


def test_the_webhook_gets_a_refresh_only_instead_of_a_change_that_it_missed() -> None:
    def refreshed(verdict: str) -> DecisionMessage:
        return message(msgspec.structs.replace(decision(verdict, minute=1), is_refresh=True))

    hold = notified_state_of(message(decision()))
    assert WEBHOOK.notification(hold, message(decision(minute=1)), NOW) is not None
    assert WEBHOOK.notification(hold, refreshed("hold"), NOW) is None
    assert WEBHOOK.notification(hold, refreshed("rollback"), NOW) is not None
    assert WEBHOOK.notification(None, refreshed("hold"), NOW) is not None


def test_the_same_decision_has_the_same_id() -> None:
    def identity(some: DecisionMessage) -> str:
        notification = WEBHOOK.notification(None, some, NOW)
        assert notification is not None
        return notification.headers["X-Understudy-Delivery"]

    assert identity(message(offset=1)) == identity(message(offset=2))
    assert identity(message()) != identity(message(decision(minute=1)))


def test_the_signature_verifies_as_documented() -> None:
    """With the very function that the page shows."""
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    documented: dict[str, Any] = {}
    exec(compile(ast.parse(shown), "alerting.md", "exec"), documented)
    notification = WEBHOOK.notification(None, message(), dt.datetime.now(dt.UTC))
    assert notification is not None
    header = notification.headers["X-Understudy-Signature"]
    is_genuine = documented["is_genuine"]
    assert is_genuine("s3cret", header, notification.body)
    assert not is_genuine("other", header, notification.body)
    assert not is_genuine("s3cret", header, notification.body + b" ")
    assert not is_genuine("s3cret", signature("s3cret", 1, notification.body), notification.body)


def test_the_signature_is_hmac_of_time_and_body() -> None:
    wanted = hmac.new(b"k", b"12.{}", hashlib.sha256).hexdigest()
    assert signature("k", 12, b"{}") == f"t=12,v1={wanted}"


def test_without_a_secret_nothing_is_signed() -> None:
    notification = Webhook("https://ops.example").notification(None, message(), NOW)
    assert notification is not None
    assert "X-Understudy-Signature" not in notification.headers
    assert json.loads(notification.body)["url"] is None


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "s3cret" not in repr(WEBHOOK)
