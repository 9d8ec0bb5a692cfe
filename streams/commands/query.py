"""`understudy query`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

import click

from understudy.streams.clickhouse.connect import connect
from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.options import OutputFormat, clickhouse_option, output_options
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say_csv, say_json, show

_MIN_TEXT: Final = 24
"""Characters to which texts wrap: a few words a line can be read."""


@click.command("query")
@click.argument("sql")
@clickhouse_option
@output_options("Print one JSON object a line.", "Print CSV with a header.")
@with_settings
def command(settings: Settings, sql: str, url: str | None, output: OutputFormat) -> None:
    """Run an SQL statement in ClickHouse, on a server or in an embedded folder.

    Rows that are wider than the terminal are written from top to bottom. Characters that act on a
    terminal are shown as numbers.

    \b
    Examples:
      understudy query "SELECT language, sum(pair_pairs) FROM windows FINAL GROUP BY language"
      understudy query --csv "SELECT * FROM slices" > slices.csv
      understudy query --clickhouse chdb://results "SHOW TABLES"
    """
    where = url or settings.clickhouse.url
    with closing(connect(where, create=False, needs_database=False)) as client:
        result = client.query(sql)
    names, rows = result.column_names, result.result_rows
    if output == "csv":
        say_csv(names, rows)
    elif output == "json":
        for row in rows:
            say_json(dict(zip(names, row, strict=True)))
    else:
        show(_table(names, rows))


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> DataTable:
    table = DataTable([_column(number, name, rows) for number, name in enumerate(names)])
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _column(number: int, name: str, rows: Sequence[Sequence[Any]]) -> Column:
    if rows and isinstance(rows[0][number], int | float):
        return Column(name, "right")
    return Column(name, wraps_at=_MIN_TEXT)


def _cell(value: object) -> str:
    """A value as it can be copied into the next statement: digits are not grouped."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    return str(value)
