"""The text of the DDL files, which are all that `understudy migrate` applies.

Every statement can be run again without harm, names no database, and ends with a semicolon at the
end of a line. A release that adds a measure comes with a further file that alters the tables; until
the first release the files are simply written anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from understudy.schemas.clickhouse.schema import (
    ACCOUNTING,
    COMPARISONS,
    DECISIONS,
    SLICES,
    UNMATCHED,
    WINDOWS,
    Column,
    Table,
    View,
)

FOLDER: Final = Path(__file__).parent
_FILES: Final[dict[str, Table | View]] = {
    "0001": COMPARISONS,
    "0002": UNMATCHED,
    "0003": WINDOWS,
    "0005": SLICES,
    "0006": ACCOUNTING,
    "0007": DECISIONS,
}
"""Number of the file to what it makes; 0004, the functions, is written by hand."""
_HEAD: Final = "Written by schemas/generate.py; change schemas/clickhouse/schema.py instead."


def files() -> dict[Path, str]:
    """Each file and its text."""
    return {
        FOLDER / f"{number}_{made.name}.sql": f"-- {made.title}\n-- {_HEAD}\n\n{_create(made)};\n"
        for number, made in _FILES.items()
    }


def _create(made: Table | View) -> str:
    return create_table(made) if isinstance(made, Table) else create_view(made)


def create_table(table: Table) -> str:
    """The statement that makes a table."""
    described = map(_column, (*table.columns, *table.materialized))
    columns = ",\n".join((*described, *(f"    INDEX {index}" for index in table.indexes)))
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n{columns}\n)\n{table.clauses}\n"
        f"COMMENT {_quoted(table.comment)}"
    )


def create_view(view: View) -> str:
    """The statement that makes a view."""
    described = ",\n".join(
        f"    {column.name} {column.type} COMMENT {_quoted(column.comment)}"
        for column in view.columns
    )
    selected = ",\n".join(f"    {column.value} AS {column.name}" for column in view.columns)
    return (
        f"CREATE VIEW IF NOT EXISTS {view.name} (\n{described}\n) AS\nSELECT\n{selected}\n"
        f"FROM windows AS w FINAL\nGROUP BY {', '.join(view.group_by)}\n"
        f"COMMENT {_quoted(view.comment)}"
    )


def _column(column: Column) -> str:
    words = [column.name, column.type]
    words += [f"DEFAULT {column.default}"] if column.default else []
    words += [f"MATERIALIZED {column.value}"] if column.value else []
    words += [f"COMMENT {_quoted(column.comment)}"]
    words += [f"CODEC({column.codec})"] if column.codec else []
    return f"    {' '.join(words)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
