"""Progress bars, on stderr, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # imported where a bar is shown: rich takes as long to import as a short replay
    from rich.progress import Progress, ProgressColumn

Item = TypeVar("Item")


@contextmanager
def file_progress(total_bytes: int | None, label: str) -> Iterator[Callable[[int], None]]:
    """Show how much of the files has been dealt with; yields what to call with bytes.

    Of a pipe the size is unknown, `None`.
    """
    if not _is_shown():
        yield lambda read: None
        return
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bar(DownloadColumn(), TransferSpeedColumn()) as bar:
        task = bar.add_task(label, total=total_bytes)
        yield lambda read: bar.advance(task, read)


def counted(items: Iterable[Item], sizes: Sequence[int], label: str) -> Iterator[Item]:
    """The items, while a bar shows how many of what they hold, by their `sizes`, has been taken."""
    if not _is_shown():
        yield from items
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(label, total=sum(sizes))
        for item, size in zip(items, sizes, strict=True):
            yield item
            bar.advance(task, size)


@contextmanager
def step_progress(total: int, label: str) -> Iterator[Callable[[], None]]:
    """Show how many of so many steps are done; yields what to call after each."""
    if not _is_shown():
        yield lambda: None
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def _is_shown() -> bool:
    return sys.stderr.isatty()


def _bar(*columns: ProgressColumn) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from understudy.streams.terminal.consoles import SafeConsole

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=SafeConsole(stderr=True),
        transient=True,
    )
