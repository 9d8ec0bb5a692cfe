"""`understudy query`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from understudy.streams.clickhouse.connect import connect
from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.options import clickhouse_option
from understudy.streams.settings import Settings

_JSON_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC
"""Histograms have whole numbers as keys; ClickHouse's times come without their zone, UTC."""


@click.command("query")
@click.argument("sql")
@clickhouse_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@with_settings
def command(settings: Settings, sql: str, url: str | None, as_json: bool) -> None:
    """Run an SQL statement in ClickHouse, on a server or in an embedded folder.

    \b
    Examples:
      understudy query "SELECT language, sum(pair_pairs) FROM windows FINAL GROUP BY language"
      understudy query --clickhouse chdb://results "SHOW TABLES"
    """
    with closing(connect(url or settings.clickhouse.url)) as client:
        result = client.query(sql)
    if not as_json:
        Console().print(_table(result.column_names, result.result_rows))
        return
    for row in result.result_rows:
        click.echo(_json_line(dict(zip(result.column_names, row, strict=True))))


def _json_line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, default=str, option=_JSON_OPTIONS)
    except TypeError:  # a number beyond 64 bits
        return json.dumps(row, default=_plain, ensure_ascii=False).encode(errors="replace")


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    return str(value)


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table()
    for number, name in enumerate(names):
        is_numeric = bool(rows) and isinstance(rows[0][number], int | float)
        table.add_column(Text(name), justify="right" if is_numeric else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.6g}"
    return str(value)
