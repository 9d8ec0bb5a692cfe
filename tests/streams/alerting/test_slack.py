"""What Slack gets, and when."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from tests.streams.alerting.samples import (
    LINK,
    LINKED,
    NOW,
    decision,
    evidence,
    message,
    tombstone,
)
from understudy.streams.alerting.decision_message import DecisionMessage, notified_state_of
from understudy.streams.alerting.slack import MAX_SECTION_CHARACTERS, Slack, message_of

SLACK = Slack("https://hooks.slack.example/services/T/B/secret", LINK)


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
