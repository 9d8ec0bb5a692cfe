"""The one way out: all text that commands write passes here, so that nothing in it acts.

Names, reasons, answers and keys come from whoever writes events and policies. Characters that move
a terminal's cursor, start an escape sequence or turn the reading direction are shown as numbers,
wherever the text goes: what is in a file today is shown by `cat` tomorrow.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from understudy.analyzers.guardrails.formatting import visible
from understudy.streams.terminal.plain_text import csv_cell, flat, json_text

if TYPE_CHECKING:
    from rich.console import RenderableType


def say(text: str = "", *, err: bool = False, color: str | None = None, end: str = "\n") -> None:
    """Write a text of one or several lines to stdout, or to stderr."""
    shown = visible(text)
    is_colored = color and not os.environ.get("NO_COLOR")  # no-color.org; click knows terminals
    _write(click.style(shown, fg=color) if is_colored else shown, end, err=err)


def say_json(document: Any) -> None:
    """Write one JSON document on one line."""
    _write(json_text(document), "\n", err=False)


def say_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and rows, one row a line."""
    _write(_csv_text(names, rows), "", err=False)


def say_documents_as_csv(documents: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON documents as rows; `{"a": {"b": 1}}` is 1 in the column `a_b`."""
    _write(csv_text(documents), "", err=False)


def csv_text(documents: Iterable[Mapping[str, Any]]) -> str:
    """JSON documents as the text of a CSV file, a row each."""
    rows = [flat(document) for document in documents]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _csv_text(names, ([row.get(name) for name in names] for row in rows))


def _csv_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in names])
    for row in rows:
        writer.writerow([csv_cell(value) for value in row])
    return buffer.getvalue()


def say_raw(payload: bytes) -> None:
    """Write bytes as they are, for a file or a pipe: the caller sees to it that it is one."""
    click.echo(payload, nl=False)


def show(*renderables: RenderableType) -> None:
    """Write tables and styled texts to stdout."""
    from understudy.streams.terminal.consoles import table_console

    console = table_console()
    for renderable in renderables:
        console.print(renderable)


def _write(text: str, end: str, *, err: bool) -> None:
    """Write text that the stream's encoding may be too small for."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    fitting = text.encode(encoding, "backslashreplace").decode(encoding)
    click.echo(fitting + end, nl=False, err=err)
