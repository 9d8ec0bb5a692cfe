"""What each receiver makes of drift."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

from tests.streams.alerting.samples import AT, LINKED, LINKS, NOW, ROLLOUT
from understudy.streams.alerting.alarms import DRIFT, Alarm
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.receiver import Notification
from understudy.streams.alerting.slack import Slack
from understudy.streams.alerting.webhook import Webhook


def alarm(side: str) -> Alarm:
    return Alarm(DRIFT, "warning", ROLLOUT, side, "", f"{side} answers otherwise",
                 "Changed: duration p95 <!channel>.", AT)  # fmt: skip


NONE, ONE = DriftNotice(ROLLOUT, 0, ()), DriftNotice(ROLLOUT, 0, (alarm("stable"),))
BOTH = DriftNotice(ROLLOUT, 0, (alarm("stable"), alarm("candidate")))


def body(notification: Notification | None) -> Any:
    assert notification is not None
    return json.loads(notification.body)


def test_slack_tells_of_each_side_once_and_of_no_end() -> None:
    slack = Slack("https://hooks.example", LINKS)
    told = body(slack.drift_notification(None, ONE, NOW))
    assert told["text"] == ":large_yellow_circle: Drift: helpdesk &lt;v2&gt; &amp; more"
    assert "• stable: Changed: duration p95 &lt;!channel&gt;." in str(told["blocks"])
    (button,) = told["blocks"][-1]["elements"]
    assert (button["text"]["text"], button["url"]) == ("Traffic", f"{LINKED}/traffic")
    assert slack.drift_notification(ONE, ONE, NOW) is None
    assert slack.drift_notification(ONE, BOTH, NOW) is not None
    assert slack.drift_notification(BOTH, NONE, NOW) is None
    without_pages = Slack("https://hooks.example").drift_notification(None, ONE, NOW)
    assert len(body(without_pages)["blocks"]) == 2


def test_alertmanager_has_an_alert_for_each_side_and_ends_it() -> None:
    manager = Alertmanager("http://alertmanager:9093", 60.0, LINKS)
    (fires,) = body(manager.drift_notification(None, ONE, NOW))
    assert fires["labels"]["alertname"] == "UnderstudyDrift"
    assert fires["annotations"]["dashboard"] == f"{LINKED}/traffic"
    first, over = body(manager.drift_notification(BOTH, ONE, NOW))
    assert (first["labels"]["guardrail"], over["labels"]["guardrail"]) == ("stable", "candidate")
    assert over["endsAt"] == "2026-03-02T12:05:00Z"
    assert manager.drift_notification(None, NONE, NOW) is None


def test_the_webhook_is_told_of_beginning_and_end() -> None:
    webhook = Webhook("https://ops.example/hook", "s3cret", LINKS)
    notification = webhook.drift_notification(None, ONE, NOW)
    assert body(notification) == {
        "type": "drift",
        "id": notification.headers["X-Understudy-Delivery"] if notification else "",
        "rollout_id": ROLLOUT,
        "url": f"{LINKED}/traffic",
        "drift": {"stable": "Changed: duration p95 <!channel>."},
    }
    assert notification is not None
    assert "X-Understudy-Signature" in notification.headers
    later = dataclasses.replace(ONE.alarms[0], since=AT + dt.timedelta(hours=1))
    assert webhook.drift_notification(ONE, DriftNotice(ROLLOUT, 0, (later,)), NOW) is None
    assert body(webhook.drift_notification(ONE, NONE, NOW))["drift"] == {}
    assert webhook.drift_notification(None, NONE, NOW) is None


def test_the_webhook_tells_one_end_from_another() -> None:
    """The receiver drops what has an id that it knows, and an end says nothing of its own."""
    webhook = Webhook("https://ops.example/hook")
    notices = [
        webhook.drift_notification(*both, NOW)
        for both in [(None, ONE), (ONE, NONE), (BOTH, NONE), (ONE, NONE)]
    ]
    ids = [one.headers["X-Understudy-Delivery"] for one in notices if one]
    assert ids[3] == ids[1], "a repeated delivery"
    assert len(set(ids)) == 3


def test_digests_tell_notices_apart() -> None:
    assert ONE.digest == DriftNotice(ROLLOUT, 5, ONE.alarms).digest
    assert len({NONE.digest, ONE.digest, BOTH.digest, DriftNotice("b", 0, ()).digest}) == 4
