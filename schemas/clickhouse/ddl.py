"""The text of the DDL files, which are all that `understudy migrate` applies.

Every statement can be run again without harm, names no database, and ends with a semicolon at the
end of a line. A release that adds a measure comes with a further file that alters the tables; until
the first release the files are simply written anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from understudy.schemas.clickhouse.relations import FILES, Relation
from understudy.schemas.clickhouse.schema import Column, Table, View

FOLDER: Final = Path(__file__).parent
_HEAD: Final = "Written by schemas/generate.py; change the declarations beside this file instead."


def files() -> dict[Path, str]:
    """Each file and its text."""
    return {
        FOLDER / f"{name}.sql": f"-- {_HEAD}\n\n" + "\n".join(map(_statement, made))
        for name, made in FILES.items()
    }


def _statement(made: Relation) -> str:
    return f"-- {made.title}\n{_create(made)};\n"


def _create(made: Relation) -> str:
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
    grouped = f"GROUP BY {', '.join(view.group_by)}\n" if view.group_by else ""
    return (
        f"CREATE VIEW IF NOT EXISTS {view.name} (\n{described}\n) AS\nSELECT\n{selected}\n"
        f"FROM {view.source}\n{grouped}COMMENT {_quoted(view.comment)}"
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
