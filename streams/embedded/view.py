"""The live terminal of the demo: rates of the pipeline and deltas per language.

Takes finished numbers and draws them; it measures nothing and has no clock. On a terminal it
redraws in place, elsewhere (a file, a build log) it prints a line every few seconds and the
table once at the end. Colour is never the only sign, so NO_COLOR loses nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from understudy.streams.embedded.slices import SliceDelta, printable

STANDS_OUT_Z: Final = 4.0
"""Marked from this standard score on: far from chance, since it is looked at all the time."""
LINE_EVERY_S: Final = 5.0

_WIDE: Final = 100
_LINES_AROUND_TABLE: Final = 12
_FEWEST_ROWS: Final = 3
_MARK: Final = "!"
_LEGEND: Final = "stable → candidate · same: identical texts · p50, p95: ratio of durations"
_ASCII: Final = str.maketrans(
    {"−": "-", "→": "->", "×": "x", "·": "-", "━": "=", "─": "-", "Δ": "d", "…": "."}
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment."""

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
    note: str = ""
    """What is going on, in a few words."""


class DemoView:
    """Shows snapshots on a console, as a context manager; leaves the last one standing."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        title: str = "understudy demo",
        line_every_s: float = LINE_EVERY_S,
    ) -> None:
        self._console = console or Console()
        self._title = title
        self._line_every_s = line_every_s
        self._live: Live | None = None
        self._last: Snapshot | None = None
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

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot; without a terminal, when a line is due."""
        self._last = snapshot
        if self._live is not None:
            self._live.update(self.render(snapshot), refresh=True)
        elif snapshot.elapsed_s >= self._next_line_s:
            self._next_line_s = snapshot.elapsed_s + self._line_every_s
            self._console.print(self._fit(_progress_line(snapshot)), soft_wrap=True)

    def render(self, snapshot: Snapshot) -> RenderableType:
        """The whole picture, for the console's width and height."""
        parts: list[RenderableType] = [
            self._headline(snapshot),
            self._bar(snapshot),
            Text(),
            self._counters(snapshot),
            Text(),
        ]
        if snapshot.slices:
            parts += [self._deltas(snapshot.slices), self._legend(snapshot.slices)]
        else:
            parts.append(Text("No pair has been compared yet.", style="dim"))
        return Group(*parts)

    @property
    def _overflow(self) -> OverflowMethod:
        return "crop" if self._console.options.ascii_only else "ellipsis"

    def _fit(self, text: str, style: str = "") -> Text:
        """Text that the console's encoding can write."""
        if self._console.options.ascii_only:
            text = ascii_text(text)
        return Text(text, style=style, no_wrap=True, overflow=self._overflow)

    def _headline(self, snapshot: Snapshot) -> RenderableType:
        grid = Table.grid(expand=True, padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_column(ratio=1, no_wrap=True, overflow=self._overflow)
        grid.add_column(justify="right", no_wrap=True)
        clock = f"{snapshot.event_time:%H:%M:%S} UTC in the log" if snapshot.event_time else ""
        title = self._fit(printable(self._title), "bold")
        if snapshot.note:
            title.append_text(self._fit(f" · {printable(snapshot.note)}", "dim"))
        grid.add_row(title, self._fit(clock, "dim"))
        return grid

    def _bar(self, snapshot: Snapshot) -> Text:
        progress = min(1.0, max(0.0, snapshot.progress))
        end = f" {_percent(progress):>4} %  {_minutes(snapshot.elapsed_s)}"
        room = max(10, min(self._console.width, 120) - len(end))
        filled = int(room * progress)
        bar = self._fit("━" * filled, "green")
        bar.append_text(self._fit("─" * (room - filled), "dim"))
        return bar.append_text(self._fit(end))

    def _counters(self, snapshot: Snapshot) -> Table:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        counts = _counts(snapshot)
        for _ in counts:
            table.add_column(justify="right", no_wrap=True)
        table.add_row(*(self._fit(name, "dim") for name in counts))
        table.add_row(*(self._fit(value, "bold") for value in counts.values()))
        return table

    def _deltas(self, slices: Sequence[SliceDelta]) -> Table:
        wide = self._console.width >= _WIDE
        gap = 2 if wide else 1
        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("", width=len(_MARK))
        table.add_column(
            self._fit("\nlanguage"),
            max_width=20 if wide else 10,
            no_wrap=True,
            overflow=self._overflow,
        )
        for title in _TITLES:
            table.add_column(self._fit(title), justify="right", no_wrap=True)
        worst = worst_slice(slices)
        for delta in self._visible(slices):
            self._add_row(table, delta, worst, " → " if wide else "→")
        return table

    def _add_row(
        self, table: Table, delta: SliceDelta, worst: SliceDelta | None, arrow: str
    ) -> None:
        mark = self._fit(_MARK if delta is worst else "", "bold red")
        name = self._fit(delta.key.title, "bold red" if delta is worst else "")
        cells = [self._fit(text, style) for text, style in _cells(delta, arrow)]
        table.add_row(mark, name, *cells)

    def _visible(self, slices: Sequence[SliceDelta]) -> list[SliceDelta]:
        """The worst slice, then as many others as the console's height allows."""
        worst = worst_slice(slices)
        ordered = ([worst] if worst else []) + [delta for delta in slices if delta is not worst]
        if not self._console.is_terminal:
            return ordered
        return ordered[: max(_FEWEST_ROWS, self._console.height - _LINES_AROUND_TABLE)]

    def _legend(self, slices: Sequence[SliceDelta]) -> Text:
        hidden = len(slices) - len(self._visible(slices))
        lines = [Text("")]
        if hidden:
            lines.append(self._fit(f"and {hidden} more", "dim"))
        worst = worst_slice(slices)
        if worst is None:
            lines.append(self._fit("No language stands out.", "dim"))
        else:
            lines.append(self._fit(f"{_MARK} {_worst_in_words(worst)}", "bold red"))
        lines.append(self._fit(_LEGEND, "dim"))
        return Text("\n").join(lines)


def ascii_text(text: str) -> str:
    """Text for a console that can write nothing else."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def worst_slice(slices: Sequence[SliceDelta]) -> SliceDelta | None:
    """The slice in which the candidate is most clearly worse; None while none stands out."""
    worst = max(slices, key=_harm_z, default=None)
    return worst if worst is not None and _harm_z(worst) >= STANDS_OUT_Z else None


def _harm_z(delta: SliceDelta) -> float:
    return max(delta.json_valid_z, delta.error_z)


def _worst_in_words(delta: SliceDelta) -> str:
    if delta.json_valid_z >= delta.error_z:
        return (
            f"JSON validity in {delta.key.title}: {_signed(delta.json_valid_delta_points)} points"
        )
    return f"Error rate in {delta.key.title}: {_signed(delta.error_delta_points)} points"


_TITLES: Final = (
    "\npairs",
    "errors\n%",
    "JSON valid\n%",
    "Δ\npoints",
    "same\n%",
    "simil.\n0 to 1",
    "p50\n×",
    "p95\n×",
    "cost Δ\n%",
)


def _cells(delta: SliceDelta, arrow: str) -> list[tuple[str, str]]:
    """Text and style of each number, in the order of `_TITLES`."""
    errors = _change(delta.error_rate_stable, delta.error_rate_candidate, arrow)
    json_valid = _change(delta.json_valid_stable, delta.json_valid_candidate, arrow)
    cost_percent = None if delta.cost_ratio is None else 100 * (delta.cost_ratio - 1)
    return [
        (f"{delta.pairs:,}", ""),
        (errors, _style(delta.error_z)),
        (json_valid, ""),
        (_signed(delta.json_valid_delta_points), _style(delta.json_valid_z)),
        (_percent(delta.identical_rate), ""),
        (_number(delta.similarity_mean), ""),
        (_number(delta.duration_p50_ratio), ""),
        (_number(delta.duration_p95_ratio), ""),
        (_signed(cost_percent), ""),
    ]


def _style(z: float) -> str:
    if z >= STANDS_OUT_Z:
        return "bold red"
    return "green" if z <= -STANDS_OUT_Z else ""


def _counts(snapshot: Snapshot) -> dict[str, str]:
    return {
        "events": f"{snapshot.events:,}",
        "events/s": f"{snapshot.events_per_s:,.0f}",
        "pairs": f"{snapshot.pairs:,}",
        "pending": f"{snapshot.pending:,}",
        "unmatched": f"{snapshot.unmatched:,}",
        "duplicate": f"{snapshot.duplicate:,}",
        "late": f"{snapshot.late:,}",
        "invalid": f"{snapshot.invalid:,}",
    }


def _progress_line(snapshot: Snapshot) -> str:
    counts = _counts(snapshot)
    shown = ("events", "events/s", "pairs", "unmatched", "invalid")
    line = f"{_percent(snapshot.progress):>4} %  {_minutes(snapshot.elapsed_s)}  " + "  ".join(
        f"{counts[name]} {name}" for name in shown
    )
    worst = worst_slice(snapshot.slices)
    return line if worst is None else f"{line}  {_MARK} {_worst_in_words(worst)}"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _percent(share: float | None) -> str:
    return "·" if share is None else f"{100 * share:.0f}"


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"


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
