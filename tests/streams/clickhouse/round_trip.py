"""Rows put into ClickHouse and read back, for the tests of each table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from clickhouse_connect.driver.client import Client

from understudy.streams.clickhouse.native_format import Block, Column
from understudy.streams.clickhouse.tables import (
    TABLES,
)

ENUM_MEMBER = re.compile(r"'(\w+)' = (-?\d+)")


def insert(client: Client, some: Block) -> None:
    client.raw_insert(
        some.table,
        some.columns,
        some.payload,
        fmt="Native",
        settings={"max_partitions_per_insert_block": 0},
    )


def stored(client: Client, table: str, order: str = "offset") -> dict[str, list[Any]]:
    """The latest rows of a table, column by column; times as milliseconds."""
    result = client.query(
        f"SELECT * FROM {table} FINAL ORDER BY {order}",
        column_formats=dict.fromkeys(("request_time", "window_start", "requests_from"), "int"),
    )
    columns = list(zip(*result.result_rows, strict=True)) or [()] * len(result.column_names)
    return {name: list(c) for name, c in zip(result.column_names, columns, strict=True)}


def plain(type_name: str, values: Column) -> list[Any]:
    """What ClickHouse should give back for a column of a type."""
    as_list = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if type_name.startswith("Enum8"):
        names = {int(number): name for name, number in ENUM_MEMBER.findall(type_name)}
        return [names[value] for value in as_list]
    if type_name.startswith("Nullable"):
        return [None if math.isnan(v) or ("Int" in type_name and v < 0) else v for v in as_list]
    return as_list


def expect(table: str, columns: Mapping[str, Column], got: Mapping[str, list[Any]]) -> None:
    for name, values in columns.items():
        assert got[name] == plain(TABLES[table][name], values), name
