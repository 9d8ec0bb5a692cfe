"""`understudy export`: what it writes and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.analyzers.guardrails.world import ROLLOUT, START, World
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.test_captured_pairs import NAME, pair
from tests.streams.clickhouse.window_columns import window_columns
from understudy.streams.clickhouse.captured_pairs import captured_block
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import WINDOWS, block
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


def test_captured_pairs_become_a_test_set(url: str, tmp_path: Path) -> None:
    client = connect(url, create=False)
    some = [pair("a", 1, prompt="Where is it?"), pair("b", 2, prompt="Who is it?"),
            pair("c", 3, prompt="where is IT"), pair("d", 4, prompt="")]  # fmt: skip
    insert(client, captured_block(some))
    client.close()
    file = tmp_path / "cases.jsonl"
    result = run(url, NAME, "--testset", "promptfoo", "--out", str(file))
    assert result.exit_code == 0, result.stderr
    cases = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert sorted(case["vars"]["prompt"] for case in cases) == ["Where is it?", "Who is it?"]
    assert "2 cases for promptfoo" in result.stderr
    assert "of 4 captured pairs (1 without a whole prompt, 1 repeated)" in result.stderr
    one = run(url, NAME, "--testset", "langfuse", "--cases", "1", "--out", str(file))
    assert (one.exit_code, len(file.read_text().splitlines())) == (0, 1)
    none = run(url, ROLLOUT, "--testset", "promptfoo", "--out", str(file))
    assert (none.exit_code, "capture: worst" in none.stderr) == (1, True)
    wrong = run(url, NAME, "--testset", "promptfoo", "--out", str(tmp_path / "a.parquet"))
    assert (wrong.exit_code, ".jsonl" in wrong.stderr) == (2, True)


def test_wrong_usage_says_what_would_do(url: str, tmp_path: Path) -> None:
    wrong_ending = run(url, ROLLOUT, "--out", str(tmp_path / "rows.xlsx"))
    assert (wrong_ending.exit_code, ".parquet" in wrong_ending.stderr) == (2, True)
    unknown = run(url, ROLLOUT, "--view", "slice", "--out", str(tmp_path / "rows.csv"))
    assert (unknown.exit_code, "comparisons" in unknown.stderr) == (2, True)
    nowhere = run(url, ROLLOUT, "--out", str(tmp_path / "missing" / "rows.csv"))
    assert (nowhere.exit_code, "No such file" in nowhere.stderr) == (1, True)
