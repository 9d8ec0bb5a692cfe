"""Migrations are applied once, by however many workers, and not changed afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_connect.driver.client import Client

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import Migration, migrate, migrations, pending
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.sink_errors import SinkBroken

FIRST = Migration(
    "0001_fruit",
    "-- Fruit; all of it.\nCREATE TABLE IF NOT EXISTS fruit (n Int32) "
    "ENGINE = MergeTree ORDER BY n;\n",
)
SECOND = Migration(
    "0002_colour",
    "ALTER TABLE fruit ADD COLUMN IF NOT EXISTS colour String;\n"
    "CREATE VIEW IF NOT EXISTS red AS\n"
    "SELECT * FROM fruit WHERE colour = 'red; ripe';\n",
)


def test_a_fresh_database_gets_everything_once(empty_client: Client) -> None:
    names = [migration.name for migration in migrations()]
    assert pending(empty_client) == names
    assert migrate(empty_client) == names
    assert migrate(empty_client) == []
    assert pending(empty_client) == []


def test_pandas_is_not_loaded_for_a_row(
    empty_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Client, "insert")  # it loads pandas: a fifth of a second, and 40 MB
    migrate(empty_client)
    roll_up(empty_client)


def test_only_what_is_new_is_applied(empty_client: Client) -> None:
    assert migrate(empty_client, [FIRST]) == ["0001_fruit"]
    assert pending(empty_client, [FIRST, SECOND]) == ["0002_colour"]
    assert migrate(empty_client, [FIRST, SECOND]) == ["0002_colour"]
    empty_client.command("INSERT INTO fruit VALUES (1, 'red; ripe'), (2, 'green')")
    assert empty_client.query("SELECT n FROM red").result_rows == [(1,)]


def test_pending_changes_nothing(empty_client: Client) -> None:
    pending(empty_client)
    assert empty_client.query("SHOW TABLES").result_rows == []


def test_a_changed_file_is_an_error(empty_client: Client) -> None:
    migrate(empty_client, [FIRST])
    changed = Migration(FIRST.name, FIRST.sql.replace("Int32", "Int64"))
    with pytest.raises(SinkBroken, match="0001_fruit has changed"):
        migrate(empty_client, [changed])
    with pytest.raises(SinkBroken, match="0001_fruit has changed"):
        pending(empty_client, [changed])


def test_a_database_may_be_ahead_of_the_release(empty_client: Client) -> None:
    migrate(empty_client, [FIRST, SECOND])
    assert migrate(empty_client, [FIRST]) == []


def test_a_failed_file_is_named_and_tried_again(empty_client: Client) -> None:
    wrong = Migration(
        "0002_wrong",
        "SELECT 1;\nCREATE TABLE IF NOT EXISTS t (n Nonsense) ENGINE = MergeTree ORDER BY n;\n",
    )
    with pytest.raises(SinkBroken, match="migration 0002_wrong"):
        migrate(empty_client, [FIRST, wrong])
    assert pending(empty_client, [FIRST, wrong]) == ["0002_wrong"]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(5))
def test_several_workers_at_a_time(
    attempt: int, clickhouse_url: str, clickhouse_database: str, empty_client: Client
) -> None:
    def work(_: int) -> list[str]:
        own = connect(clickhouse_url, database=clickhouse_database)
        try:
            return migrate(own)
        finally:
            own.close()

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(work, range(6)))
    names = [migration.name for migration in migrations()]
    assert names in applied or sorted({n for some in applied for n in some}) == names
    assert migrate(empty_client) == []
    recorded = empty_client.query("SELECT name FROM migrations FINAL ORDER BY name").result_rows
    assert [row[0] for row in recorded] == names


def test_statements_can_be_run_again(client: Client) -> None:
    for migration in migrations():
        for statement in migration.statements:
            client.command(statement)


def test_no_statement_names_a_database() -> None:
    for migration in migrations():
        assert "understudy." not in migration.sql
        assert "default." not in migration.sql


def test_every_table_and_column_has_a_comment(client: Client) -> None:
    uncommented = client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() "
        "AND comment = '' AND table NOT IN ('slices', 'windows_latest')"
    ).result_rows
    assert uncommented == []
    assert (
        client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
        ).result_rows
        == []
    )
