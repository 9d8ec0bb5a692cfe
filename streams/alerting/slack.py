"""Slack: a message to an incoming webhook whenever the verdict, the stage or the alarms change.

`&`, `<` and `>` are escaped as Slack requires: a rollout named `<!channel>` notifies no channel.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.decisions import Decision
from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notification_key,
)
from understudy.streams.alerting.links import link_to
from understudy.streams.alerting.receiver import Notification

MAX_SECTION_CHARACTERS: Final = 3_000
"""Slack rejects a section with a longer text."""
MAX_LINES: Final = 10
"""More would hide the next message in the channel."""

_VERDICTS: Final = {
    "rollback": ":red_circle: Rolled back",
    "hold": ":large_yellow_circle: Hold",
    "promote": ":large_green_circle: Promote",
}


@dataclass(frozen=True, slots=True)
class Slack:
    """One incoming webhook; its URL is a secret."""

    url: str
    external_url: str = ""
    name: str = "slack"
    repeat_s: float = 0.0

    def notification(
        self, before: NotifiedState | None, message: DecisionMessage, now: dt.datetime
    ) -> Notification | None:
        """A message when the notification key has changed."""
        decision = message.decision
        if decision is None:
            return None
        if before is not None and before.key == notification_key(decision):
            return None
        body = msgspec.json.encode(message_of(decision, self.external_url))
        return Notification(self.url, {"Content-Type": "application/json"}, body)

    def reminder(self, states: Sequence[NotifiedState], now: dt.datetime) -> Notification | None:
        """None: people need no reminders."""
        return None


def message_of(decision: Decision, external_url: str) -> dict[str, Any]:
    """The message about a decision; `text` is what Slack's own notifications show."""
    title = f"{_VERDICTS[decision.verdict]}: {escaped(decision.rollout_id)}"
    alerts = [alert.sentence for alert in decision.alerts]
    lines = [*_bullets("", decision.reasons), *_bullets("alert: ", alerts)]
    blocks = [_section(f"*{title}*\n{_stage(decision)}")]
    if lines:
        blocks.append(_section("\n".join(lines)))
    link = link_to(external_url, decision.rollout_id)
    if link:
        blocks.append(_section(f"<{escaped(link)}|Evidence>"))
    return {"text": title, "blocks": blocks}


def escaped(text: str) -> str:
    """Escape text so that Slack shows it as it is."""
    text = printable(text).replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _stage(decision: Decision) -> str:
    paused = ", paused" if decision.is_paused else ""
    share = f"{100 * decision.candidate_share:g} %"
    return f"Stage {escaped(decision.stage.stage.name)}{paused}; candidate's share {share}"


def _bullets(prefix: str, texts: Sequence[str]) -> list[str]:
    lines = [f"• {prefix}{escaped(text)}" for text in texts[:MAX_LINES]]
    left = len(texts) - MAX_LINES
    return [*lines, f"• and {left} more"] if left > 0 else lines


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text), "verbatim": True}}


def _cut(text: str) -> str:
    """Cut text to the length of a section, but not in the middle of an escape."""
    if len(text) <= MAX_SECTION_CHARACTERS:
        return text
    kept = text[: MAX_SECTION_CHARACTERS - 1]
    start = kept.rfind("&", -len("&amp;"))
    return (kept if start < 0 or ";" in kept[start:] else kept[:start]) + "…"
