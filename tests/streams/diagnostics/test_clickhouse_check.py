"""Tables and views that are missing or altered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, levels
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import TABLES, VIEWS
from understudy.streams.diagnostics.clickhouse_check import check_clickhouse, schema_findings
from understudy.streams.diagnostics.findings import Level

Columns = dict[str, dict[str, str]]


def _drop(columns: Columns) -> None:
    del columns["windows"]["closed"]


def _retype(columns: Columns) -> None:
    columns["windows"]["partition"] = "Int8"


def _remove(columns: Columns) -> None:
    del columns["unmatched"]


def _add(columns: Columns) -> None:
    columns["windows"]["note"] = "String"


@pytest.mark.parametrize(
    ("change", "expected"), [(_drop, [FAIL]), (_retype, [FAIL]), (_remove, [FAIL]), (_add, [])]
)
def test_tables(change: Callable[[Columns], None], expected: list[Level]) -> None:
    columns = {table: dict(names) for table, names in TABLES.items()}
    change(columns)
    assert levels(list(schema_findings(columns, TABLES))) == expected


def test_an_embedded_folder_that_is_not_there_is_not_made(tmp_path: Any) -> None:
    folder = tmp_path / "results"
    assert levels(check_clickhouse(f"chdb://{folder}")) == [FAIL]
    assert not folder.exists()


@pytest.fixture
def url(clickhouse_url: str, clickhouse_database: str) -> str:
    """A database with all tables, by its URL."""
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    client.close()
    return f"{clickhouse_url}?database={clickhouse_database}"


def test_every_table_and_view_that_is_gone_is_missed(url: str) -> None:
    assert levels(check_clickhouse(url)) == [OK]
    client = connect(url)
    for name in [*TABLES, *VIEWS]:
        client.command(f"RENAME TABLE {name} TO gone")
        findings = check_clickhouse(url)
        assert levels(findings) == [FAIL], name
        assert f"table {name} is missing" in findings[0].seen
        client.command(f"RENAME TABLE gone TO {name}")
    client.close()


def test_late_events_are_found_in_whichever_window_they_count(url: str) -> None:
    client = connect(url)
    client.command(
        "INSERT INTO windows (source, rollout_id, mode, window_start, window_s, version, "
        "events_paired, events_late) VALUES "
        "('events', 'new', 'shadow', '2026-03-02 12:00:00', 10, 1, 100, 2), "
        "('events', 'old', 'shadow', '2026-03-02 12:00:00', 10, 1, 0, 90), "
        "('events', 'yesterday', 'shadow', '2026-03-01 12:00:00', 10, 1, 0, 90)"
    )
    client.close()
    fine, late = check_clickhouse(url)
    assert (fine.level, late.level) == (OK, FAIL)
    assert late.seen == "old: 90 of 90 events came late and are not measured"


def test_windows_that_nobody_adds_up_are_told(url: str) -> None:
    """Not in the first minutes of an installation."""
    client = connect(url)
    client.command("ALTER TABLE windows MODIFY COLUMN loaded_at DateTime('UTC') DEFAULT now('UTC')")
    insert = (
        "INSERT INTO windows (source, rollout_id, mode, window_start, window_s, version, loaded_at)"
        " VALUES ('events', '{}', 'shadow', '2026-03-02 12:00:00', 10, 1, now('UTC') - {})"
    )
    client.command(insert.format("now", 0))
    assert levels(check_clickhouse(url)) == [OK]
    client.command(insert.format("before", 3600))
    _, behind = check_clickhouse(url)
    assert behind.level is Level.WARN
    assert "roll-ups" in behind.seen
    roll_up(client)
    client.close()
    assert levels(check_clickhouse(url)) == [OK]
