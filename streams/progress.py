"""A progress bar over files, on stderr, and only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from understudy.streams.recordings import Progress as Told
from understudy.streams.recordings import total_bytes


@contextmanager
def file_progress(files: Sequence[Path], label: str) -> Iterator[Told]:
    """Show how much of the files has been read; yields what to call with bytes read."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not Console(stderr=True).is_terminal,
    )
    with bar:
        task = bar.add_task(label, total=total_bytes(files))
        yield lambda read: bar.advance(task, read)
