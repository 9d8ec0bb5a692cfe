"""All rollouts on a terminal, those that need an operator first, in two to five lines each.

Colour is never the only sign, and nothing in names or reasons acts on the terminal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from understudy.analyzers.guardrails.formatting import format_percent
from understudy.schemas.decisions import Decision
from understudy.streams.rollouts.attention import NOTHING, RolloutRow
from understudy.streams.terminal.evidence_table import STYLES
from understudy.streams.terminal.plain_text import one_line

MAX_WIDTH: Final = 100
"""Columns: sentences that are longer are hard to read."""
_SIGNS: Final = {"rollback": "✕", "promote": "✓", "hold": "–", "waiting": "…"}
_VERDICT_WIDTH: Final = 9
"""`rollback` and a blank."""
_INDENT: Final = 2
_BAR_WIDTH: Final = 20
_MAX_NAME: Final = 128
_MAX_SENTENCE: Final = 1_024
_MAX_LINES: Final = 2
"""Of a reason: the rest is in `rollout show`."""


class StatusScreen:
    """A rich renderable."""

    def __init__(
        self,
        rows: Sequence[RolloutRow],
        decisions: Mapping[str, Decision],
        now: dt.datetime | None = None,
        problem: str = "",
    ) -> None:
        """`now` is shown on a screen that stays; `problem` says why it may be old."""
        self._rows, self._decisions, self._now, self._problem = rows, decisions, now, problem

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, MAX_WIDTH)
        yield self._heading(width)
        if self._problem:
            yield Text(one_line(self._problem), "yellow")
        for row in self._rows:
            yield Text()
            yield from _head(row, width)
            yield from self._below(row, console, width - _INDENT)

    def _heading(self, width: int) -> Text:
        needing = sum(row.needs_operator for row in self._rows)
        count = f"{len(self._rows)} rollout" + ("" if len(self._rows) == 1 else "s")
        tells = f"{needing} need{'s' if needing == 1 else ''} you" if needing else "none needs you"
        left = Text.assemble((count, "bold"), " · ", (tells, "bold yellow" if needing else "green"))
        right = f"{self._now:%H:%M:%S} UTC" if self._now else ""
        return _apart(left, Text(right, "dim"), width)

    def _below(self, row: RolloutRow, console: Console, width: int) -> Iterator[Text]:
        if row.reason:
            yield from _wrapped(row.reason, "", console, width)
        decision = self._decisions.get(row.status.rollout_id)
        if decision is not None and row.status.verdict == "hold":
            yield _indented(_progress(decision))
        if row.needs_operator and row.need != row.reason:
            yield from _wrapped(f"→ {row.need}", "yellow", console, width)


def _head(row: RolloutRow, width: int) -> Iterator[Text]:
    """Verdict and name, and on the right the stage; below them where there is no room."""
    status = row.status
    style = STYLES.get(status.verdict, "dim")
    left = Text.assemble(
        (f"{_SIGNS[status.verdict]} {status.verdict:<{_VERDICT_WIDTH}}", style),
        (one_line(status.rollout_id, _MAX_NAME), "bold"),
        (" paused" if status.is_paused else "", "yellow"),
    )
    stage = Text(_stage(row), "dim")
    if cell_len(left.plain) + cell_len(stage.plain) + _INDENT <= width:
        yield _apart(left, stage, width)
    else:
        yield left
        yield _indented(stage)


def _stage(row: RolloutRow) -> str:
    status = row.status
    parts = [one_line(status.stage or NOTHING, _MAX_NAME)]
    if status.candidate_share is not None:
        parts.append(f"candidate {row.share}")
    if status.next_stage:
        parts.append(f"next {one_line(status.next_stage, _MAX_NAME)}")
    return " · ".join(parts)


def _progress(decision: Decision) -> Text:
    """How far the stage has come: the slower of requests and time."""
    done, stage = decision.stage, decision.stage.stage
    shares = [
        part / needed if needed > 0 else 1.0
        for part, needed in (
            (done.requests, stage.min_requests), (done.duration_s, stage.min_duration_s)
        )
    ]  # fmt: skip
    share = min(1.0, *shares)
    filled = int(share * _BAR_WIDTH)
    name, percent = one_line(stage.name, _MAX_NAME), format_percent(int(100 * share) / 100)
    words = f" {percent} of what stage {name} needs before it can be promoted"
    return Text.assemble(
        ("━" * filled, "blue"), ("─" * (_BAR_WIDTH - filled), "dim"), (words, "dim")
    )


def _wrapped(sentence: str, style: str, console: Console, width: int) -> Iterator[Text]:
    """A sentence on at most two lines."""
    parts = Text(one_line(sentence, _MAX_SENTENCE), style).wrap(console, width, overflow="fold")
    kept = list(parts)[:_MAX_LINES]
    if len(parts) > _MAX_LINES:
        kept[-1].rstrip()
        kept[-1].truncate(width - 1)
        kept[-1].append("…")
    for part in kept:
        part.rstrip()
        yield _indented(part)


def _indented(text: Text) -> Text:
    return Text.assemble(" " * _INDENT, text)


def _apart(left: Text, right: Text, width: int) -> Text:
    gap = max(1, width - cell_len(left.plain) - cell_len(right.plain))
    return Text.assemble(left, " " * gap, right) if right.plain else left
