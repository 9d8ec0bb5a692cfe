"""What is encoded here is what ClickHouse reads: every type, any values, blocks end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.streams.clickhouse.native_format import encode_block

TYPES = {
    "number": "UInt32",
    "text": "String",
    "label": "LowCardinality(String)",
    "flag": "Bool",
    "measure": "Nullable(Float64)",
    "count": "Nullable(UInt32)",
    "big": "UInt128",
    "time": "DateTime64(3, 'UTC')",
    "texts": "Array(String)",
    "labels": "Array(LowCardinality(String))",
    "sums": "Map(Int32, UInt64)",
    "names": "Map(LowCardinality(String), UInt64)",
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ROW = st.fixed_dictionaries(
    {
        "text": TEXT,
        "label": TEXT,
        "flag": st.booleans(),
        "measure": st.none() | st.floats(allow_nan=False),
        "count": st.none() | st.integers(0, 2**32 - 1),
        "big": st.integers(0, 2**128 - 1),
        "time": st.integers(-2_000_000_000_000, 9_000_000_000_000),
        "texts": st.lists(TEXT, max_size=4),
        "labels": st.lists(TEXT, max_size=4),
        "sums": st.dictionaries(
            st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**64 - 1), max_size=5
        ),
        "names": st.dictionaries(TEXT, st.integers(0, 2**64 - 1), max_size=5),
    }
)


@pytest.fixture
def table(empty_client: Client) -> Client:
    columns = ", ".join(f"{name} {type_name}" for name, type_name in TYPES.items())
    empty_client.command(f"CREATE TABLE any ({columns}) ENGINE = MergeTree ORDER BY number")
    return empty_client


def encoded(rows: Sequence[dict[str, Any]], first: int) -> bytes:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in TYPES if name in ROWS}
    columns["number"] = np.arange(first, first + len(rows))
    columns["measure"] = [np.nan if v is None else v for v in columns["measure"]]
    columns["count"] = np.array([-1 if v is None else v for v in columns["count"]])
    return encode_block("any", TYPES, {name: columns[name] for name in TYPES}).payload


ROWS = tuple(name for name in TYPES if name != "number")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(ROW, min_size=1, max_size=8), second=st.lists(ROW, min_size=1, max_size=8))
def test_any_rows_in_two_blocks(
    table: Client, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    table.command("TRUNCATE TABLE any")
    payload = encoded(first, 0) + encoded(second, len(first))
    table.raw_insert("any", tuple(TYPES), payload, fmt="Native")
    names = ", ".join(ROWS)
    got = table.query(
        f"SELECT {names} FROM any ORDER BY number", column_formats={"time": "int"}
    ).result_rows
    assert [dict(zip(ROWS, row, strict=True)) for row in got] == [*first, *second]


@pytest.mark.parametrize("distinct", [1, 2, 255, 256, 257, 65_536, 65_537])
def test_dictionaries_of_every_width(table: Client, distinct: int) -> None:
    labels = [f"label {i % distinct}" for i in range(distinct + 3)]
    numbers = np.arange(len(labels))
    block = encode_block("any", TYPES, {"number": numbers, "label": labels})
    table.raw_insert("any", block.columns, block.payload, fmt="Native")
    got = table.query("SELECT label FROM any ORDER BY number").result_rows
    assert [row[0] for row in got] == labels


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 3_000_000])
def test_texts_of_every_length(table: Client, length: int) -> None:
    block = encode_block("any", TYPES, {"number": [1], "text": ["é" + "x" * length]})
    table.raw_insert("any", block.columns, block.payload, fmt="Native")
    assert table.query("SELECT text FROM any").result_rows == [("é" + "x" * length,)]


def test_a_block_knows_its_rows_and_columns() -> None:
    block = encode_block("any", TYPES, {"number": [1, 2, 3], "text": ["a", "b", "c"]})
    assert (block.table, block.columns, block.rows) == ("any", ("number", "text"), 3)
    assert encode_block("any", TYPES, {"number": [], "text": []}).rows == 0
