"""What Slack gets, and when."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from tests.streams.alerting.samples import (
    ACT,
    LINKED,
    LINKS,
    NOW,
    decision,
    evidence,
    message,
    tombstone,
)
from understudy.streams.alerting.decision_message import DecisionMessage, notified_state_of
from understudy.streams.alerting.links import Links
from understudy.streams.alerting.slack import MAX_SECTION_CHARACTERS, Slack, message_of

SLACK = Slack("https://hooks.slack.example/services/T/B/secret", LINKS)


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
            section(
                "```Duration p95 in ja\n"
                "           |      ¦━━━━━━━━━━━━━━━━━━━●▶\n"
                "harm +4.0 %, 95 % –, limit ≤ +20 %\n"
                "| no change   ¦ limit   ━●━ harm```"
            ),
            {"type": "actions", "elements": [
                button("Evidence", f"{LINKED}/evidence/duration_p95?slice=language%3Aja"),
                button("Pairs", f"{LINKED}/pairs?language=ja&kind=duration&hours=24"),
                button("Overview", LINKED),
                button("Traffic", f"{LINKED}/traffic"),
                button("Act", ACT),
            ]},
        ],
    }  # fmt: skip


def button(title: str, url: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": title}, "url": url}


def test_without_evidence_and_pages_there_are_neither_picture_nor_buttons() -> None:
    kinds = [block["type"] for block in message_of(decision(), Links())["blocks"]]
    assert kinds == ["section", "section"]


def test_a_page_of_ones_own_has_a_button_and_none_is_too_long_for_slack() -> None:
    own = Links("https://understudy.example", "https://ops.example/{rollout_id}")
    long = msgspec.structs.replace(decision(), rollout_id="名" * 500)
    (actions,) = [one for one in message_of(decision(), own)["blocks"] if one["type"] == "actions"]
    assert actions["elements"][-1] == button(
        "Details", "https://ops.example/helpdesk%20%3Cv2%3E%20%26%20more"
    )
    assert all(one["type"] == "section" for one in message_of(long, own)["blocks"])


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
        message = message_of(msgspec.structs.replace(decision(), reasons=reasons), Links())
        text = message["blocks"][1]["text"]["text"]
        assert len(text) <= MAX_SECTION_CHARACTERS
        assert re.fullmatch(r"• x*(&amp;)+…", text)
