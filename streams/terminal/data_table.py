"""Tables that fit: on a terminal by its width, in a file without any.

Where a terminal is too narrow, sentences wrap first, then columns leave by their importance, and
where even the important ones do not fit, each row is written from top to bottom. Nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from understudy.analyzers.guardrails.formatting import visible

_GAP: Final = 2
"""Blanks between two columns."""
_MIN_VALUE: Final = 10
"""Characters to the right of a row's names: with less room, the values stand below them."""
ROW_TITLE: Final = "row"

MAX_SLICES: Final = 30
"""Rows of slices without `--all`: a screenful, and the worst are among them."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how it is written, and what becomes of it where there is no room."""

    title: str
    justify: JustifyMethod = "left"
    leaves: int = 0
    """Columns leave from the highest number down; those with 0 stay."""
    wraps_at: int = 0
    """Width in characters down to which its texts wrap; 0: they do not."""


class DataTable:
    """Rows under columns; a rich renderable."""

    def __init__(self, columns: Sequence[Column], *, title: str = "") -> None:
        self._columns = columns
        self._title = visible(title)
        self._rows: list[tuple[list[Text], str]] = []
        self._sections: set[int] = set()

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row of as many cells as there are columns; a `Text` has a style of its own."""
        self._rows.append(([_cell(cell) for cell in cells], style))

    def end_section(self) -> None:
        """Draw a line below the last row."""
        self._sections.add(len(self._rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._title:
            yield Text(self._title, "italic")
        kept = self._fitting(options.max_width)
        if not kept:
            yield from self._stacked(options.max_width)
            return
        yield self._table(kept, self._widths(kept, options.max_width))
        if len(kept) < len(self._columns):
            gone = [c.title for n, c in enumerate(self._columns) if n not in kept]
            names = ", ".join(" ".join(name.split()) or "notes" for name in gone)
            yield Text(f"no room for {names} in {options.max_width} columns", "dim")

    def _natural(self, number: int) -> int:
        """The width at which nothing in a column wraps."""
        texts = (self._columns[number].title, *(cells[number].plain for cells, _ in self._rows))
        return max(cell_len(line) for text in texts for line in text.split("\n"))

    def _least(self, number: int) -> int:
        wraps_at, natural = self._columns[number].wraps_at, self._natural(number)
        return min(wraps_at, natural) if wraps_at else natural

    def _fitting(self, width: int) -> list[int]:
        """The columns that have room side by side; none when the important ones do not."""
        least = [self._least(number) for number in range(len(self._columns))]
        kept = list(range(len(self._columns)))
        while sum(least[number] + _GAP for number in kept) - _GAP > width:
            last = max(kept, key=lambda number: self._columns[number].leaves)
            if self._columns[last].leaves == 0:
                return []
            kept.remove(last)
        return kept

    def _widths(self, kept: Sequence[int], width: int) -> dict[int, int]:
        """The room of each column: the least, and an equal share of the rest where it is needed.

        Those that lack least come first, so names stay whole and sentences wrap.
        """
        widths = {number: self._least(number) for number in kept}
        lacks = {number: self._natural(number) - widths[number] for number in kept}
        free = max(0, width - sum(widths.values()) - _GAP * (len(kept) - 1))
        for place, number in enumerate(sorted(kept, key=lacks.__getitem__)):
            given = min(lacks[number], free // (len(kept) - place))
            widths[number] += given
            free -= given
        return widths

    def _table(self, kept: Sequence[int], widths: dict[int, int]) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
        for number in kept:
            column = self._columns[number]
            table.add_column(
                Text(column.title), justify=column.justify, width=widths[number], overflow="fold"
            )
        for place, (cells, style) in enumerate(self._rows):
            last = place in self._sections
            table.add_row(*(cells[number] for number in kept), style=style, end_section=last)
        return table

    def _stacked(self, width: int) -> Iterator[Text]:
        """Each row from top to bottom, its values to the right of their names or below them."""
        titles = [" ".join(column.title.split()) for column in self._columns]
        names = max(map(cell_len, titles), default=0) + _GAP
        for place, (cells, style) in enumerate(self._rows):
            if len(self._rows) > 1:
                yield Text(f"── {ROW_TITLE} {place + 1} ──", "dim")
            for title, cell in zip(titles, cells, strict=True):
                yield from _named(title, cell, names, width, style)


def _cell(cell: str | Text) -> Text:
    if isinstance(cell, Text):
        return Text(visible(cell.plain), cell.style)
    return Text(visible(cell))


def _named(title: str, value: Text, names: int, width: int, style: str) -> Iterator[Text]:
    """A name and its value, which wraps at the width."""
    room = width - names
    if room < _MIN_VALUE:
        yield Text(title, "bold")
        names, room, title = 2, max(1, width - 2), ""
    console = Console(width=room)
    parts = value.wrap(console, room, overflow="fold")
    for place, part in enumerate(parts or [Text()]):
        head = Text((title if place == 0 else "").ljust(names), "bold" if place == 0 else "")
        head.append(part.plain, value.style or style)
        yield head
