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

from tests.streams.alerting.samples import AT, NOW, ROLLOUT, decision, evidence, forgotten, notice
from understudy.streams.alerting.alarms import alarms_of
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.delivery import Letter
from understudy.streams.alerting.notices import Notice, standing_of
from understudy.streams.alerting.slack import MAX_SECTION_CHARACTERS, Slack, message_of
from understudy.streams.alerting.webhook import Webhook, signature

LINK = "https://understudy.example/rollouts/{rollout_id}"
LINKED = "https://understudy.example/rollouts/helpdesk%20%3Cv2%3E%20%26%20more"
PAGE = Path(__file__).parents[3] / "docs" / "alerting.md"

ALERTMANAGER = Alertmanager("http://alertmanager:9093/", 60.0, LINK)
SLACK = Slack("https://hooks.slack.example/services/T/B/secret", LINK)
WEBHOOK = Webhook("https://ops.example/hook", "s3cret", LINK)


def alerts(letter: Letter | None) -> list[dict[str, Any]]:
    assert letter is not None
    decoded: list[dict[str, Any]] = json.loads(letter.body)
    return decoded


# Alertmanager


def test_a_rollback_is_an_alert_of_api_v2() -> None:
    letter = ALERTMANAGER.letter(None, notice(decision("rollback")), NOW)
    assert letter is not None
    assert letter.url == "http://alertmanager:9093/api/v2/alerts"
    assert letter.headers == {"Content-Type": "application/json"}
    assert alerts(letter) == [
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
    got = alerts(ALERTMANAGER.letter(None, notice(some), NOW))
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
    assert "generatorURL" not in alerts(plain.letter(None, notice(decision("rollback")), NOW))[0]


def test_an_alert_that_fires_no_more_is_resolved() -> None:
    before = standing_of(notice(decision("rollback", breaches=("late_share",))))
    got = alerts(ALERTMANAGER.letter(before, notice(decision("rollback", minute=1)), NOW))
    ends = {alert["labels"]["alertname"]: alert["endsAt"] for alert in got}
    assert ends == {
        "UnderstudyRollback": "2026-03-02T12:08:00Z",
        "UnderstudyDataQuality": "2026-03-02T12:05:00Z",
    }


def test_a_forgotten_rollout_has_no_alerts() -> None:
    before = standing_of(notice(decision("rollback")))
    got = alerts(ALERTMANAGER.letter(before, forgotten(), NOW))
    assert [alert["endsAt"] for alert in got] == ["2026-03-02T12:05:00Z"]


def test_labels_are_the_same_from_decision_to_decision() -> None:
    first, second = decision("rollback"), decision("rollback", minute=9)
    assert [a.key for a in alarms_of(first)] == [a.key for a in alarms_of(second)]


def test_no_alert_ends_before_it_starts() -> None:
    early = AT - dt.timedelta(hours=1)
    before = standing_of(notice(decision("rollback", breaches=("late_share",))))
    for alert in alerts(ALERTMANAGER.letter(before, notice(decision("rollback")), early)):
        assert alert["startsAt"] <= alert["endsAt"]


def test_reminders_repeat_what_fires_with_a_later_end() -> None:
    standing = [standing_of(notice(decision("rollback"))), standing_of(notice(decision()))]
    later = NOW + dt.timedelta(minutes=1)
    (alert,) = alerts(ALERTMANAGER.reminder(standing, later))
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T12:00:00Z", "2026-03-02T12:09:00Z")
    assert ALERTMANAGER.reminder([], later) is None


def test_only_evidence_that_alarms_together_is_named() -> None:
    strong, weak = evidence(log=6.0), evidence(slice_name="language:en", log=1.0)
    assert [a.slice for a in alarms_of(decision(alarming=(strong, weak)))] == ["language:ja"]
    quiet = msgspec.structs.replace(decision(alarming=(strong,)), log_evidence={"alert": 2.0})
    assert alarms_of(quiet) == ()


# Slack


def test_a_message_has_text_and_mrkdwn_sections() -> None:
    letter = SLACK.letter(None, notice(decision("rollback", alarming=(evidence(),))), NOW)
    assert letter is not None
    assert letter.url == SLACK.url
    name = "helpdesk &lt;v2&gt; &amp; more"
    assert json.loads(letter.body) == {
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
    def says(before: Notice, after: Notice) -> bool:
        return SLACK.letter(standing_of(before), after, NOW) is not None

    hold = notice(decision())
    assert not says(hold, notice(decision(minute=1)))
    assert says(hold, notice(decision("rollback")))
    assert says(hold, notice(decision(paused=True)))
    assert says(hold, notice(decision(breaches=("late_share",))))
    assert says(hold, notice(decision(stage=1)))
    assert says(notice(decision("rollback")), hold)
    alarmed = notice(decision(alarming=(evidence(),)))
    assert says(hold, alarmed)
    assert not says(alarmed, notice(decision(alarming=(evidence(slice_name="all"),))))
    assert SLACK.letter(None, forgotten(), NOW) is None


def test_a_section_is_never_too_long_nor_cut_in_an_escape() -> None:
    for extra in range(8):
        reasons = ["x" * extra + "&" * 4_000]
        message = message_of(msgspec.structs.replace(decision(), reasons=reasons), "")
        text = message["blocks"][1]["text"]["text"]
        assert len(text) <= MAX_SECTION_CHARACTERS
        assert re.fullmatch(r"• x*(&amp;)+…", text)


# The webhook


def test_the_webhook_gets_the_decision_as_it_stands_in_the_topic() -> None:
    told = notice(decision("promote"))
    letter = WEBHOOK.letter(None, told, NOW)
    assert letter is not None
    assert json.loads(letter.body) == {
        "type": "decision",
        "id": letter.headers["X-Understudy-Delivery"],
        "rollout_id": ROLLOUT,
        "url": LINKED,
        "decision": json.loads(told.payload),
    }


def test_the_webhook_gets_a_refresh_only_instead_of_a_change_that_it_missed() -> None:
    def refreshed(verdict: str) -> Notice:
        return notice(msgspec.structs.replace(decision(verdict, minute=1), is_refresh=True))

    hold = standing_of(notice(decision()))
    assert WEBHOOK.letter(hold, notice(decision(minute=1)), NOW) is not None
    assert WEBHOOK.letter(hold, refreshed("hold"), NOW) is None
    assert WEBHOOK.letter(hold, refreshed("rollback"), NOW) is not None
    assert WEBHOOK.letter(None, refreshed("hold"), NOW) is not None


def test_the_same_decision_has_the_same_id() -> None:
    def identity(some: Notice) -> str:
        letter = WEBHOOK.letter(None, some, NOW)
        assert letter is not None
        return letter.headers["X-Understudy-Delivery"]

    assert identity(notice(offset=1)) == identity(notice(offset=2))
    assert identity(notice()) != identity(notice(decision(minute=1)))


def test_the_signature_verifies_as_documented() -> None:
    """With the very function that the page shows."""
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    documented: dict[str, Any] = {}
    exec(compile(ast.parse(shown), "alerting.md", "exec"), documented)
    letter = WEBHOOK.letter(None, notice(), dt.datetime.now(dt.UTC))
    assert letter is not None
    header = letter.headers["X-Understudy-Signature"]
    is_genuine = documented["is_genuine"]
    assert is_genuine("s3cret", header, letter.body)
    assert not is_genuine("other", header, letter.body)
    assert not is_genuine("s3cret", header, letter.body + b" ")
    assert not is_genuine("s3cret", signature("s3cret", 1, letter.body), letter.body)


def test_the_signature_is_hmac_of_time_and_body() -> None:
    wanted = hmac.new(b"k", b"12.{}", hashlib.sha256).hexdigest()
    assert signature("k", 12, b"{}") == f"t=12,v1={wanted}"


def test_without_a_secret_nothing_is_signed() -> None:
    letter = Webhook("https://ops.example").letter(None, notice(), NOW)
    assert letter is not None
    assert "X-Understudy-Signature" not in letter.headers
    assert json.loads(letter.body)["url"] is None


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "s3cret" not in repr(WEBHOOK)
