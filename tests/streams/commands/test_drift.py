"""`understudy drift`: what it says of models that changed, and of those that did not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.analyzers.drift.traffic import traffic, window_rows
from tests.streams.clickhouse.window_columns import window_columns
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.commands.main import main

SAME = traffic(np.random.default_rng(5), 15)
LONGER = traffic(np.random.default_rng(6), 15, longer=1.8)
SHORT = traffic(np.random.default_rng(6), 3)


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> Iterator[str]:
    """A database with windows that no test changes."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    client = connect(clickhouse_url, database=name)
    migrate(client)
    rows = [
        *window_rows(SAME, "stable"),
        *window_rows(LONGER, "candidate", partition=1),
        *window_rows(SHORT, "stable", "young"),
        *window_rows(SAME, "stable", "quiet"),
    ]
    made = block(WINDOWS, window_columns(rows))
    client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    roll_up(client)
    yield f"{clickhouse_url}?database={name}"
    client.command(f"DROP DATABASE {name}")
    client.close()


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["drift", *arguments, "--clickhouse", url])


def test_what_changed_is_told_with_its_size(url: str) -> None:
    result = run(url, "checkout")
    assert result.exit_code == 0, result.output
    assert "Stable: Nothing of 2 metrics" in result.stdout
    assert "has changed by more than days differ by themselves" in result.stdout
    assert "Candidate: Changed: mean answer length" in result.stdout
    assert "en" in result.stdout
    everything = run(url, "checkout", "--side", "stable", "--all")
    assert "error rate" in everything.stdout


def test_documents_and_exit_codes_are_for_scripts(url: str) -> None:
    result = run(url, "checkout", "--json", "--fail-on-drift")
    assert result.exit_code == 4
    stable, candidate = json.loads(result.stdout)["sides"]
    assert (stable["drifted"], candidate["drifted"]) == (False, True)
    first = candidate["findings"][0]
    assert (first["metric"], first["alert"]) == ("answer_length", True)
    assert first["interval"][0] < 0.8 < first["interval"][1]
    assert candidate["recent"]["since"] < candidate["recent"]["until"]
    assert run(url, "quiet", "--fail-on-drift").exit_code == 0


def test_too_little_is_no_pass(url: str) -> None:
    result = run(url, "young", "--fail-on-drift")
    assert (result.exit_code, "nothing can be said" in result.stdout) == (4, True)
    assert "Candidate: There are no requests." in result.stdout
    unknown = run(url, "unknown")
    assert (unknown.exit_code, "no windows of rollout unknown" in unknown.stderr) == (1, True)


def test_a_look_may_lie_in_the_past(url: str) -> None:
    whole = json.loads(run(url, "checkout", "--side", "candidate", "--json").stdout)
    until = whole["sides"][0]["recent"]["since"]
    before = run(url, "checkout", "--side", "candidate", "--json", "--until", until)
    (side,) = json.loads(before.stdout)["sides"]
    assert side["recent"]["until"] == until
    assert side["drifted"] is False
