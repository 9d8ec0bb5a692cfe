"""`understudy query` and `understudy migrate`: ClickHouse from the command line."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

import click
import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from understudy.streams.clickhouse.command_client import open_client
from understudy.streams.clickhouse.migrate import migrate
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.errors import CommandError


def run_query(url: str, sql: str, *, as_json: bool) -> None:
    """Print what a statement returns: a table, or JSON lines."""
    client = open_client(url)
    try:
        result = client.query(sql)
    except ClickHouseError as error:
        raise CommandError(str(error)) from None
    finally:
        client.close()
    if as_json:
        for row in result.result_rows:
            click.echo(_json_line(dict(zip(result.column_names, row, strict=True))))
        return
    _print_table(result.column_names, result.result_rows)


_JSON_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC
"""Histograms have whole numbers as keys; ClickHouse's times come without their zone, UTC."""


def _json_line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, default=str, option=_JSON_OPTIONS)
    except TypeError:  # a number beyond 64 bits
        return json.dumps(row, default=_plain, ensure_ascii=False).encode(errors="replace")


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    return str(value)


def _print_table(names: tuple[str, ...], rows: Any) -> None:
    table = Table()
    for name in names:
        numeric = bool(rows) and isinstance(rows[0][names.index(name)], int | float)
        table.add_column(Text(name), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.6g}"
    return str(value)


def run_migrations(url: str) -> None:
    """Apply what is missing, and say so."""
    client = open_client(url)
    try:
        applied = migrate(client)
    except (SinkBusy, SinkBroken) as error:
        raise CommandError(str(error)) from None
    finally:
        client.close()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("up to date")
