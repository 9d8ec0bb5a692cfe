"""Consoles to print tables on."""

from __future__ import annotations

from typing import IO, Final

from rich.console import Console

WIDTH_IN_FILES: Final = 160
"""Columns of a table that goes to a file or a pipe: the widest evidence table fits."""


def table_console(file: IO[str] | None = None) -> Console:
    """Standard output or a file; where that is no terminal, tables are not cut to its width."""
    console = Console(file=file)
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_IN_FILES)
    return console
