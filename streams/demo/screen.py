"""The live terminal of the demo: the verdict, the evidence for it, and deltas per language.

Takes finished numbers and draws them; it measures nothing and has no clock. On a terminal it
redraws in place, elsewhere (a file, a build log) it prints a line every few seconds and the
table once at the end. Colour is never the only sign, so NO_COLOR loses nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from understudy.analyzers.guardrails.evidence_figures import times
from understudy.analyzers.guardrails.explanations import SUSPICION
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_value,
    printable,
)
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.decisions import Decision
from understudy.streams.demo.evidence_progress import (
    HarmEvidence,
    harm_by_slice,
    overall_harm,
    promotion_progress,
)
from understudy.streams.demo.slice_deltas import SliceDelta
from understudy.streams.terminal.consoles import SafeConsole
from understudy.streams.terminal.evidence_table import STYLES

LINE_EVERY_S: Final = 5.0
"""In a file or a build log: a demo of half a minute gives about ten lines."""

_WIDE: Final = 100
_WIDEST: Final = 120
"""Columns of a console from which on more measures fit."""
_LINES_AROUND_TABLE: Final = 14
"""Verdict, counters and headings, so that a console of 24 lines is not exceeded."""
_MIN_ROWS: Final = 3
"""All requests, the worst language, and how many more there are."""
_MAX_BAR: Final = 120
"""A longer bar shows no more."""
_MARK: Final = "!"
_LABEL_WIDTH: Final = 10
"""`promotion` is the longest label."""
_LEGEND: Final = "stable → candidate · p95: ratio of durations · evidence: rolled back at 1"
_STARTING: Final = "the consumer groups are forming"
_ASCII: Final = str.maketrans(
    {"−": "-", "–": "-", "→": "->", "×": "x", "·": "-", "━": "=", "─": "-", "Δ": "d", "…": ".",
     "≤": "<=", "≥": ">="}
)  # fmt: skip
_SHORT: Final = {
    "json_valid_rate": "JSON",
    "error_rate": "errors",
    "duration_p50": "p50",
    "duration_p95": "p95",
    "duration_p99": "p99",
    "cost_usd": "cost",
}
"""Metrics by the titles of their columns."""


@dataclass(frozen=True, slots=True)
class DemoStatus:
    """How far a run has come."""

    elapsed_s: float
    events_per_s: float
    events: int
    pairs: int
    unmatched: int
    duplicate: int
    late: int
    invalid: int
    pending: int
    progress: float
    """0 to 1."""
    slices: Sequence[SliceDelta] = ()
    event_time: dt.datetime | None = None
    """How far the simulated gateway's clock has come."""
    decision: Decision | None = None
    """With the evidence as of now."""
    superseded: int = 0
    rollback_applied_after_s: float | None = None
    """How long after its decision the gateway applied a rollback."""


