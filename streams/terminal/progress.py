"""Progress bars, on stderr, and only on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from understudy.streams.terminal.consoles import SafeConsole

Item = TypeVar("Item")


@contextmanager
def file_progress(total_bytes: int | None, label: str) -> Iterator[Callable[[int], None]]:
    """Show how much of the files has been dealt with; yields what to call with bytes.

    Of a pipe the size is unknown, `None`.
    """
    bar = _bar(DownloadColumn(), TransferSpeedColumn())
    with bar:
        task = bar.add_task(label, total=total_bytes)
        yield lambda read: bar.advance(task, read)


def counted(items: Iterable[Item], sizes: Sequence[int], label: str) -> Iterator[Item]:
    """The items, while a bar shows how many of what they hold, by their `sizes`, has been taken."""
    bar = _bar(MofNCompleteColumn())
    with bar:
        task = bar.add_task(label, total=sum(sizes))
        for item, size in zip(items, sizes, strict=True):
            yield item
            bar.advance(task, size)


def _bar(*columns: ProgressColumn) -> Progress:
    console = SafeConsole(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
