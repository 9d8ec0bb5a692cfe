"""DDL for a cluster: rendered here, parsed by ClickHouse. No cluster can be had in the tests."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client

from understudy.streams.clickhouse import migrations as all_migrations
from understudy.streams.clickhouse.cluster_ddl import UnknownDdl, on_cluster
from understudy.streams.clickhouse.migrations import Migration, migrate, migrations

STATEMENTS = [
    pytest.param(statement, id=f"{migration.name}-{number}")
    for migration in migrations()
    for number, statement in enumerate(migration.statements)
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_clickhouse_parses_every_statement_of_the_release(
    empty_client: Client, statement: str
) -> None:
    rendered = on_cluster(statement, "main-1")
    formatted = empty_client.query(
        "SELECT formatQuerySingleLine({sql:String})", {"sql": rendered}
    ).first_row[0]
    assert "ON CLUSTER `main-1`" in formatted
    if statement.startswith("CREATE TABLE"):
        assert "ENGINE = ReplicatedReplacingMergeTree" in formatted
        assert ("ReplicatedReplacingMergeTree(version)" in formatted) == (
            "ReplacingMergeTree(version)" in statement
        )
    else:
        assert "Replicated" not in formatted.replace(" ON CLUSTER ", "")


def test_without_a_cluster_statements_stay_as_they_are() -> None:
    for migration in migrations():
        for statement in migration.statements:
            assert on_cluster(statement, "") == statement


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownDdl, match="OPTIMIZE"):
        on_cluster("OPTIMIZE TABLE windows", "main")


class Recording:
    """A client that writes down what it is told."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def command(self, sql: str) -> None:
        self.commands.append(sql)

    def query(self, sql: str) -> object:
        class Nothing:
            result_rows: tuple[()] = ()

        return Nothing()

    def raw_insert(self, table: str, *_: object, **__: object) -> None:
        self.commands.append(f"INSERT INTO {table}")


def test_a_migration_makes_everything_on_the_cluster() -> None:
    client = Recording()
    one = Migration("0001_fruit", "CREATE TABLE IF NOT EXISTS fruit (n Int32) "
                    "ENGINE = MergeTree ORDER BY n;\n")  # fmt: skip
    assert migrate(client, [one], cluster="main") == ["0001_fruit"]  # type: ignore[arg-type]
    made, fruit, noted = client.commands
    assert made.startswith("CREATE TABLE IF NOT EXISTS migrations ON CLUSTER `main` (")
    assert "ReplicatedReplacingMergeTree" in made
    assert fruit == (
        "CREATE TABLE IF NOT EXISTS fruit ON CLUSTER `main` (n Int32) "
        "ENGINE = ReplicatedMergeTree ORDER BY n"
    )
    assert noted == "INSERT INTO migrations"
    assert all_migrations.on_cluster is on_cluster
