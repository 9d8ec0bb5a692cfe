"""`understudy rollup`: what it does and says."""

from __future__ import annotations

import datetime as dt

import pytest
from click.testing import CliRunner, Result

from tests.analyzers.guardrails.world import START, World
from tests.streams.clickhouse.window_columns import window_columns
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.commands.main import main


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["rollup", *arguments, "--clickhouse", url])


def test_windows_are_added_up_once_or_again(clickhouse_url: str, clickhouse_database: str) -> None:
    url = f"{clickhouse_url}?database={clickhouse_database}"
    client = connect(url)
    without = run(url)
    assert (without.exit_code, "understudy migrate" in without.stderr) == (1, True)
    migrate(client)
    messages = World().messages(5, 12)
    for message in messages:
        made = block(WINDOWS, window_columns(message.rows))
        client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    for arguments in ((), ("--since", "1h")):
        result = run(url, *arguments)
        assert (result.exit_code, result.stdout) == (0, "2 minutes of rollouts added up\n")
    ((requests, first),) = client.query(
        "SELECT sum(stable_requests), min(window_start) FROM slices_1m"
    ).result_rows
    assert requests == sum(row.stable.requests for one in messages for row in one.rows)
    assert first.replace(tzinfo=dt.UTC) == START
    client.close()


@pytest.mark.parametrize("since", ["yesterday", "2 days"])
def test_a_time_that_is_none_is_wrong_usage(clickhouse_url: str, since: str) -> None:
    assert run(clickhouse_url, "--since", since).exit_code == 2
