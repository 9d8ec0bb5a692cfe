"""The DDL has the columns that are declared; blocks refuse what does not fit."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures, SideMeasures
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.tables import (
    COMPARISONS,
    TABLES,
    UNMATCHED,
    VIEWS,
    WINDOWS,
    block,
)


@pytest.mark.parametrize("table", TABLES | VIEWS)
def test_the_ddl_has_the_columns_and_types_that_are_declared(client: Client, table: str) -> None:
    rows = client.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
        "AND table = {table:String} AND default_kind != 'MATERIALIZED' ORDER BY position",
        parameters={"table": table},
    ).result_rows
    assert [tuple(row) for row in rows] == list((TABLES | VIEWS)[table].items())


@pytest.mark.parametrize("table", [COMPARISONS, UNMATCHED])
def test_one_pair_is_found_without_reading_the_table(client: Client, table: str) -> None:
    client.command(
        f"INSERT INTO {table} (rollout_id, pair_id, request_time) "
        "SELECT 'r', toString(number), toDateTime64('2026-03-01 12:00:00', 3) + number / 100 "
        "FROM numbers(100000)"
    )
    plan = client.query(
        f"EXPLAIN indexes = 1, json = 1 SELECT * FROM {table} FINAL WHERE pair_id = '77777'"
    ).result_rows
    read = json.loads("".join(row[0] for row in plan))
    (by_pair,) = [one for one in _indexes(read) if one.get("Name") == "by_pair"]
    assert by_pair["Initial Granules"] > 10
    assert by_pair["Selected Granules"] <= 2
    found = client.query(f"SELECT pair_id FROM {table} FINAL WHERE pair_id = '77777'").result_rows
    assert found == [("77777",)]


def _indexes(plan: Any) -> list[dict[str, Any]]:
    """All indexes that a query plan uses."""
    if isinstance(plan, list):
        return [one for part in plan for one in _indexes(part)]
    if not isinstance(plan, dict):
        return []
    return [*plan.get("Indexes", ()), *_indexes(list(plan.values()))]


def test_the_tables_follow_the_contracts() -> None:
    for prefix, record in (
        ("stable", SideMeasures),
        ("candidate", SideMeasures),
        ("pair", PairMeasures),
        ("control", ControlMeasures),
    ):
        for field in fields(record):
            assert f"{prefix}_{field.name}" in TABLES[COMPARISONS]
    measures = [
        f"{section}_{name}"
        for section, section_record in SECTIONS.items()
        for name in section_record.__struct_fields__
    ]
    identity = [name for name in WindowRow.__struct_fields__ if name not in SECTIONS]
    assert list(TABLES[WINDOWS]) == identity + measures


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"partition": [1, 2], "offset": [1]}, r"comparisons.offset has 1 values"),
        ({"partition": [0.5]}, r"comparisons.partition \(UInt32\): whole numbers wanted"),
        ({"pair_id": [None]}, r"comparisons.pair_id \(String\)"),
        ({"pair_identical": ["yes"]}, r"comparisons.pair_identical \(Bool\)"),
    ],
)
def test_what_does_not_fit_names_the_column(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(COMPARISONS, columns)


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        block(COMPARISONS, {"colour": ["red"]})
