"""Window rows read back from ClickHouse in order of time: as rows, or columns of many at once.

Whatever the length of the range, neither this process nor the server has to hold more than one
span of it: first the server cuts the range into spans of whole windows, then each is read alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.schemas.event_time import zoned
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.native_blocks import NativeColumns, decode_blocks
from understudy.streams.clickhouse.sink_errors import sink_error
from understudy.streams.clickhouse.tables import TABLES, WINDOWS
from understudy.streams.clickhouse.window_rows import window_rows

SPAN_ROWS: Final = 5_000
"""Rows read at once, about 15 MB; more where the windows of one instant have more."""
SPAN_ROWS_IN_COLUMNS: Final = 20_000
"""The same of rows read in columns: about 10 MB with the columns that a policy needs. The server
looks through all that a rollout has for each span, so they should be few."""
IDENTITY: Final = (
    "mode", "language", "workflow", "window_start", "window_s", "source", "partition", "closed",
    "evaluator", "requests_from",
)  # fmt: skip
"""Columns that say what a row is about."""
MAX_ROLLOUTS: Final = 100
"""More than a person reads in a message that names those there are."""
_AFTER_1970_MS: Final = 1
_LATEST_MS: Final = 10_413_791_999_999
"""The last instant that ClickHouse's times hold, in the year 2299."""

_TIME: Final = "fromUnixTimestamp64Milli({{{}:Int64}}, 'UTC')"
_RANGE: Final = (
    "rollout_id = {rollout_id:String} "
    f"AND window_start >= {_TIME.format('since_ms')} AND window_start < {_TIME.format('until_ms')}"
)
_SPANS: Final = f"""
SELECT toUnixTimestamp64Milli(min(start)), toUnixTimestamp64Milli(max(start)), sum(count)
FROM (
    SELECT start, count, intDiv(sum(count) OVER (ORDER BY start) - 1, {{span_rows:UInt64}}) AS span
    FROM (
        SELECT window_start AS start, count() AS count
        FROM windows FINAL WHERE {_RANGE} GROUP BY window_start
    )
)
GROUP BY span ORDER BY span
"""
_ORDER: Final = (
    "window_start, source, partition, window_s, mode, language, workflow, evaluator, requests_from"
)
_ROLLOUTS: Final = f"""
SELECT rollout_id, min(window_start), max(window_start + window_s)
FROM windows WHERE rollout_id != '' AND window_start >= {_TIME.format("since_ms")}
GROUP BY rollout_id ORDER BY max(window_start) DESC, rollout_id LIMIT {{most:UInt32}}
"""


@dataclass(frozen=True, slots=True)
class WindowRange:
    """The windows of a rollout that start in [since, until), epoch milliseconds.

    Never the window of 1970: what was invalid before any event had set the clock counts there, and
    says nothing about a model.
    """

    rollout_id: str
    since_ms: int = _AFTER_1970_MS
    until_ms: int = _LATEST_MS


class Span(NamedTuple):
    """Whole windows that are read at once, from the start of the first to that of the last."""

    first_ms: int
    last_ms: int
    rows: int


class StoredRollout(NamedTuple):
    """A rollout with stored windows."""

    rollout_id: str
    since: dt.datetime
    until: dt.datetime


def spans(client: Client, some: WindowRange, *, span_rows: int = SPAN_ROWS) -> list[Span]:
    """A range cut into spans of about so many rows; none where there are no rows.

    Raises `SinkBusy` or `SinkBroken`, as all here do.
    """
    result = _query(client, _SPANS, {**_parameters(some), "span_rows": span_rows})
    return [Span(*map(int, row)) for row in result.result_rows]


def read_rows(client: Client, some: WindowRange, wanted: list[Span]) -> Iterator[WindowRow]:
    """The last version of each row, in the order of the windows' starts."""
    for span in wanted:
        part = WindowRange(some.rollout_id, span.first_ms, span.last_ms + 1)
        sql = _rows_sql(TABLES[WINDOWS])
        formats = {"window_start": "int", "requests_from": "int"}
        result = _query(client, sql, _parameters(part), formats)
        if result.result_rows:
            columns = zip(*result.result_rows, strict=True)
            yield from window_rows(dict(zip(TABLES[WINDOWS], columns, strict=True)))


def read_columns(
    client: Client, some: WindowRange, wanted: Sequence[Span], names: Iterable[str]
) -> Iterator[NativeColumns]:
    """The last versions of the rows of each span: `IDENTITY` and these columns, in that order.

    Raises KeyError for a name that is no column.
    """
    columns = [*IDENTITY, *sorted(set(names) - set(IDENTITY))]
    unknown = [name for name in columns if name not in TABLES[WINDOWS]]
    if unknown:
        raise KeyError(*unknown)
    for span in wanted:
        part = WindowRange(some.rollout_id, span.first_ms, span.last_ms + 1)
        try:
            payload = client.raw_query(_rows_sql(columns), _parameters(part), fmt="Native")
        except ClickHouseError as error:
            raise sink_error(error) from error
        yield decode_blocks(payload)


def stored_rollouts(client: Client) -> list[StoredRollout]:
    """The rollouts there are, those with the newest windows first, up to `MAX_ROLLOUTS`."""
    parameters = {"since_ms": _AFTER_1970_MS, "most": MAX_ROLLOUTS}
    return [
        StoredRollout(str(name), zoned(since), zoned(until))
        for name, since, until in _query(client, _ROLLOUTS, parameters).result_rows
    ]


def _rows_sql(columns: Iterable[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM windows FINAL WHERE {_RANGE} ORDER BY {_ORDER}"


def _parameters(some: WindowRange) -> dict[str, Any]:
    return {
        "rollout_id": some.rollout_id,
        "since_ms": max(some.since_ms, _AFTER_1970_MS),
        "until_ms": min(some.until_ms, _LATEST_MS),
    }


def _query(
    client: Client,
    sql: str,
    parameters: Mapping[str, Any],
    formats: Mapping[str, str] | None = None,
) -> Any:
    try:
        return client.query(sql, parameters=dict(parameters), column_formats=dict(formats or {}))
    except ClickHouseError as error:
        raise sink_error(error) from error