class DemoView:
    """Shows the status of a run on a console, as a context manager; the last one stays."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        title: str = "understudy demo",
        line_every_s: float = LINE_EVERY_S,
    ) -> None:
        self._console = console or SafeConsole()
        self._title = title
        self._line_every_s = line_every_s
        self._live: Live | None = None
        self._last: DemoStatus | None = None
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._last is not None:
            self._console.print(self.render(self._last))

    def show(self, status: DemoStatus) -> None:
        """Draw a status; without a terminal, when a line is due."""
        self._last = status
        if self._live is not None:
            self._live.update(self.render(status), refresh=True)
        elif status.elapsed_s >= self._next_line_s:
            self._next_line_s = status.elapsed_s + self._line_every_s
            self._console.print(self._fit(_progress_line(status)), soft_wrap=True)

    def render(self, status: DemoStatus) -> RenderableType:
        """The whole picture, for the console's width and height."""
        return Group(
            self._headline(status),
            self._progress(status),
            Text(),
            *self._verdict(status),
            Text(),
            self._counters(status),
            Text(),
            *self._table(status),
        )

    @property
    def _overflow(self) -> OverflowMethod:
        return "crop" if self._console.options.ascii_only else "ellipsis"

    def _fit(self, text: str, style: str = "") -> Text:
        """Text that the console's encoding can write."""
        if self._console.options.ascii_only:
            text = ascii_text(text)
        return Text(text, style=style, no_wrap=True, overflow=self._overflow)

    def _headline(self, status: DemoStatus) -> RenderableType:
        grid = Table.grid(expand=True, padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_column(ratio=1, no_wrap=True, overflow=self._overflow)
        grid.add_column(justify="right", no_wrap=True)
        clock = f"{status.event_time:%H:%M:%S} UTC in the log" if status.event_time else ""
        title = self._fit(printable(self._title), "bold")
        title.append_text(self._fit(f" · {_gateway(status)}", "dim"))
        grid.add_row(title, self._fit(clock, "dim"))
        return grid

    def _progress(self, status: DemoStatus) -> Text:
        progress = min(1.0, max(0.0, status.progress))
        end = f" {_percent(progress):>4} %  {_minutes(status.elapsed_s)}"
        room = max(10, min(self._console.width, _MAX_BAR) - len(end))
        return self._bar(progress, room, "green").append_text(self._fit(end))

    def _bar(self, share: float, width: int, style: str) -> Text:
        filled = int(width * share)
        bar = self._fit("━" * filled, style)
        return bar.append_text(self._fit("─" * (width - filled), "dim"))

    def _verdict(self, status: DemoStatus) -> list[RenderableType]:
        """The verdict and its reason in two lines at most, then how far the evidence is."""
        decision = status.decision
        if decision is None:
            return [self._fit("No verdict yet.", "dim")]
        harm, style = overall_harm(decision), STYLES[decision.verdict]
        label = self._fit(f"{decision.verdict.upper():<{_LABEL_WIDTH}} ", style)
        reason = _reason(decision)
        room = max(20, self._console.width - _LABEL_WIDTH - 1)
        lines = self._fit(reason).wrap(self._console, room, no_wrap=False)[:2]
        if sum(map(len, lines)) < len(reason) - len(lines):
            lines[-1].truncate(room, overflow=self._overflow)
        for number, line in enumerate(lines):
            line.stylize("bold red" if decision.verdict == "rollback" else "")
            lines[number] = (label if number == 0 else Text(" " * (_LABEL_WIDTH + 1))).append_text(
                line
            )
        words = f"{times(harm.multiple)} × what it takes"
        green = "dim" if decision.verdict == "rollback" else "green"
        return [
            *lines,
            self._measure("rollback", harm.growth, _style(harm), words),
            self._measure(
                "promotion", promotion_progress(decision).share, green, _promotion_text(decision)
            ),
        ]

    def _measure(self, label: str, share: float, style: str, words: str) -> Text:
        text = self._fit(f"{label:<{_LABEL_WIDTH}} ", "dim")
        text.append_text(self._bar(share, 10 if self._console.width < _WIDE else 24, style))
        return text.append_text(self._fit(f" {words}"))

    def _counters(self, status: DemoStatus) -> Table:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        counts = _counts(status)
        for _ in counts:
            table.add_column(justify="right", no_wrap=True)
        table.add_row(*(self._fit(name, "dim") for name in counts))
        table.add_row(*(self._fit(value, "bold") for value in counts.values()))
        return table

    def _table(self, status: DemoStatus) -> list[RenderableType]:
        if not status.slices:
            return [Text("No pair has been compared yet.", style="dim")]
        harms = harm_by_slice(status.decision) if status.decision is not None else {}
        width = self._console.width
        gap = 2 if width >= _WIDE else 1
        columns = [column for column in _COLUMNS if width >= column.from_width]
        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("", width=len(_MARK))
        table.add_column(self._fit("\nslice"), max_width=10, no_wrap=True, overflow=self._overflow)
        for column in columns:
            table.add_column(self._fit(column.title), justify="right", no_wrap=True)
        table.add_column(self._fit("evidence\nof harm"), no_wrap=True)
        shown = self._visible(status.slices, harms)
        for delta in shown:
            self._add_row(table, columns, delta, harms.get(delta.slice))
        hidden = len(status.slices) - len(shown)
        more = [self._fit(f"and {hidden} more", "dim")] if hidden else []
        return [table, *more, self._fit(_LEGEND, "dim")]

    def _add_row(
        self, table: Table, columns: Sequence[_Column], delta: SliceDelta, harm: HarmEvidence | None
    ) -> None:
        style = _style(harm) if harm is not None and harm.is_suspicious else ""
        arrow = " → " if self._console.width >= _WIDE else "→"
        table.add_row(
            self._fit(_MARK if style else "", style),
            self._fit(printable(slice_title(delta.slice)), style),
            *(self._fit(column.cell(delta, arrow)) for column in columns),
            self._evidence(harm),
        )

    def _evidence(self, harm: HarmEvidence | None) -> Text:
        if harm is None:
            return self._fit("·", "dim")
        bar = self._bar(harm.growth, 8 if self._console.width >= _WIDE else 5, _style(harm))
        words = f" {times(harm.multiple):<6} {_SHORT.get(harm.metric, harm.metric)[:6]:<6}"
        return bar.append_text(self._fit(words, _style(harm) if harm.growth else "dim"))

    def _visible(
        self, slices: Sequence[SliceDelta], harms: dict[str, HarmEvidence]
    ) -> Sequence[SliceDelta]:
        """As many as the console's height allows; those with suspicious evidence in any case."""
        room = max(_MIN_ROWS, self._console.height - _LINES_AROUND_TABLE)
        if not self._console.is_terminal or len(slices) <= room:
            return slices
        kept = sorted(slices, key=lambda delta: not _is_suspicious(delta, harms))[: room - 1]
        return [delta for delta in slices if delta in kept]


def ascii_text(text: str) -> str:
    """Text for a console that can write nothing else."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def _is_suspicious(delta: SliceDelta, harms: dict[str, HarmEvidence]) -> bool:
    return delta.slice in harms and harms[delta.slice].is_suspicious


def _style(harm: HarmEvidence) -> str:
    return "bold red" if harm.is_suspicious else "yellow"


def _gateway(status: DemoStatus) -> str:
    if status.decision is None:
        return _STARTING
    if status.rollback_applied_after_s is None:
        return "the gateway mirrors to both models"
    after_ms = round(1000 * status.rollback_applied_after_s)
    return f"the gateway stopped after {format_value('ms', after_ms)}"


def _reason(decision: Decision) -> str:
    """The first reason; of those to hold rather a suspicion."""
    suspicions = [reason for reason in decision.reasons if reason.startswith(SUSPICION)]
    return next(iter([*suspicions, *decision.reasons]), "")


def _promotion_text(decision: Decision) -> str:
    done, stage = promotion_progress(decision), decision.stage
    return (
        f"{done.proven} of {done.required} proven · "
        f"{format_count(stage.requests)} of {format_count(stage.stage.min_requests)} requests · "
        f"{format_duration(stage.duration_s)} of {format_duration(stage.stage.min_duration_s)}"
    )


class _Column(NamedTuple):
    title: str
    from_width: int
    """Left out on narrower consoles."""
    cell: Callable[[SliceDelta, str], str]


_COLUMNS: Final = (
    _Column("\npairs", 0, lambda d, _: f"{d.pairs:,}"),
    _Column("errors\n%", 0, lambda d, to: _change(d.error_rate_stable, d.error_rate_candidate, to)),
    _Column(
        "JSON valid\n%", 0, lambda d, to: _change(d.json_valid_stable, d.json_valid_candidate, to)
    ),
    _Column("Δ\npoints", 0, lambda d, _: _signed(d.json_valid_delta_points)),
    _Column("same\n%", _WIDEST, lambda d, _: _percent(d.identical_rate)),
    _Column("simil.\n0 to 1", _WIDEST, lambda d, _: _number(d.similarity_mean)),
    _Column("p50\n×", _WIDE, lambda d, _: _number(d.duration_p50_ratio)),
    _Column("p95\n×", 0, lambda d, _: _number(d.duration_p95_ratio)),
    _Column("cost Δ\n%", 0, lambda d, _: _signed(_change_percent(d.cost_ratio))),
)


def _counts(status: DemoStatus) -> dict[str, str]:
    counts = {
        "events": f"{status.events:,}",
        "events/s": f"{status.events_per_s:,.0f}",
        "pairs": f"{status.pairs:,}",
        "pending": f"{status.pending:,}",
        "unmatched": f"{status.unmatched:,}",
        "duplicate": f"{status.duplicate:,}",
        "superseded": f"{status.superseded:,}",
        "late": f"{status.late:,}",
        "invalid": f"{status.invalid:,}",
    }
    if not status.superseded:
        del counts["superseded"]
    return counts


def _progress_line(status: DemoStatus) -> str:
    counts = _counts(status)
    line = f"{_percent(status.progress):>4} %  {_minutes(status.elapsed_s)}  " + "  ".join(
        f"{counts[name]} {name}" for name in ("events", "pairs")
    )
    decision = status.decision
    if decision is None:
        return f"{line}  {_STARTING}"
    line += f"  {decision.verdict}, {times(overall_harm(decision).multiple)} of a rollback"
    suspects = {name: harm for name, harm in harm_by_slice(decision).items() if harm.is_suspicious}
    worst = max(suspects, key=lambda name: suspects[name].multiple, default=None)
    if worst is None:
        return line
    metric = suspects[worst].metric
    return f"{line}  {_MARK} {_SHORT.get(metric, metric)} in {printable(slice_title(worst))}"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _percent(share: float | None) -> str:
    return "·" if share is None else f"{100 * share:.0f}"


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"


def _change_percent(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * (ratio - 1)


def _signed(value: float | None) -> str:
    """One decimal with a sign, none on zero."""
    if value is None:
        return "·"
    rounded = round(value, 1)
    if rounded == 0:
        return "0.0"
    return f"{'−' if rounded < 0 else '+'}{abs(rounded):.1f}"


def _change(stable: float | None, candidate: float | None, arrow: str) -> str:
    """Two shares in per cent, side by side."""
    if stable is None or candidate is None:
        return "·"
    return f"{100 * stable:.1f}{arrow}{100 * candidate:.1f}"
