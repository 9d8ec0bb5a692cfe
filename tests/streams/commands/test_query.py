"""`understudy query`: tables and JSON lines."""

from __future__ import annotations

import io
import json

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from understudy.streams.commands.main import main
from understudy.streams.commands.query import _table


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("postgres://host/x", "no ClickHouse URL"), ("chdb://", "names no folder")],
)
def test_a_wrong_clickhouse_url_is_1_and_says_what_would_do(url: str, expected: str) -> None:
    result = run("query", "SELECT 1", "--clickhouse", url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert expected in result.stderr
    assert "chdb://" in result.stderr


def test_query_prints_tables_and_json_lines(clickhouse_url: str) -> None:
    sql = "SELECT 1 AS n, 'a' AS name, toDateTime64('2025-01-01 00:00:00', 3, 'UTC') AS at, "
    sql += "map(toInt32(-3), toUInt64(7)) AS buckets, toUInt128('100000000000000000000') AS big"
    result = run("query", "--json", "--clickhouse", clickhouse_url, sql)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {
        "n": 1, "name": "a", "at": "2025-01-01T00:00:00+00:00", "buckets": {"-3": 7},
        "big": 10**20,
    }  # fmt: skip
    table = run("query", "--clickhouse", clickhouse_url, "SELECT 1 AS n, '[red]x[/red]' AS markup")
    assert table.exit_code == 0
    assert "[red]x[/red]" in table.stdout


def test_a_wrong_statement_is_1(clickhouse_url: str) -> None:
    result = run("query", "--clickhouse", clickhouse_url, "SELEKT 1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Syntax error" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_row_that_is_wider_than_the_terminal_is_written_from_top_to_bottom() -> None:
    """As `SELECT * FROM slices LIMIT 1`, with more columns than any terminal has characters."""
    names = [f"candidate_measure_{number}_sum" for number in range(200)]
    screen = io.StringIO()
    Console(file=screen, width=80, color_system=None).print(_table(names, [range(1000, 1200)]))
    shown = [line.split() for line in screen.getvalue().splitlines()]
    assert shown == [[name, str(1000 + number)] for number, name in enumerate(names)]


def test_csv_has_a_header_and_numbers_as_they_are(clickhouse_url: str) -> None:
    sql = "SELECT 1234567 AS n, 0.1 AS share, map(1, 2) AS buckets, NULL AS nothing, true AS yes"
    result = run("query", "--csv", "--clickhouse", clickhouse_url, sql)
    assert result.stdout == 'n,share,buckets,nothing,yes\n1234567,0.1,"{""1"":2}",,true\n'
