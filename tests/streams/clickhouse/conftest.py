"""Clients of a database of the test's own, and of a migrated one with empty tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import TABLES


@pytest.fixture
def empty_client(clickhouse_url: str, clickhouse_database: str) -> Iterator[Client]:
    """Nothing in the database; dropped after the test."""
    client = connect(clickhouse_url, database=clickhouse_database)
    yield client
    client.close()


@pytest.fixture(scope="package")
def migrated_client(clickhouse_url: str) -> Iterator[Client]:
    """Migrating takes most of a second, so these tests share one database."""
    client = connect(clickhouse_url, database=f"test_{uuid.uuid4().hex[:12]}")
    migrate(client)
    yield client
    client.command(f"DROP DATABASE {client.database}")
    client.close()


@pytest.fixture
def client(migrated_client: Client) -> Client:
    """All tables of the release, empty."""
    for table in TABLES:
        migrated_client.command(f"TRUNCATE TABLE {table}")
    return migrated_client
