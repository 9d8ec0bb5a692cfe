"""Slack: one message to an incoming webhook whenever verdict, stage or alarms change.

`&`, `<` and `>` are escaped, as Slack wants it: a rollout named `<!channel>` calls nobody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.decisions import Decision
from understudy.streams.alerting.delivery import Letter
from understudy.streams.alerting.links import link_to
from understudy.streams.alerting.notices import Notice, Standing, signature_of

MAX_SECTION_CHARACTERS: Final = 3_000
"""Slack refuses a section with a longer text."""
MAX_LINES: Final = 10

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

    def letter(self, before: Standing | None, notice: Notice, now: dt.datetime) -> Letter | None:
        """A message when something has changed that people care about."""
        decision = notice.decision
        if decision is None:
            return None
        if before is not None and before.signature == signature_of(decision):
            return None
        body = msgspec.json.encode(message_of(decision, self.external_url))
        return Letter(self.url, {"Content-Type": "application/json"}, body)

    def reminder(self, standing: Sequence[Standing], now: dt.datetime) -> Letter | None:
        """People need no reminders."""
        return None


def message_of(decision: Decision, external_url: str) -> dict[str, Any]:
    """The message about a decision; `text` is what notifications show."""
    title = f"{_VERDICTS[decision.verdict]}: {escaped(decision.rollout_id)}"
    lines = [*_bullets("", decision.reasons), *_bullets("alert: ", decision.alerts)]
    blocks = [_section(f"*{title}*\n{_stage(decision)}")]
    if lines:
        blocks.append(_section("\n".join(lines)))
    link = link_to(external_url, decision.rollout_id)
    if link:
        blocks.append(_section(f"<{escaped(link)}|Evidence>"))
    return {"text": title, "blocks": blocks}


def escaped(text: str) -> str:
    """Text that Slack shows as it is."""
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
    """Short enough for a section, and not in the middle of an escape."""
    if len(text) <= MAX_SECTION_CHARACTERS:
        return text
    kept = text[: MAX_SECTION_CHARACTERS - 1]
    start = kept.rfind("&", -len("&amp;"))
    return (kept if start < 0 or ";" in kept[start:] else kept[:start]) + "…"
