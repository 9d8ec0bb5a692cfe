"""Every table and view: its name, its columns and their types, and blocks of rows to insert.

The columns are declared in `understudy.schemas.clickhouse.schema`, from which the DDL is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from understudy.schemas.clickhouse import captures, evaluation_tables, relations, schema
from understudy.streams.clickhouse.native_format import Block, Column, encode_block

COMPARISONS: Final = schema.COMPARISONS.name
UNMATCHED: Final = schema.UNMATCHED.name
WINDOWS: Final = schema.WINDOWS.name
DECISIONS: Final = schema.DECISIONS.name
CAPTURED_PAIRS: Final = captures.CAPTURED_PAIRS.name
EVALUATIONS: Final = evaluation_tables.EVALUATIONS.name
EXPLANATIONS: Final = evaluation_tables.EXPLANATIONS.name

Columns = dict[str, Column]

TABLES: Final[dict[str, Mapping[str, str]]] = {
    table.name: table.types for table in relations.TABLES
}
"""Table to column to ClickHouse type, in the order of the DDL."""
VIEWS: Final[dict[str, Mapping[str, str]]] = {
    "windows_latest": schema.WINDOWS.types,
    **{view.name: view.types for view in relations.VIEWS},
}
"""The same of the views."""


def block(table: str, columns: Mapping[str, Column]) -> Block:
    """Encode columns of one of `TABLES`, ready to put into a loader.

    Raises KeyError for an unknown table or column, ValueError for values that do not fit.
    """
    return encode_block(table, TABLES[table], columns)
