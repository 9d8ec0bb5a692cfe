"""`understudy export`: what it writes and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.analyzers.guardrails.world import ROLLOUT, START, World
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.clickhouse.window_rows import window_columns
from understudy.streams.commands.main import main


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments, "--clickhouse", url])


@pytest.fixture
def url(clickhouse_url: str, clickhouse_database: str) -> str:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    for message in World().messages(5, 4):
        made = block(WINDOWS, window_columns(message.rows))
        client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    client.close()
    return f"{clickhouse_url}?database={clickhouse_database}"


def test_the_rows_of_a_rollout_are_in_the_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.ndjson"
    result = run(url, ROLLOUT, "--out", str(file))
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert result.stderr == f"{len(rows)} rows of slices in {file}\n"
    assert {row["rollout_id"] for row in rows} == {ROLLOUT}
    later = run(url, ROLLOUT, "--out", str(file), "--until", START.isoformat())
    assert (later.exit_code, "no rows" in later.stderr) == (1, True)


def test_wrong_usage_says_what_would_do(url: str, tmp_path: Path) -> None:
    wrong_ending = run(url, ROLLOUT, "--out", str(tmp_path / "rows.xlsx"))
    assert (wrong_ending.exit_code, ".parquet" in wrong_ending.stderr) == (2, True)
    unknown = run(url, ROLLOUT, "--view", "slice", "--out", str(tmp_path / "rows.csv"))
    assert (unknown.exit_code, "comparisons" in unknown.stderr) == (2, True)
    nowhere = run(url, ROLLOUT, "--out", str(tmp_path / "missing" / "rows.csv"))
    assert (nowhere.exit_code, "No such file" in nowhere.stderr) == (1, True)
