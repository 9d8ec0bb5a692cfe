"""Consoles to print tables on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from understudy.analyzers.guardrails.formatting import visible

WIDTH_IN_FILES: Final = 1_000_000
"""Columns of a table that goes to a file or a pipe: no row is broken there."""


class SafeConsole(Console):
    """A console on which no character of a text acts."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The parts of a picture; control codes of rich's own are no text and stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=visible(segment.text))


def table_console(file: IO[str] | None = None) -> SafeConsole:
    """Standard output or a file; where that is no terminal, there is no width to fit."""
    console = SafeConsole(file=file)
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    return console
