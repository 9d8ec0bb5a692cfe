"""`understudy migrate`: what is missing is applied once."""

from __future__ import annotations

from click.testing import CliRunner

from understudy.streams.clickhouse.migrations import migrations
from understudy.streams.commands.main import main


def test_it_applies_all_migrations_and_then_none(
    clickhouse_url: str, clickhouse_database: str
) -> None:
    separator = "&" if "?" in clickhouse_url else "?"
    url = f"{clickhouse_url}{separator}database={clickhouse_database}"
    first, second = (CliRunner().invoke(main, ["migrate", "--clickhouse", url]) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    assert first.stdout.splitlines() == [f"applied {one.name}" for one in migrations()]
    assert second.stdout == "up to date\n"
