"""Statements as ClickHouse reads them; `tests/streams/clickhouse/test_tables.py` runs them."""

from __future__ import annotations

from understudy.schemas.clickhouse.ddl import create_table, create_view
from understudy.schemas.clickhouse.schema import Column, Table, View

NOTE = Column("note", "String", "What the user's note says", codec="ZSTD(3)")
LENGTH = Column("length", "UInt64", "Its length", value="length(note)")


def test_a_table_names_default_value_comment_and_codec() -> None:
    checked = Column("checked", "Bool", "Whether it was read", default="false")
    table = Table("notes", "Notes", (NOTE, checked), (LENGTH,), "ENGINE = Memory", "It's all")
    assert create_table(table) == (
        "CREATE TABLE IF NOT EXISTS notes (\n"
        "    note String COMMENT 'What the user\\'s note says' CODEC(ZSTD(3)),\n"
        "    checked Bool DEFAULT false COMMENT 'Whether it was read',\n"
        "    length UInt64 MATERIALIZED length(note) COMMENT 'Its length'\n"
        ")\nENGINE = Memory\nCOMMENT 'It\\'s all'"
    )
    assert table.types == {"note": "String", "checked": "Bool"}


def test_a_view_adds_up_the_latest_rows() -> None:
    view = View("lengths", "Lengths", (LENGTH,), ("length",), "Lengths")
    assert create_view(view) == (
        "CREATE VIEW IF NOT EXISTS lengths (\n    length UInt64 COMMENT 'Its length'\n) AS\n"
        "SELECT\n    length(note) AS length\nFROM windows AS w FINAL\nGROUP BY length\n"
        "COMMENT 'Lengths'"
    )
