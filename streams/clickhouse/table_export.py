"""Copies the rows of a rollout from a table or view into a file, as ClickHouse writes it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.schemas.clickhouse.relations import RELATIONS
from understudy.schemas.clickhouse.schema import Table
from understudy.streams.clickhouse.sink_errors import sink_error

FORMATS: Final[Mapping[str, str]] = {
    ".parquet": "Parquet",
    ".csv": "CSVWithNames",
    ".ndjson": "JSONEachRow",
    ".jsonl": "JSONEachRow",
}
"""Ending of a file to ClickHouse's format."""
EXPORTED: Final = tuple(name for name, made in RELATIONS.items() if "rollout_id" in made.types)
"""Tables and views that tell rollouts apart."""
TIME_COLUMNS: Final = ("request_time", "window_start", "decided_at", "day")
"""What `since` and `until` limit: the first of these that there is."""
_CHUNK_BYTES: Final = 1024 * 1024
"""Large beside a call, small beside the file."""
_LATEST_MS: Final = 10_413_791_999_999
"""The last instant that ClickHouse's times hold, in the year 2299."""


@dataclass(frozen=True, slots=True)
class Export:
    """Which rows are wanted; times are epoch milliseconds, `until_ms` is exclusive."""

    relation: str
    rollout_id: str
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def time_column(self) -> str | None:
        """The column that the times limit; None where rows have no time."""
        types = RELATIONS[self.relation].types
        return next((name for name in TIME_COLUMNS if name in types), None)


def export(client: Client, wanted: Export, file: Path) -> int:
    """Write the rows into a file, in no order, and return how many there are.

    The ending of the file's name says the format, one of `FORMATS`. The file is there once it is
    whole; without rows nothing is written. Raises KeyError for another ending or an unknown
    relation, ValueError where times are given for rows without a time, OSError, `SinkBusy` and
    `SinkBroken`.
    """
    format_name = FORMATS[file.suffix]
    source, parameters = _source(wanted)
    try:
        rows = int(client.query(f"SELECT count() {source}", parameters).result_rows[0][0])
        if not rows:
            return 0
        stream: Any = client.raw_stream(
            f"SELECT {_columns(wanted.relation)} {source}", parameters, fmt=format_name
        )
        with closing(stream), written_whole(file) as written:
            while chunk := stream.read(_CHUNK_BYTES):
                written.write(chunk)
    except ClickHouseError as error:
        raise sink_error(error) from error
    return rows


@contextmanager
def written_whole(file: Path) -> Iterator[BinaryIO]:
    """Open a file to write that is there once the block has ended well. Raises OSError."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as written:
            yield written
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _source(wanted: Export) -> tuple[str, dict[str, Any]]:
    """FROM and WHERE, with their parameters."""
    final = " FINAL" if isinstance(RELATIONS[wanted.relation], Table) else ""
    limits = ["rollout_id = {rollout_id:String}"]
    parameters: dict[str, Any] = {"rollout_id": wanted.rollout_id}
    if wanted.since_ms is not None or wanted.until_ms is not None:
        if (column := wanted.time_column) is None:
            raise ValueError(f"rows of {wanted.relation} have no time")
        limits.append(f"{column} >= fromUnixTimestamp64Milli({{since_ms:Int64}}, 'UTC')")
        limits.append(f"{column} < fromUnixTimestamp64Milli({{until_ms:Int64}}, 'UTC')")
        parameters["since_ms"] = wanted.since_ms or 0
        parameters["until_ms"] = _LATEST_MS if wanted.until_ms is None else wanted.until_ms
    return f"FROM {wanted.relation}{final} WHERE {' AND '.join(limits)}", parameters


def _columns(relation: str) -> str:
    return ", ".join(_portable(name, type_) for name, type_ in RELATIONS[relation].types.items())


def _portable(name: str, type_: str) -> str:
    """An expression of a type that readers of Parquet know: no enums, no 128-bit integers."""
    if type_ == "UInt128":
        return f"toFloat64({name}) AS {name}"
    if type_.startswith("Enum"):
        return f"toString({name}) AS {name}"
    return name
