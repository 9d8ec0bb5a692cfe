"""Slack: a message to an incoming webhook whenever the verdict, the stage or the alarms change.

`&`, `<` and `>` are escaped as Slack requires: a rollout named `<!channel>` notifies no channel.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
)
from understudy.analyzers.guardrails.formatting import printable
from understudy.analyzers.guardrails.guardrail_titles import as_heading, guardrail_title
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.decisions import Decision
from understudy.streams.alerting.alarms import Alarm
from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notification_key,
)
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.links import NO_LINKS, Links
from understudy.streams.alerting.receiver import Notification
from understudy.streams.dashboard.addresses import rollout_address
from understudy.streams.dashboard.evidence_rows import worst_evidence
from understudy.streams.dashboard.interval_bars import interval_bar, text_bar

MAX_SECTION_CHARACTERS: Final = 3_000
"""Slack rejects a section with a longer text."""
MAX_LINES: Final = 10
"""More would hide the next message in the channel."""

MAX_URL_CHARACTERS: Final = 3_000
"""Slack rejects a message with a longer one."""
_TITLES: Final = {
    "evidence": "Evidence",
    "pairs": "Pairs",
    "rollout": "Overview",
    "traffic": "Traffic",
    "act": "Act",
}
"""Views in the order in which they help, by what one looks for there."""
_NO_VERDICT: Final = "It says what changed, not why, and no verdict rests on it."
_VERDICTS: Final = {
    "rollback": ":red_circle: Rolled back",
    "hold": ":large_yellow_circle: Hold",
    "promote": ":large_green_circle: Promote",
}


@dataclass(frozen=True, slots=True)
class Slack:
    """One incoming webhook; its URL is a secret."""

    url: str
    links: Links = NO_LINKS
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
        body = msgspec.json.encode(message_of(decision, self.links))
        return Notification(self.url, {"Content-Type": "application/json"}, body)

    def drift_notification(
        self, before: DriftNotice | None, notice: DriftNotice, now: dt.datetime
    ) -> Notification | None:
        """A message when another side has changed; none when it answers as before again."""
        new = notice.sides - (before.sides if before else frozenset())
        if not new:
            return None
        body = msgspec.json.encode(drift_message_of(notice, self.links))
        return Notification(self.url, {"Content-Type": "application/json"}, body)

    def reminder(self, alarms: Sequence[Alarm], now: dt.datetime) -> Notification | None:
        """None: people need no reminders."""
        return None


def message_of(decision: Decision, links: Links) -> dict[str, Any]:
    """The message about a decision; `text` is what Slack's own notifications show."""
    title = f"{_VERDICTS[decision.verdict]}: {escaped(decision.rollout_id)}"
    alerts = [alert.sentence for alert in decision.alerts]
    lines = [*_bullets("", decision.reasons), *_bullets("alert: ", alerts)]
    blocks = [_section(f"*{title}*\n{_stage(decision)}")]
    if lines:
        blocks.append(_section("\n".join(lines)))
    if picture := _picture(decision):
        blocks.append(_section(picture))
    if buttons := _buttons(decision, links):
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": title, "blocks": blocks}


def drift_message_of(notice: DriftNotice, links: Links) -> dict[str, Any]:
    """The message about drift: which sides have changed, in what, and where to look."""
    title = f":large_yellow_circle: Drift: {escaped(notice.rollout_id)}"
    lines = [f"• {alarm.guardrail}: {escaped(alarm.description)}" for alarm in notice.alarms]
    blocks = [_section(f"*{title}*\n{_NO_VERDICT}"), _section("\n".join(lines))]
    named = [("Traffic", rollout_address(links.public_url, notice.rollout_id, "traffic"))]
    if buttons := _link_buttons([*named, *_own_page(notice.rollout_id, links)]):
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": title, "blocks": blocks}


def escaped(text: str) -> str:
    """Escape text so that Slack shows it as it is."""
    text = printable(text).replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _picture(decision: Decision) -> str:
    """The worst interval against its limit, in characters: Slack fetches no image from inside."""
    worst = worst_evidence(decision)
    bar = None if worst is None else interval_bar(worst)
    if worst is None or bar is None:
        return ""
    figures = f"{harm_text(worst, worst.harm)}, 95 % {interval_text(worst)}"
    title = as_heading(guardrail_title(worst.guardrail, worst.metric))
    lines = [
        f"{title} in {slice_title(worst.slice)}",
        text_bar(bar).rstrip(),
        f"harm {figures}, limit {limit_text(worst)}",
        "| no change   ¦ limit   ━●━ harm",
    ]
    return "```" + "\n".join(escaped(line).replace("`", "'") for line in lines) + "```"


def _buttons(decision: Decision, links: Links) -> list[dict[str, Any]]:
    """A button for each of the dashboard's views, and for a page of one's own."""
    views = links.views(decision)
    named = [(_TITLES[name], views[name]) for name in _TITLES if name in views]
    return _link_buttons([*named, *_own_page(decision.rollout_id, links)])


def _own_page(rollout_id: str, links: Links) -> list[tuple[str, str]]:
    return [("Details", links.page(rollout_id))] if links.external_url else []


def _link_buttons(named: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"type": "button", "text": {"type": "plain_text", "text": title}, "url": url}
        for title, url in named
        if 0 < len(url) <= MAX_URL_CHARACTERS
    ]


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
